//! The invocations that wait for a process of a function: the time for which the queue may stand
//! still, and invocations that are cancelled.

use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;

use super::function::{Function, Invocation, Unwanted};
use super::host::Timer;
use super::limits;
use super::outcome::Outcome;
use crate::task::TaskKey;
use crate::timers::{micros_of, now};

impl Function {
    /// The result is no longer wanted. An invocation that waits is forgotten. One that runs is
    /// ended by the end of its process: another one starts in its place, so that nothing waits for
    /// an unwanted answer. A process that attached from outside goes on; its answer is refused.
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

    /// Looks at the queue: what waits for an outside process that is not there is refused, and so
    /// is all when nothing moves.
    pub(super) fn look_at_queue(&self) {
        let (refused, error, message) = {
            let mut state = self.state.lock();
            state.watched = false;
            let (now, patience) = (now(), micros_of(self.patience()));
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
                self.set_timer(next, Timer::Queue(self.index));
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
                    "no process runs function `{name}`: add [functions.{name}] with command = [\"PROGRAM\", …] to the configuration, \
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

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use std::sync::Weak;
    use std::sync::mpsc::{Receiver, Sender, channel};

    use bytes::Bytes;

    use super::*;
    use crate::ids;
    use crate::lambda::{Caller, FunctionConfig, HostSettings};

    #[derive(Debug)]
    struct Ear(Sender<Outcome>);

    impl Caller for Ear {
        fn finished(self: Box<Self>, outcome: Outcome) {
            self.0.send(outcome).unwrap();
        }
    }

    /// A function without a host: no process ever works for it, and no timer is due.
    fn function(command: &[&str]) -> Arc<Function> {
        let command = command.iter().map(|&word| word.to_owned()).collect();
        let config = FunctionConfig::new("f", command);
        let settings = HostSettings::default();
        let function = Function::new(0, "f", Some(config), &settings, Weak::new());
        Arc::new(function)
    }

    /// Invokes it this many times, and returns what the callers hear.
    fn invoke(function: &Arc<Function>, times: usize) -> Receiver<Outcome> {
        let (sender, heard) = channel();
        for _ in 0..times {
            let ear = Box::new(Ear(sender.clone()));
            function.invoke(ids::random(), Bytes::new(), None, None, ear);
        }
        heard
    }

    fn refusal(outcome: Outcome) -> (&'static str, String) {
        match outcome {
            Outcome::Refused { error, message } => (error, message),
            other => panic!("expected a refusal, got {other:?}"),
        }
    }

    #[test]
    fn a_queue_up_to_its_limit() {
        let function = function(&[]);
        let waiting = invoke(&function, limits::QUEUE);
        assert!(waiting.try_recv().is_err(), "all of them wait");
        let over = invoke(&function, 1);
        let (error, message) = refusal(over.try_recv().unwrap());
        assert_eq!(error, "Lambda.TooManyRequestsException");
        assert!(message.contains("100000 invocations"), "{message}");
        assert!(waiting.try_recv().is_err(), "those that wait go on waiting");
        // A place that was given back is taken.
        let first = function.state.lock().queue.front().unwrap().id;
        assert!(function.cancel(Unwanted::Invocation(first)));
        assert!(invoke(&function, 1).try_recv().is_err());
    }

    #[test]
    fn a_queue_that_stands_still_is_refused_after_its_time_and_no_sooner() {
        let function = function(&["program"]);
        let waiting = invoke(&function, 3);
        let patience = micros_of(function.timeout + limits::QUEUE_STILL);
        let second = micros_of(Duration::from_secs(1));
        function.state.lock().moved_at = now() - patience + 30 * second;
        function.look_at_queue();
        assert!(waiting.try_recv().is_err(), "it may move yet");
        function.state.lock().moved_at = now() - patience;
        function.look_at_queue();
        for _ in 0..3 {
            let (error, message) = refusal(waiting.try_recv().unwrap());
            assert_eq!(error, "Lambda.TooManyRequestsException");
            assert!(message.contains("was begun for 90 s"), "{message}");
        }
        // The next one has the whole time again.
        let next = invoke(&function, 1);
        function.look_at_queue();
        assert!(next.try_recv().is_err());
    }
}
