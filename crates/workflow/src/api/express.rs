//! `StartSyncExecution`: an Express execution, answered at its end.

use std::time::Duration;

use asl::Kind;
use serde_json::json;

use super::error::ApiError;
use super::execution::{Order, show_data};
use super::{Api, Call, Reply, seconds, uuid};
use crate::engine::{End, Status};

/// How long an Express execution may take.
pub(crate) const EXPRESS: Duration = Duration::from_secs(300);

/// Memory that is billed, in MiB; AWS bills in steps of as much.
const BILLED_MEMORY: u64 = 64;
/// AWS bills in steps of as many milliseconds.
const BILLED_MILLIS: u64 = 100;

impl Api {
    /// The end of an Express execution, and whether it came in time; one that takes too long is stopped.
    pub(super) async fn express_end(
        &self,
        machine: &str,
        name: &str,
    ) -> Result<(End, bool), ApiError> {
        let ended = self.engine.end(Some(machine), name);
        match tokio::time::timeout(EXPRESS, ended).await {
            Ok(end) => Ok((end?, true)),
            Err(_) => {
                let row = self.engine.row(name, machine).await?;
                self.engine.stop_stored(&row, None, None).await?;
                Ok((self.engine.end(Some(machine), name).await?, false))
            }
        }
    }

    pub(super) async fn start_sync_execution(&self, call: &Call) -> Reply {
        let mut shape = call.shape();
        let included = shape.word("includedData", &["ALL_DATA", "METADATA_ONLY"]);
        let order = Order::read(&mut shape)?;
        let target = self.target(order.machine).await?;
        if target.kind != Kind::Express {
            return Err(ApiError::wrong_type());
        }
        let name = order.name.map_or_else(uuid, str::to_owned);
        let machine = target.machine.name().clone();
        let machine_arn = target.machine_arn(&self.engine);
        let (arn, started) = self.begin(target, &name, order.input).await?;
        let row_name = arn.splitn(8, ':').nth(7).unwrap_or_default().to_owned();
        let (end, in_time) = self.express_end(&machine, &row_name).await?;
        let row = self.engine.row(&row_name, &machine).await?;
        let stopped = row
            .stopped
            .map_or_else(jiff::Timestamp::now, crate::alarm::timestamp);
        let took = stopped
            .duration_since(started)
            .as_millis()
            .max(1)
            .unsigned_abs();
        let took = u64::try_from(took).unwrap_or(u64::MAX);
        let status = if in_time {
            end.status
        } else {
            Status::TimedOut
        };
        let mut reply = json!({
            "executionArn": arn,
            "stateMachineArn": machine_arn,
            "name": name,
            "startDate": seconds(started),
            "stopDate": seconds(stopped),
            "status": status.name(),
            "billingDetails": {
                "billedDurationInMilliseconds": took.div_ceil(BILLED_MILLIS) * BILLED_MILLIS,
                "billedMemoryUsedInMB": BILLED_MEMORY,
            },
        });
        if included == Some("METADATA_ONLY") {
            return Ok(reply);
        }
        show_data(&mut reply, order.input, &end.output, &end.error, &end.cause);
        Ok(reply)
    }
}
