//! Map runs of distributed Maps: describe, list, update, and their child executions.

use asl::MapRun;
use serde_json::{Number, Value, json};

use super::error::ApiError;
use super::shape::PAGE_TOKEN;
use super::{Api, Call, Reply, numbered, page_token, seconds, with_next};
use crate::arn;
use crate::engine::{Status, Stored};

/// Characters of a map run's ARN.
const MAP_RUN_ARN: std::ops::RangeInclusive<usize> = 1..=2_000;

fn missing(arn: &str) -> ApiError {
    ApiError::no_resource(arn)
}

impl Api {
    /// The execution of a map run, and the run as it is now.
    async fn run(&self, arn: &str) -> Result<(Stored, MapRun), ApiError> {
        arn::map_run(arn)?;
        let row = self.engine.row_of_map_run(arn).await?;
        let row = row.ok_or_else(|| missing(arn))?;
        let runs = self.engine.map_runs(row.clone()).await?;
        let run = runs.into_iter().find(|run| run.arn == arn);
        Ok((row, run.ok_or_else(|| missing(arn))?))
    }

    pub(super) async fn describe_map_run(&self, call: &Call) -> Reply {
        let mut shape = call.shape();
        let arn = shape.text("mapRunArn", MAP_RUN_ARN);
        shape.check()?;
        let (row, run) = self.run(arn).await?;
        let status = run.status;
        let open = status == Status::Running;
        let left = run.total.saturating_sub(run.succeeded + run.failed);
        let (running, aborted) = if open {
            let at_once = match run.max_concurrency {
                0 => left,
                most => left.min(most),
            };
            (at_once, 0)
        } else {
            (0, left)
        };
        let pending = if open { left - running } else { 0 };
        let redrivable = if open { 0 } else { run.failed + aborted };
        let counts = json!({
            "pending": pending,
            "running": running,
            "succeeded": run.succeeded,
            "failed": run.failed,
            "timedOut": 0,
            "aborted": aborted,
            "total": run.total,
            "resultsWritten": 0,
            "failuresNotRedrivable": 0,
            "pendingRedrive": if run.redrive_count > 0 && open { redrivable } else { 0 },
        });
        let mut reply = json!({
            "mapRunArn": run.arn,
            "executionArn": self.execution_arn(&row),
            "status": status.name(),
            "startDate": seconds(run.start),
            "maxConcurrency": run.max_concurrency,
            "toleratedFailureCount": run.tolerated_failure_count.unwrap_or(0),
            "toleratedFailurePercentage": run.tolerated_failure_percentage.unwrap_or(0.0),
            "itemCounts": counts,
            "executionCounts": counts,
            "redriveCount": run.redrive_count,
        });
        if let Some(stop) = run.stop {
            reply["stopDate"] = seconds(stop);
        }
        Ok(reply)
    }

    pub(super) async fn list_map_runs(&self, call: &Call) -> Reply {
        let mut shape = call.shape();
        let arn = shape.arn("executionArn");
        let (limit, token) = (shape.page(), shape.optional("nextToken", PAGE_TOKEN));
        shape.check()?;
        let skip = usize::try_from(numbered(token)?.unwrap_or(0)).unwrap_or(usize::MAX);
        let row = self.engine.stored(arn).await?;
        let (execution, machine) = (
            self.execution_arn(&row),
            self.engine.stored_machine_arn(&row),
        );
        let runs = self.engine.map_runs(row).await?;
        let more = runs.len() > skip.saturating_add(limit);
        let next = more.then(|| page_token(&(skip + limit).to_string()));
        let runs: Vec<Value> = runs
            .iter()
            .skip(skip)
            .take(limit)
            .map(|run| {
                let mut line = json!({
                    "executionArn": execution,
                    "mapRunArn": run.arn,
                    "stateMachineArn": machine,
                    "startDate": seconds(run.start),
                });
                if let Some(stop) = run.stop {
                    line["stopDate"] = seconds(stop);
                }
                line
            })
            .collect();
        Ok(with_next(json!({"mapRuns": runs}), next))
    }

    pub(super) async fn update_map_run(&self, call: &Call) -> Reply {
        let mut shape = call.shape();
        let arn = shape.text("mapRunArn", MAP_RUN_ARN);
        let concurrency = shape.number("maxConcurrency", 0..=i64::MAX);
        let count = shape.number("toleratedFailureCount", 0..=i64::MAX);
        shape.number("toleratedFailurePercentage", 0..=100);
        shape.check()?;
        let percentage = call.parameters["toleratedFailurePercentage"].as_f64();
        if concurrency.is_none() && count.is_none() && percentage.is_none() {
            return Err(ApiError::new(
                "MissingRequiredParameter",
                "Either maxConcurrency, toleratedFailureCount, or toleratedFailurePercentage must be specified",
            ));
        }
        let (row, run) = self.run(arn).await?;
        if run.status != Status::Running {
            return Err(ApiError::invalid(format!(
                "The map run is {} and cannot be changed: {arn}",
                run.status.name()
            )));
        }
        let event = asl::Event::MapRunUpdated {
            run: run.arn,
            max_concurrency: concurrency.map(i64::unsigned_abs),
            tolerated_failure_count: count.map(i64::unsigned_abs),
            tolerated_failure_percentage: percentage.and_then(Number::from_f64),
        };
        self.engine.tell(&row, event).await?;
        Ok(json!({}))
    }

    /// The child executions of a map run, the newest first; `before` is the number of the last one
    /// of the previous page.
    pub(super) async fn list_children(
        &self,
        arn: &str,
        status: Option<&str>,
        redriven: Option<bool>,
        limit: usize,
        before: Option<i64>,
    ) -> Reply {
        let (row, run) = self.run(arn).await?;
        let machine = self.engine.stored_machine_arn(&row);
        let before = before.map_or(usize::MAX, |number| usize::try_from(number).unwrap_or(0));
        let found = run.children().enumerate().rev().filter(|(number, child)| {
            *number < before
                && status.is_none_or(|wanted| child.status.name() == wanted)
                && redriven.is_none_or(|wanted| wanted == (child.redrive_count > 0))
        });
        let mut found: Vec<_> = found.take(limit + 1).collect();
        let more = found.len() > limit;
        found.truncate(limit);
        let last = found.last().filter(|_| more);
        let next = last.map(|(number, _)| page_token(&number.to_string()));
        let children: Vec<Value> = found
            .iter()
            .map(|(_, child)| {
                let mut line = json!({
                    "executionArn": run.child_arn(&child.name),
                    "mapRunArn": run.arn,
                    "name": child.name,
                    "stateMachineArn": machine,
                    "status": child.status.name(),
                    "startDate": seconds(child.started),
                    "redriveCount": child.redrive_count,
                });
                if let Some(stopped) = child.stopped {
                    line["stopDate"] = seconds(stopped);
                }
                line
            })
            .collect();
        Ok(with_next(json!({"executions": children}), next))
    }
}
