//! Results of mutations: uploads, watch tokens, and the jobs of a batch.

use async_graphql::{ComplexObject, SimpleObject};
use resolvers::files::Upload;
use resolvers::jobs::WatchToken;

use super::job::JobObject;
use crate::graphql::schema::scalar::AwsDateTime;

/// The addresses for one file.
#[derive(Clone, Debug, SimpleObject)]
#[graphql(name = "Upload")]
pub struct UploadObject {
    /// The file's key.
    id: async_graphql::ID,
    /// The file's name.
    name: String,
    /// The address to PUT the bytes to, until `expiresAt`.
    put_url: String,
    /// The address to GET the bytes from, for seven days. It needs no credentials.
    get_url: String,
    /// When the PUT address expires.
    expires_at: AwsDateTime,
}

impl From<Upload> for UploadObject {
    fn from(upload: Upload) -> Self {
        Self {
            id: upload.id.into(),
            name: upload.name,
            put_url: upload.put_url,
            get_url: upload.get_url,
            expires_at: AwsDateTime(upload.expires_at),
        }
    }
}

/// A token that can only read one job.
#[derive(Clone, Debug, SimpleObject)]
#[graphql(name = "WatchToken")]
pub struct WatchTokenObject {
    /// The token; send it as `Authorization: Bearer TOKEN`.
    token: String,
    /// When the token expires.
    expires_at: AwsDateTime,
}

impl From<WatchToken> for WatchTokenObject {
    fn from(token: WatchToken) -> Self {
        Self {
            token: token.token,
            expires_at: AwsDateTime(token.expires_at),
        }
    }
}

/// The result for one job of a batch: the job, or the error.
#[derive(Clone, Debug, SimpleObject)]
#[graphql(complex)]
pub struct SubmitJobResult {
    /// The job, if it was accepted.
    pub job: Option<JobObject>,
    /// What went wrong, when it was not.
    #[graphql(skip)]
    pub failure: Option<(String, &'static str)>,
}

/// An error of one job of a batch.
#[derive(Clone, Debug, SimpleObject)]
pub struct SubmitJobError {
    /// The code, as `errorType` of other errors.
    code: String,
    /// A description of the error.
    message: String,
}

#[ComplexObject]
impl SubmitJobResult {
    /// The error, if the job was not accepted.
    async fn error(&self) -> Option<SubmitJobError> {
        self.failure.as_ref().map(|(message, code)| SubmitJobError {
            code: (*code).to_owned(),
            message: message.clone(),
        })
    }
}
