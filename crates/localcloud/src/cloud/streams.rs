//! The mappings of DynamoDB streams at work: they read the stream, invoke the function, and notify
//! the failure destination. What happens when is decided by `mapping::shard`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use dynoxide::actions::get_records::GetRecordsRequest;
use dynoxide::actions::get_shard_iterator::GetShardIteratorRequest;
use rand::rngs::StdRng;
use rand::seq::SliceRandom as _;
use rand::{Rng as _, SeedableRng as _};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::inner::{Inner, now};
use crate::mapping::destination::{Origin, notice};
use crate::mapping::registry::{Mapping, PROBLEM, PROCESSED};
use crate::mapping::shard::{Discarded, Ended, Next, Shard};
use crate::record::StreamRecord;

/// Maximum number of records that a mapping has read and not finished.
const READ_AHEAD: usize = 20_000;
/// Maximum number of records of one read.
const READ: usize = 1_000;

/// A place in a table's stream.
struct Reader {
    table: String,
    iterator: String,
    random: StdRng,
}

impl Reader {
    fn open(inner: &Inner, mapping: &Mapping) -> Option<Reader> {
        let source = &mapping.config.source;
        let table = source
            .split(":table/")
            .nth(1)?
            .split('/')
            .next()?
            .to_owned();
        let position = mapping.config.starting_position.clone();
        let request = GetShardIteratorRequest {
            stream_arn: source.clone(),
            shard_id: shard_id(&table),
            shard_iterator_type: position.unwrap_or_else(|| "TRIM_HORIZON".to_owned()),
            sequence_number: None,
        };
        let found = inner.database.0.get_shard_iterator(request);
        let iterator = found.ok()?.shard_iterator?;
        Some(Reader {
            table,
            iterator,
            random: StdRng::seed_from_u64(1),
        })
    }

    /// The next records; empty at the stream's end.
    fn read(&mut self, inner: &Inner, stream_arn: &str) -> Vec<StreamRecord> {
        let request = GetRecordsRequest {
            shard_iterator: self.iterator.clone(),
            limit: Some(READ),
        };
        let Ok(read) = inner.database.0.get_records(request) else {
            return Vec::new();
        };
        if let Some(next) = &read.next_shard_iterator {
            self.iterator.clone_from(next);
        }
        let region = &inner.scope.region;
        let records = read.records.iter().filter_map(|record| {
            let record = serde_json::to_value(record).ok()?;
            Some(StreamRecord::of_dynamodb(record, region, stream_arn))
        });
        let mut records: Vec<StreamRecord> = records.collect();
        if inner.faults.reorders() {
            records = self.shuffled(records);
        }
        records
    }

    /// Records of different keys change places; those of one key stay in order.
    fn shuffled(&mut self, records: Vec<StreamRecord>) -> Vec<StreamRecord> {
        let mut keys: BTreeMap<String, Vec<StreamRecord>> = BTreeMap::new();
        for record in records {
            keys.entry(record.partition_key.clone())
                .or_default()
                .push(record);
        }
        let mut lists: Vec<_> = keys.into_values().map(Vec::into_iter).collect();
        lists.shuffle(&mut self.random);
        let mut shuffled = Vec::new();
        while !lists.is_empty() {
            let at = self.random.random_range(0..lists.len());
            match lists[at].next() {
                Some(record) => shuffled.push(record),
                None => drop(lists.swap_remove(at)),
            }
        }
        shuffled
    }
}

fn shard_id(table: &str) -> String {
    dynoxide::streams::shard_id(table)
}

/// Works until it is dropped.
pub(super) async fn drive(inner: &Arc<Inner>, mapping: &Mapping) {
    let config = &mapping.config;
    let mut reader = loop {
        match Reader::open(inner, mapping) {
            Some(reader) => break reader,
            None => {
                let source = &config.source;
                tracing::warn!(
                    source,
                    "the stream of a mapping cannot be read; trying again"
                );
                tokio::time::sleep(inner.timing.stream_poll).await;
            }
        }
    };
    let policy = config.stream_policy();
    let mut shard = Shard::new(policy, inner.timing.batch_retry);
    let mut running: JoinSet<(usize, Ended)> = JoinSet::new();
    loop {
        let changed = inner.tables_changed.notified();
        let resumed = inner.faults.changed.notified();
        let reads = inner.reads(mapping);
        if reads && shard.pending() < READ_AHEAD {
            for record in reader.read(inner, &config.source) {
                shard.push(record, now());
            }
        }
        // A paused stream gives nothing out.
        let wake = if reads {
            give_out(inner, mapping, &reader.table, &mut shard, &mut running)
        } else {
            None
        };
        let poll = inner.timing.stream_poll;
        let sleep = wake.map_or(poll, |at| {
            Duration::from_millis((at - now()).max(1).unsigned_abs()).min(poll)
        });
        tokio::select! {
            Some(Ok((lane, ended))) = running.join_next() => {
                note(inner, mapping, &ended);
                shard.ended(lane, &ended, now());
            }
            () = changed, if inner.timing.wakes => {}
            () = resumed => {}
            () = tokio::time::sleep(sleep) => {}
        }
    }
}

/// Begins what is due, and returns when something else is.
fn give_out(
    inner: &Arc<Inner>,
    mapping: &Mapping,
    table: &str,
    shard: &mut Shard,
    running: &mut JoinSet<(usize, Ended)>,
) -> Option<i64> {
    loop {
        match shard.next(now()) {
            Next::Invoke { lane, records } => {
                let (inner, function) = (Arc::clone(inner), mapping.config.function.clone());
                running.spawn(async move { (lane, invoke(&inner, &function, records).await) });
            }
            Next::Discard(discarded) => discard(inner, mapping, table, &discarded),
            Next::Wait(at) => return at,
        }
    }
}

fn note(inner: &Inner, mapping: &Mapping, ended: &Ended) {
    if let Ok(mapping) = inner.mappings.lock().find(&mapping.uuid) {
        mapping.last_result = match ended {
            Ended::Answered(_) => PROCESSED,
            Ended::FunctionError | Ended::NotInvoked => PROBLEM,
        };
    }
}

async fn invoke(inner: &Inner, function: &str, records: Vec<StreamRecord>) -> Ended {
    let count = records.len();
    let records: Vec<Value> = records.into_iter().map(|record| record.event).collect();
    let event = json!({ "Records": records });
    let ended = inner.invoke(function, &event, count).await;
    let name = workflow::lambda::function_name(function);
    if matches!(ended, Ended::Answered(_)) && inner.faults.take_redelivery(name) {
        return inner.invoke(function, &event, count).await;
    }
    ended
}

fn discard(inner: &Inner, mapping: &Mapping, table: &str, discarded: &Discarded) {
    let config = &mapping.config;
    let Some(destination) = &config.on_failure else {
        let records = discarded.records.len();
        tracing::warn!(function = config.function, records, "records were given up");
        return;
    };
    let (now, function_arn) = (now(), inner.scope.function(&config.function));
    let origin = Origin {
        kind: config.kind,
        stream_arn: &config.source,
        shard: &shard_id(table),
        function_arn: &function_arn,
    };
    let notice = notice(&origin, discarded, &inner.uuid(), now).to_string();
    let delivered = inner
        .queues
        .lock()
        .deliver(destination, &notice, Value::Null, now);
    if let Err(error) = delivered {
        tracing::warn!(%error, destination, "a failure destination took no notice");
    }
    inner.queues_changed.notify_waiters();
}
