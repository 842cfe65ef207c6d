//! Payloads of events without an execution: the selection of a watch's plan is compiled once, and
//! written for each event. This counts where each watcher has its own job and shares no execution.
//!
//! The result is the library's, for fields that are read from the event alone. A plan that selects
//! more (`input`, `result`, `history`) is executed.

use std::fmt::Display;
use std::io::Write as _;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use job::{Job, JobError, Step};

use crate::graphql::held::Held;
use crate::graphql::request::plan::{Plan, Planned};
use crate::graphql::schema::object::int;
use crate::realtime::hub::{Event, JobChange, Render};

/// Approximate size of a payload, in bytes.
const PAYLOAD: usize = 512;

/// The selection of a document from an event.
pub(in crate::graphql) struct Payload {
    /// `{"data":{"onJob":`
    beginning: Box<str>,
    root: Root,
}

/// A payload whose memory is counted until it is dropped.
struct Counted {
    payload: Arc<Payload>,
    #[expect(dead_code, reason = "it counts until it is dropped")]
    held: Held,
}

enum Root {
    Job(Selection<Job>),
    Jobs(Selection<JobChange>),
}

impl Payload {
    /// `None`: the plan is to be executed. The plan's root is one field.
    pub(super) fn of(plan: &Plan) -> Option<Self> {
        let [field] = &plan.fields[..] else {
            return None;
        };
        let below = field.fields.as_deref()?;
        let root = match field.name.as_str() {
            "onJob" => Root::Job(select(below)?),
            "onJobs" => Root::Jobs(select(below)?),
            _ => return None,
        };
        Some(Self {
            beginning: beginning(field),
            root,
        })
    }

    /// The payload for a group of watchers, counted in a caller's memory if that is counted.
    pub(in crate::graphql) fn render(self: &Arc<Self>, held: Option<Held>) -> Arc<dyn Render> {
        let payload = Arc::clone(self);
        match held {
            Some(held) => Arc::new(Counted { payload, held }),
            None => payload,
        }
    }

    fn write(&self, event: &Event) -> Bytes {
        body(&self.beginning, |out| match (&self.root, event) {
            (Root::Job(selection), Event::Job(job)) => selection.write(job, out),
            (Root::Jobs(selection), Event::Jobs(change)) => selection.write(change, out),
            _ => out.extend_from_slice(b"null"),
        })
    }
}

/// The selection of a document from the jobs that its root fields return, which is equal for all of
/// them.
pub(super) struct PublishJobResponse {
    /// What is written before each job: `{"data":{"a":`, then `,"b":`.
    beginnings: Vec<Box<str>>,
    selection: Selection<Job>,
}

impl PublishJobResponse {
    /// `None`: the plan is to be executed.
    pub(super) fn of(plan: &Plan) -> Option<Self> {
        let (first, others) = plan.fields.split_first()?;
        let others = others
            .iter()
            .map(|field| format!(r#","{}":"#, field.key).into());
        Some(Self {
            selection: select(first.fields.as_deref()?)?,
            beginnings: std::iter::once(beginning(first)).chain(others).collect(),
        })
    }

    /// Number of jobs in the response.
    pub(super) fn jobs(&self) -> usize {
        self.beginnings.len()
    }

    /// The response with these jobs, one for each root field.
    pub(super) fn body<'j>(&self, jobs: impl IntoIterator<Item = &'j Job>) -> Bytes {
        let mut out = Vec::with_capacity(PAYLOAD * self.beginnings.len());
        for (beginning, job) in self.beginnings.iter().zip(jobs) {
            out.extend_from_slice(beginning.as_bytes());
            self.selection.write(job, &mut out);
        }
        out.extend_from_slice(b"}}");
        out.into()
    }
}

/// `{"data":{"field":`
fn beginning(field: &Planned) -> Box<str> {
    format!(r#"{{"data":{{"{}":"#, field.key).into()
}

fn body(beginning: &str, write: impl FnOnce(&mut Vec<u8>)) -> Bytes {
    let mut out = Vec::with_capacity(PAYLOAD);
    out.extend_from_slice(beginning.as_bytes());
    write(&mut out);
    out.extend_from_slice(b"}}");
    out.into()
}

#[async_trait]
impl Render for Payload {
    async fn render(&self, event: Event) -> Bytes {
        self.write(&event)
    }
}

#[async_trait]
impl Render for Counted {
    async fn render(&self, event: Event) -> Bytes {
        self.payload.write(&event)
    }
}

type Write<T> = Box<dyn Fn(&T, &mut Vec<u8>) + Send + Sync>;

/// An object type of the schema, and how its fields are read.
trait Object: Sized + 'static {
    /// Its name in the schema.
    const NAME: &'static str;

    /// Writes a field; `None` for a field that needs more than the value.
    fn field(name: &str, below: &[Planned]) -> Option<Write<Self>>;
}

/// The fields that are selected, each after its key: `"id":`, then `,"status":`.
struct Selection<T>(Vec<(Box<str>, Write<T>)>);

impl<T> Selection<T> {
    fn write(&self, value: &T, out: &mut Vec<u8>) {
        out.push(b'{');
        for (key, write) in &self.0 {
            out.extend_from_slice(key.as_bytes());
            write(value, out);
        }
        out.push(b'}');
    }
}

/// The selection from an object; `None` if it needs more than the value.
fn select<T: Object>(fields: &[Planned]) -> Option<Selection<T>> {
    let mut selection = Vec::with_capacity(fields.len());
    for field in fields {
        let comma = if selection.is_empty() { "" } else { "," };
        let key = format!(r#"{comma}"{}":"#, field.key);
        let below = field.fields.as_deref().unwrap_or_default();
        let write: Write<T> = match field.name.as_str() {
            "__typename" => Box::new(|_, out| string(T::NAME, out)),
            _ if !field.arguments.is_empty() => return None,
            name => T::field(name, below)?,
        };
        selection.push((key.into(), write));
    }
    Some(Selection(selection))
}

impl Object for JobChange {
    const NAME: &'static str = "JobChange";

    fn field(name: &str, below: &[Planned]) -> Option<Write<Self>> {
        Some(match name {
            "kind" => Box::new(|change, out| string(change.kind.as_str(), out)),
            "job" => {
                let selection = select(below)?;
                Box::new(move |change, out| {
                    nullable(change.job.as_deref(), out, |job, out| {
                        selection.write(job, out)
                    });
                })
            }
            _ => return None,
        })
    }
}

impl Object for Job {
    const NAME: &'static str = "Job";

    fn field(name: &str, below: &[Planned]) -> Option<Write<Self>> {
        Some(match name {
            "id" => Box::new(|job, out| plain(job.id, out)),
            "type" => Box::new(|job, out| string(&job.job_type, out)),
            "owner" => Box::new(|job, out| string(&job.owner, out)),
            "status" => Box::new(|job, out| string(job.status.as_str(), out)),
            "progress" => Box::new(|job, out| number(job.progress, out)),
            "message" => Box::new(|job, out| nullable(job.message.as_deref(), out, string)),
            "error" => error(below, |job: &Job| job.error.as_ref())?,
            "steps" => {
                let selection = select(below)?;
                Box::new(move |job, out| {
                    list(&job.steps, out, |step, out| selection.write(step, out));
                })
            }
            "tags" => Box::new(|job, out| list(&job.tags, out, |tag, out| string(tag, out))),
            "attempt" => Box::new(|job, out| number(job.attempt, out)),
            "version" => Box::new(|job, out| number(job.version.0, out)),
            "createdAt" => Box::new(|job, out| plain(job.created_at, out)),
            "startedAt" => Box::new(|job, out| nullable(job.started_at, out, plain)),
            "updatedAt" => Box::new(|job, out| plain(job.updated_at, out)),
            "finishedAt" => Box::new(|job, out| nullable(job.finished_at, out, plain)),
            "expiresAt" => Box::new(|job, out| nullable(job.expires_at, out, plain)),
            "execution" => Box::new(|job, out| string(&job.execution, out)),
            _ => return None,
        })
    }
}

impl Object for Step {
    const NAME: &'static str = "Step";

    fn field(name: &str, below: &[Planned]) -> Option<Write<Self>> {
        Some(match name {
            "name" => Box::new(|step, out| string(&step.name, out)),
            "index" => Box::new(|step, out| number(step.index, out)),
            "type" => Box::new(|step, out| string(step.kind.as_str(), out)),
            "status" => Box::new(|step, out| string(step.status.as_str(), out)),
            "progress" => Box::new(|step, out| number(step.progress, out)),
            "attempt" => Box::new(|step, out| number(step.attempt, out)),
            "itemsDone" => Box::new(|step, out| nullable(step.items_done, out, number)),
            "itemsTotal" => Box::new(|step, out| nullable(step.items_total, out, number)),
            "startedAt" => Box::new(|step, out| nullable(step.started_at, out, plain)),
            "finishedAt" => Box::new(|step, out| nullable(step.finished_at, out, plain)),
            "error" => error(below, |step: &Step| step.error.as_ref())?,
            _ => return None,
        })
    }
}

impl Object for JobError {
    const NAME: &'static str = "JobError";

    fn field(name: &str, _: &[Planned]) -> Option<Write<Self>> {
        Some(match name {
            "name" => Box::new(|error, out| string(&error.name, out)),
            "message" => Box::new(|error, out| string(&error.message, out)),
            "step" => Box::new(|error, out| nullable(error.step.as_deref(), out, string)),
            _ => return None,
        })
    }
}

fn error<T: 'static>(below: &[Planned], of: fn(&T) -> Option<&JobError>) -> Option<Write<T>> {
    let selection = select(below)?;
    Some(Box::new(move |value, out| {
        nullable(of(value), out, |error, out| selection.write(error, out));
    }))
}

fn string(text: &str, out: &mut Vec<u8>) {
    serde_json::to_writer(out, text).expect("a text is JSON, and memory takes it");
}

/// A value whose text needs no escapes in JSON.
fn plain(value: impl Display, out: &mut Vec<u8>) {
    write!(out, "\"{value}\"").expect("memory takes it");
}

fn number(count: impl TryInto<i32>, out: &mut Vec<u8>) {
    write!(out, "{}", int(count)).expect("memory takes it");
}

fn nullable<V>(value: Option<V>, out: &mut Vec<u8>, write: impl FnOnce(V, &mut Vec<u8>)) {
    match value {
        Some(value) => write(value, out),
        None => out.extend_from_slice(b"null"),
    }
}

fn list<V>(values: &[V], out: &mut Vec<u8>, write: impl Fn(&V, &mut Vec<u8>)) {
    out.push(b'[');
    for (index, value) in values.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        write(value, out);
    }
    out.push(b']');
}
