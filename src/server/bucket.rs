//! Files in an S3 bucket, with the region and the credentials of the other AWS services.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use aws_config::SdkConfig;
use aws_credential_types::Credentials;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use object_store::aws::{AmazonS3, AmazonS3Builder, AwsCredential};
use object_store::client::{HttpClient, HttpConnector};
use object_store::path::Path;
use object_store::{
    ClientOptions, CredentialProvider, Error, ObjectStoreExt, PutPayload, RetryConfig,
};
use resolvers::files::Outage;
use tokio::sync::Mutex;

use super::error::ServeError;
use crate::config::Aws;

/// Time allowed for connecting.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);
/// Time allowed for an answer, and for each further part of it.
pub(super) const ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// Maximum number of retries of a request.
const RETRIES: usize = 3;
/// Time after which a request is not tried again.
const RETRY_WITHIN: Duration = Duration::from_secs(15);
/// The object that a node writes at its start.
const PROBE: &str = "jobcast-probe";
/// Time before their expiry at which credentials are renewed, and the lifetime of credentials
/// without an expiry.
const RENEW_BEFORE: Duration = Duration::from_secs(5 * 60);

/// Opens the bucket without a request to it.
pub(super) fn open(aws: &Aws, bucket: &str, config: &SdkConfig) -> Result<AmazonS3, ServeError> {
    let failed = |source: Box<dyn std::error::Error + Send + Sync>| ServeError::Bucket {
        bucket: bucket.to_owned(),
        source,
    };
    let provider = config.credentials_provider();
    let provider = provider.ok_or_else(|| failed("there are no credentials".into()))?;
    let mut builder = AmazonS3Builder::new()
        .with_bucket_name(bucket)
        .with_region(aws.region())
        .with_credentials(Arc::new(SdkCredentials {
            provider,
            known: Mutex::default(),
        }))
        .with_http_connector(Connector)
        .with_retry(RetryConfig {
            max_retries: RETRIES,
            retry_timeout: RETRY_WITHIN,
            ..RetryConfig::default()
        })
        .with_virtual_hosted_style_request(true);
    if let Some(endpoint) = aws.s3_endpoint() {
        builder = builder
            .with_endpoint(endpoint.as_str())
            .with_virtual_hosted_style_request(false)
            .with_allow_http(true);
    }
    builder.build().map_err(|error| failed(Box::new(error)))
}

/// Writes and reads a small object. Jobs that use no files run without a bucket, so a problem is
/// logged and the node starts.
pub(super) async fn look_at(objects: &AmazonS3, aws: &Aws, bucket: &str) {
    let probe = Path::from(PROBE);
    let looked = async {
        objects
            .put(&probe, PutPayload::from_static(b"jobcast"))
            .await?;
        objects.get(&probe).await?.bytes().await.map(drop)
    };
    if let Err(error) = looked.await {
        let region = aws.region();
        tracing::error!(%error, bucket, region, "the bucket of [aws] cannot be used, so uploads fail: {}", advice(&error));
    }
}

fn advice(error: &Error) -> &'static str {
    let said = error.to_string();
    match error {
        Error::NotFound { .. } => "there is no such bucket; create it, or check bucket",
        Error::PermissionDenied { .. } | Error::Unauthenticated { .. } => {
            "the credentials must be valid and allow s3:PutObject, s3:GetObject and s3:AbortMultipartUpload on its objects"
        }
        _ if said.contains("PermanentRedirect")
            || said.contains("incorrectly configured region") =>
        {
            "it is in another region; check region"
        }
        _ => "S3 does not answer as expected",
    }
}

/// Why S3 failed.
pub(super) fn outage_of(error: &Error) -> Outage {
    let said = error.to_string();
    let refused = ["status code: 3", "status code: 4", "configured region"];
    match error {
        Error::NotFound { .. } if !said.contains("NoSuchBucket") => Outage::Busy,
        Error::NotFound { .. } | Error::PermissionDenied { .. } | Error::Unauthenticated { .. } => {
            Outage::Broken
        }
        _ if said.contains("status code: 429") || said.contains("SlowDown") => Outage::Busy,
        _ if refused.iter().any(|text| said.contains(text)) => Outage::Broken,
        _ => Outage::Busy,
    }
}

/// The SDK's credentials, cached until they are renewed.
#[derive(Debug)]
struct SdkCredentials {
    provider: SharedCredentialsProvider,
    known: Mutex<Option<(Arc<AwsCredential>, SystemTime)>>,
}

#[async_trait]
impl CredentialProvider for SdkCredentials {
    type Credential = AwsCredential;

    async fn get_credential(&self) -> object_store::Result<Arc<AwsCredential>> {
        let mut known = self.known.lock().await;
        if let Some((credential, until)) = &*known
            && SystemTime::now() < *until
        {
            return Ok(Arc::clone(credential));
        }
        let found = self.provider.provide_credentials().await;
        let found = found.map_err(|source| object_store::Error::Unauthenticated {
            path: String::new(),
            source: Box::new(source),
        })?;
        let credential = Arc::new(AwsCredential {
            key_id: found.access_key_id().to_owned(),
            secret_key: found.secret_access_key().to_owned(),
            token: found.session_token().map(str::to_owned),
        });
        *known = Some((Arc::clone(&credential), renewal(&found)));
        Ok(credential)
    }
}

fn renewal(credentials: &Credentials) -> SystemTime {
    let expiry = credentials.expiry();
    expiry.map_or_else(
        || SystemTime::now() + RENEW_BEFORE,
        |expiry| expiry.checked_sub(RENEW_BEFORE).unwrap_or(expiry),
    )
}

/// Connects as the rest of the server does: TLS with ring.
#[derive(Debug)]
struct Connector;

impl HttpConnector for Connector {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        // A second installation fails, which is right: the first one is the same.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let builder = || {
            outgoing::client()
                .redirect(reqwest::redirect::Policy::none())
                .connect_timeout(CONNECT_WITHIN)
                .read_timeout(ANSWER_WITHIN)
        };
        // A machine without root certificates can still reach a plain endpoint.
        let client = builder().build().or_else(|error| {
            tracing::warn!(%error, "no TLS roots found: https addresses of S3 will not be trusted");
            builder().tls_certs_only([]).build()
        });
        client
            .map(HttpClient::new)
            .map_err(|error| object_store::Error::Generic {
                store: "S3",
                source: Box::new(error),
            })
    }
}
