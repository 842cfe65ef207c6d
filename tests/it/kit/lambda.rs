//! The functions on AWS Lambda, run unchanged by the Lambda host of `workflow`, and an event source
//! mapping with AWS's semantics for a table's stream. It judges nothing.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use tokio::sync::oneshot;
use workflow::lambda::{Caller, FunctionConfig, Host, HostSettings, Outcome};

use super::aws::{DynamoDb, STATE_MACHINES, StepFunctions};
use super::{Client, Home, Server, soon};

/// The secret of the nodes and the functions.
pub const SECRET: &str = "it is long enough, and every node has the same";
/// The key of a caller who may submit.
pub const KEY: &str = "the key of ann";

/// One node that publishes only what `publishJob` gives it and reads nothing again by itself, the
/// services that it shares with the functions, and their variables.
pub struct Deployment {
    pub dynamodb: DynamoDb,
    pub step_functions: StepFunctions,
    pub home: Home,
    pub server: Server,
}

impl Deployment {
    /// With the job types `two-steps` and `pass`.
    pub async fn start() -> Deployment {
        let two_steps = json!({ "StartAt": "First", "States": {
            "First": { "Type": "Pass", "Next": "Second" },
            "Second": { "Type": "Wait", "Seconds": 1, "End": true } } });
        let pass =
            json!({ "StartAt": "Only", "States": { "Only": { "Type": "Pass", "End": true } } });
        let home = Home::new()
            .machine("two-steps", &two_steps)
            .machine("pass", &pass);
        let dynamodb = DynamoDb::start().await;
        let step_functions = StepFunctions::start(&home.path("state-machines")).await;
        let home = home
            .config(&format!(
                "repair_every = \"1h\"\n[aws]\ntable = \"{}\"\nstate_machine_arn_prefix = \"{STATE_MACHINES}\"\n\
                 dynamodb_endpoint_url = \"{}\"\nstep_functions_endpoint_url = \"{}\"\nfollow_stream = false\n\
                 steps = \"pushed\"\nsweep = false\n{}",
                DynamoDb::TABLE,
                dynamodb.endpoint,
                step_functions.endpoint,
                callers(),
            ))
            .variable("JOBCAST_SECRET", SECRET)
            .variable("AWS_ACCESS_KEY_ID", "test")
            .variable("AWS_SECRET_ACCESS_KEY", "test")
            .variable("SSL_CERT_FILE", "/nowhere")
            .variable("SSL_CERT_DIR", "/nowhere");
        let server = home.start().await;
        Deployment {
            dynamodb,
            step_functions,
            home,
            server,
        }
    }

    /// The caller who may submit, at the node.
    pub fn client(&self) -> Client {
        self.server.client().with_key(KEY)
    }

    /// The variables of every function.
    pub fn variables(&self) -> Vec<(&'static str, String)> {
        let own = |text: &str| text.to_owned();
        vec![
            (
                "JOBCAST_PUBLISH_URL",
                format!("{}/graphql", self.server.url),
            ),
            ("JOBCAST_SECRET", own(SECRET)),
            ("JOBCAST_AWS_TABLE", own(DynamoDb::TABLE)),
            ("JOBCAST_AWS_STATE_MACHINE_ARN_PREFIX", own(STATE_MACHINES)),
            ("JOBCAST_PUBLIC_URL", own("https://jobs.example.com")),
            (
                "JOBCAST_STATE_MACHINES",
                self.home.path("state-machines").display().to_string(),
            ),
            (
                "JOBCAST_DATA",
                self.home.path("scratch").display().to_string(),
            ),
            ("JOBCAST_CONFIG_TEXT", callers()),
            ("AWS_ENDPOINT_URL_DYNAMODB", self.dynamodb.endpoint.clone()),
            ("AWS_ENDPOINT_URL_SFN", self.step_functions.endpoint.clone()),
            ("AWS_REGION", own("us-east-1")),
            ("AWS_ACCESS_KEY_ID", own("test")),
            ("AWS_SECRET_ACCESS_KEY", own("test")),
            ("SSL_CERT_FILE", own("/nowhere")),
            ("SSL_CERT_DIR", own("/nowhere")),
        ]
    }

    /// Starts functions, each a name and a program.
    pub fn functions(&self, programs: &[(&str, &str)]) -> Functions {
        self.functions_with(programs, &[])
    }

    /// The same with further variables, which replace those of their names.
    pub fn functions_with(&self, programs: &[(&str, &str)], more: &[(&str, &str)]) -> Functions {
        let variables = self.variables();
        let mut all: Vec<_> = variables
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        all.extend(more);
        let programs: Vec<_> = programs
            .iter()
            .map(|(name, program)| (*name, *program, &all[..]))
            .collect();
        Functions::start(&programs)
    }
}

/// The section with the caller who may submit.
fn callers() -> String {
    use sha2::Digest as _;
    let digest = sha2::Sha256::digest(KEY);
    let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    format!(
        "[[auth.api_keys]]\nsha256 = \"{digest}\"\nsubject = \"ann\"\nroles = [\"submitter\"]\n"
    )
}

/// Functions under our Lambda host.
pub struct Functions(Host);

/// The answer of a function, or its error (`errorType`, `errorMessage`).
pub type Answer = Result<Value, Value>;

/// A function: its name, its program and its variables.
pub type FunctionUnderTest<'a> = (&'a str, &'a str, &'a [(&'a str, &'a str)]);

#[derive(Debug)]
struct Waiting(oneshot::Sender<Outcome>);

impl Caller for Waiting {
    fn finished(self: Box<Self>, outcome: Outcome) {
        // A test that has ended waits no more.
        let _ = self.0.send(outcome);
    }
}

impl Functions {
    /// Starts functions: each is a program with variables.
    pub fn start(functions: &[FunctionUnderTest<'_>]) -> Functions {
        let configs = functions
            .iter()
            .map(|(name, program, variables)| FunctionConfig {
                concurrency: 1,
                environment: variables
                    .iter()
                    .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                    .collect::<BTreeMap<_, _>>(),
                ..FunctionConfig::new(name, vec![(*program).to_owned()])
            });
        Functions(Host::new(HostSettings {
            functions: configs.collect(),
            ..HostSettings::default()
        }))
    }

    /// Invokes a function with an event.
    pub async fn invoke(&self, name: &str, event: &Value) -> Answer {
        self.invoke_with(name, event.to_string()).await
    }

    /// The same with the text of an event.
    async fn invoke_with(&self, name: &str, event: String) -> Answer {
        let (sender, receiver) = oneshot::channel();
        self.0
            .invoke(name, event.into(), None, Box::new(Waiting(sender)));
        match soon("the answer of a function", receiver).await.unwrap() {
            Outcome::Success { payload, .. } => Ok(serde_json::from_slice(&payload).unwrap()),
            Outcome::Failed { payload, .. } => Err(serde_json::from_slice(&payload).unwrap()),
            Outcome::Refused { error, message } => {
                Err(json!({ "errorType": error, "errorMessage": message }))
            }
        }
    }
}

impl Drop for Functions {
    fn drop(&mut self) {
        self.0.stop();
    }
}

/// A mapping of one shard with `ReportBatchItemFailures`, `BisectBatchOnFunctionError` and a limit
/// of retries.
pub struct Mapping {
    pub batch_size: usize,
    pub retries: usize,
}

/// What a mapping has done.
#[derive(Debug, Default)]
pub struct Delivered {
    /// The batches that were given up: the numbers of their first and last records, and how many.
    pub given_up: Vec<(String, String, usize)>,
    /// Number of invocations.
    pub invocations: usize,
}

fn sequence(record: &Value) -> &str {
    record["dynamodb"]["SequenceNumber"].as_str().unwrap()
}

impl Mapping {
    /// Delivers the records of a shard to a function until each is done or given up.
    pub async fn deliver(&self, functions: &Functions, name: &str, records: &[Value]) -> Delivered {
        let records = records
            .iter()
            .map(|record| (sequence(record), record.to_string()));
        let records: Vec<(&str, String)> = records.collect();
        let mut delivered = Delivered::default();
        for batch in records.chunks(self.batch_size) {
            // The batches of this one that are left, the next one last.
            let mut left = vec![(batch, 0)];
            while let Some((batch, tries)) = left.pop() {
                delivered.invocations += 1;
                let texts: Vec<&str> = batch.iter().map(|(_, text)| &**text).collect();
                let event = format!(r#"{{"Records":[{}]}}"#, texts.join(","));
                let answer = functions.invoke_with(name, event).await;
                let failed = answer.as_ref().map(|answer| {
                    let failures = answer["batchItemFailures"].as_array();
                    let places = failures.into_iter().flatten().map(|failure| {
                        let named = failure["itemIdentifier"].as_str();
                        let place = batch.iter().position(|(number, _)| Some(*number) == named);
                        // Another identifier fails the whole batch.
                        place.unwrap_or(0)
                    });
                    places.min()
                });
                match failed {
                    Ok(None) => {}
                    // A checkpoint: all from there on come again.
                    Ok(Some(at)) if at > 0 => left.push((&batch[at..], 1)),
                    Err(_) if batch.len() > 1 => {
                        let (first, second) = batch.split_at(batch.len() / 2);
                        left.extend([(second, tries), (first, tries)]);
                    }
                    _ if tries < self.retries => left.push((batch, tries + 1)),
                    _ => {
                        let ends = [batch.first(), batch.last()];
                        let [first, last] = ends.map(|one| one.unwrap().0.to_owned());
                        delivered.given_up.push((first, last, batch.len()));
                    }
                }
            }
        }
        delivered
    }
}

/// The message that a failure destination gets about a batch.
pub fn undelivered(stream: &str, shard: &str, (first, last): (&str, &str)) -> Value {
    let body = json!({
        "requestContext": { "requestId": "c1", "functionArn": "arn:aws:lambda:us-east-1:000000000000:function:lambda-publish",
            "condition": "RetryAttemptsExhausted", "approximateInvokeCount": 4 },
        "responseContext": { "statusCode": 200, "executedVersion": "$LATEST", "functionError": null },
        "version": "1.0", "timestamp": "2026-12-01T00:00:00.000Z",
        "DDBStreamBatchInfo": { "shardId": shard, "startSequenceNumber": first, "endSequenceNumber": last,
            "approximateArrivalOfFirstRecord": "2026-12-01T00:00:00Z", "approximateArrivalOfLastRecord": "2026-12-01T00:00:00Z",
            "batchSize": 1, "streamArn": stream },
    });
    json!({ "Records": [{ "messageId": "m1", "receiptHandle": "r1", "body": body.to_string(), "attributes": {},
        "messageAttributes": {}, "eventSource": "aws:sqs", "eventSourceARN": "arn:aws:sqs:us-east-1:000000000000:undelivered",
        "awsRegion": "us-east-1" }] })
}
