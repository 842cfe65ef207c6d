//! What a request costs: each field counts 1 or its weight, and what is below a page as often as the page may have items.

use async_graphql_value::ConstValue;

use super::plan::{Plan, Planned};

/// What [`super::bounds::COMPLEXITY`] bounds.
pub(super) fn of(plan: &Plan) -> usize {
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
        "listJobs" => page(20).saturating_mul(below).saturating_add(1),
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
