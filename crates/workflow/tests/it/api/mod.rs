//! The Step Functions API over HTTP: what a client of AWS sees. The recorded cases are run by
//! `wire`, when they are there.

mod errors;
mod executions;
mod limits;
mod machines;
mod state;
mod wire;

use std::net::SocketAddr;
use std::sync::Arc;

use serde_json::{Value, json};
use sqlite::{Database, Location};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use workflow::lambda::{Host, HostSettings};
use workflow::runner::Runner;
use workflow::secret::Admission;
use workflow::{Engine, Machine, Machines, NoListener, Settings, internal};

use crate::http;
use crate::world::DEADLINE;

pub(crate) const ROLE: &str = "arn:aws:iam::000000000000:role/r";

/// An internal listener with its own database.
pub(crate) struct Door {
    pub(crate) address: SocketAddr,
    directory: Option<TempDir>,
    engine: Engine,
    stop: CancellationToken,
    serving: tokio::task::JoinHandle<()>,
}

/// An error's name and message.
pub(crate) type Refusal = (String, String);

/// A runner without functions and services.
fn no_runner() -> Runner {
    Runner::new(Host::new(HostSettings::default()))
}

impl Door {
    /// On disk, with the state machine `directory` in the directory.
    pub(crate) async fn open() -> Door {
        Door::on(Some(tempfile::tempdir().unwrap()), no_runner()).await
    }

    pub(crate) async fn with_functions(functions: Vec<workflow::lambda::FunctionConfig>) -> Door {
        let host = Host::new(HostSettings {
            functions,
            ..HostSettings::default()
        });
        Door::on(Some(tempfile::tempdir().unwrap()), Runner::new(host)).await
    }

    pub(crate) async fn with_services(services: workflow::services::ServiceSettings) -> Door {
        let host = Host::new(HostSettings::default());
        Door::on(None, Runner::with_services(host, services)).await
    }

    pub(crate) async fn in_memory() -> Door {
        Door::on(None, no_runner()).await
    }

    async fn on(directory: Option<TempDir>, runner: Runner) -> Door {
        let location = match &directory {
            Some(directory) => Location::File(directory.path().join("db")),
            None => Location::Memory,
        };
        let mut machines = Machines::default();
        machines.insert(Machine::parse("directory", wait("$.seconds").into(), None).unwrap());
        let settings = Settings {
            machines,
            ..Settings::default()
        };
        let engine = Engine::open(
            Database::open(&location).unwrap(),
            settings,
            Arc::new(runner.clone()),
            Arc::new(NoListener),
        )
        .await
        .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let stop = CancellationToken::new();
        let serving = {
            let (engine, stop) = (engine.clone(), stop.clone());
            tokio::spawn(async move {
                let stopped = async move { stop.cancelled().await };
                internal::serve(listener, engine, runner, Admission::Open, stopped)
                    .await
                    .unwrap();
            })
        };
        Door {
            address,
            directory,
            engine,
            stop,
            serving,
        }
    }

    /// The same database, opened again.
    pub(crate) async fn again(self) -> Door {
        let directory = self.close().await;
        Door::on(directory, no_runner()).await
    }

    /// Where the database is.
    pub(crate) async fn close(self) -> Option<TempDir> {
        self.stop.cancel();
        self.serving.await.unwrap();
        self.engine.shutdown().await;
        self.directory
    }

    pub(crate) async fn reopen(directory: TempDir) -> Door {
        Door::on(Some(directory), no_runner()).await
    }

    pub(crate) async fn ask(&self, operation: &str, parameters: Value) -> Result<Value, Refusal> {
        self.ask_as("test", operation, parameters).await
    }

    pub(crate) async fn ask_as(
        &self,
        key: &str,
        operation: &str,
        parameters: Value,
    ) -> Result<Value, Refusal> {
        let authorization = format!(
            "AWS4-HMAC-SHA256 Credential={key}/20260101/us-east-1/states/aws4_request, SignedHeaders=host, Signature=0"
        );
        let target = format!("AWSStepFunctions.{operation}");
        let headers = [
            ("x-amz-target", target.as_str()),
            ("content-type", "application/x-amz-json-1.0"),
            ("authorization", authorization.as_str()),
        ];
        let asked = http::call(self.address, "POST", "/", &headers, parameters.to_string());
        let answer = tokio::time::timeout(DEADLINE, asked)
            .await
            .expect("an answer within the deadline");
        let body: Value = serde_json::from_str(&answer.text()).unwrap();
        if answer.status == 200 {
            return Ok(body);
        }
        let text = |field: &str| body[field].as_str().unwrap().to_owned();
        assert_eq!(answer.header("x-amzn-errortype"), body["__type"].as_str());
        Err((text("__type"), text("message")))
    }

    /// The reply, which is no error.
    pub(crate) async fn call(&self, operation: &str, parameters: Value) -> Value {
        let asked = self.ask(operation, parameters.clone()).await;
        asked.unwrap_or_else(|error| panic!("{operation} {parameters}: {error:?}"))
    }

    /// The error's name.
    pub(crate) async fn refused(&self, operation: &str, parameters: Value) -> String {
        match self.ask(operation, parameters.clone()).await {
            Ok(reply) => panic!("{operation} {parameters}: {reply}"),
            Err((name, _)) => name,
        }
    }

    /// Creates a state machine; its ARN.
    pub(crate) async fn machine(&self, name: &str, definition: &str) -> String {
        let parameters = json!({"name": name, "definition": definition, "roleArn": ROLE});
        let created = self.call("CreateStateMachine", parameters).await;
        created["stateMachineArn"].as_str().unwrap().to_owned()
    }

    /// Starts an execution; its ARN.
    pub(crate) async fn start(&self, machine: &str, input: &Value) -> String {
        let parameters = json!({"stateMachineArn": machine, "input": input.to_string()});
        let started = self.call("StartExecution", parameters).await;
        started["executionArn"].as_str().unwrap().to_owned()
    }

    /// The execution once it has ended.
    pub(crate) async fn ended(&self, execution: &str) -> Value {
        let (machine, name) = {
            let parts: Vec<&str> = execution.split(':').collect();
            (parts[6].to_owned(), parts[7].to_owned())
        };
        tokio::time::timeout(DEADLINE, self.engine.end(Some(&machine), &name))
            .await
            .expect("an end within the deadline")
            .unwrap();
        self.call("DescribeExecution", json!({"executionArn": execution}))
            .await
    }
}

/// A definition of one Wait.
pub(crate) fn wait(seconds: &str) -> String {
    json!({"StartAt": "Wait", "States": {"Wait": {"Type": "Wait", "SecondsPath": seconds, "End": true}}}).to_string()
}

/// A definition of one Pass with a result.
pub(crate) fn pass(result: &Value) -> String {
    json!({"StartAt": "Pass", "States": {"Pass": {"Type": "Pass", "Result": result, "End": true}}})
        .to_string()
}

pub(crate) fn text<'a>(reply: &'a Value, field: &str) -> &'a str {
    reply[field]
        .as_str()
        .unwrap_or_else(|| panic!("no {field} in {reply}"))
}
