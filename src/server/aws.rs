//! Jobs in DynamoDB, executions in AWS Step Functions, files in S3 or in a directory that the nodes
//! share. This process runs only the reading of histories, and all nodes are equal: all data is
//! kept in AWS.

use std::sync::Arc;
use std::time::Duration;

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_smithy_http_client::Builder;
use object_store::ObjectStore;
use resolvers::files::{Outage, PART_BYTES, S3_PART_BYTES};
use resolvers::jobs::Sweeps;
use resolvers::read_budget::ReadBudget;
use resolvers::store::dynamodb::DynamoDbStore;
use resolvers::token::Signer;
use resolvers::workflow::embedded::job_types;
use resolvers::workflow::step_functions::{Follow, Settings, StepFunctionsWorkflow};

use super::adapters::{AdapterContext, Adapters, directory};
use super::bucket;
use super::error::ServeError;
use super::listener::base;
use crate::config::{Address, Aws, ConfigError, Steps};
use crate::data::shared_files;

/// Interval between two deletions of expired jobs. Each looks at every shard of an index, on every
/// node, and the time to live of the table deletes jobs too.
const PURGE_EVERY: Duration = Duration::from_secs(10 * 60);

/// Opens the adapters with the credentials that the AWS SDKs find.
pub(super) async fn open(aws: &Aws, context: AdapterContext<'_>) -> Result<Adapters, ServeError> {
    let signer = signer(aws)?;
    let config = sdk_config(aws).await;
    let objects: Arc<dyn ObjectStore> = match &aws.bucket {
        Some(bucket) => {
            let objects = bucket::open(aws, bucket, &config)?;
            bucket::look_at(&objects, aws, bucket).await;
            Arc::new(objects)
        }
        None => Arc::new(directory(shared_files(&context.config.data)?)?),
    };
    let dynamodb = at(&config, aws.dynamodb_endpoint());
    let store = table(aws, &dynamodb, context.checks_at_start).await?;
    let workflow = StepFunctionsWorkflow::new(
        &at(&config, aws.step_functions_endpoint()),
        Settings {
            follow: match aws.steps {
                Steps::Read => Follow::Read,
                Steps::Pushed => Follow::Pushed,
            },
            ..Settings::new(&aws.state_machine_arn_prefix)
        },
        ReadBudget::new(Arc::new(store.clone())),
        job_types(&context.machines),
        context.events.clone(),
    );
    if context.checks_at_start {
        warn_of_machines(&workflow).await;
    }
    if context.checks_at_start && !aws.follow_stream && context.config.broker.url.is_none() {
        tracing::warn!(
            "follow_stream of [aws] is false and there is no [broker]: watchers of this node receive what `publishJob` gives it, and other changes only at the next repair (repair_every)"
        );
    }
    Ok(Adapters {
        store: Arc::new(store),
        workflow: Arc::new(workflow),
        objects,
        part_bytes: match aws.bucket {
            Some(_) => S3_PART_BYTES,
            None => PART_BYTES,
        },
        outage_of: match aws.bucket {
            Some(_) => bucket::outage_of,
            None => |_| Outage::Full,
        },
        sweeps_files: aws.bucket.is_none(),
        sweeps: if aws.sweep {
            Sweeps::Shared
        } else {
            Sweeps::Elsewhere
        },
        purge_every: PURGE_EVERY,
        signer,
        report_url: format!("{}/graphql", base(context.config, context.public)),
        follows_changes: aws.follow_stream,
        queues: None,
        internal: None,
        embedded: None,
    })
}

/// The store alone, for a function that needs nothing else.
#[cfg(feature = "lambda")]
pub(super) async fn store(aws: &Aws) -> Result<DynamoDbStore, ServeError> {
    let dynamodb = at(&sdk_config(aws).await, aws.dynamodb_endpoint());
    table(aws, &dynamodb, false).await
}

/// The job table; with `checks` its form and the permissions are checked.
async fn table(aws: &Aws, config: &SdkConfig, checks: bool) -> Result<DynamoDbStore, ServeError> {
    let opened = async {
        let store = DynamoDbStore::open(config, &aws.table).await?;
        if checks {
            store.check_access().await?;
        }
        Ok(store)
    };
    opened.await.map_err(|source| ServeError::Table {
        table: aws.table.clone(),
        source,
    })
}

/// Logs what is wrong with the deployed state machines. The node starts: other job types run, and a
/// deployment may follow.
async fn warn_of_machines(workflow: &StepFunctionsWorkflow) {
    match workflow.check_machines().await {
        Ok(problems) => problems
            .iter()
            .for_each(|problem| tracing::warn!("{problem}")),
        Err(error) => {
            tracing::warn!(%error, "the deployed state machines were not compared with the files");
        }
    }
}

/// Creates the table of the jobs.
pub(super) async fn create_table(aws: &Aws) -> Result<(), ServeError> {
    let config = at(&sdk_config(aws).await, aws.dynamodb_endpoint());
    let created = DynamoDbStore::create_table(&config, &aws.table).await;
    created.map_err(|source| ServeError::CreateTable {
        table: aws.table.clone(),
        source,
    })
}

/// The signer of the configured secret.
fn signer(aws: &Aws) -> Result<Signer, ServeError> {
    let secret = aws.secret.as_ref().ok_or(ConfigError::NoSecret)?;
    Ok(Signer::of_secret(&secret.0))
}

/// Region and credentials.
async fn sdk_config(aws: &Aws) -> SdkConfig {
    let mut loader = aws_config::defaults(BehaviorVersion::latest())
        .region(Region::new(aws.region().to_owned()));
    // S3 has its own client.
    let endpoints = [aws.dynamodb_endpoint(), aws.step_functions_endpoint()];
    if endpoints.into_iter().flatten().filter(is_plain).count() == endpoints.len() {
        // No endpoint uses TLS, so root certificates are not searched.
        loader = loader.http_client(Builder::new().build_http());
    }
    loader.load().await
}

/// The configuration for a service with another endpoint.
fn at(config: &SdkConfig, endpoint: Option<&Address>) -> SdkConfig {
    let Some(endpoint) = endpoint else {
        return config.clone();
    };
    let mut there = config.to_builder().endpoint_url(endpoint.as_str());
    if is_plain(&endpoint) {
        // The default client needs the machine's certificates even where it does not use them.
        there.set_http_client(Some(Builder::new().build_http()));
    }
    there.build()
}

fn is_plain(address: &&Address) -> bool {
    address.as_str().starts_with("http://")
}
