//! What may be done to a job. [`Job::apply`] is the only place where a job changes. Every store
//! calls it and then writes the new job under the condition that the stored job has not changed
//! meanwhile.

use std::sync::Arc;

use crate::limits::{self, check};
use crate::progress;
use crate::{Event, Job, JobError, Status, Step, StepStatus, Time, Version};

pub use crate::refused::Refused;

/// One change of one job. Its updates are applied in order and produce one version.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// What happened, in order.
    pub updates: Vec<Update>,
    /// Apply only if the job is at this version.
    pub expected: Option<Version>,
    /// Apply only if the job is in this attempt. A report from a function of an earlier attempt is
    /// refused.
    pub attempt: Option<u32>,
    /// Origin of the change, if it comes from the workflow.
    pub source: Option<Source>,
    /// The result of [`Update::Succeed`], as JSON text.
    pub result: Option<Arc<str>>,
    /// Time in milliseconds for which the job is kept after this change finishes it. `None`: it is
    /// never deleted.
    pub retention_millis: Option<i64>,
}

/// The event of an execution that caused a change. It makes repeated and late events harmless.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// The name of the execution. Events of an earlier execution of the job are ignored.
    pub execution: String,
    /// Position of the event; it rises from event to event. Events at or below the job's own
    /// position are repeats and are ignored.
    pub position: u64,
    /// The attempt of the event; 0 if unknown. If it is later than the job's own attempt, the
    /// execution was redriven without the job, and the job follows.
    pub attempt: u32,
    /// Whether the updates describe the execution from its start, instead of only what is new. Then
    /// steps that the job already knows are not counted again.
    pub so_far: bool,
}

/// One thing that happened to a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Update {
    /// The execution started.
    Start,
    /// A step moved. A name that is not among the job's steps only shows that the execution runs.
    Step {
        /// The state's name.
        name: String,
        /// What it did.
        update: StepUpdate,
    },
    /// A function reported.
    Report(Report),
    /// The execution succeeded.
    Succeed,
    /// The execution failed, or could not be started.
    Fail(JobError),
    /// A caller cancelled the job, or the execution was stopped.
    Cancel(JobError),
    /// The execution timed out.
    TimeOut(JobError),
    /// Another attempt. With the job's own execution it continues at the failed step (redrive);
    /// with another execution it starts from the beginning.
    Retry {
        /// The name of the execution of the next attempt.
        execution: String,
        /// The position of the execution at the end of the last attempt. Events up to this position
        /// do not belong to the next attempt. 0 if the position is unknown, and for another
        /// execution.
        known: u64,
    },
}

/// What a step did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StepUpdate {
    /// The execution entered the state.
    Entered,
    /// The state's work is retried.
    Retrying {
        /// The number of the next try, from 2.
        attempt: u32,
        /// Why the last try failed.
        error: JobError,
    },
    /// The state waits for a time or an answer.
    Waiting,
    /// The state continues.
    Running,
    /// Iterations of a Map or branches of a Parallel.
    Items {
        /// Number of items that are done.
        done: u32,
        /// Number of items in all.
        total: u32,
    },
    /// The execution left the state.
    Exited,
    /// The state failed. A Catch may still handle the error.
    Failed(JobError),
}

/// What a function reports about its step.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// The step; `None` means the step that is running.
    pub step: Option<String>,
    /// Percent, `0..=100`. A value below the current one is ignored.
    pub progress: Option<u8>,
    /// A text for people, at most [`limits::MESSAGE_BYTES`].
    pub message: Option<String>,
    /// Number of items done, of a Map or of anything that the function counts.
    pub items_done: Option<u32>,
    /// Number of items in all.
    pub items_total: Option<u32>,
}

/// The outcome of a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Applied {
    /// The job at its next version.
    Changed(Box<Job>),
    /// The change is a repeat: no visible field would differ, so nothing is written.
    Unchanged,
}

/// The highest try number of a step in these updates; 0 if they contain none.
fn tries_of(step: &str, updates: &[Update]) -> u32 {
    let tries = updates.iter().filter_map(|update| match update {
        Update::Step {
            name,
            update: StepUpdate::Retrying { attempt, .. },
        } if name == step => Some(*attempt),
        _ => None,
    });
    tries.max().unwrap_or_default()
}

impl Change {
    /// A change with one update.
    pub fn of(update: Update) -> Change {
        Change {
            updates: vec![update],
            ..Change::default()
        }
    }
}

impl Update {
    /// The event of [`crate::RULES`] that decides. (A step that waits or resumes also moves the
    /// job; this follows from the step.)
    pub fn event(&self) -> Event {
        match self {
            Update::Start => Event::Start,
            Update::Step { .. } | Update::Report(_) => Event::Progress,
            Update::Succeed => Event::Succeed,
            Update::Fail(_) => Event::Fail,
            Update::Cancel(_) => Event::Cancel,
            Update::TimeOut(_) => Event::TimeOut,
            Update::Retry { .. } => Event::Retry,
        }
    }
}

impl Job {
    /// The job after `change`, at the next version.
    ///
    /// # Errors
    /// [`Refused`], with the job untouched. A change from the workflow is never refused because of
    /// the job's status: the job may have been cancelled while its execution was still ending, and
    /// then the execution's last events change nothing.
    pub fn apply(&self, change: &Change, now: Time) -> Result<Applied, Refused> {
        if let Some(expected) = change.expected.filter(|expected| *expected != self.version) {
            return Err(Refused::Version {
                expected,
                actual: self.version,
            });
        }
        if let Some(attempt) = change.attempt.filter(|attempt| *attempt != self.attempt) {
            return Err(Refused::Attempt {
                attempt,
                actual: self.attempt,
            });
        }
        // A redrive that the job does not know of yet. A job that succeeded has none.
        let mut redrive = None;
        if let Some(source) = &change.source {
            if source.execution != self.execution || source.position <= self.position {
                return Ok(Applied::Unchanged);
            }
            redrive = Some(source)
                .filter(|_| source.attempt > self.attempt && self.status != Status::Succeeded);
            if redrive.is_none() && self.status.is_terminal() {
                return Ok(Applied::Unchanged);
            }
        }
        let mut next = self.clone();
        if let Some(source) = redrive {
            next.follow_redrive(source)?;
        }
        for update in &change.updates {
            next.update(update, now)?;
        }
        if change.source.as_ref().is_some_and(|source| source.so_far) {
            next.keep_known_steps(self, &change.updates);
        }
        next.settle(self, change, now);
        if next.shows_the_same(self) {
            return Ok(Applied::Unchanged);
        }
        next.version = self.version.next();
        // The clocks of several nodes may differ, but a job's own time never runs backwards.
        next.updated_at = now.max(self.updated_at);
        Ok(Applied::Changed(Box::new(next)))
    }

    fn update(&mut self, update: &Update, now: Time) -> Result<(), Refused> {
        match update {
            Update::Start => self.start(now),
            Update::Step { name, update } => {
                self.start(now);
                self.go(Event::Progress)?;
                self.move_step(name, update, now);
                self.wait_as_the_step_does()?;
            }
            Update::Report(report) => self.report(report, now)?,
            Update::Succeed => {
                self.start(now);
                self.finish(Event::Succeed, None, now)?;
            }
            Update::Fail(error) => self.finish(Event::Fail, Some(error), now)?,
            Update::Cancel(_) if self.status == Status::Cancelled => {}
            Update::Cancel(error) => self.finish(Event::Cancel, Some(error), now)?,
            Update::TimeOut(error) => self.finish(Event::TimeOut, Some(error), now)?,
            Update::Retry { execution, known } => self.retry(execution, *known)?,
        }
        Ok(())
    }

    fn go(&mut self, event: Event) -> Result<(), Refused> {
        let refused = Refused::Rule {
            id: self.id,
            status: self.status,
            event,
        };
        self.status = self.status.after(event).ok_or(refused)?;
        Ok(())
    }

    /// An event of a step implies that the execution runs, even if the event of its start has not
    /// arrived yet.
    fn start(&mut self, now: Time) {
        if let Some(status) = self.status.after(Event::Start) {
            self.status = status;
            self.started_at = Some(now);
        }
    }

    /// For updates that begin at the start of the execution: a step in the same state as before is
    /// the same step, not another try.
    fn keep_known_steps(&mut self, before: &Job, updates: &[Update]) {
        for (step, known) in self.steps.iter_mut().zip(&before.steps) {
            if step.status != known.status {
                continue;
            }
            if known.status.is_open() {
                step.items_done = step.items_done.max(known.items_done);
            } else {
                *step = Step {
                    attempt: known.attempt.max(tries_of(&step.name, updates)),
                    ..known.clone()
                };
            }
        }
    }

    fn move_step(&mut self, name: &str, update: &StepUpdate, now: Time) {
        let Some(step) = self.steps.iter_mut().find(|step| step.name == name) else {
            return;
        };
        // Any event of a step implies that the step was entered. That event may be late or lost.
        if *update != StepUpdate::Entered && step.status == StepStatus::Pending {
            step.enter(now);
        }
        match update {
            StepUpdate::Entered => step.enter(now),
            StepUpdate::Retrying { attempt, error } => {
                step.status = StepStatus::Running;
                step.attempt = step.attempt.max(*attempt);
                step.error = Some(error.clone());
            }
            StepUpdate::Waiting => step.status = StepStatus::Waiting,
            StepUpdate::Running => step.status = StepStatus::Running,
            StepUpdate::Items { done, total } => {
                step.items_done = Some(*done);
                step.items_total = Some(*total);
                step.progress = step.progress.max(progress::of_items(*done, *total));
            }
            StepUpdate::Exited => {
                step.status = StepStatus::Succeeded;
                step.progress = 100;
                step.finished_at = Some(now);
                step.error = None;
            }
            StepUpdate::Failed(error) => {
                step.status = StepStatus::Failed;
                step.finished_at = Some(now);
                step.error = Some(JobError {
                    step: None,
                    ..error.clone()
                });
            }
        }
    }

    fn wait_as_the_step_does(&mut self) -> Result<(), Refused> {
        let waits = self
            .steps
            .iter()
            .any(|step| step.status == StepStatus::Waiting);
        match self.status {
            Status::Running if waits => self.go(Event::Wait),
            Status::Waiting if !waits => self.go(Event::Resume),
            _ => Ok(()),
        }
    }

    fn report(&mut self, report: &Report, now: Time) -> Result<(), Refused> {
        if let Some(progress) = report.progress.filter(|progress| *progress > 100) {
            return Err(Refused::Progress(progress));
        }
        if let Some(message) = &report.message {
            check("message", "bytes", message.len(), limits::MESSAGE_BYTES)?;
        }
        if let Some(name) = report
            .step
            .as_ref()
            .filter(|name| self.step(name).is_none())
        {
            return Err(Refused::UnknownStep(name.clone()));
        }
        self.start(now);
        self.go(Event::Progress)?;
        let step = self.steps.iter_mut().find(|step| match &report.step {
            Some(name) => step.name == *name,
            None => step.status.is_open(),
        });
        if let Some(step) = step {
            // The event that the state was entered may not have arrived yet.
            if step.status == StepStatus::Pending {
                step.enter(now);
            }
            if step.status.is_open() {
                step.items_done = report.items_done.or(step.items_done);
                step.items_total = report.items_total.or(step.items_total);
                let counted = match (report.items_done, step.items_total) {
                    (Some(done), Some(total)) => progress::of_items(done, total),
                    _ => 0,
                };
                step.progress = step.progress.max(report.progress.unwrap_or(counted));
            }
        } else if let Some(progress) = report.progress {
            self.progress = self
                .progress
                .max(progress.min(progress::MOST_BEFORE_SUCCESS));
        }
        if let Some(message) = &report.message {
            self.message = Some(message.clone());
        }
        Ok(())
    }

    fn finish(&mut self, event: Event, error: Option<&JobError>, now: Time) -> Result<(), Refused> {
        self.go(event)?;
        self.finished_at = Some(now);
        let (open, pending) = match event {
            Event::Succeed => (StepStatus::Succeeded, StepStatus::Skipped),
            Event::Cancel => (StepStatus::Cancelled, StepStatus::Pending),
            Event::TimeOut => (StepStatus::TimedOut, StepStatus::Pending),
            _ => (StepStatus::Failed, StepStatus::Pending),
        };
        let failed_in = self
            .open_step()
            .or_else(|| self.last_failed_step())
            .map(|step| step.name.clone());
        for step in &mut self.steps {
            if step.status.is_open() {
                step.status = open;
                step.finished_at = Some(now);
                if event == Event::Fail {
                    step.error = error.map(|error| JobError {
                        step: None,
                        ..error.clone()
                    });
                }
            } else if step.status == StepStatus::Pending {
                step.status = pending;
            }
        }
        self.error = error.map(|error| JobError {
            step: error.step.clone().or(failed_in),
            ..JobError::new(&error.name, &error.message)
        });
        Ok(())
    }

    fn last_failed_step(&self) -> Option<&crate::Step> {
        let failed = self
            .steps
            .iter()
            .filter(|step| step.status == StepStatus::Failed);
        failed.max_by_key(|step| step.finished_at)
    }

    fn retry(&mut self, execution: &str, known: u64) -> Result<(), Refused> {
        self.go(Event::Retry)?;
        let anew = self.execution != execution;
        for step in &mut self.steps {
            let kept = matches!(step.status, StepStatus::Succeeded | StepStatus::Skipped);
            if anew || !kept {
                step.reset();
            }
        }
        if anew {
            self.position = 0;
            execution.clone_into(&mut self.execution);
        } else {
            self.position = self.position.max(known);
        }
        self.attempt += 1;
        self.progress = 0;
        self.message = None;
        self.error = None;
        self.started_at = None;
        self.finished_at = None;
        self.expires_at = None;
        Ok(())
    }

    /// Follows an execution that was redriven without a retry of the job.
    fn follow_redrive(&mut self, source: &Source) -> Result<(), Refused> {
        if self.status.is_terminal() {
            self.retry(&source.execution, self.position)?;
        }
        self.attempt = source.attempt;
        Ok(())
    }

    /// Derives position, progress and expiry from the updates together.
    fn settle(&mut self, before: &Job, change: &Change, now: Time) {
        if let Some(source) = &change.source {
            self.position = source.position;
        }
        self.progress = if self.status == Status::Succeeded {
            100
        } else {
            self.progress.max(progress::of_steps(&self.steps))
        };
        if self.status.is_terminal() && !before.status.is_terminal() {
            self.expires_at = change
                .retention_millis
                .map(|millis| now.plus_millis(millis));
        }
    }

    fn shows_the_same(&self, other: &Job) -> bool {
        let mut same = self.clone();
        same.position = other.position;
        same == *other
    }
}
