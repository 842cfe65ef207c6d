//! `GetExecutionHistory`: pages in both directions, with or without the data.

use serde_json::{Value, json};

use super::error::ApiError;
use super::shape::PAGE_TOKEN;
use super::{Api, Call, Reply, numbered, page_token, with_next};
use crate::engine::Stored;

impl Api {
    pub(super) async fn get_execution_history(&self, call: &Call) -> Reply {
        let mut shape = call.shape();
        let arn = shape.arn("executionArn");
        let (limit, token) = (shape.page(), shape.optional("nextToken", PAGE_TOKEN));
        let reverse = shape.flag("reverseOrder").unwrap_or(false);
        let with_data = shape.flag("includeExecutionData").unwrap_or(true);
        shape.check()?;
        let at = numbered(token)?.map(|at| at.unsigned_abs());
        let row = self.engine.stored(arn).await?;
        let (mut events, next) = if reverse {
            let before = at.unwrap_or(u64::MAX);
            let page: Vec<Value> = self
                .whole_history(&row)
                .await?
                .into_iter()
                .rev()
                .filter(|event| event["id"].as_u64().is_some_and(|id| id < before))
                .take(limit)
                .collect();
            let last = page.last().and_then(|event| event["id"].as_u64());
            (page, last.filter(|last| *last > 1))
        } else {
            let history = self.engine.history_of(&row, at.unwrap_or(0), limit).await?;
            (history.events, history.next)
        };
        if !with_data {
            events.iter_mut().for_each(without_data);
        }
        let next = next.map(|next| page_token(&next.to_string()));
        Ok(with_next(json!({"events": events}), next))
    }

    pub(super) async fn whole_history(&self, row: &Stored) -> Result<Vec<Value>, ApiError> {
        let (mut all, mut after) = (Vec::new(), 0);
        loop {
            let page = self.engine.history_of(row, after, 1_000).await?;
            all.extend(page.events);
            match page.next {
                Some(next) => after = next,
                None => return Ok(all),
            }
        }
    }
}

/// Removes what an execution worked on from an event's details.
fn without_data(event: &mut Value) {
    let Some(fields) = event.as_object_mut() else {
        return;
    };
    for details in fields.values_mut().filter_map(Value::as_object_mut) {
        for name in [
            "input",
            "inputDetails",
            "output",
            "outputDetails",
            "parameters",
            "assignedVariables",
            "assignedVariablesDetails",
        ] {
            details.shift_remove(name);
        }
    }
}
