//! Redrive: a failed, timed-out or stopped execution continues with the states that did not
//! succeed.
//!
//! Source: AWS Step Functions developer guide, "Restarting state machine executions with redrive".
//! Branches, iterations and states that succeeded keep their results. Other states start again,
//! with all their retries.

use std::sync::Arc;

use serde_json::json;

use super::Execution;
use super::model::{ThreadPhase, TimerPurpose};
use crate::limits::MAX_HISTORY;
use crate::{Status, StepChange, WorkflowType};

impl Execution {
    /// Whether `Event::Redrive` would continue the execution.
    #[must_use]
    pub fn is_redrivable(&self) -> bool {
        self.start.kind == WorkflowType::Standard
            && matches!(
                self.status,
                Status::Failed | Status::TimedOut | Status::Aborted
            )
            && self.last + 1 < MAX_HISTORY
    }

    /// Number of redrives.
    #[must_use]
    pub fn redrive_count(&self) -> u32 {
        self.redrives
    }

    pub(super) fn redrive(&mut self) {
        if !self.is_redrivable() {
            return;
        }
        self.status = Status::Running;
        (self.output, self.error, self.cause) = (None, None, None);
        self.redrives += 1;
        self.redriven = Some(self.now);
        if !self.begun {
            return self.begin();
        }
        let count = self.redrives;
        let event = self.record_after(
            self.last,
            "ExecutionRedriven",
            Some((
                "executionRedrivenEventDetails",
                json!({"redriveCount": count}),
            )),
        );
        if self.threads.is_empty() {
            return self.set_off(Arc::clone(&self.start.input));
        }
        if let Some(seconds) = self.machine.timeout {
            self.arm(seconds, TimerPurpose::Execution);
        }
        self.redrive_threads(event);
    }

    /// Starts the threads that did not succeed again, behind the event of the redrive.
    fn redrive_threads(&mut self, event: u64) {
        let ids: Vec<u64> = self.threads.keys().collect();
        if let Some(root) = ids.first() {
            self.step(*root, |step| StepChange::Entered { step });
        }
        let mut maps = Vec::new();
        for id in ids {
            let Some(thread) = self.threads.get_mut(&id) else {
                continue;
            };
            if thread.child.is_none() {
                thread.previous = event;
            }
            if let ThreadPhase::Children(children) = &mut thread.phase {
                if children.items.is_some() {
                    maps.push(id);
                }
                let again = std::mem::take(&mut children.failed);
                children.open += usize::try_from(again).unwrap_or_default();
                if let Some(run) = children
                    .run
                    .as_ref()
                    .and_then(|r| self.runs.get_mut(r.index))
                {
                    run.redrive();
                    let arn = run.arn.clone();
                    let redrives = run.redrive_count;
                    self.record(id, "MapRunRedriven", |_| {
                        Some((
                            "mapRunRedrivenEventDetails",
                            json!({"mapRunArn": arn, "redriveCount": redrives}),
                        ))
                    });
                }
                continue;
            }
            (thread.attempt, thread.retries) = (0, Vec::new());
            if !matches!(thread.phase, ThreadPhase::Enter) {
                thread.phase = ThreadPhase::Run;
            }
            self.ready.push_back(id);
        }
        for id in maps {
            self.iterate(id);
        }
    }
}
