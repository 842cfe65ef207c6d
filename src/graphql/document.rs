//! What the GraphQL specification asks of a document and the library does not do: a variable that is not supplied leaves its
//! argument out (6.4.1), and the root of a subscription may be written with fragments, and in several parts of one field
//! (5.2.3.1). Both by rewriting the document before it is validated and executed.

use std::collections::HashSet;

use async_graphql::parser::types::{
    Directive, DocumentOperations, ExecutableDocument, Field, OperationDefinition, Selection,
    SelectionSet,
};
use async_graphql::{Name, Positioned, Variables};
use async_graphql_value::{ConstValue, Value};

/// Told to a client whose subscription does not select one field.
pub(super) const ONE_FIELD: &str =
    "a subscription selects exactly one field (GraphQL, section 5.2.3.1); start one for each";
/// Told to a client whose subscription selects nothing.
pub(super) const NO_FIELD: &str = "the subscription selects no field: @skip and @include left none";

/// The operation that a request of this document means, once it was found valid.
pub(super) fn named<'a>(
    document: &'a ExecutableDocument,
    name: Option<&str>,
) -> Option<&'a OperationDefinition> {
    match &document.operations {
        DocumentOperations::Single(operation) => Some(&operation.node),
        DocumentOperations::Multiple(all) => all.get(name?).map(|operation| &operation.node),
    }
}

fn operation<'a>(
    document: &'a mut ExecutableDocument,
    name: Option<&str>,
) -> Option<&'a mut OperationDefinition> {
    match (&mut document.operations, name) {
        (DocumentOperations::Single(operation), _) => Some(&mut operation.node),
        (DocumentOperations::Multiple(all), Some(name)) => {
            all.get_mut(name).map(|operation| &mut operation.node)
        }
        (DocumentOperations::Multiple(all), None) => {
            all.values_mut().next().map(|operation| &mut operation.node)
        }
    }
}

/// Leaves out the arguments and input fields whose value is a variable that was not supplied and has no default. (The library
/// takes such a variable for null, which for a filter means something else.)
pub(super) fn omit_unsupplied(
    document: &mut ExecutableDocument,
    name: Option<&str>,
    variables: &Variables,
) {
    let Some(operation) = operation(document, name) else {
        return;
    };
    let unsupplied: HashSet<Name> = operation
        .variable_definitions
        .iter()
        .map(|definition| &definition.node)
        .filter(|definition| definition.var_type.node.nullable)
        .filter(|definition| definition.default_value.is_none())
        .filter(|definition| !variables.contains_key(&definition.name.node))
        .map(|definition| definition.name.node.clone())
        .collect();
    if unsupplied.is_empty() {
        return;
    }
    let mut used = HashSet::new();
    each_set(document, &mut |set| {
        for selection in &mut set.items {
            if let Selection::Field(field) = &mut selection.node {
                let arguments = &mut field.node.arguments;
                arguments.retain_mut(|(_, value)| !is_omitted(&mut value.node, &unsupplied));
                let values = arguments.iter().map(|(_, value)| &value.node);
                values.for_each(|value| note_used(value, &mut used));
            }
            for directive in selection.node.directives() {
                let values = directive.node.arguments.iter();
                values.for_each(|(_, value)| note_used(&value.node, &mut used));
            }
        }
    });
    // A variable that nothing uses any more would be refused as such.
    each_operation(document, &mut |operation| {
        operation.variable_definitions.retain(|definition| {
            let name = &definition.node.name.node;
            used.contains(name) || !unsupplied.contains(name)
        });
    });
}

fn is_omitted(value: &mut Value, unsupplied: &HashSet<Name>) -> bool {
    match value {
        Value::Variable(name) => unsupplied.contains(name),
        Value::Object(fields) => {
            fields.retain(|_, value| !is_omitted(value, unsupplied));
            false
        }
        Value::List(values) => {
            // An item cannot be left out; but what is in it can.
            for value in values {
                if !matches!(value, Value::Variable(_)) {
                    is_omitted(value, unsupplied);
                }
            }
            false
        }
        _ => false,
    }
}

fn note_used(value: &Value, used: &mut HashSet<Name>) {
    match value {
        Value::Variable(name) => {
            used.insert(name.clone());
        }
        Value::Object(fields) => fields.values().for_each(|value| note_used(value, used)),
        Value::List(values) => values.iter().for_each(|value| note_used(value, used)),
        _ => {}
    }
}

fn each_operation(
    document: &mut ExecutableDocument,
    visit: &mut impl FnMut(&mut OperationDefinition),
) {
    match &mut document.operations {
        DocumentOperations::Single(operation) => visit(&mut operation.node),
        DocumentOperations::Multiple(all) => {
            all.values_mut()
                .for_each(|operation| visit(&mut operation.node));
        }
    }
}

/// Visits every selection set. The parser bounds how deep they are nested.
fn each_set(document: &mut ExecutableDocument, visit: &mut impl FnMut(&mut SelectionSet)) {
    fn down(set: &mut SelectionSet, visit: &mut impl FnMut(&mut SelectionSet)) {
        visit(set);
        for selection in &mut set.items {
            match &mut selection.node {
                Selection::Field(field) => down(&mut field.node.selection_set.node, visit),
                Selection::InlineFragment(inline) => {
                    down(&mut inline.node.selection_set.node, visit);
                }
                Selection::FragmentSpread(_) => {}
            }
        }
    }
    each_operation(document, &mut |operation| {
        down(&mut operation.selection_set.node, visit);
    });
    for fragment in document.fragments.values_mut() {
        down(&mut fragment.node.selection_set.node, visit);
    }
}

/// Makes the root of a subscription one field. What is wrong in other ways is left for the validation to find.
///
/// # Errors
/// It selects no field, or several: the text says so.
pub(super) fn one_root_field(
    document: &mut ExecutableDocument,
    name: Option<&str>,
    variables: &Variables,
) -> Result<(), &'static str> {
    let Some(found) = operation(document, name) else {
        return Ok(());
    };
    if let [only] = &found.selection_set.node.items[..]
        && matches!(only.node, Selection::Field(_))
    {
        return Ok(());
    }
    let whole = document.clone();
    let Some(operation) = operation(document, name) else {
        return Ok(());
    };
    let set = &operation.selection_set.node;
    let mut root = Root {
        document: &whole,
        variables,
        fields: Vec::new(),
        spread: HashSet::new(),
    };
    if root.collect(set).is_none() {
        return Ok(());
    }
    let Root { fields, spread, .. } = root;
    let mut fields = fields.into_iter();
    let mut field = fields.next().ok_or(NO_FIELD)?;
    for other in fields {
        if other.node.response_key().node != field.node.response_key().node {
            return Err(ONE_FIELD);
        }
        if other.node.name.node != field.node.name.node || !same_arguments(&other.node, &field.node)
        {
            return Ok(());
        }
        let items = other.node.selection_set.node.items;
        field.node.selection_set.node.items.extend(items);
    }
    let items = vec![Positioned::new(Selection::Field(field.clone()), field.pos)];
    operation.selection_set.node = SelectionSet { items };
    // A fragment that nothing uses any more would be refused as such.
    let mut used = HashSet::new();
    each_set(document, &mut |set| {
        for selection in &set.items {
            if let Selection::FragmentSpread(spread) = &selection.node {
                used.insert(spread.node.fragment_name.node.clone());
            }
        }
    });
    document
        .fragments
        .retain(|name, _| used.contains(name) || !spread.contains(name));
    Ok(())
}

fn same_arguments(one: &Field, other: &Field) -> bool {
    let value = |name: &Name| one.get_argument(name).map(|value| &value.node);
    one.arguments.len() == other.arguments.len()
        && other
            .arguments
            .iter()
            .all(|(name, wanted)| value(&name.node) == Some(&wanted.node))
}

struct Root<'a> {
    document: &'a ExecutableDocument,
    variables: &'a Variables,
    fields: Vec<Positioned<Field>>,
    spread: HashSet<Name>,
}

impl Root<'_> {
    /// `None`: the document is not valid.
    fn collect(&mut self, set: &SelectionSet) -> Option<()> {
        for selection in &set.items {
            let mut directives = selection.node.directives().iter();
            let left_out = directives
                .any(|directive| leaves_out(&directive.node, self.variables) == Some(true));
            match &selection.node {
                Selection::FragmentSpread(spread) => {
                    let name = &spread.node.fragment_name.node;
                    let fragment = &self.document.fragments.get(name)?.node;
                    let first = self.spread.insert(name.clone());
                    if !left_out && first {
                        on_the_root(&fragment.type_condition.node.on.node)?;
                        self.collect(&fragment.selection_set.node)?;
                    }
                }
                _ if left_out => {}
                Selection::Field(field) => self.fields.push(field.clone()),
                Selection::InlineFragment(inline) => {
                    if let Some(condition) = &inline.node.type_condition {
                        on_the_root(&condition.node.on.node)?;
                    }
                    self.collect(&inline.node.selection_set.node)?;
                }
            }
        }
        Some(())
    }
}

/// Whether what has this directive is left out. `None`: it is neither a `@skip` nor an `@include`, is not valid, or its variable was not given.
pub(super) fn leaves_out(directive: &Directive, variables: &Variables) -> Option<bool> {
    match directive.name.node.as_str() {
        "skip" => condition(directive, variables),
        "include" => condition(directive, variables).map(|condition| !condition),
        _ => None,
    }
}

fn condition(directive: &Directive, variables: &Variables) -> Option<bool> {
    match &directive.get_argument("if")?.node {
        Value::Boolean(value) => Some(*value),
        Value::Variable(name) => match variables.get(name)? {
            ConstValue::Boolean(value) => Some(*value),
            _ => None,
        },
        _ => None,
    }
}

fn on_the_root(name: &Name) -> Option<()> {
    (name == "Subscription").then_some(())
}

#[cfg(test)]
mod tests {
    use async_graphql::parser::parse_query;

    use super::*;

    fn variables(json: &str) -> Variables {
        serde_json::from_str(json).expect("variables")
    }

    /// The response keys at the root and below it.
    fn root(query: &str, json: &str) -> Result<String, &'static str> {
        let mut document = parse_query(query).expect("a document");
        one_root_field(&mut document, None, &variables(json))?;
        let operation = operation(&mut document, None).expect("there is one");
        let keys = |set: &SelectionSet| {
            let keys = set.items.iter().map(|selection| match &selection.node {
                Selection::Field(field) => field.node.response_key().node.to_string(),
                _ => "…".to_owned(),
            });
            keys.collect::<Vec<_>>()
        };
        let set = &operation.selection_set.node;
        let below = match &set.items[0].node {
            Selection::Field(field) => keys(&field.node.selection_set.node),
            _ => Vec::new(),
        };
        let (above, below) = (keys(set).join(" "), below.join(" "));
        let mut fragments: Vec<_> = document.fragments.keys().map(Name::as_str).collect();
        fragments.sort_unstable();
        Ok(format!("{above} {{ {below} }} {}", fragments.join(" "))
            .trim()
            .to_owned())
    }

    #[test]
    fn the_root_of_a_subscription_becomes_one_field() {
        let one = |query| root(query, r#"{"yes":true,"no":false}"#);
        for (query, expected) in [
            ("subscription { onJob(id: 1) { id } }", "onJob { id }"),
            (
                "subscription { a: onJob(id: 1) { id } a: onJob(id: 1) { status } }",
                "a { id status }",
            ),
            (
                "subscription { ...F } fragment F on Subscription { onJob(id: 1) { id ...G } } fragment G on Job { id }",
                "onJob { id … } G",
            ),
            (
                "subscription { ... on Subscription { onJob(id: 1) { id } } ... { onJob(id: 1) { status } } }",
                "onJob { id status }",
            ),
            (
                "subscription ($no: Boolean!) { b: onJob(id: 2) @include(if: $no) { id } a: onJob(id: 1) { id } }",
                "a { id }",
            ),
            (
                "subscription ($yes: Boolean!) { ...F @skip(if: $yes) onJobs { kind } } fragment F on Subscription { onJob(id: 1) { id } }",
                "onJobs { kind }",
            ),
            // Not valid, and left for the validation.
            (
                "subscription { ...F ...F } fragment F on Job { id }",
                "… … {  } F",
            ),
            ("subscription { ...F }", "… {  }"),
            (
                "subscription { a: onJob(id: 1) { id } a: onJob(id: 2) { id } }",
                "a a { id }",
            ),
            (
                "subscription { ...F } fragment F on Subscription { onJobs { kind } } fragment U on Job { id }",
                "onJobs { kind } U",
            ),
        ] {
            assert_eq!(one(query).as_deref(), Ok(expected), "{query}");
        }
        let cycle = "subscription { ...F } fragment F on Subscription { ...F onJobs { kind } }";
        assert!(one(cycle).is_ok());
        for (query, expected) in [
            (
                "subscription { onJobs { kind } onJob(id: 1) { id } }",
                ONE_FIELD,
            ),
            ("subscription { onJobs { kind } __typename }", ONE_FIELD),
            (
                "subscription { onJobs { kind } ...F } fragment F on Subscription { b: onJobs { kind } }",
                ONE_FIELD,
            ),
            (
                "subscription { ... @skip(if: true) { onJobs { kind } } }",
                NO_FIELD,
            ),
        ] {
            assert_eq!(one(query), Err(expected), "{query}");
        }
    }

    #[test]
    fn what_is_not_supplied_is_left_out() {
        let query = "query ($a: String, $b: String, $c: String = \"d\", $e: Int!) {
            listJobs(filter: { owner: { eq: $a, ne: $b, beginsWith: $c } }, limit: $e) { ...F } }
            fragment F on JobPage { items { getIt(x: $a, y: [$b]) { id } } }";
        let omitted = |json: &str| {
            let mut document = parse_query(query).expect("a document");
            omit_unsupplied(&mut document, None, &variables(json));
            let mut said = Vec::new();
            each_set(&mut document, &mut |set| {
                for selection in &set.items {
                    if let Selection::Field(field) = &selection.node {
                        let shown = |(name, value): &(Positioned<Name>, Positioned<Value>)| {
                            format!("{}: {}", name.node, value.node)
                        };
                        said.extend(field.node.arguments.iter().map(shown));
                    }
                }
            });
            let defined = operation(&mut document, None).map(|operation| {
                let definitions = operation.variable_definitions.iter();
                definitions
                    .map(|one| one.node.name.node.to_string())
                    .collect::<String>()
            });
            (said, defined.unwrap_or_default())
        };
        let (said, defined) = omitted(r#"{"e": 1}"#);
        assert_eq!(
            said,
            ["filter: {owner: {beginsWith: $c}}", "limit: $e", "y: [$b]"]
        );
        assert_eq!(
            defined, "bce",
            "an item of a list is null, so $b is still used"
        );
        let (said, defined) = omitted(r#"{"a": null, "b": "x"}"#);
        assert_eq!(said[0], "filter: {owner: {eq: $a, ne: $b, beginsWith: $c}}");
        assert_eq!(defined, "abce");
    }
}
