//! Whether a table can be used, for the start of a node: its form, the version of its rows, the
//! permissions of the credentials. Each problem says what is wrong and what to do.

use std::time::SystemTime;

use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::types::{
    AttributeValue, IndexStatus, KeySchemaElement, KeyType, KeysAndAttributes, StreamViewType,
    TableDescription, TableStatus,
};
use futures_util::future::join_all;
use futures_util::{FutureExt, future::BoxFuture};

use super::DynamoDbStore;
use super::failure::unbuilt;
use super::items::{self, SCHEMA, number};
use super::table::{ALL, INDEXES};
use crate::aws::clock::{Dated, warn_of_difference};
use crate::aws::{CallFailed, Cause};
use crate::store::StoreError;

/// An error whose reason is for the operator of a node.
fn unusable(reason: String, source: Option<CallFailed>) -> StoreError {
    StoreError::Unavailable {
        reason,
        source: source.map(|failed| Box::new(failed) as _),
    }
}

impl DynamoDbStore {
    /// The failure of a call, with its cause as the reason: for commands and starts, not for
    /// clients of the API.
    pub(super) fn said<E>(&self, error: &SdkError<E>) -> StoreError
    where
        E: std::error::Error + ProvideErrorMetadata + Send + Sync + 'static,
    {
        let failed = CallFailed::new(&format!("table {}", self.table), error);
        let reason = match failed.cause() {
            Cause::Missing => format!(
                "there is no table {} in the region {} of this account: create it with `jobcast create-table`, or check the name, the region and the account ({failed})",
                self.table, self.region
            ),
            _ => failed.to_string(),
        };
        unusable(reason, Some(failed))
    }

    pub(super) async fn description(&self) -> Result<TableDescription, StoreError> {
        self.description_at(&Dated::default()).await
    }

    async fn description_at(&self, dated: &Dated) -> Result<TableDescription, StoreError> {
        let call = self.client.describe_table().table_name(&self.table);
        let answer = call.customize().interceptor(dated.clone()).send().await;
        let answer = answer.map_err(|error| self.said(&error))?;
        answer
            .table
            .ok_or_else(|| unusable("it has no description".to_owned(), None))
    }

    /// Whether the table has its keys, its indexes and its stream. A clock that differs from
    /// DynamoDB's is logged.
    pub(super) async fn check_table(&self) -> Result<(), StoreError> {
        let dated = Dated::default();
        let table = self.description_at(&dated).await?;
        if let Some(seconds) = dated.seconds() {
            warn_of_difference(seconds, SystemTime::now());
        }
        let mut problems = form_of(&table);
        problems.extend(stream_of(&table).err());
        if problems.is_empty() {
            return Ok(());
        }
        Err(unusable(problems.join("; "), None))
    }

    /// Whether this program knows the rows of the table. A table without a version gets the
    /// version of this program.
    pub(super) async fn check_schema(&self) -> Result<(), StoreError> {
        let key = items::schema_key();
        let read = self.client.get_item().table_name(&self.table);
        let read = read.set_key(Some(key.clone())).consistent_read(true);
        let found = read.send().await.map_err(|error| self.said(&error))?.item;
        let Some(found) = found else {
            let mut item = key;
            item.insert("version".to_owned(), number(SCHEMA));
            let write = self.client.put_item().table_name(&self.table);
            let sent = write.set_item(Some(item)).send().await;
            return sent.map(drop).map_err(|error| self.said(&error));
        };
        let version = found.get("version").and_then(|value| value.as_n().ok());
        let version: u64 = version
            .and_then(|text| text.parse().ok())
            .unwrap_or(u64::MAX);
        if version <= SCHEMA {
            return Ok(());
        }
        Err(unusable(
            format!(
                "its rows are of version {version}, and this program knows versions up to {SCHEMA}: a newer jobcast has used the table; start that version, or a newer one"
            ),
            None,
        ))
    }

    /// Whether the credentials allow what a node does to the table, by one harmless call of each
    /// action, and whether this program knows its rows.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], whose reason names every refused action.
    pub async fn check_access(&self) -> Result<(), StoreError> {
        let results = join_all(self.probes()?).await;
        let failed: Vec<StoreError> = results.into_iter().filter_map(Result::err).collect();
        let mut reasons = Vec::new();
        for error in failed {
            match error {
                StoreError::Unavailable { reason, .. } => reasons.push(reason),
                other => return Err(other),
            }
        }
        if !reasons.is_empty() {
            return Err(unusable(reasons.join("; "), None));
        }
        self.check_schema().await
    }

    fn probes(&self) -> Result<Vec<BoxFuture<'_, Result<(), StoreError>>>, StoreError> {
        let (table, probe) = (&self.table, items::probe());
        let wanted = KeysAndAttributes::builder().keys(probe.clone());
        let wanted = wanted.build().map_err(unbuilt)?;
        let client = &self.client;
        let get = client
            .get_item()
            .table_name(table)
            .set_key(Some(probe.clone()));
        let many = client.batch_get_item().request_items(table, wanted);
        let put = client
            .put_item()
            .table_name(table)
            .set_item(Some(probe.clone()));
        let update = client
            .update_item()
            .table_name(table)
            .set_key(Some(probe.clone()))
            .update_expression("REMOVE probed");
        let delete = client.delete_item().table_name(table).set_key(Some(probe));
        let query = client
            .query()
            .table_name(table)
            .index_name(ALL.name)
            .key_condition_expression("#shard = :none")
            .expression_attribute_names("#shard", ALL.hash)
            .expression_attribute_values(":none", AttributeValue::S("none".to_owned()))
            .limit(1);
        Ok(vec![
            async { get.send().await.map(drop).map_err(|e| self.said(&e)) }.boxed(),
            async { many.send().await.map(drop).map_err(|e| self.said(&e)) }.boxed(),
            async { put.send().await.map(drop).map_err(|e| self.said(&e)) }.boxed(),
            async { update.send().await.map(drop).map_err(|e| self.said(&e)) }.boxed(),
            async { delete.send().await.map(drop).map_err(|e| self.said(&e)) }.boxed(),
            async { query.send().await.map(drop).map_err(|e| self.said(&e)) }.boxed(),
        ])
    }
}

/// What a table lacks besides its stream.
fn form_of(table: &TableDescription) -> Vec<String> {
    let mut problems = Vec::new();
    match &table.table_status {
        None | Some(TableStatus::Active | TableStatus::Updating) => {}
        Some(status) => {
            problems.push(format!("it is {status}: wait until it is ACTIVE"));
        }
    }
    if !has_keys(table.key_schema(), "pk", "sk") {
        problems.push("its keys are not `pk` (partition) and `sk` (sort): create another table with `jobcast create-table`".to_owned());
    }
    for index in INDEXES {
        let mut all = table.global_secondary_indexes().iter();
        let found = all.find(|found| found.index_name() == Some(index.name));
        match found {
            None => problems.push(format!(
                "it has no index `{}`: add a global secondary index with the keys `{}` and `{}`, projecting keys only",
                index.name, index.hash, index.range
            )),
            Some(found) if !has_keys(found.key_schema(), index.hash, index.range) => {
                problems.push(format!(
                    "the keys of its index `{}` are not `{}` and `{}`: delete the index and add it with these keys",
                    index.name, index.hash, index.range
                ));
            }
            Some(found) if found.index_status == Some(IndexStatus::Creating) => {
                problems.push(format!("its index `{}` is still being created: wait until it is ACTIVE", index.name));
            }
            Some(_) => {}
        }
    }
    problems
}

/// The ARN of the table's stream, or what is wrong with it.
pub(super) fn stream_of(table: &TableDescription) -> Result<String, String> {
    let wanted = "enable one with the view type NEW_AND_OLD_IMAGES";
    let stream = table.stream_specification.as_ref();
    let Some(stream) = stream.filter(|stream| stream.stream_enabled) else {
        return Err(format!("it has no stream, or a disabled one: {wanted}"));
    };
    match &stream.stream_view_type {
        None | Some(StreamViewType::NewAndOldImages) => {}
        Some(other) => {
            return Err(format!(
                "the view type of its stream is {other}: disable the stream, then {wanted}"
            ));
        }
    }
    let arn = table.latest_stream_arn.clone();
    arn.ok_or_else(|| format!("it has no stream: {wanted}"))
}

fn has_keys(schema: &[KeySchemaElement], hash: &str, range: &str) -> bool {
    let is = |kind: KeyType, name: &str| {
        let mut all = schema.iter();
        all.any(|key| key.key_type == kind && key.attribute_name == name)
    };
    is(KeyType::Hash, hash) && is(KeyType::Range, range)
}
