//! What waits for a process of a function: for how long the queue may stand still, and what is no longer wanted. It hands out nothing.

use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;

use super::function::{Function, Invocation, micros};
use super::{Outcome, Ring, limits, now};
use crate::task::TaskKey;

/// What is no longer wanted.
#[derive(Clone, Copy, Debug)]
pub(super) enum Unwanted {
    Task(TaskKey),
    Invocation(Uuid),
}

impl Function {
    /// The result is no longer wanted. An invocation that waits is forgotten. One that runs is ended by the end of its process:
    /// another one starts in its place, so that nothing waits for an answer that nobody wants. A process that attached from
    /// outside goes on; its answer is refused.
    pub(super) fn cancel(self: &Arc<Self>, unwanted: Unwanted) -> bool {
        let wanted = |id: Uuid, key: Option<TaskKey>| match unwanted {
            Unwanted::Task(task) => key != Some(task),
            Unwanted::Invocation(invocation) => id != invocation,
        };
        let mut state = self.state.lock();
        let mut queue = state.queue.iter();
        if let Some(at) = queue.position(|one| !wanted(one.id, one.key)) {
            let gone = state.queue.remove(at);
            drop(state);
            drop(gone);
            return true;
        }
        let mut running = state.running.iter();
        let found = running.find(|(id, one)| !wanted(**id, one.invocation.key));
        let Some(id) = found.map(|(id, _)| *id) else {
            return false;
        };
        if let Some(gone) = self.take_running(&mut state, id) {
            self.replace(
                &mut state,
                gone.process,
                "its invocation is not wanted any more",
            );
            drop(state);
            drop(gone);
        }
        true
    }

    /// How long the queue may stand still.
    pub(super) fn patience(&self) -> Duration {
        if self.has_command() {
            self.timeout + limits::QUEUE_STILL
        } else {
            self.attach_wait
        }
    }

    /// Looks at the queue: what waits for an outside process that is not there is refused, and so is all when nothing moves.
    pub(super) fn look_at_queue(&self) {
        let (refused, error, message) = {
            let mut state = self.state.lock();
            state.watched = false;
            let (now, patience) = (now(), micros(self.patience()));
            let (mut refused, mut next) = (Vec::new(), state.moved_at + patience);
            if self.has_command() {
                if next <= now {
                    refused.extend(state.queue.drain(..));
                }
            } else if state.running.is_empty() {
                let waits = |one: &Invocation| one.queued_at + patience > now;
                while state.queue.front().is_some_and(|one| !waits(one)) {
                    refused.extend(state.queue.pop_front());
                }
                next = state.queue.front().map_or(now, |one| one.queued_at) + patience;
            } else {
                next = now + patience;
            }
            if !state.queue.is_empty() {
                state.watched = true;
                self.set_alarm(next, Ring::Queue(self.index));
            }
            let name = &self.name;
            if self.has_command() {
                let message = format!(
                    "Rate Exceeded: no invocation of function `{name}` was begun for {} s",
                    self.patience().as_secs()
                );
                (refused, "Lambda.TooManyRequestsException", message)
            } else {
                let message = format!(
                    "nobody runs function `{name}`: add [functions.{name}] with command = [\"PROGRAM\", …] to the configuration, \
                     or start a process that polls the Runtime API for it"
                );
                (refused, "Lambda.ResourceNotFoundException", message)
            }
        };
        for invocation in refused {
            let message = message.clone();
            invocation
                .caller
                .finished(Outcome::Refused { error, message });
        }
    }
}
