//! Faults of a cloud, as an API: what the next calls of an action meet, and what streams and
//! functions suffer.
//!
//! An action is named as IAM names it (`dynamodb:PutItem`); `dynamodb:*` is every action of a
//! service, `*` every action.

use std::collections::HashMap;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// What a call meets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It is refused for a rate that is too high; it has no effect.
    Throttle,
    /// The caller has no permission; it has no effect. The error names the action.
    Deny,
    /// It is refused with this error; it has no effect.
    Refuse {
        /// The HTTP status.
        status: u16,
        /// The error's name.
        code: &'static str,
        /// The error's text.
        message: String,
    },
    /// It has its effect, and the connection closes without an answer.
    LoseReply,
    /// It has no effect and is never answered.
    NeverAnswer,
    /// It has its effect and is never answered.
    NeverAnswerAfterEffect,
    /// It takes this much longer.
    Delay(Duration),
}

/// Takes a fault back when it is dropped.
#[derive(Debug)]
#[must_use = "the fault ends when this is dropped"]
pub struct Active<'a> {
    faults: &'a Faults,
    id: u64,
}

impl Drop for Active<'_> {
    fn drop(&mut self) {
        self.faults
            .state
            .lock()
            .rules
            .retain(|rule| rule.id != self.id);
    }
}

#[derive(Debug)]
struct FaultRule {
    id: u64,
    action: String,
    fault: Fault,
    /// How many more calls meet it; `None` is all.
    left: Option<u64>,
    /// Calls that pass before.
    skip: u64,
}

#[derive(Debug, Default)]
struct State {
    rules: Vec<FaultRule>,
    next_id: u64,
    paused: Vec<String>,
    reorder: bool,
    redeliver: HashMap<String, u64>,
    kill: HashMap<String, (u64, Duration)>,
    in_flight: Vec<(u64, String, CancellationToken)>,
    lose_entries: u64,
    repeat_entries: u64,
    lose_events: u64,
}

/// The faults of a cloud.
#[derive(Debug, Default)]
pub struct Faults {
    state: Mutex<State>,
    pub(crate) changed: Notify,
}

impl Faults {
    /// The next `count` calls of an action meet a fault.
    pub fn next(&self, action: &str, count: u64, fault: Fault) {
        self.add(action, 0, Some(count), fault);
    }

    /// As [`Faults::next`], after `skip` calls that pass.
    pub fn after(&self, action: &str, skip: u64, count: u64, fault: Fault) {
        self.add(action, skip, Some(count), fault);
    }

    /// All calls of an action meet a fault until the guard is dropped.
    pub fn while_held(&self, action: &str, fault: Fault) -> Active<'_> {
        let id = self.add(action, 0, None, fault);
        Active { faults: self, id }
    }

    /// Ends the faults of calls, and lets paused streams go on.
    pub fn clear(&self) {
        let mut state = self.state.lock();
        let in_flight = std::mem::take(&mut state.in_flight);
        *state = State {
            next_id: state.next_id,
            in_flight,
            ..State::default()
        };
        drop(state);
        self.changed.notify_waiters();
    }

    fn add(&self, action: &str, skip: u64, left: Option<u64>, fault: Fault) -> u64 {
        let mut state = self.state.lock();
        state.next_id += 1;
        let id = state.next_id;
        state.rules.push(FaultRule {
            id,
            action: action.to_owned(),
            fault,
            left,
            skip,
        });
        id
    }

    /// The fault that a call meets.
    pub(crate) fn take(&self, action: &str) -> Option<Fault> {
        let mut state = self.state.lock();
        let mut found = None;
        for (at, rule) in state.rules.iter_mut().enumerate() {
            let meant = match rule.action.strip_suffix('*') {
                Some(prefix) => action.starts_with(prefix),
                None => action == rule.action,
            };
            // Every rule counts the call, and the first one that is due decides.
            if meant && rule.skip > 0 {
                rule.skip -= 1;
            } else if meant && found.is_none() {
                found = Some(at);
            }
        }
        let at = found?;
        let rule = &mut state.rules[at];
        let fault = rule.fault.clone();
        if let Some(left) = &mut rule.left {
            *left -= 1;
            if *left == 0 {
                state.rules.remove(at);
            }
        }
        Some(fault)
    }

    /// The mappings of this source (its ARN, or the name of its table or queue) read nothing until
    /// [`Faults::resume`].
    pub fn pause(&self, source: &str) {
        self.state.lock().paused.push(source.to_owned());
        self.changed.notify_waiters();
    }

    /// Ends [`Faults::pause`].
    pub fn resume(&self, source: &str) {
        self.state.lock().paused.retain(|paused| paused != source);
        self.changed.notify_waiters();
    }

    pub(crate) fn is_paused(&self, source_arn: &str) -> bool {
        let state = self.state.lock();
        let is = |paused: &String| {
            paused == source_arn
                || source_arn.contains(&format!(":table/{paused}/"))
                || source_arn.ends_with(&format!(":{paused}"))
        };
        state.paused.iter().any(is)
    }

    /// Whether the records of different keys change places; those of one key stay in order. It is
    /// as if they came from different shards.
    pub fn reorder(&self, reorder: bool) {
        self.state.lock().reorder = reorder;
    }

    pub(crate) fn reorders(&self) -> bool {
        self.state.lock().reorder
    }

    /// The next `count` batches of a function come twice: again after the function took them.
    pub fn redeliver(&self, function: &str, count: u64) {
        *self
            .state
            .lock()
            .redeliver
            .entry(function.to_owned())
            .or_default() += count;
    }

    pub(crate) fn take_redelivery(&self, function: &str) -> bool {
        take(self.state.lock().redeliver.get_mut(function))
    }

    /// The next `count` invocations of a function end with their process, this long after they
    /// began. [`crate::Cloud::kill_in_flight`] kills what runs now.
    pub fn kill_next(&self, function: &str, count: u64, after: Duration) {
        let mut state = self.state.lock();
        state.kill.insert(function.to_owned(), (count, after));
    }

    pub(crate) fn take_kill(&self, function: &str) -> Option<Duration> {
        let mut state = self.state.lock();
        let (left, after) = state.kill.get_mut(function)?;
        take(Some(left)).then_some(*after)
    }

    pub(crate) fn kill_in_flight(&self, function: &str) {
        let state = self.state.lock();
        let running = state.in_flight.iter().filter(|one| one.1 == function);
        running.for_each(|one| one.2.cancel());
    }

    pub(crate) fn begin(&self, function: &str) -> (u64, CancellationToken) {
        let mut state = self.state.lock();
        state.next_id += 1;
        let (id, kill) = (state.next_id, CancellationToken::new());
        state
            .in_flight
            .push((id, function.to_owned(), kill.clone()));
        (id, kill)
    }

    pub(crate) fn end(&self, id: u64) {
        self.state.lock().in_flight.retain(|one| one.0 != id);
    }

    /// The next `count` log entries of executions are lost.
    pub fn lose_log_entries(&self, count: u64) {
        self.state.lock().lose_entries = count;
    }

    /// The next `count` log entries of executions come twice.
    pub fn repeat_log_entries(&self, count: u64) {
        self.state.lock().repeat_entries = count;
    }

    /// How often the next log entry arrives.
    pub(crate) fn entry_copies(&self) -> usize {
        let mut state = self.state.lock();
        if take(Some(&mut state.lose_entries)) {
            return 0;
        }
        1 + usize::from(take(Some(&mut state.repeat_entries)))
    }

    /// The next `count` events of executions do not reach the event bus.
    pub fn lose_events(&self, count: u64) {
        self.state.lock().lose_events = count;
    }

    pub(crate) fn loses_event(&self) -> bool {
        take(Some(&mut self.state.lock().lose_events))
    }
}

/// Takes one of what is left.
fn take(left: Option<&mut u64>) -> bool {
    match left {
        Some(left) if *left > 0 => {
            *left -= 1;
            true
        }
        _ => false,
    }
}
