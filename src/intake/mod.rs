//! Messages of queues that become jobs. A message is taken at least once, and becomes one job: its
//! token makes a repeated submission return the first job.
//!
//! | module | what |
//! |---|---|
//! | [`message`] | pure: from a message to a submission, or the reason why it is none |
//! | [`worker`] | takes the messages of the local queues |
//!
//! `lambda-intake` takes the messages of SQS by the same [`Intake::take`].

pub mod message;
pub mod worker;

use std::collections::BTreeMap;

use job::JobId;
use resolvers::queues::local::LocalQueues;
use resolvers::{Caller, Error, Resolvers, Role};

use self::message::Message;

/// The owners of the jobs, by configuration. A message does not choose its owner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Owners {
    /// All jobs have this owner.
    One(String),
    /// The owner of the jobs of each queue, by the queue's name.
    ByQueue(BTreeMap<String, String>),
}

impl Owners {
    /// The owner of the jobs of a queue; `None` if the queue is not configured.
    #[must_use]
    pub fn of(&self, queue: &str) -> Option<&str> {
        match self {
            Self::One(owner) => Some(owner),
            Self::ByQueue(owners) => owners.get(queue).map(String::as_str),
        }
    }

    /// The names of the configured queues.
    pub fn queues(&self) -> impl Iterator<Item = &str> {
        let owners = match self {
            Self::One(_) => None,
            Self::ByQueue(owners) => Some(owners.keys().map(String::as_str)),
        };
        owners.into_iter().flatten()
    }
}

/// The local queues of a server.
#[derive(Clone, Debug)]
pub struct LocalIntake {
    /// The queues.
    pub queues: LocalQueues,
    /// The owners of their jobs.
    pub owners: Owners,
}

/// What became of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is a job, perhaps since an earlier try.
    Taken(JobId),
    /// It cannot become a job, for this reason. It is tried again as often as the queue allows, in
    /// case what is missing is installed meanwhile.
    Refused(String),
    /// A service is not available now, for this reason.
    Later(String),
}

/// Takes messages.
#[derive(Clone, Debug)]
pub struct Intake {
    resolvers: Resolvers,
    owners: Owners,
}

impl Intake {
    /// Submits to these use cases, for these owners.
    #[must_use]
    pub fn new(resolvers: Resolvers, owners: Owners) -> Self {
        Self { resolvers, owners }
    }

    /// Submits the job of a message. A repeat returns the same job.
    pub async fn take(&self, message: Message<'_>) -> Outcome {
        let Some(owner) = self.owners.of(message.queue) else {
            return Outcome::Refused(format!(
                "the queue `{}` has no owner: add it to queues of [intake]",
                message.queue
            ));
        };
        let submit = match message::submission(message) {
            Ok(submit) => submit,
            Err(reason) => return Outcome::Refused(reason),
        };
        let caller = Caller::new(owner, &[Role::Submitter]);
        match self.resolvers.submit_job(&caller, submit).await {
            Ok(job) => Outcome::Taken(job.id),
            Err(error @ Error::Unavailable { .. }) => Outcome::Later(error.to_string()),
            Err(error) => Outcome::Refused(error.to_string()),
        }
    }
}
