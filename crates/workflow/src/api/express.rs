//! `StartSyncExecution`: an Express execution, answered at its end.

use asl::WorkflowType;
use serde_json::json;

use super::error::ApiError;
use super::execution::{Order, show_data};
use super::{Api, Call, Reply, seconds, uuid};

/// Memory that is billed, in MiB; AWS bills in steps of as much.
const BILLED_MEMORY: u64 = 64;
/// AWS bills in steps of as many milliseconds.
const BILLED_MILLIS: u64 = 100;

impl Api {
    pub(super) async fn start_sync_execution(&self, call: &Call) -> Reply {
        let mut shape = call.shape();
        let included = shape.word("includedData", &["ALL_DATA", "METADATA_ONLY"]);
        let order = Order::read(&mut shape)?;
        let target = self.target(order.machine).await?;
        if target.kind != WorkflowType::Express {
            return Err(ApiError::wrong_type());
        }
        let name = order.name.map_or_else(uuid, str::to_owned);
        let machine = target.machine.name().clone();
        let machine_arn = target.machine_arn(&self.engine);
        let (arn, started) = self.begin(target, &name, order.input).await?;
        let row_name = arn.splitn(8, ':').nth(7).unwrap_or_default().to_owned();
        let end = self.engine.end(Some(&machine), &row_name).await?;
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
        let mut reply = json!({
            "executionArn": arn,
            "stateMachineArn": machine_arn,
            "name": name,
            "startDate": seconds(started),
            "stopDate": seconds(stopped),
            "status": end.status.name(),
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
