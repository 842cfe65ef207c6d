//! Where the executions of each adapter run during a test.

use std::sync::Arc;
use std::time::Duration;

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_sfn::config::{Credentials, SharedCredentialsProvider};
use resolvers::read_budget::{NoSlot, ReadBudget, Slots};
use resolvers::workflow::Workflow;
use resolvers::workflow::embedded::{self, EmbeddedWorkflow, job_types};
use resolvers::workflow::step_functions::{Settings, StepFunctionsWorkflow};
use serde_json::json;
use sqlite::{Database, Location};
use tokio::net::TcpListener;
use workflow::lambda::{Host, HostSettings};
use workflow::runner::Runner;
use workflow::secret::Admission;
use workflow::{Engine, Machine, Machines, NoListener};

use crate::ears::Ears;

/// A workflow with a recording listener.
pub(crate) struct Place {
    pub(crate) workflow: Arc<dyn Workflow>,
    pub(crate) ears: Arc<Ears>,
    _engine: Engine,
}

/// The state machines of the contract.
fn machines() -> Machines {
    let ask = json!({
        "Type": "Task",
        "Resource": "arn:aws:states:::states:startExecution.waitForTaskToken",
        "Parameters": {
            "StateMachineArn": "arn:aws:states:us-east-1:000000000000:stateMachine:chain",
            "Input": {"answer with": {"token.$": "$$.Task.Token"}},
        },
        "Retry": [{"ErrorEquals": ["Again"], "IntervalSeconds": 1, "MaxAttempts": 1}],
        "End": true,
    });
    let branch =
        |name: &str| json!({"StartAt": name, "States": {name: {"Type": "Pass", "End": true}}});
    let definitions = [
        (
            "chain",
            json!({"Comment": "Two steps", "StartAt": "First", "States": {
                "First": {"Type": "Pass", "Result": {"answer": 42}, "Next": "Second"},
                "Second": {"Type": "Wait", "Seconds": 0, "End": true}}}),
        ),
        (
            "fails",
            json!({"StartAt": "Begin", "States": {"Begin": {"Type": "Pass", "Next": "Fail"},
                "Fail": {"Type": "Fail", "Error": "Wrong", "Cause": "on purpose"}}}),
        ),
        (
            "waits",
            json!({"StartAt": "Wait", "States": {"Wait": {"Type": "Wait", "Seconds": 3600, "End": true}}}),
        ),
        ("asks", json!({"StartAt": "Ask", "States": {"Ask": ask}})),
        (
            "many",
            json!({"StartAt": "Each", "States": {
                "Each": {"Type": "Map", "MaxConcurrency": 1, "ItemProcessor": branch("One"), "Next": "Both"},
                "Both": {"Type": "Parallel", "Branches": [branch("Left"), branch("Right")], "End": true}}}),
        ),
    ];
    let mut machines = Machines::default();
    for (name, definition) in definitions {
        machines.insert(Machine::parse(name, definition.to_string().into(), None).unwrap());
    }
    machines
}

/// A budget without a limit.
#[derive(Debug)]
struct NoBudget;

#[async_trait::async_trait]
impl Slots for NoBudget {
    async fn reserve(&self, now: i64, _: u32) -> Result<i64, NoSlot> {
        Ok(now - 1_000)
    }
}

async fn engine(listener: Arc<dyn workflow::Listener>) -> (Engine, Runner) {
    engine_in(Database::open(&Location::Memory).unwrap(), listener).await
}

pub(crate) async fn engine_in(
    database: Database,
    listener: Arc<dyn workflow::Listener>,
) -> (Engine, Runner) {
    let runner = Runner::new(Host::new(HostSettings::default()));
    let settings = workflow::Settings {
        machines: machines(),
        ..workflow::Settings::default()
    };
    let engine = Engine::open(database, settings, Arc::new(runner.clone()), listener).await;
    (engine.unwrap(), runner)
}

pub(crate) async fn embedded() -> Place {
    let ears = Arc::new(Ears::default());
    let (engine, _) = engine(embedded::listener(ears.clone())).await;
    Place {
        workflow: Arc::new(EmbeddedWorkflow::new(engine.clone())),
        ears,
        _engine: engine,
    }
}

/// The adapter for AWS over our Step Functions API.
pub(crate) async fn step_functions() -> Place {
    let (engine, runner) = engine(Arc::new(NoListener)).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    // It ends with the test's runtime.
    let serving = workflow::internal::serve(
        listener,
        engine.clone(),
        runner,
        Admission::Open,
        std::future::pending(),
    );
    tokio::spawn(serving);
    let credentials = Credentials::new("test", "test", None, None, "test");
    let config = SdkConfig::builder()
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .endpoint_url(endpoint)
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .build();
    let settings = Settings {
        poll: Duration::from_millis(100),
        ..Settings::new("arn:aws:states:us-east-1:000000000000:stateMachine:")
    };
    let ears = Arc::new(Ears::default());
    let workflow = StepFunctionsWorkflow::new(
        &config,
        settings,
        ReadBudget::new(Arc::new(NoBudget)),
        job_types(&machines()),
        ears.clone(),
    );
    Place {
        workflow: Arc::new(workflow),
        ears,
        _engine: engine,
    }
}
