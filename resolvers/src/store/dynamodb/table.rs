//! The table: its keys, its indexes, its stream, and how it is created. docs/guides/aws.md lists
//! the same for other tools.

use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::BuildError;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, GlobalSecondaryIndex, KeySchemaElement, KeyType, Projection,
    ProjectionType, ScalarAttributeType, StreamSpecification, StreamViewType, TableStatus,
    TimeToLiveSpecification,
};

use super::failure::unavailable;
use crate::store::StoreError;

/// Interval between two checks whether a new table is ready.
const READY_EVERY: Duration = Duration::from_secs(2);
const READY_ASKED: usize = 150;

/// An index of keys only. A write that does not change the keys does not touch it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Index {
    pub(super) name: &'static str,
    pub(super) hash: &'static str,
    pub(super) range: &'static str,
}

pub(super) const BY_OWNER: Index = index("by_owner", "owner", "id");
pub(super) const BY_TYPE: Index = index("by_type", "type", "id");
/// Jobs that are not finished, by shard.
pub(super) const OPEN: Index = index("open", "open", "id");
/// All jobs, by shard.
pub(super) const ALL: Index = index("all", "shard", "id");
/// Finished jobs that will be deleted, by shard.
pub(super) const EXPIRING: Index = index("expiring", "expiring", "expiresAt");
pub(super) const INDEXES: [Index; 5] = [BY_OWNER, BY_TYPE, OPEN, ALL, EXPIRING];

const fn index(name: &'static str, hash: &'static str, range: &'static str) -> Index {
    Index { name, hash, range }
}

pub(super) async fn create(client: &Client, table: &str) -> Result<(), StoreError> {
    let texts = [
        "pk", "sk", "owner", "type", "open", "shard", "expiring", "id",
    ];
    let mut request = client
        .create_table()
        .table_name(table)
        .billing_mode(BillingMode::PayPerRequest)
        .set_key_schema(Some(key_schema("pk", "sk").map_err(unavailable)?))
        .stream_specification(
            StreamSpecification::builder()
                .stream_enabled(true)
                .stream_view_type(StreamViewType::NewAndOldImages)
                .build()
                .map_err(unavailable)?,
        )
        .attribute_definitions(
            attribute("expiresAt", ScalarAttributeType::N).map_err(unavailable)?,
        );
    for name in texts {
        let definition = attribute(name, ScalarAttributeType::S).map_err(unavailable)?;
        request = request.attribute_definitions(definition);
    }
    for index in INDEXES {
        let keys = key_schema(index.hash, index.range).map_err(unavailable)?;
        let projection = Projection::builder()
            .projection_type(ProjectionType::KeysOnly)
            .build();
        let definition = GlobalSecondaryIndex::builder()
            .index_name(index.name)
            .set_key_schema(Some(keys))
            .projection(projection)
            .build()
            .map_err(unavailable)?;
        request = request.global_secondary_indexes(definition);
    }
    request.send().await.map_err(unavailable)?;
    ready(client, table).await?;
    let ttl = TimeToLiveSpecification::builder()
        .enabled(true)
        .attribute_name("ttl")
        .build()
        .map_err(unavailable)?;
    client
        .update_time_to_live()
        .table_name(table)
        .time_to_live_specification(ttl)
        .send()
        .await
        .map_err(unavailable)?;
    Ok(())
}

/// Waits until the table is ready. Time to live cannot be set on a table that is being created.
async fn ready(client: &Client, table: &str) -> Result<(), StoreError> {
    for _ in 0..READY_ASKED {
        let described = client.describe_table().table_name(table).send().await;
        let found = described.map_err(unavailable)?.table;
        if found.and_then(|table| table.table_status) == Some(TableStatus::Active) {
            return Ok(());
        }
        tokio::time::sleep(READY_EVERY).await;
    }
    Err(StoreError::Unavailable {
        reason: format!(
            "DynamoDB: the table {table} is still being created: once it is ready, enable its time to live with the attribute `ttl`"
        ),
        source: None,
    })
}

fn attribute(name: &str, kind: ScalarAttributeType) -> Result<AttributeDefinition, BuildError> {
    AttributeDefinition::builder()
        .attribute_name(name)
        .attribute_type(kind)
        .build()
}

fn key_schema(hash: &str, range: &str) -> Result<Vec<KeySchemaElement>, BuildError> {
    [(hash, KeyType::Hash), (range, KeyType::Range)]
        .into_iter()
        .map(|(name, kind)| {
            KeySchemaElement::builder()
                .attribute_name(name)
                .key_type(kind)
                .build()
        })
        .collect()
}
