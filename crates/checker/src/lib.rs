//! The delivery promise as a checker: told what a watcher saw, it says which promise was broken, and where.
//!
//! Pure: it opens no connection. A test of yours feeds it, from whatever client it uses:
//!
//! | type | is fed with | proves |
//! |---|---|---|
//! | [`JobTranscript`] | one watcher's `onJob` | first a snapshot, versions only rise, also across reconnects (not across a restore of the store); the newest version and a terminal status arrive |
//! | [`ListTranscript`] | one watcher's `onJobs` | the page, SNAPSHOT, then ENTER, CHANGE and LEAVE that lead to the true list; RESYNC starts anew |
//! | [`History`] | every change of every job | versions neither skip nor fall, and each follows from the one before by the rules of a job |
//!
//! # A test
//!
//! ```
//! use checker::{JobTranscript, Seen};
//! use serde_json::json;
//!
//! let mut transcript = JobTranscript::default();
//!
//! // submitJob has answered with version 1, and now your client subscribes to `onJob`.
//! transcript.subscribed(1, None);
//! transcript.event(Seen::read(&json!({ "version": 1, "status": "QUEUED" }))?);
//! transcript.event(Seen::read(&json!({ "version": 4, "status": "RUNNING" }))?);
//!
//! // The connection is cut. Your client comes back and says what it has: onJob(id: …, after: 4).
//! transcript.subscribed(4, Some(4));
//! transcript.event(Seen::read(&json!({ "version": 7, "status": "SUCCEEDED" }))?);
//! transcript.completed();
//!
//! // At the end, the truth: what getJob answers.
//! let newest = Seen::read(&json!({ "version": 7, "status": "SUCCEEDED" }))?;
//! transcript.finish(newest)?;
//!
//! // A watcher that was left behind.
//! let mut stale = JobTranscript::default();
//! stale.subscribed(1, None);
//! stale.event(Seen::read(&json!({ "version": 1, "status": "QUEUED" }))?);
//! let violation = stale.finish(newest).unwrap_err();
//! assert!(violation.to_string().starts_with("the job is SUCCEEDED in version 7, and the last that was seen is QUEUED in version 1"));
//!
//! // The store was replaced by an older copy of itself, and the client comes back with what it had: it gets the job as it is now.
//! let mut restored = JobTranscript::default();
//! restored.subscribed(1, None);
//! restored.event(newest);
//! restored.restored();
//! restored.subscribed(4, Some(7));
//! restored.event(Seen::read(&json!({ "version": 4, "status": "RUNNING" }))?);
//! restored.finish(Seen::read(&json!({ "version": 4, "status": "RUNNING" }))?)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![cfg_attr(test, expect(clippy::unwrap_used, reason = "a test may panic"))]

mod history;
mod list;
mod seen;
mod transcript;
mod violation;

pub use history::{BrokenHistory, History};
pub use list::{BrokenList, ListEvent, ListEventKind, ListTranscript, ListedJob};
pub use seen::{Seen, Unreadable};
pub use transcript::{BrokenJob, JobTranscript};
pub use violation::Violation;
