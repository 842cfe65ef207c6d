//! Faults of AWS between a node and its services: calls that are never answered, throttling,
//! refusals, a stream that is replaced, clocks that differ.

use std::sync::Arc;
use std::time::{Duration, Instant};

use aws_config::SdkConfig;
use aws_config::timeout::TimeoutConfig;
use futures_util::StreamExt;
use job::{Change, Job, JobId, NewJob, Time, Update};
use resolvers::jobs::{ExecutionEvents, now};
use resolvers::store::dynamodb::DynamoDbStore;
use resolvers::store::{
    CreateJob, Created, FeedEvent, JobStore, ListQuery, RequestToken, StoreError,
};
use resolvers::workflow::step_functions::{Settings, StepFunctionsWorkflow};
use resolvers::workflow::{Workflow, WorkflowError};
use serde_json::{Value, json};

use crate::aws::{configured, home};
use crate::kit::aws::{DynamoDb, STATE_MACHINES, config_at};
use crate::kit::proxy::{Fault, Proxy};
use crate::kit::{Door, Watch, soon};

/// Limits with which a test need not wait for those of a node.
async fn impatient(endpoint: &str) -> SdkConfig {
    let times = TimeoutConfig::builder()
        .operation_attempt_timeout(Duration::from_millis(300))
        .operation_timeout(Duration::from_secs(5))
        .build();
    let config = config_at(endpoint).await;
    config.to_builder().timeout_config(times).build()
}

/// A store behind a proxy.
struct Behind {
    dynamodb: DynamoDb,
    proxy: Proxy,
    store: DynamoDbStore,
}

impl Behind {
    async fn start() -> Behind {
        let dynamodb = DynamoDb::start().await;
        let proxy = Proxy::before(&dynamodb.endpoint).await;
        let config = impatient(&proxy.endpoint).await;
        let store = DynamoDbStore::open(&config, DynamoDb::TABLE).await.unwrap();
        Behind {
            dynamodb,
            proxy,
            store,
        }
    }

    async fn create(&self) -> Result<Arc<Job>, StoreError> {
        self.create_with(None).await
    }

    async fn create_with(&self, token: Option<&str>) -> Result<Arc<Job>, StoreError> {
        let new = NewJob {
            id: JobId::new(now(), rand_number()),
            job_type: "two-steps".to_owned(),
            owner: "me".to_owned(),
            tags: Vec::new(),
            steps: Vec::new(),
        };
        let request = token.map(|token| RequestToken {
            token: token.to_owned(),
            digest: [0; 32],
            expires_at: now().plus_millis(60_000),
        });
        let create = CreateJob {
            job: new.into_job().unwrap(),
            input: Arc::from("{}"),
            request,
        };
        let created: Created = self.store.create(create).await?;
        Ok(Arc::clone(created.job()))
    }

    async fn start_job(&self, id: JobId) -> Result<Arc<Job>, StoreError> {
        let outcome = self
            .store
            .apply(id, Change::of(Update::Start), now())
            .await?;
        Ok(Arc::clone(outcome.job()))
    }
}

fn rand_number() -> u128 {
    use std::hash::{BuildHasher, RandomState};
    u128::from(RandomState::new().hash_one(0))
}

fn is_later(error: &StoreError) -> bool {
    error.to_string() == "the job store is not available: try again later"
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_whose_answer_never_comes_is_tried_again() {
    let behind = Behind::start().await;
    for operation in ["TransactWriteItems", "PutItem", "GetItem"] {
        behind.proxy.next(operation, 1, Fault::Hang);
    }
    let job = soon("a job", behind.create()).await.unwrap();
    let started = soon("a change", behind.start_job(job.id)).await.unwrap();
    assert_eq!(started.version.0, 2);
    let found = soon("a read", behind.store.get(job.id)).await.unwrap();
    assert_eq!(found, Some(started));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_that_is_never_answered_ends_in_the_time_allowed() {
    let behind = Behind::start().await;
    let job = behind.create().await.unwrap();
    behind.proxy.rule(|_| Some(Fault::Hang));
    let (store, id, ids) = (&behind.store, job.id, [job.id]);
    let query = ListQuery {
        limit: 10,
        ..ListQuery::default()
    };
    let began = Instant::now();
    let (created, started, got, many, listed, checked, feed) = tokio::join!(
        behind.create(),
        behind.start_job(id),
        store.get(id),
        store.get_many(&ids),
        store.list(&query),
        store.check(),
        store.changes(None),
    );
    let errors = [
        created.err(),
        started.err(),
        got.err(),
        many.err(),
        listed.err(),
        checked.err(),
    ];
    for error in errors {
        let error = error.expect("it was not answered");
        assert!(is_later(&error), "{error}");
    }
    assert!(feed.is_err());
    assert!(
        began.elapsed() < Duration::from_secs(15),
        "{:?}",
        began.elapsed()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_step_functions_that_never_answers_is_unavailable_in_the_time_allowed() {
    let proxy = Proxy::before("http://127.0.0.1:1").await;
    proxy.rule(|_| Some(Fault::Hang));
    let config = impatient(&proxy.endpoint).await;
    let job_type = resolvers::workflow::embedded::job_types(&machines());
    let events = Arc::new(ExecutionEvents::default());
    let workflow =
        StepFunctionsWorkflow::new(&config, Settings::new(STATE_MACHINES), job_type, events);
    let started = workflow.start("two-steps", "a", Arc::from("{}"));
    let error = soon("an answer", started).await.unwrap_err();
    assert!(
        matches!(error, WorkflowError::Unavailable { .. }),
        "{error}"
    );
    let error = resolvers::Error::from(error);
    assert_eq!(
        error.to_string(),
        "the workflow is not available: try again later"
    );
}

fn machines() -> workflow::Machines {
    let home = home();
    workflow::Machines::load(&home.path("state-machines")).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_submit_whose_first_write_is_never_answered_succeeds_within_seconds() {
    let dynamodb = DynamoDb::start().await;
    let proxy = Proxy::before(&dynamodb.endpoint).await;
    let home = configured(
        home(),
        DynamoDb::TABLE,
        &proxy.endpoint,
        "http://127.0.0.1:1",
    );
    let server = home.start().await;
    proxy.next("TransactWriteItems", 1, Fault::Hang);
    let began = Instant::now();
    let id = server.client().submit("two-steps", &json!({})).await;
    assert!(began.elapsed() < resolvers::aws::limits::CALL_WITHIN);
    assert_eq!(server.client().job(&id).await["status"], "QUEUED");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_feed_whose_reads_are_never_answered_goes_on_afterwards() {
    let behind = Behind::start().await;
    let mut feed = behind.store.changes(None).await.unwrap();
    behind.proxy.every("GetRecords", Fault::Hang);
    let error = soon("an error of the feed", feed.next()).await.unwrap();
    assert!(is_later(&error.unwrap_err()));
    let job = behind.create().await.unwrap();
    behind.proxy.heal();
    loop {
        // The feed continues after an error.
        if let Ok(event) = soon("a change", feed.next()).await.unwrap() {
            assert_eq!(event.new.unwrap().id, job.id);
            break;
        }
    }
}

/// A transaction that DynamoDB cancelled for these reasons.
fn cancelled(reasons: &[&str]) -> Fault {
    let reasons: Vec<Value> = reasons.iter().map(|code| json!({ "Code": code })).collect();
    Fault::Refuse(
        400,
        json!({
            "__type": "com.amazonaws.dynamodb.v20120810#TransactionCanceledException",
            "Message": "Transaction cancelled, please refer cancellation reasons for specific reasons",
            "CancellationReasons": reasons,
        }),
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transaction_that_was_cancelled_by_throttling_is_tried_again() {
    let behind = Behind::start().await;
    for reason in [
        "ThrottlingError",
        "ProvisionedThroughputExceeded",
        "RequestLimitExceeded",
        "TransactionConflict",
    ] {
        behind.proxy.heal();
        behind
            .proxy
            .next("TransactWriteItems", 3, cancelled(&[reason, "None"]));
        let job = behind.create_with(Some(reason)).await;
        let job = job.unwrap_or_else(|error| panic!("{reason}: {error}"));
        let again = behind.create_with(Some(reason)).await.unwrap();
        assert_eq!(job.id, again.id, "{reason}: created once");
    }
    behind.proxy.heal();
    behind
        .proxy
        .every("TransactWriteItems", cancelled(&["ValidationError"]));
    let error = behind.create().await.unwrap_err();
    assert!(is_later(&error), "a repeat would not help: {error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn errors_of_the_sdk_stay_in_the_log_with_action_and_resource() {
    let dynamodb = DynamoDb::start().await;
    let proxy = Proxy::before(&dynamodb.endpoint).await;
    let home = configured(
        home(),
        DynamoDb::TABLE,
        &proxy.endpoint,
        "http://127.0.0.1:1",
    );
    let server = home.start().await;
    for (kind, text) in [
        (
            "ValidationException",
            "The table does not have the specified index: all",
        ),
        (
            "AccessDeniedException",
            "User: arn:aws:iam::1:user/x is not authorized",
        ),
    ] {
        proxy.heal();
        proxy.every("Query", Fault::error(kind, text));
        let (code, message) = server
            .client()
            .error("{ listJobs { items { id } } }", json!({}))
            .await;
        assert_eq!(code, "ServiceUnavailable");
        assert_eq!(message, "the job store is not available: try again later");
        let log = home.log();
        let line = log
            .lines()
            .find(|line| line.contains(kind) && line.contains("index all"));
        let line = line.unwrap_or_else(|| panic!("{log}"));
        for said in ["dynamodb:Query", "a call of AWS failed", text] {
            assert!(line.contains(said), "{said}: {line}");
        }
    }
    assert!(
        home.log()
            .contains("allow dynamodb:Query on table jobs, index all")
    );
}

/// Switches the stream of the table off or on.
async fn switch_stream(dynamodb: &DynamoDb, on: bool) {
    let stream = match on {
        true => json!({ "StreamEnabled": true, "StreamViewType": "NEW_AND_OLD_IMAGES" }),
        false => json!({ "StreamEnabled": false }),
    };
    let client = crate::kit::Client::new(&dynamodb.endpoint);
    let request = client
        .request(reqwest::Method::POST, &dynamodb.endpoint)
        .header("x-amz-target", "DynamoDB_20120810.UpdateTable")
        .header("content-type", "application/x-amz-json-1.0")
        .header("x-amz-date", "20260101T000000Z")
        .header("authorization", "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/dynamodb/aws4_request, SignedHeaders=host, Signature=0")
        .body(json!({ "TableName": DynamoDb::TABLE, "StreamSpecification": stream }).to_string());
    let answer = request.send().await.unwrap();
    assert!(
        answer.status().is_success(),
        "{}",
        answer.text().await.unwrap()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_that_is_replaced_is_followed_and_lists_read_again() {
    let dynamodb = DynamoDb::start().await;
    // Only the stream brings a change.
    let quiet = home().config("repair_every = \"1h\"");
    let home = configured(
        quiet,
        DynamoDb::TABLE,
        &dynamodb.endpoint,
        "http://127.0.0.1:1",
    );
    let server = home.start().await;
    let client = server.client();
    let list = "subscription { onJobs { kind job { id version } } }";
    let mut watch = Watch::open(Door::TransportWs, &client, list, json!({})).await;
    switch_stream(&dynamodb, false).await;
    switch_stream(&dynamodb, true).await;
    let seen = client.submit("two-steps", &json!({})).await;
    let (mut resync, mut heard) = (false, false);
    while !(resync && heard) {
        let event = watch.event().await;
        resync |= event["kind"] == "RESYNC";
        heard |= event["job"]["id"] == seen.as_str();
    }
    assert!(home.log().contains("stream"), "{}", home.log());
}

/// Makes the records of a stream ninety seconds older.
fn older(answer: &mut Value) {
    for record in answer["Records"].as_array_mut().into_iter().flatten() {
        let time = &mut record["dynamodb"]["ApproximateCreationDateTime"];
        if let Some(seconds) = time.as_f64() {
            *time = json!(seconds - 90.0);
        }
    }
}

/// As a node whose clock is ahead of DynamoDB's sees it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_follower_whose_clock_is_ahead_hears_every_change() {
    let behind = Behind::start().await;
    behind.proxy.every("GetRecords", Fault::Edit(older));
    let mut feed = behind.store.changes(None).await.unwrap();
    let job = behind.create().await.unwrap();
    let event: FeedEvent = soon("a change", feed.next()).await.unwrap().unwrap();
    assert_eq!(event.new.unwrap().id, job.id);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_that_lost_a_race_needs_no_read() {
    let behind = Behind::start().await;
    let other = behind.dynamodb.store().await;
    let job = behind.create().await.unwrap();
    // Another node writes, so the row that this one keeps is stale.
    let started = other
        .apply(job.id, Change::of(Update::Start), now())
        .await
        .unwrap();
    assert_eq!(started.job().version.0, 2);
    behind.proxy.take_calls();
    let report = job::change::Report {
        message: Some("half".to_owned()),
        ..job::change::Report::default()
    };
    let change = Change::of(Update::Report(report));
    let outcome = behind.store.apply(job.id, change, now()).await.unwrap();
    assert_eq!(outcome.job().version.0, 3);
    let calls = behind.proxy.take_calls();
    let operations: Vec<&str> = calls.iter().map(|call| call.operation.as_str()).collect();
    assert_eq!(operations, ["PutItem", "PutItem"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_repeat_is_judged_by_the_row_of_the_table() {
    let behind = Behind::start().await;
    let other = behind.dynamodb.store().await;
    let job = behind.create().await.unwrap();
    let cancel = Change::of(Update::Cancel(job::JobError::new("Cancelled", "")));
    other
        .apply(job.id, cancel, Time::from_millis(1))
        .await
        .unwrap();
    let outcome = behind.start_job(job.id).await;
    assert!(
        matches!(&outcome, Ok(job) if job.version.0 == 2)
            || matches!(&outcome, Err(StoreError::Refused(_))),
        "{outcome:?}"
    );
}
