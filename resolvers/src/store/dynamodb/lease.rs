//! Rows that processes share besides jobs: leases, and the budget of reads of Step Functions. Each
//! is taken by one conditional update, whose failure shows the present value.

use async_trait::async_trait;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::ReturnValuesOnConditionCheckFailure;
use job::Time;

use super::items::{Item, budget_key, lease_key, number, text};
use super::{DynamoDbStore, unavailable};
use crate::read_budget::{NoSlot, Slots, reserved};
use crate::store::{Lease, StoreError};

/// Maximum number of tries to reserve slots: each fails only if another process was faster.
const TRIES: usize = 16;

impl DynamoDbStore {
    pub(super) async fn take_lease(
        &self,
        lease: Lease,
        holder: &str,
        now: Time,
        life_millis: i64,
    ) -> Result<bool, StoreError> {
        let until = now.plus_millis(life_millis).as_millis();
        let taken = self
            .client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(lease_key(lease)))
            .update_expression("SET holder = :holder, leasedUntil = :until")
            .condition_expression(
                "attribute_not_exists(pk) OR holder = :holder OR leasedUntil <= :now OR leasedUntil > :latest",
            )
            .expression_attribute_values(":holder", text(holder))
            .expression_attribute_values(":until", number(until))
            .expression_attribute_values(":now", number(now.as_millis()))
            // A clock that was ahead must not keep the lease.
            .expression_attribute_values(":latest", number(until.saturating_add(life_millis)))
            .send()
            .await;
        match taken {
            Ok(_) => Ok(true),
            Err(error) => match error.as_service_error() {
                Some(UpdateItemError::ConditionalCheckFailedException(_)) => Ok(false),
                _ => Err(unavailable(error)),
            },
        }
    }
}

/// The budget of an account, in the table of its jobs.
#[async_trait]
impl Slots for DynamoDbStore {
    async fn reserve(&self, now: i64, count: u32) -> Result<i64, NoSlot> {
        let mut free = None;
        for _ in 0..TRIES {
            let (first, next) = reserved(free, now, count);
            let update = self
                .client
                .update_item()
                .table_name(&self.table)
                .set_key(Some(budget_key()))
                .update_expression("SET freeAt = :next")
                .expression_attribute_values(":next", number(next))
                .return_values_on_condition_check_failure(
                    ReturnValuesOnConditionCheckFailure::AllOld,
                );
            let update = match free {
                None => update.condition_expression("attribute_not_exists(pk)"),
                Some(free) => update
                    .condition_expression("freeAt = :free")
                    .expression_attribute_values(":free", number(free)),
            };
            match update.send().await {
                Ok(_) => return Ok(first),
                Err(error) => match error.as_service_error() {
                    Some(UpdateItemError::ConditionalCheckFailedException(failed)) => {
                        free = failed.item().and_then(free_at);
                    }
                    _ => return Err(NoSlot(unavailable(error).to_string())),
                },
            }
        }
        Err(NoSlot(format!("others took it {TRIES} times meanwhile")))
    }
}

fn free_at(item: &Item) -> Option<i64> {
    item.get("freeAt")?.as_n().ok()?.parse().ok()
}
