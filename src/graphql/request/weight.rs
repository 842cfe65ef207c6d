//! The cost of a request: each field counts 1 or its weight, and the fields of a page count once
//! for each item that it may have.

use async_graphql_value::ConstValue;

use crate::graphql::request::plan::{Plan, Planned};

/// The cost that [`crate::graphql::limits::COMPLEXITY`] bounds.
pub(in crate::graphql) fn of(plan: &Plan) -> usize {
    sum(&plan.fields)
}

fn sum(fields: &[Planned]) -> usize {
    let weights = fields.iter().map(weight);
    weights.fold(0, usize::saturating_add)
}

/// Weight of a field that holds a whole document: an input or a result may have 256 KiB.
const DOCUMENT: usize = 64;
/// Weight of one event of a history.
const EVENT: usize = 4;
/// Weight of `jobStats`, which reads 10,000 jobs: a request has room for three.
const STATS: usize = 3_000;
/// Weight of a filter: a page may look at 1,000 jobs for it.
const FILTER: usize = 200;
/// Weight of one job that is submitted.
const SUBMIT: usize = 10;

fn weight(field: &Planned) -> usize {
    let below = sum(field.fields.as_deref().unwrap_or_default());
    let page = |default: usize| match field.argument("limit") {
        Some(ConstValue::Number(limit)) => {
            let limit = limit.as_u64().and_then(|limit| usize::try_from(limit).ok());
            limit.unwrap_or(0)
        }
        _ => default,
    };
    let items = |argument: &str| match field.argument(argument) {
        Some(ConstValue::List(items)) => items.len(),
        _ => 1,
    };
    match field.name.as_str() {
        "listJobs" => {
            let filter = field.argument("filter").map_or(0, |_| FILTER);
            page(20).saturating_mul(below).saturating_add(1 + filter)
        }
        "history" => page(100)
            .saturating_mul(EVENT)
            .saturating_add(below)
            .saturating_add(1),
        "input" | "result" | "definition" | "inputSchema" => DOCUMENT,
        "jobStats" => STATS.saturating_add(below),
        "submitJob" => SUBMIT.saturating_add(below),
        "submitJobs" => items("inputs")
            .saturating_mul(SUBMIT.saturating_add(below))
            .saturating_add(1),
        _ => below.saturating_add(1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graphql::limits::COMPLEXITY;
    use crate::graphql::request::variables::Variables;
    use crate::graphql::schema::types::TYPES;
    use crate::graphql::syntax::parse;

    fn weight_of(document: &str) -> usize {
        let document = parse(document).expect("a document");
        let operation = document.operation(None).expect("the only one");
        let plan = Plan::of(&document, operation, &Variables::new(), &TYPES);
        of(&plan.expect("no condition is null"))
    }

    #[test]
    fn a_field_costs_what_it_may_hold() {
        for (document, expected) in [
            ("{ __typename }", 1),
            ("{ getJob(id: 1) { id id ... { id } status } }", 3),
            ("{ getJob(id: 1) { id input result } }", 130),
            ("{ listJobs { items { id } } }", 41),
            ("{ listJobs(limit: 100) { items { id } nextToken } }", 301),
            ("{ listJobs(limit: 5, filter: {}) { nextToken } }", 206),
            ("{ getJob(id: 1) { history { next } } }", 403),
            ("{ getJob(id: 1) { history(limit: 1000) { next } } }", 4_003),
            ("{ jobStats { total } }", 3_001),
            ("mutation { submitJob(input: {type: \"x\"}) { id } }", 11),
            (
                "mutation { submitJobs(inputs: [{type: \"x\"}, {type: \"y\"}]) { job { id } } }",
                25,
            ),
        ] {
            assert_eq!(weight_of(document), expected, "{document}");
        }
        // Usual requests are accepted: a page with all inputs, a whole batch, three kinds of
        // statistics.
        for document in [
            "{ listJobs(limit: 100) { items { id status input steps { name status progress } } } }",
            "{ a: jobStats { total } b: jobStats { total } c: jobStats { total } }",
        ] {
            assert!(weight_of(document) <= COMPLEXITY, "{document}");
        }
    }
}
