//! The storage of each adapter during a test, and how its store is opened.

use std::sync::Arc;

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_dynamodb::config::{Credentials, SharedCredentialsProvider};
use resolvers::store::JobStore;
use resolvers::store::dynamodb::DynamoDbStore;
use resolvers::store::sqlite::SqliteStore;
use sqlite::{Database, Location};

/// New storage for jobs. It is kept until the test ends.
pub(crate) enum Place {
    Memory,
    Disk(tempfile::TempDir),
    DynamoDb {
        config: Box<SdkConfig>,
        table: String,
    },
}

pub(crate) async fn in_memory() -> Option<Place> {
    Some(Place::Memory)
}

pub(crate) async fn on_disk() -> Option<Place> {
    Some(Place::Disk(tempfile::tempdir().unwrap()))
}

/// DynamoDB in this process.
pub(crate) async fn dynamodb() -> Option<Place> {
    let database = dynoxide::Database::memory().unwrap();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    // It ends with the test's runtime.
    tokio::spawn(dynoxide::server::serve_on(listener, database));
    Some(table_at(&endpoint).await)
}

/// DynamoDB at the endpoint of the environment, if it is set.
pub(crate) async fn dynamodb_endpoint() -> Option<Place> {
    match std::env::var("JOBCAST_TEST_DYNAMODB") {
        Ok(endpoint) => Some(table_at(&endpoint).await),
        Err(_) => {
            println!("skipped: JOBCAST_TEST_DYNAMODB names no endpoint");
            None
        }
    }
}

async fn table_at(endpoint: &str) -> Place {
    let credentials = Credentials::new("test", "test", None, None, "test");
    let mut config = SdkConfig::builder();
    if endpoint.starts_with("http://") {
        config = config.http_client(aws_smithy_http_client::Builder::new().build_http());
    }
    let config = config
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("eu-central-1"))
        .endpoint_url(endpoint)
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .build();
    let table = format!("jobs-{}", uuid::Uuid::new_v4().simple());
    DynamoDbStore::create_table(&config, &table).await.unwrap();
    Place::DynamoDb {
        config: Box::new(config),
        table,
    }
}

impl Place {
    /// Opens the store, or opens it again.
    pub(crate) async fn open(&self) -> Arc<dyn JobStore> {
        match self {
            Place::Memory => sqlite(&Location::Memory),
            Place::Disk(directory) => sqlite(&Location::File(directory.path().join("jobs"))),
            Place::DynamoDb { config, table } => {
                Arc::new(DynamoDbStore::open(config, table).await.unwrap())
            }
        }
    }

    /// Whether jobs survive a close of the store.
    pub(crate) fn lasts(&self) -> bool {
        !matches!(self, Place::Memory)
    }

    /// A number of changes that exceeds what the adapter keeps in memory for a subscriber.
    pub(crate) fn many_changes(&self) -> u64 {
        match self {
            Place::Memory | Place::Disk(_) => 10_000,
            Place::DynamoDb { .. } => 300,
        }
    }

    /// Whether a purge can move the feed forward by a day.
    pub(crate) fn forgets_at_purge(&self) -> bool {
        matches!(self, Place::Memory | Place::Disk(_))
    }
}

fn sqlite(location: &Location) -> Arc<dyn JobStore> {
    let database = Database::open(location).unwrap();
    Arc::new(SqliteStore::open(database).unwrap())
}
