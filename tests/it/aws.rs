//! `jobcast serve` with `[aws]`: several nodes over one DynamoDB table and one Step Functions.

use checker::{JobTranscript, Seen};
use serde_json::{Value, json};

use crate::access::report_token;
use crate::kit::aws::{DynamoDb, STATE_MACHINES, StepFunctions};
use crate::kit::s3::S3;
use crate::kit::{Client, Door, Home, JOB, Said, Watch, on_job, soon};
use crate::nodes::Bus;

/// A secret, the same on all nodes.
const SECRET: &str = "it is long enough, and every node has the same";

/// The services, and the directory that the nodes share: state machines, configuration, files.
struct Aws {
    dynamodb: DynamoDb,
    step_functions: StepFunctions,
    home: Home,
}

impl Aws {
    async fn start() -> Aws {
        let home = home();
        let dynamodb = DynamoDb::start().await;
        let step_functions = StepFunctions::start(&home.path("state-machines")).await;
        let home = configured(home, DynamoDb::TABLE, &dynamodb, &step_functions.endpoint);
        Aws {
            dynamodb,
            step_functions,
            home,
        }
    }
}

/// With the job types `two-steps` and `ask`.
fn home() -> Home {
    let two_steps = json!({ "StartAt": "First", "States": {
        "First": { "Type": "Pass", "Next": "Second" },
        "Second": { "Type": "Wait", "Seconds": 1, "End": true } } });
    let ask = json!({ "StartAt": "Ask", "States": {
        "Ask": { "Type": "Task", "Resource": "arn:aws:states:::lambda:invoke.waitForTaskToken",
            "Parameters": { "FunctionName": "noop1", "Payload": { "job.$": "$.job", "token.$": "$$.Task.Token" } },
            "Next": "Done" },
        "Done": { "Type": "Pass", "End": true } } });
    Home::new()
        .machine("two-steps", &two_steps)
        .machine("ask", &ask)
}

fn configured(home: Home, table: &str, dynamodb: &DynamoDb, step_functions: &str) -> Home {
    home.config(&format!(
        "[aws]\ntable = \"{table}\"\nstate_machine_arn_prefix = \"{STATE_MACHINES}\"\n\
         dynamodb_endpoint_url = \"{}\"\nstep_functions_endpoint_url = \"{step_functions}\"",
        dynamodb.endpoint,
    ))
    .variable("JOBCAST_SECRET", SECRET)
    .variable("AWS_ACCESS_KEY_ID", "test")
    .variable("AWS_SECRET_ACCESS_KEY", "test")
    // A plain container has no certificates.
    .variable("SSL_CERT_FILE", "/nowhere")
    .variable("SSL_CERT_DIR", "/nowhere")
}

/// A watcher who proves what it was promised.
struct Watcher {
    watch: Watch,
    transcript: JobTranscript,
}

impl Watcher {
    async fn open(client: &Client, id: &str) -> Watcher {
        let committed = client.seen(id).await.version;
        let mut transcript = JobTranscript::default();
        transcript.subscribed(committed, None);
        let variables = json!({ "id": id });
        let watch = Watch::open(Door::TransportWs, client, &on_job(), variables).await;
        Watcher { watch, transcript }
    }

    /// The first event with this status.
    async fn until(&mut self, status: &str) -> Value {
        loop {
            let job = self.watch.event().await;
            self.transcript.event(Seen::read(&job).unwrap());
            assert!(self.transcript.violation().is_none(), "{job}");
            if job["status"] == status {
                return job;
            }
        }
    }

    /// The end of the job, after an event that announced it.
    async fn finish(mut self, client: &Client, id: &str) {
        assert_eq!(self.watch.next().await, Said::Complete);
        self.transcript.completed();
        let verdict = self.transcript.finish(client.seen(id).await);
        assert!(verdict.is_ok(), "{}", verdict.unwrap_err());
    }
}

async fn retry(client: &Client, id: &str) {
    let document = format!("mutation($id: ID!) {{ retryJob(id: $id) {{ {JOB} }} }}");
    client.data(&document, json!({ "id": id })).await;
}

async fn resume(client: &Client, id: &str) {
    let document = format!(
        "mutation($id: ID!) {{ resumeJob(id: $id, step: \"Ask\", output: \"{{}}\") {{ {JOB} }} }}"
    );
    client.data(&document, json!({ "id": id })).await;
}

async fn listed(client: &Client) -> Vec<String> {
    let jobs = client
        .data("{ listJobs { items { id } } }", json!({}))
        .await;
    let items = jobs["items"].as_array().unwrap();
    let ids = items
        .iter()
        .map(|job| job["id"].as_str().unwrap().to_owned());
    ids.collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_job_is_submitted_on_one_node_and_watched_and_steered_on_others() {
    let aws = Aws::start().await;
    let (one, two, three) = tokio::join!(aws.home.start(), aws.home.start(), aws.home.start());
    let clients = [one.client(), two.client(), three.client()];
    assert_eq!(clients[0].get("/readyz").await.0, 200);
    assert!(!aws.home.path("data/jobcast.db").exists());

    // Submitted here, watched there.
    let id = clients[0].submit("two-steps", &json!({ "a": 1 })).await;
    let mut watcher = Watcher::open(&clients[1], &id).await;
    let job = watcher.until("SUCCEEDED").await;
    assert_eq!(job["steps"][0]["status"], "SUCCEEDED", "{job}");
    watcher.finish(&clients[1], &id).await;

    // Cancelled, retried and answered, each on another node.
    let asked = clients[0].submit("ask", &json!({})).await;
    let mut watcher = Watcher::open(&clients[1], &asked).await;
    watcher.until("WAITING").await;
    clients[2].cancel(&asked).await;
    watcher.until("CANCELLED").await;
    watcher.finish(&clients[1], &asked).await;
    retry(&clients[1], &asked).await;
    let mut watcher = Watcher::open(&clients[2], &asked).await;
    watcher.until("WAITING").await;
    // Step Functions gives a redriven execution its first input, and so the first token: it reports
    // in this attempt too.
    let endpoint = &aws.step_functions.endpoint;
    let token = report_token(endpoint, &Client::new(endpoint), "ask", &asked).await;
    let report = "mutation($id: ID!) { reportProgress(input: { id: $id, progress: 7 }) { attempt progress } }";
    let function = clients[1].with_token(&token);
    let reported = function.data(report, json!({ "id": asked })).await;
    assert_eq!(reported["attempt"], 2, "{reported}");
    resume(&clients[0], &asked).await;
    let job = watcher.until("SUCCEEDED").await;
    assert_eq!(job["attempt"], 2, "{job}");
    watcher.finish(&clients[2], &asked).await;

    // A node that starts again finds everything.
    assert!(two.stop().await.success());
    let two = aws.home.start().await;
    let again = two.client();
    assert_eq!(listed(&again).await, [asked.clone(), id.clone()]);
    assert_eq!(again.job(&id).await["status"], "SUCCEEDED");
    let result = again.job(&id).await["result"].clone();
    assert_eq!(result, clients[0].job(&id).await["result"]);
    assert!(result.as_str().is_some_and(|text| text.contains("\"a\":1")));
}

/// With `JOBCAST_TEST_REDIS_SERVER`, as in `nodes`: processes of their own need a real broker.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_node_follows_the_stream_and_the_others_hear_by_the_broker() {
    let bus = Bus::start().await;
    let Some(url) = bus.url() else {
        println!("skipped: JOBCAST_TEST_REDIS_SERVER names no broker");
        return;
    };
    let aws = Aws::start().await;
    let broker = format!("[broker]\nurl = \"{url}\"");
    let endpoint = &aws.step_functions.endpoint;
    // Nothing is read again without a known gap: the broker has to be what carries it.
    let home = || home().config("repair_every = \"1h\"");
    let follower = configured(home(), DynamoDb::TABLE, &aws.dynamodb, endpoint).config(&broker);
    let others = configured(home(), DynamoDb::TABLE, &aws.dynamodb, endpoint);
    let others = others.config(&format!("follow_stream = false\n{broker}"));
    let (_one, two, three) = tokio::join!(follower.start(), others.start(), others.start());
    let (two, three) = (two.client(), three.client());
    let id = two.submit("two-steps", &json!({})).await;
    let mut watchers = [
        Watcher::open(&two, &id).await,
        Watcher::open(&three, &id).await,
    ];
    for watcher in &mut watchers {
        watcher.until("SUCCEEDED").await;
    }
    for watcher in watchers {
        watcher.finish(&two, &id).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_killed_node_was_busy_with_goes_on() {
    let aws = Aws::start().await;
    let (one, two) = tokio::join!(aws.home.start(), aws.home.start());
    let id = one.client().submit("two-steps", &json!({})).await;
    one.kill().await;
    let mut watcher = Watcher::open(&two.client(), &id).await;
    let _one = aws.home.start().await;
    watcher.until("SUCCEEDED").await;
    watcher.finish(&two.client(), &id).await;
}

/// Uploads to a node that did not sign the address, and reads from the node that did.
async fn upload(aws: &Aws, text: &str) {
    let (one, two) = tokio::join!(aws.home.start(), aws.home.start());
    let document = "mutation($size: Int!) { createUpload(name: \"a.txt\", contentType: \"text/plain\", size: $size) { putUrl getUrl } }";
    let size = json!({ "size": text.len() });
    let upload = one.client().data(document, size).await;
    let put = upload["putUrl"].as_str().unwrap();
    let put = put.replace(&one.url, &two.url);
    let request = two.client().request(reqwest::Method::PUT, &put);
    let sent = request.header("content-type", "text/plain");
    let sent = sent.body(text.to_owned()).send();
    let sent = soon("an upload", sent).await.unwrap();
    assert!(sent.status().is_success(), "{sent:?}: {}", aws.home.log());
    let (status, found) = one.client().get(upload["getUrl"].as_str().unwrap()).await;
    assert_eq!(status, 200);
    assert!(found == text, "{} bytes", found.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_that_one_node_signed_is_good_at_every_node() {
    let aws = Aws::start().await;
    upload(&aws, "hello").await;
    assert!(aws.home.path("data/files").is_dir());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_are_kept_in_a_bucket() {
    let s3 = S3::start().await;
    let mut aws = Aws::start().await;
    aws.home = aws.home.config(&format!(
        "bucket = \"{}\"\ns3_endpoint_url = \"{}\"",
        S3::BUCKET,
        s3.endpoint
    ));
    let text = "0123456789abcdef".repeat(700_000);
    upload(&aws, &text).await;
    assert_eq!(s3.sizes(), [text.len()]);
    upload(&aws, "").await;
    assert!(!aws.home.path("data").exists(), "nothing is kept here");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_used_is_named() {
    let aws = Aws::start().await;
    let (status, said) = aws.home.refuses(&["--secret", "short"]).await;
    assert!(!status.success() && said.contains("at least 32"), "{said}");
    let said = [
        "the table jobs of [aws] cannot be used",
        "docs/guides/aws.md has its keys",
    ];
    drop(aws.dynamodb);
    let (status, error) = aws.home.refuses(&[]).await;
    assert!(
        !status.success() && said.iter().all(|said| error.contains(said)),
        "{error}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_is_created_once_and_served() {
    let dynamodb = DynamoDb::start().await;
    let home = configured(Home::new(), "mine", &dynamodb, "http://127.0.0.1:1");
    let (status, _, error) = home.run("create-table").await;
    assert!(status.success(), "{error}");
    let server = home.start().await;
    assert_eq!(listed(&server.client()).await, [] as [String; 0]);
    let (status, printed, error) = home.run("create-table").await;
    assert!(!status.success() && printed.is_empty());
    assert!(
        error.contains("the table mine of [aws] cannot be created"),
        "{error}"
    );
}
