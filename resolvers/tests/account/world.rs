//! An account of AWS in this process: DynamoDB, and Step Functions behind a proxy.

use std::sync::Arc;
use std::time::Duration;

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_sfn::config::{Credentials, SharedCredentialsProvider};
use job::{Job, JobId};
use object_store::memory::InMemory;
use resolvers::files::Files;
use resolvers::jobs::{ExecutionEvents, Settings, SubmitJob, Sweeps};
use resolvers::read_budget::ReadBudget;
use resolvers::store::dynamodb::DynamoDbStore;
use resolvers::token::Signer;
use resolvers::workflow::embedded::job_types;
use resolvers::workflow::step_functions::{self, Follow, StepFunctionsWorkflow};
use resolvers::{Caller, Resolvers};
use serde_json::{Value, json};
use sqlite::{Database, Location};
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;
use workflow::lambda::{Host, HostSettings};
use workflow::runner::Runner;
use workflow::secret::Admission;
use workflow::{Engine, Machine, Machines, NoListener};

use crate::proxy::Proxy;

/// Time allowed for anything here.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);
const TABLE: &str = "jobs";
const PREFIX: &str = "arn:aws:states:us-east-1:000000000000:stateMachine:";

pub(crate) struct World {
    pub(crate) proxy: Arc<Proxy>,
    pub(crate) engine: Engine,
    dynamodb: SdkConfig,
}

/// One node of the service.
pub(crate) struct Node {
    pub(crate) resolvers: Resolvers,
    pub(crate) workflow: StepFunctionsWorkflow,
    _stop: DropGuard,
}

fn machines() -> Machines {
    let wait = |seconds: u32| {
        json!({ "StartAt": "First", "States": {
        "First": { "Type": "Wait", "Seconds": seconds, "Next": "Second" },
        "Second": { "Type": "Wait", "Seconds": 0, "End": true } } })
    };
    let mut machines = Machines::default();
    for (name, definition) in [("short", wait(1)), ("long", wait(3600))] {
        machines.insert(Machine::parse(name, definition.to_string().into(), None).unwrap());
    }
    machines
}

fn config(endpoint: &str) -> SdkConfig {
    let credentials = Credentials::new("test", "test", None, None, "test");
    SdkConfig::builder()
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .endpoint_url(endpoint)
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .build()
}

impl World {
    pub(crate) async fn start() -> World {
        let database = dynoxide::Database::memory().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let dynamodb = config(&format!("http://{}", listener.local_addr().unwrap()));
        tokio::spawn(dynoxide::server::serve_on(listener, database));
        DynamoDbStore::create_table(&dynamodb, TABLE).await.unwrap();
        let runner = Runner::new(Host::new(HostSettings::default()));
        let settings = workflow::Settings {
            machines: machines(),
            ..workflow::Settings::default()
        };
        let engine = Engine::open(
            Database::open(&Location::Memory).unwrap(),
            settings,
            Arc::new(runner.clone()),
            Arc::new(NoListener),
        );
        let engine = engine.await.unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let upstream = listener.local_addr().unwrap().to_string();
        let serving = workflow::internal::serve(
            listener,
            engine.clone(),
            runner,
            Admission::Open,
            std::future::pending(),
        );
        tokio::spawn(serving);
        World {
            proxy: Proxy::start(upstream).await,
            engine,
            dynamodb,
        }
    }

    pub(crate) async fn store(&self) -> DynamoDbStore {
        DynamoDbStore::open(&self.dynamodb, TABLE).await.unwrap()
    }

    pub(crate) async fn node(&self, follow: Follow, sweeps: Sweeps) -> Node {
        self.node_at(PREFIX, follow, sweeps).await
    }

    pub(crate) async fn node_at(&self, prefix: &str, follow: Follow, sweeps: Sweeps) -> Node {
        let store = self.store().await;
        let events = Arc::new(ExecutionEvents::default());
        let settings = step_functions::Settings {
            follow,
            ..step_functions::Settings::new(prefix)
        };
        let workflow = StepFunctionsWorkflow::new(
            &config(&self.proxy.endpoint),
            settings,
            ReadBudget::new(Arc::new(store.clone())),
            job_types(&machines()),
            Arc::clone(&events) as _,
        );
        let signer = Signer::new([7; 32]);
        let url = "http://127.0.0.1:8080".to_owned();
        let files = Files::new(Arc::new(InMemory::new()), signer.clone(), url);
        let settings = Settings {
            report_url: "http://127.0.0.1:8080/graphql".to_owned(),
            retention_millis: None,
            report_life_millis: 60_000,
        };
        let resolvers = Resolvers::new(
            Arc::new(store),
            Arc::new(workflow.clone()),
            files,
            signer,
            settings,
        );
        let stop = CancellationToken::new();
        events.run(&resolvers, sweeps, &TaskTracker::new(), &stop);
        Node {
            resolvers,
            workflow,
            _stop: stop.drop_guard(),
        }
    }
}

impl Node {
    pub(crate) async fn submit(&self, job_type: &str, input: &Value) -> JobId {
        let submit = SubmitJob {
            job_type: job_type.to_owned(),
            input: Some(input.to_string().into()),
            ..SubmitJob::default()
        };
        let job = self.resolvers.submit_job(&Caller::dev(), submit).await;
        job.unwrap().id
    }

    pub(crate) async fn job(&self, id: JobId) -> Arc<Job> {
        self.resolvers.store().get(id).await.unwrap().unwrap()
    }

    /// Reads the job until it is as wanted.
    pub(crate) async fn until(&self, id: JobId, wanted: impl Fn(&Job) -> bool) -> Arc<Job> {
        let search = async {
            loop {
                let job = self.job(id).await;
                if wanted(&job) {
                    return job;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let found = tokio::time::timeout(DEADLINE, search).await;
        match found {
            Ok(job) => job,
            Err(_) => panic!("not in time: {:?}", self.job(id).await),
        }
    }
}
