//! Each rule by documents that break only this rule, and documents that break no rule.

use std::collections::HashSet;

use super::{RULES, Rule, validate};
use crate::graphql::limits;
use crate::graphql::request::bounds;
use crate::graphql::schema::types::TYPES;
use crate::graphql::syntax::parse;

/// The rules that a document breaks, and where.
fn broken(text: &str) -> Vec<(Rule, Vec<(usize, usize)>)> {
    let document = parse(text).unwrap_or_else(|error| panic!("{text}: {}", error.message));
    bounds::check(&document).unwrap_or_else(|error| panic!("{text}: {}", error.message));
    match validate(&document, &TYPES) {
        Ok(()) => Vec::new(),
        Err(errors) => errors
            .first
            .into_iter()
            .map(|error| {
                let places = error.places.iter();
                (
                    error.rule,
                    places.map(|place| (place.line, place.column)).collect(),
                )
            })
            .collect(),
    }
}

/// Rule, document, and the column of the error.
const INVALID: &[(Rule, &str, usize)] = &[
    (
        Rule::UniqueOperationNames,
        "query A { __typename } query A { __typename }",
        7,
    ),
    (
        Rule::UniqueOperationNames,
        "query A { __typename } mutation A { __typename }",
        7,
    ),
    (
        Rule::LoneAnonymousOperation,
        "{ __typename } query A { __typename }",
        1,
    ),
    (
        Rule::SingleRootField,
        "subscription { onJobs { kind } a: onJobs { kind } }",
        1,
    ),
    (Rule::SingleRootField, "subscription { __typename }", 16),
    (
        Rule::SingleRootField,
        "subscription { ...F } fragment F on Subscription { a: onJobs { kind } b: onJobs { kind } }",
        1,
    ),
    (Rule::FieldsOnCorrectType, "{ nope }", 3),
    (
        Rule::FieldsOnCorrectType,
        "{ getJob(id: 1) { __schema { description } } }",
        19,
    ),
    (
        Rule::FieldsOnCorrectType,
        "mutation { __schema { description } }",
        12,
    ),
    (
        Rule::FieldsOnCorrectType,
        "{ getJob(id: 1) { ...F } } fragment F on Job { nope { id } }",
        48,
    ),
    (
        Rule::OverlappingFields,
        "{ a: getJob(id: 1) { id } a: getJob(id: 2) { id } }",
        3,
    ),
    (
        Rule::OverlappingFields,
        "{ getJob(id: 1) { a: id } getJob(id: 1) { a: status } }",
        19,
    ),
    (
        Rule::OverlappingFields,
        "{ getJob(id: 1) { ...F id: owner } } fragment F on Job { id }",
        58,
    ),
    (
        Rule::OverlappingFields,
        "query($i: ID!) { getJob(id: $i) { id } getJob(id: \"1\") { id } }",
        18,
    ),
    (
        Rule::OverlappingFields,
        "{ listJobs { items { history(limit: 1) { next } } } listJobs { items { history { next } } } }",
        22,
    ),
    (Rule::LeafSelections, "{ getJob(id: 1) }", 3),
    (Rule::LeafSelections, "{ getJob(id: 1) { id { x } } }", 19),
    (Rule::LeafSelections, "{ listJobs { items } }", 14),
    (Rule::LeafSelections, "{ __schema }", 3),
    (
        Rule::KnownArgumentNames,
        "{ getJob(id: 1, nope: 2) { id } }",
        17,
    ),
    (
        Rule::KnownArgumentNames,
        "{ __typename @skip(if: true, nope: 2) }",
        30,
    ),
    (
        Rule::KnownArgumentNames,
        "{ getJob(id: 1) { id(nope: 1) } }",
        22,
    ),
    (
        Rule::UniqueArgumentNames,
        "{ getJob(id: 1, id: 1) { id } }",
        10,
    ),
    (
        Rule::UniqueArgumentNames,
        "{ __typename @skip(if: true, if: true) }",
        20,
    ),
    (Rule::RequiredArguments, "{ getJob { id } }", 3),
    (Rule::RequiredArguments, "{ __typename @skip }", 14),
    (Rule::RequiredArguments, "{ __type { name } }", 3),
    (
        Rule::UniqueFragmentNames,
        "{ ...F } fragment F on Query { __typename } fragment F on Query { __typename }",
        19,
    ),
    (
        Rule::KnownTypeNames,
        "query($a: Nope) { getJob(id: $a) { id } }",
        11,
    ),
    (
        Rule::KnownTypeNames,
        "query($a: [Nope!]!) { getJob(id: $a) { id } }",
        12,
    ),
    (Rule::KnownTypeNames, "{ ... on Nope { x } }", 10),
    (
        Rule::KnownTypeNames,
        "{ ...F } fragment F on Nope { x }",
        24,
    ),
    (Rule::FragmentsOnObjects, "{ ... on JobStatus { x } }", 10),
    (Rule::FragmentsOnObjects, "{ ... on JobFilter { x } }", 10),
    (
        Rule::FragmentsOnObjects,
        "{ ...F } fragment F on String { x }",
        24,
    ),
    (
        Rule::FragmentsUsed,
        "{ __typename } fragment F on Job { id }",
        16,
    ),
    (Rule::KnownFragmentNames, "{ ...F }", 6),
    (Rule::PossibleSpreads, "{ ... on Job { id } }", 3),
    (
        Rule::PossibleSpreads,
        "{ ...F } fragment F on Job { id }",
        3,
    ),
    (
        Rule::PossibleSpreads,
        "{ getJob(id: 1) { ... on Step { name } } }",
        19,
    ),
    (Rule::ValuesOfCorrectType, "{ getJob(id: true) { id } }", 14),
    (Rule::ValuesOfCorrectType, "{ getJob(id: null) { id } }", 14),
    (Rule::ValuesOfCorrectType, "{ getJob(id: [1]) { id } }", 14),
    (Rule::ValuesOfCorrectType, "{ getJob(id: {}) { id } }", 14),
    (
        Rule::ValuesOfCorrectType,
        "{ listJobs(limit: 1.0) { nextToken } }",
        19,
    ),
    (
        Rule::ValuesOfCorrectType,
        "{ listJobs(limit: 2147483648) { nextToken } }",
        19,
    ),
    (
        Rule::ValuesOfCorrectType,
        "{ listJobs(limit: \"1\") { nextToken } }",
        19,
    ),
    (
        Rule::ValuesOfCorrectType,
        "{ listJobs(filter: 1) { nextToken } }",
        20,
    ),
    (
        Rule::ValuesOfCorrectType,
        "{ listJobs(filter: [{}]) { nextToken } }",
        20,
    ),
    (
        Rule::ValuesOfCorrectType,
        "{ listJobs(sort: UP) { nextToken } }",
        18,
    ),
    (
        Rule::ValuesOfCorrectType,
        "{ listJobs(sort: \"NEWEST\") { nextToken } }",
        18,
    ),
    (
        Rule::ValuesOfCorrectType,
        "{ listJobs(sort: 1) { nextToken } }",
        18,
    ),
    (
        Rule::ValuesOfCorrectType,
        "{ listJobs(filter: {status: {eq: \"QUEUED\"}}) { nextToken } }",
        34,
    ),
    (
        Rule::ValuesOfCorrectType,
        "{ listJobs(filter: {id: {in: [\"a\", null]}}) { nextToken } }",
        36,
    ),
    (
        Rule::ValuesOfCorrectType,
        "{ listJobs(filter: {createdAt: {eq: \"today\"}}) { nextToken } }",
        37,
    ),
    (
        Rule::ValuesOfCorrectType,
        "query($a: Int = \"x\") { listJobs(limit: $a) { nextToken } }",
        17,
    ),
    (
        Rule::ValuesOfCorrectType,
        "query($a: Int! = null) { listJobs(limit: $a) { nextToken } }",
        18,
    ),
    (
        Rule::ValuesOfCorrectType,
        "mutation { submitJob(input: {type: \"x\", input: {a: 1}}) { id } }",
        48,
    ),
    (Rule::ValuesOfCorrectType, "{ __typename @skip(if: 1) }", 24),
    (
        Rule::KnownInputFields,
        "{ listJobs(filter: {nope: 1}) { nextToken } }",
        21,
    ),
    (
        Rule::KnownInputFields,
        "{ listJobs(filter: {owner: {like: \"x\"}}) { nextToken } }",
        29,
    ),
    (
        Rule::KnownInputFields,
        "query($a: JobFilter = {nope: 1}) { listJobs(filter: $a) { nextToken } }",
        24,
    ),
    (
        Rule::UniqueInputFields,
        "{ listJobs(filter: {type: {eq: \"a\", eq: \"b\"}}) { nextToken } }",
        28,
    ),
    (
        Rule::UniqueInputFields,
        "query($a: JobFilter = {type: {eq: \"a\", eq: \"b\"}}) { listJobs(filter: $a) { nextToken } }",
        31,
    ),
    (
        Rule::RequiredInputFields,
        "mutation { submitJob(input: {}) { id } }",
        29,
    ),
    (
        Rule::RequiredInputFields,
        "mutation { submitJobs(inputs: [{type: \"a\"}, {tags: []}]) { job { id } } }",
        45,
    ),
    (Rule::KnownDirectives, "{ __typename @nope }", 14),
    (Rule::KnownDirectives, "query @nope { __typename }", 7),
    (
        Rule::KnownDirectives,
        "query($a: Int @nope) { listJobs(limit: $a) { nextToken } }",
        15,
    ),
    (
        Rule::DirectivesInValidPlaces,
        "query @skip(if: true) { __typename }",
        7,
    ),
    (
        Rule::DirectivesInValidPlaces,
        "{ ...F } fragment F on Query @include(if: true) { __typename }",
        30,
    ),
    (
        Rule::DirectivesInValidPlaces,
        "{ __typename @deprecated }",
        14,
    ),
    (
        Rule::UniqueDirectives,
        "{ __typename @skip(if: true) @skip(if: true) }",
        14,
    ),
    (
        Rule::UniqueVariables,
        "query($a: Int, $a: Int) { listJobs(limit: $a) { nextToken } }",
        7,
    ),
    (
        Rule::VariablesAreInputTypes,
        "query($a: Job) { getJob(id: 1) { id @skip(if: $a) } }",
        11,
    ),
    (Rule::VariablesDefined, "{ getJob(id: $a) { id } }", 14),
    (
        Rule::VariablesDefined,
        "query A($a: Boolean!) { ...F } query B { ...F } fragment F on Query { __typename @skip(if: $a) }",
        92,
    ),
    (
        Rule::VariablesDefined,
        "{ listJobs(filter: {id: {in: [$a]}}) { nextToken } }",
        31,
    ),
    (Rule::VariablesUsed, "query($a: Int) { __typename }", 7),
    (
        Rule::VariablesUsed,
        "query A($a: Int) { listJobs(limit: $a) { nextToken } } query B($a: Int) { __typename }",
        64,
    ),
    (
        Rule::VariablesInAllowedPositions,
        "query($a: ID) { getJob(id: $a) { id } }",
        7,
    ),
    (
        Rule::VariablesInAllowedPositions,
        "query($a: ID = null) { getJob(id: $a) { id } }",
        7,
    ),
    (
        Rule::VariablesInAllowedPositions,
        "query($a: String!) { getJob(id: $a) { id } }",
        7,
    ),
    (
        Rule::VariablesInAllowedPositions,
        "query($a: ID) { listJobs(filter: {id: {in: [$a]}}) { nextToken } }",
        7,
    ),
    (
        Rule::VariablesInAllowedPositions,
        "query($a: ID!) { listJobs(filter: {id: {in: $a}}) { nextToken } }",
        7,
    ),
    (
        Rule::VariablesInAllowedPositions,
        "query($a: [ID]) { listJobs(filter: {id: {in: $a}}) { nextToken } }",
        7,
    ),
    (
        Rule::VariablesInAllowedPositions,
        "query($a: Boolean) { __typename @skip(if: $a) }",
        7,
    ),
    (
        Rule::VariablesInAllowedPositions,
        "query($a: String) { listJobs(filter: {status: {eq: $a}}) { nextToken } }",
        7,
    ),
];

#[test]
fn a_document_that_breaks_one_rule_has_the_error_of_that_rule() {
    for (rule, text, column) in INVALID {
        let found = broken(text);
        let rules: HashSet<_> = found.iter().map(|(rule, _)| *rule).collect();
        // An unknown type, or an output type, is still compared with the expected type.
        let beside = HashSet::from([Rule::VariablesInAllowedPositions]);
        assert!(
            rules.contains(rule)
                && rules
                    .iter()
                    .all(|found| found == rule || beside.contains(found)),
            "{text}: {found:?}"
        );
        let place = found
            .iter()
            .find(|(found, _)| found == rule)
            .map(|(_, places)| places[0]);
        assert_eq!(place, Some((1, *column)), "{text}");
    }
    let tested: HashSet<Rule> = INVALID.iter().map(|(rule, ..)| *rule).collect();
    let untested: Vec<_> = RULES.iter().filter(|rule| !tested.contains(rule)).collect();
    assert!(untested.is_empty(), "{untested:?}");
    assert!(RULES.iter().all(|rule| rule.section().starts_with("5.")));
}

#[test]
fn a_document_that_breaks_no_rule_is_valid() {
    for text in [
        "{ __typename }",
        "query A { __typename } query B { __typename }",
        "query($a: ID!) { getJob(id: $a) { id } }",
        "query($a: ID = 1) { getJob(id: $a) { id } }",
        "query($a: Int) { listJobs(limit: $a) { nextToken } }",
        "query($a: Boolean = true) { __typename @skip(if: $a) @include(if: true) }",
        "query($a: ID!) { listJobs(filter: {id: {in: [$a], notIn: \"x\"}}) { nextToken } }",
        "query($a: [ID!]) { listJobs(filter: {id: {in: $a, eq: null}}) { nextToken } }",
        "query($a: [ID!]!) { listJobs(filter: {id: {in: $a}}) { nextToken } }",
        "query($a: JobFilter = {type: {eq: \"a\"}}) { listJobs(filter: $a) { nextToken } }",
        "{ a: getJob(id: 1) { id ... { id } ... on Job { id ...F } } a: getJob(id: 1) { id } } fragment F on Job { id }",
        "{ a: listJobs(filter: {type: {eq: \"a\", ne: \"b\"}}) { nextToken } a: listJobs(filter: {type: {ne: \"b\", eq: \"a\"}}) { nextToken } }",
        "{ getJob(id: 1) { error { name } steps { error { name: message } } } }",
        "{ __schema { types { name fields(includeDeprecated: true) { name } } } __type(name: \"Job\") { kind } }",
        "subscription($b: Boolean!) { a: onJobs @skip(if: $b) { kind } onJobs { kind } }",
        "subscription { ...F } fragment F on Subscription { onJobs { kind } ... { onJobs { job { id } } } }",
        "subscription { onJob(id: 1) { __typename } }",
        "mutation { submitJob(input: {type: \"x\", input: \"{}\", tags: \"one\"}) { id } }",
        "query A($a: Boolean!) { ...F } query B($a: Boolean!) { ...F } fragment F on Query { __typename @skip(if: $a) }",
    ] {
        assert_eq!(broken(text), [], "{text}");
    }
}

#[test]
fn a_document_has_at_most_the_limit_of_errors() {
    let fields: String = (0..100).map(|at| format!("no{at} ")).collect();
    let document = parse(&format!("{{ {fields} }}")).expect("a document");
    let errors = validate(&document, &TYPES).expect_err("not valid");
    assert!(errors.more && errors.first.len() == limits::ERRORS);
}
