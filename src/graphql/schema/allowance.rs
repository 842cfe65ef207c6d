//! State that the fields of one request share: the bytes of its response, counted while the
//! response is made, and values that were read for it. Several aliases of one input, or of the
//! statistics, cause one read.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_graphql::extensions::{
    Extension, ExtensionContext, ExtensionFactory, NextResolve, ResolveInfo,
};
use async_graphql::{ServerError, ServerResult, Value};
use async_trait::async_trait;
use job::{JobId, Time};
use parking_lot::Mutex;
use resolvers::jobs::JobStats;
use tokio::sync::OnceCell;

use crate::graphql::limits::ANSWER_BYTES;
use crate::graphql::schema::scalar::AwsJson;

/// Shared by the fields of a request, or of a batch.
#[derive(Debug, Default)]
pub(in crate::graphql) struct Allowance {
    /// Bytes of the response so far.
    used: AtomicUsize,
    pub(in crate::graphql) inputs: Once<JobId, Option<AwsJson>>,
    pub(in crate::graphql) results: Once<JobId, Option<AwsJson>>,
    pub(in crate::graphql) stats: Once<Option<Time>, Arc<JobStats>>,
}

/// Values that are read once for each key.
#[derive(Debug)]
pub(in crate::graphql) struct Once<K, V>(Mutex<HashMap<K, Arc<OnceCell<V>>>>);

impl<K, V> Default for Once<K, V> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Eq + Hash, V: Clone> Once<K, V> {
    /// The value of the key. The first caller reads it, and the others wait for that.
    pub(in crate::graphql) async fn get<E>(
        &self,
        key: K,
        read: impl Future<Output = Result<V, E>>,
    ) -> Result<V, E> {
        let cell = Arc::clone(self.0.lock().entry(key).or_default());
        cell.get_or_try_init(|| read).await.cloned()
    }
}

impl Allowance {
    /// Whether the response is larger than [`ANSWER_BYTES`].
    pub(in crate::graphql) fn is_over(&self) -> bool {
        self.used.load(Ordering::Relaxed) > ANSWER_BYTES
    }

    fn take(&self, bytes: usize) {
        // Each step adds a value that is in memory: no overflow before the bound.
        self.used.fetch_add(bytes, Ordering::Relaxed);
    }
}

/// The message about a response over the bound.
pub(in crate::graphql) fn too_large() -> String {
    format!("the answer has more than {ANSWER_BYTES} bytes: ask for fewer fields or smaller pages")
}

/// Counts the bytes of each field's value.
pub(in crate::graphql) struct Counting;

impl ExtensionFactory for Counting {
    fn create(&self) -> Arc<dyn Extension> {
        Arc::new(Counting)
    }
}

#[async_trait]
impl Extension for Counting {
    async fn resolve(
        &self,
        context: &ExtensionContext<'_>,
        info: ResolveInfo<'_>,
        next: NextResolve<'_>,
    ) -> ServerResult<Option<Value>> {
        let Ok(allowance) = context.data::<Arc<Allowance>>() else {
            return next.run(context, info).await;
        };
        if allowance.is_over() {
            return Err(ServerError::new(too_large(), None));
        }
        let value = next.run(context, info).await?;
        allowance.take(value.as_ref().map_or(0, own_bytes));
        if allowance.is_over() {
            return Err(ServerError::new(too_large(), None));
        }
        Ok(value)
    }
}

/// Quotes, colon and comma of a field.
const KEY_BYTES: usize = 4;
/// Approximate size in bytes of a number, null or a boolean.
const SMALL_BYTES: usize = 5;

/// The bytes of a value as JSON. Of nested objects only the keys count: the values of their fields
/// were counted before.
fn own_bytes(value: &Value) -> usize {
    match value {
        Value::String(text) => escaped_bytes(text) + 2,
        Value::Enum(name) => name.len() + 2,
        Value::List(values) => values.iter().map(own_bytes).sum::<usize>() + values.len() + 2,
        Value::Object(fields) => {
            let keys = fields.keys().map(|key| key.len() + KEY_BYTES);
            keys.sum::<usize>() + 2
        }
        Value::Null | Value::Number(_) | Value::Boolean(_) | Value::Binary(_) => SMALL_BYTES,
    }
}

fn escaped_bytes(text: &str) -> usize {
    let bytes = text.bytes().map(|byte| match byte {
        b'"' | b'\\' | b'\n' | b'\r' | b'\t' | 0x08 | 0x0C => 2,
        0..0x20 => 6,
        _ => 1,
    });
    bytes.sum()
}
