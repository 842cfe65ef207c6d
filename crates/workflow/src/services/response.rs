//! Reading the response of a service, and what is reported if it cannot be read.

/// Maximum bytes of an answer that are read. A result over 256 KiB fails the task.
pub const ANSWER_BYTES: usize = 1024 * 1024;

/// The error's name and cause, as the history shows them.
pub(super) type Failure = (String, String);

/// The body of an answer, bounded.
pub(super) async fn body(mut response: reqwest::Response) -> Result<Vec<u8>, Unread> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(Unread::Broken)? {
        if body.len() + chunk.len() > ANSWER_BYTES {
            return Err(Unread::TooLarge);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// Why a body was not read.
pub(super) enum Unread {
    Broken(reqwest::Error),
    TooLarge,
}

/// An error of the client with what it comes from, which it does not say itself. It never holds the
/// address, which may hold a secret.
pub(super) fn reason(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut text = error.to_string();
    let mut source = std::error::Error::source(&error);
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
