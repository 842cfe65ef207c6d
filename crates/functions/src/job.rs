//! The job behind an event: whom to tell about progress. It holds no state of the job and never decides anything.

use std::sync::Arc;

use serde::Deserialize;
use serde_json::Value;

use crate::client::{Client, address};
use crate::error::Error;
use crate::report::{Destination, Report, Reporter};

/// The longest message that is reported, in bytes; a longer one is cut at a character and ends in `…`.
pub const MAX_MESSAGE_BYTES: usize = 1024;

/// A handle on the job that an event belongs to. Clones share it; reports may come from any thread.
///
/// A job handle without a job (the event had no `job` field: a function invoked by hand) takes every report and drops
/// it, so that a function runs the same everywhere.
///
/// Reports are sent by a task on the function's Tokio runtime. A handler that computes for long without an `.await`
/// on a single-threaded runtime keeps that task from running: put such work into `tokio::task::spawn_blocking`.
#[derive(Debug, Clone)]
pub struct Job {
    pub(crate) inner: Arc<Inner>,
}

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) client: Client,
    pub(crate) to: Option<Destination>,
    reporter: Option<Reporter>,
}

/// The `job` object of an event, as a state machine passes it on.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct JobField {
    id: String,
    #[serde(default)]
    step: Option<String>,
    report_url: String,
    report_token: String,
}

impl Job {
    /// The job that `event` belongs to: its field `job`, or no job when there is none.
    ///
    /// # Errors
    /// [`Error::InvalidEvent`] when `job` is there without `id`, `reportUrl` or `reportToken`, or with an address
    /// that is not `http` or `https`.
    pub fn from_event(event: &Value) -> Result<Self, Error> {
        Self::with_client(event, Client::new())
    }

    /// As [`Self::from_event`], on connections that other jobs of this process use too.
    ///
    /// # Errors
    /// As [`Self::from_event`].
    pub fn with_client(event: &Value, client: Client) -> Result<Self, Error> {
        let to = match event.get("job") {
            None | Some(Value::Null) => None,
            Some(field) => {
                let field = JobField::deserialize(field)
                    .map_err(|error| Error::InvalidEvent(error.to_string()))?;
                let url = address(&field.report_url, None)
                    .map_err(|error| Error::InvalidEvent(format!("`reportUrl`: {error}")))?;
                Some(Destination {
                    id: field.id,
                    step: field.step,
                    url,
                    token: field.report_token,
                })
            }
        };
        let reporter = to.clone().map(|to| Reporter::new(to, client.clone()));
        Ok(Self {
            inner: Arc::new(Inner {
                client,
                to,
                reporter,
            }),
        })
    }

    /// The job's id, if the event has a job.
    #[must_use]
    pub fn id(&self) -> Option<&str> {
        self.inner.to.as_ref().map(|to| to.id.as_str())
    }

    /// The step that this invocation is, if the definition passes it.
    #[must_use]
    pub fn step(&self) -> Option<&str> {
        self.inner.to.as_ref()?.step.as_deref()
    }

    /// Tells how far this step is, in percent (more than 100 counts as 100), and in words. Returns at once; at most one
    /// report goes out per [`REPORT_INTERVAL`](crate::REPORT_INTERVAL), the newest.
    pub fn progress(&self, percent: u8, message: impl Into<String>) {
        let message = Some(shorten(message.into()));
        self.offer(Report {
            progress: Some(percent.min(100)),
            message,
            items: None,
        });
    }

    /// Tells in words what is going on, without a number.
    pub fn message(&self, message: impl Into<String>) {
        self.offer(Report {
            message: Some(shorten(message.into())),
            ..Report::default()
        });
    }

    /// Tells how many of how many items are done. Numbers over 2,147,483,647 (GraphQL's `Int`) count as that.
    pub fn items(&self, done: u64, total: u64) {
        let bound = |number: u64| number.min(i32::MAX as u64) as u32;
        self.offer(Report {
            items: Some((bound(done.min(total)), bound(total))),
            ..Report::default()
        });
    }

    /// Says "still at work" at once, together with anything not yet sent, and learns whether anybody still wants it.
    ///
    /// # Errors
    /// [`Error::Refused`] when the job is over (cancelled, timed out) or its token has expired: a good moment to stop.
    /// [`Error::Unavailable`] when the server cannot be reached; work may go on.
    pub async fn heartbeat(&self) -> Result<(), Error> {
        self.offer(Report::default());
        self.flush().await
    }

    /// Why reports no longer arrive: the job is over, or its token has expired. Costs nothing to ask.
    #[must_use]
    pub fn stopped(&self) -> Option<Error> {
        self.inner
            .reporter
            .as_ref()?
            .failure()
            .filter(Error::is_final)
    }

    /// Sends what is not yet sent and waits for it, at most [`FLUSH_TIMEOUT`](crate::FLUSH_TIMEOUT).
    /// [`run`](crate::run) does this after every invocation.
    ///
    /// # Errors
    /// Why the last report did not arrive. A function may well ignore it.
    pub async fn flush(&self) -> Result<(), Error> {
        match &self.inner.reporter {
            Some(reporter) => reporter.flush().await,
            None => Ok(()),
        }
    }

    fn offer(&self, report: Report) {
        if let Some(reporter) = &self.inner.reporter {
            reporter.offer(report);
        }
    }
}

fn shorten(mut message: String) -> String {
    if message.len() > MAX_MESSAGE_BYTES {
        let end = message.floor_char_boundary(MAX_MESSAGE_BYTES - '…'.len_utf8());
        message.truncate(end);
        message.push('…');
    }
    message
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_event_without_a_job_makes_a_silent_handle() {
        for event in [json!({}), json!({"job": null}), json!([1]), json!(7)] {
            let job = Job::from_event(&event).unwrap();
            job.progress(50, "half");
            assert_eq!((job.id(), job.step(), job.stopped()), (None, None, None));
        }
    }

    #[test]
    fn a_broken_job_field_is_named() {
        let cases = [
            (json!({"job": 1}), "invalid type"),
            (
                json!({"job": {"id": "1", "reportUrl": "http://h/graphql"}}),
                "reportToken",
            ),
            (
                json!({"job": {"id": "1", "reportUrl": "file:///x", "reportToken": "t"}}),
                "reportUrl",
            ),
        ];
        for (event, part) in cases {
            let error = Job::from_event(&event).unwrap_err();
            assert_eq!(error.name(), "InvalidEvent");
            assert!(error.to_string().contains(part), "{error}");
        }
    }

    #[test]
    fn messages_are_cut_at_the_limit_and_at_a_character() {
        assert_eq!(
            shorten("x".repeat(MAX_MESSAGE_BYTES)),
            "x".repeat(MAX_MESSAGE_BYTES)
        );
        let cut = shorten("ü".repeat(MAX_MESSAGE_BYTES));
        assert!(
            cut.len() <= MAX_MESSAGE_BYTES && cut.ends_with("ü…"),
            "{} bytes",
            cut.len()
        );
    }
}
