//! The emulated AWS of the tests, in their own process: DynamoDB is dynoxide, Step Functions the
//! embedded engine's own API.

use std::path::Path;
use std::sync::Arc;

use aws_config::{BehaviorVersion, Region};
use resolvers::store::JobStore;
use resolvers::store::dynamodb::DynamoDbStore;
use sqlite::{Database, Location};
use tokio::net::TcpListener;
use tokio_util::task::AbortOnDropHandle;
use workflow::lambda::{FunctionConfig, Host, HostSettings};
use workflow::runner::Runner;
use workflow::secret::Admission;
use workflow::{Engine, Machines, NoListener};

/// The prefix of the names of the state machines.
pub const STATE_MACHINES: &str = "arn:aws:states:us-east-1:000000000000:stateMachine:";

/// A DynamoDB with an empty table of jobs.
pub struct DynamoDb {
    /// `http://127.0.0.1:PORT`.
    pub endpoint: String,
    _serving: AbortOnDropHandle<()>,
}

impl DynamoDb {
    /// The table's name.
    pub const TABLE: &str = "jobs";

    pub async fn start() -> DynamoDb {
        let database = dynoxide::Database::memory().unwrap();
        let (listener, endpoint) = listen().await;
        let serving = tokio::spawn(async move {
            dynoxide::server::serve_on(listener, database).await;
        });
        let dynamodb = DynamoDb {
            endpoint,
            _serving: AbortOnDropHandle::new(serving),
        };
        let config = config_at(&dynamodb.endpoint).await;
        let created = DynamoDbStore::create_table(&config, Self::TABLE).await;
        created.unwrap();
        dynamodb
    }

    /// The store, as one more node opens it.
    pub async fn store(&self) -> Arc<dyn JobStore> {
        let config = config_at(&self.endpoint).await;
        Arc::new(DynamoDbStore::open(&config, Self::TABLE).await.unwrap())
    }

    /// Region, credentials and endpoint.
    pub async fn config(&self) -> aws_config::SdkConfig {
        config_at(&self.endpoint).await
    }
}

/// The SDK's configuration for services at an endpoint.
pub async fn config_at(endpoint: &str) -> aws_config::SdkConfig {
    let config = aws_config::defaults(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .endpoint_url(endpoint)
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .test_credentials();
    config.load().await
}

/// A Step Functions with the state machines of a directory, and the Lambda functions `noop1` to
/// `noop3`.
pub struct StepFunctions {
    /// `http://127.0.0.1:PORT`.
    pub endpoint: String,
    host: Host,
    _serving: AbortOnDropHandle<std::io::Result<()>>,
}

impl StepFunctions {
    pub async fn start(state_machines: &Path) -> StepFunctions {
        let program = env!("CARGO_BIN_EXE_jobcast");
        let function = |name: &str| {
            let command = [program, "function", name].map(str::to_owned);
            FunctionConfig::new(name, command.to_vec())
        };
        let host = Host::new(HostSettings {
            functions: ["noop1", "noop2", "noop3"].map(function).to_vec(),
            ..HostSettings::default()
        });
        let runner = Runner::new(host.clone());
        let settings = workflow::Settings {
            machines: Machines::load(state_machines).unwrap(),
            ..workflow::Settings::default()
        };
        let database = Database::open(&Location::Memory).unwrap();
        let engine = Engine::open(
            database,
            settings,
            Arc::new(runner.clone()),
            Arc::new(NoListener),
        );
        let engine = engine.await.unwrap();
        let (listener, endpoint) = listen().await;
        let serving = workflow::internal::serve(
            listener,
            engine,
            runner,
            Admission::Open,
            std::future::pending(),
        );
        StepFunctions {
            endpoint,
            host,
            _serving: AbortOnDropHandle::new(tokio::spawn(serving)),
        }
    }
}

impl Drop for StepFunctions {
    fn drop(&mut self) {
        self.host.stop();
    }
}

/// A free port.
pub async fn listen() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    (listener, endpoint)
}
