//! A shard under a mapping.

use std::collections::BTreeMap;
use std::time::Duration;

use localcloud::mapping::config::MappingConfig;
use localcloud::mapping::shard::{BATCH_BYTES, Condition, Discarded, Ended, Next, Shard};
use localcloud::record::StreamRecord;
use serde_json::{Value, json};

const STREAM: &str = "arn:aws:dynamodb:us-east-1:000000000000:table/t/stream/s";

fn shard(settings: Value) -> Shard {
    let mut request = json!({
        "EventSourceArn": STREAM, "FunctionName": "f", "StartingPosition": "TRIM_HORIZON",
    });
    for (name, value) in settings.as_object().unwrap() {
        request[name] = value.clone();
    }
    let policy = MappingConfig::of(&request).unwrap().stream_policy();
    Shard::new(policy, Duration::from_secs(1))
}

fn record(number: usize, key: &str, arrived: i64) -> StreamRecord {
    StreamRecord {
        sequence: number.to_string(),
        partition_key: key.to_owned(),
        arrived,
        event: json!({ "n": number, "eventName": "INSERT" }),
        bytes: 100,
    }
}

fn filled(settings: Value, count: usize) -> Shard {
    let mut shard = shard(settings);
    for number in 0..count {
        shard.push(record(number, "k", 0), 0);
    }
    shard
}

fn numbers(records: &[StreamRecord]) -> Vec<usize> {
    records
        .iter()
        .map(|one| one.sequence.parse().unwrap())
        .collect()
}

/// The next invocation at a time: its lane and its records.
fn invoked(shard: &mut Shard, now: i64) -> (usize, Vec<usize>) {
    match shard.next(now) {
        Next::Invoke { lane, records } => (lane, numbers(&records)),
        other => panic!("no invocation at {now}: {other:?}"),
    }
}

fn discarded(shard: &mut Shard, now: i64) -> Discarded {
    match shard.next(now) {
        Next::Discard(discarded) => discarded,
        other => panic!("nothing is discarded at {now}: {other:?}"),
    }
}

fn answer(items: &[usize]) -> Ended {
    let items = items
        .iter()
        .map(|item| json!({"itemIdentifier": item.to_string()}));
    let answer = json!({"batchItemFailures": items.collect::<Vec<_>>()});
    Ended::Answered(answer.to_string().into_bytes())
}

fn reporting(mut settings: Value) -> Value {
    settings["FunctionResponseTypes"] = json!(["ReportBatchItemFailures"]);
    settings
}

#[test]
fn a_batch_is_full_at_its_size_and_else_waits_for_its_window() {
    let settings = json!({"BatchSize": 3, "MaximumBatchingWindowInSeconds": 2});
    let mut shard = filled(settings.clone(), 2);
    assert_eq!(shard.next(1_999), Next::Wait(Some(2_000)));
    assert_eq!(invoked(&mut shard, 2_000).1, [0, 1]);
    let mut shard = filled(settings, 4);
    assert_eq!(invoked(&mut shard, 0).1, [0, 1, 2]);
}

#[test]
fn a_batch_has_at_most_the_bytes_of_an_invocation() {
    let mut shard = shard(json!({}));
    for number in 0..3 {
        let bytes = BATCH_BYTES / 2;
        let record = StreamRecord {
            bytes,
            ..record(number, "k", 0)
        };
        shard.push(record, 0);
    }
    assert_eq!(invoked(&mut shard, 0).1, [0, 1]);
    shard.ended(0, &answer(&[]), 0);
    assert_eq!(invoked(&mut shard, 0).1, [2]);
}

#[test]
fn a_reported_failure_is_a_checkpoint_and_the_lowest_one_counts() {
    let mut shard = filled(reporting(json!({})), 5);
    let (lane, _) = invoked(&mut shard, 0);
    shard.ended(lane, &answer(&[4, 2]), 0);
    assert_eq!(invoked(&mut shard, 1_000).1, [2, 3, 4]);
}

#[test]
fn an_identifier_that_is_not_in_the_batch_fails_all_of_it() {
    let mut shard = filled(reporting(json!({})), 3);
    let (lane, _) = invoked(&mut shard, 0);
    shard.ended(lane, &answer(&[2, 77]), 0);
    assert_eq!(invoked(&mut shard, 1_000).1, [0, 1, 2]);
}

#[test]
fn an_answer_is_not_read_by_a_mapping_that_does_not_ask_for_failures() {
    let mut shard = filled(json!({}), 3);
    let (lane, _) = invoked(&mut shard, 0);
    shard.ended(lane, &answer(&[0]), 0);
    assert_eq!(shard.next(0), Next::Wait(None));
}

#[test]
fn the_last_retry_gives_the_batch_up() {
    for retries in [0, 2] {
        let mut shard = filled(json!({"MaximumRetryAttempts": retries}), 2);
        let mut now = 0;
        for _ in 0..=retries {
            now += 100_000;
            let (lane, records) = invoked(&mut shard, now);
            assert_eq!(records, [0, 1]);
            shard.ended(lane, &Ended::FunctionError, now);
        }
        let given_up = discarded(&mut shard, now);
        assert_eq!(given_up.condition, Condition::RetryAttemptsExhausted);
        assert_eq!(given_up.invocations, retries + 1);
        assert!(given_up.function_error);
    }
}

#[test]
fn without_a_bound_a_batch_comes_again_and_later_each_time() {
    let mut shard = filled(json!({}), 1);
    let mut now = 0;
    for delay in [1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000] {
        let (lane, _) = invoked(&mut shard, now);
        shard.ended(lane, &Ended::FunctionError, now);
        assert_eq!(shard.next(now), Next::Wait(Some(now + delay)));
        now += delay;
    }
}

#[test]
fn a_function_error_halves_the_batch_until_the_poison_is_alone() {
    let settings = json!({"BisectBatchOnFunctionError": true, "MaximumRetryAttempts": 0});
    let mut shard = filled(settings, 8);
    let mut taken = Vec::new();
    let given_up = loop {
        match shard.next(0) {
            Next::Invoke { lane, records } => {
                let records = numbers(&records);
                let ended = if records.contains(&5) {
                    Ended::FunctionError
                } else {
                    answer(&[])
                };
                if ended != Ended::FunctionError {
                    taken.extend(records);
                }
                shard.ended(lane, &ended, 0);
            }
            Next::Discard(given_up) => break given_up,
            Next::Wait(_) => panic!("a halved batch does not wait"),
        }
    };
    assert_eq!(numbers(&given_up.records), [5]);
    assert_eq!(taken, [0, 1, 2, 3, 4]);
    assert_eq!(invoked(&mut shard, 0).1, [6, 7]);
}

#[test]
fn with_halving_a_reported_failure_cuts_and_is_no_attempt() {
    let settings = json!({"BisectBatchOnFunctionError": true, "MaximumRetryAttempts": 0});
    let mut shard = filled(reporting(settings), 4);
    let (lane, _) = invoked(&mut shard, 0);
    shard.ended(lane, &answer(&[2]), 0);
    let (lane, records) = invoked(&mut shard, 0);
    assert_eq!(records, [2, 3]);
    // The first one is reported: the rest is halved.
    shard.ended(lane, &answer(&[2]), 0);
    let (lane, records) = invoked(&mut shard, 0);
    assert_eq!(records, [2]);
    shard.ended(lane, &answer(&[2]), 0);
    let given_up = discarded(&mut shard, 0);
    assert_eq!(numbers(&given_up.records), [2]);
    assert!(!given_up.function_error);
    assert_eq!(invoked(&mut shard, 0).1, [3]);
}

#[test]
fn records_that_are_too_old_are_given_up_and_the_others_go_on() {
    let mut shard = shard(json!({"MaximumRecordAgeInSeconds": 60}));
    shard.push(record(0, "k", 0), 0);
    shard.push(record(1, "k", 1), 1);
    let given_up = discarded(&mut shard, 60_001);
    assert_eq!(given_up.condition, Condition::RecordAgeExceeded);
    assert_eq!(numbers(&given_up.records), [0]);
    let (lane, records) = invoked(&mut shard, 60_001);
    assert_eq!(records, [1]);
    // Age goes before retries.
    shard.ended(lane, &Ended::FunctionError, 60_002);
    let given_up = discarded(&mut shard, 60_002);
    assert_eq!(given_up.condition, Condition::RecordAgeExceeded);
}

#[test]
fn a_refused_invocation_is_no_attempt() {
    let mut shard = filled(json!({"MaximumRetryAttempts": 0}), 1);
    let mut now = 0;
    for _ in 0..5 {
        let (lane, _) = invoked(&mut shard, now);
        shard.ended(lane, &Ended::NotInvoked, now);
        now += 100_000;
    }
    let (lane, _) = invoked(&mut shard, now);
    shard.ended(lane, &Ended::FunctionError, now);
    assert_eq!(discarded(&mut shard, now).invocations, 1);
}

#[test]
fn lanes_run_at_once_and_one_that_fails_holds_up_its_own_keys_only() {
    let mut shard = shard(json!({"ParallelizationFactor": 10, "BatchSize": 1}));
    for number in 0..40 {
        shard.push(record(number, &format!("k{}", number % 20), 0), 0);
    }
    let mut lanes = BTreeMap::new();
    while let Next::Invoke { lane, records } = shard.next(0) {
        assert!(
            lanes
                .insert(lane, records[0].partition_key.clone())
                .is_none()
        );
    }
    assert!(lanes.len() > 3, "{lanes:?}");
    let (failing, key) = lanes.pop_first().unwrap();
    shard.ended(failing, &Ended::FunctionError, 0);
    for lane in lanes.into_keys() {
        shard.ended(lane, &answer(&[]), 0);
    }
    while let Next::Invoke { lane, records } = shard.next(0) {
        assert_ne!(records[0].partition_key, key);
        shard.ended(lane, &answer(&[]), 0);
    }
    assert_eq!(invoked(&mut shard, 1_000).0, failing);
}

#[test]
fn the_records_of_a_key_stay_in_order_under_every_failure() {
    let seed = std::env::var("JOBCAST_TEST_SEED").ok();
    let mut random = seed.and_then(|seed| seed.parse().ok()).unwrap_or(7_u64);
    let mut next = move || {
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        random >> 33
    };
    let settings = json!({
        "ParallelizationFactor": 4, "BatchSize": 20, "BisectBatchOnFunctionError": true,
        "MaximumRetryAttempts": 3,
    });
    let mut shard = shard(reporting(settings));
    for number in 0..2_000 {
        shard.push(record(number, &format!("k{}", number % 50), 0), 0);
    }
    let is_poison = |number: usize| number % 100 == 13;
    let (mut now, mut taken, mut given_up) = (0, Vec::new(), Vec::new());
    loop {
        match shard.next(now) {
            Next::Invoke { lane, records } => {
                let numbers = numbers(&records);
                let ended = match next() % 10 {
                    0 => Ended::NotInvoked,
                    _ => match numbers.iter().position(|number| is_poison(*number)) {
                        Some(0) if next() % 2 == 0 => Ended::FunctionError,
                        Some(at) => {
                            taken.extend_from_slice(&numbers[..at]);
                            answer(&[numbers[at]])
                        }
                        None => {
                            taken.extend_from_slice(&numbers);
                            answer(&[])
                        }
                    },
                };
                shard.ended(lane, &ended, now);
            }
            Next::Discard(discarded) => given_up.extend(numbers(&discarded.records)),
            Next::Wait(Some(at)) => now = at,
            Next::Wait(None) => break,
        }
    }
    assert!(
        given_up.iter().all(|number| is_poison(*number)),
        "{given_up:?}"
    );
    assert_eq!(given_up.len(), 20);
    assert_eq!(taken.len(), 1_980);
    for key in 0..50 {
        let of_key = taken.iter().filter(|number| *number % 50 == key);
        assert!(of_key.is_sorted());
    }
}

#[test]
fn what_filters_leave_out_never_comes() {
    let pattern = json!({"n": [{"numeric": [">", 1]}]}).to_string();
    let settings = json!({"FilterCriteria": {"Filters": [{"Pattern": pattern}]}});
    let mut shard = filled(settings, 4);
    assert_eq!(invoked(&mut shard, 0).1, [2, 3]);
}
