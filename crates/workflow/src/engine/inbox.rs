//! An execution's inbox: the inputs that wait to be handled, one after the other. It handles none
//! itself.

use std::collections::VecDeque;

use asl::{Event, TimerId};
use parking_lot::Mutex;
use tokio::sync::oneshot;

use super::error::EngineError;
use super::loaded::LoadedExecution;
use super::model::limits;

/// What is to be handled.
#[derive(Debug)]
pub(super) enum Input {
    Event(Event),
    /// A timer's deadline has come.
    Timer(TimerId),
    /// After a crash: all timers that are due, and the tasks that were in flight.
    Wake,
}

/// An input with its time and its sender.
#[derive(Debug)]
pub(super) struct Message {
    pub(super) input: Input,
    pub(super) at: i64,
    /// The input is for the task that has this token.
    pub(super) token: Option<String>,
    /// Notified when the input is durable.
    pub(super) answer: Option<oneshot::Sender<Result<(), EngineError>>>,
}

impl Message {
    /// An input from the engine itself: no caller waits for it.
    pub(super) fn new(input: Input, at: i64) -> Self {
        Self {
            input,
            at,
            token: None,
            answer: None,
        }
    }

    pub(super) fn is_redrive(&self) -> bool {
        matches!(self.input, Input::Event(Event::Redrive))
    }

    pub(super) fn refuse(self) {
        if let Some(answer) = self.answer {
            let _ = answer.send(Err(EngineError::NoSuchTask));
        }
    }
}

/// The inbox, and the execution while it rests.
#[derive(Debug)]
pub(super) struct ExecutionInbox {
    pub(super) id: i64,
    state: Mutex<InboxState>,
}

#[derive(Debug, Default)]
struct InboxState {
    waiting: VecDeque<Message>,
    /// Held so that they can share a commit; handled before the next input.
    late: Vec<Message>,
    /// A task handles the inbox.
    running: bool,
    /// No longer in the engine's table: look there again.
    gone: bool,
    loaded: Option<Box<LoadedExecution>>,
    in_idle_queue: bool,
}

/// What became of a message.
#[derive(Debug)]
pub(super) enum Posted {
    /// A task handles it.
    Taken,
    /// No task handles the inbox: the caller must run it.
    Idle,
    /// The inbox is no longer in use.
    Gone(Message),
    /// The inbox is full.
    Full(Message),
}

impl ExecutionInbox {
    pub(super) fn resting(id: i64) -> ExecutionInbox {
        ExecutionInbox {
            id,
            state: Mutex::default(),
        }
    }

    /// A inbox that its maker runs.
    pub(super) fn running(id: i64) -> ExecutionInbox {
        let state = InboxState {
            running: true,
            ..InboxState::default()
        };
        ExecutionInbox {
            id,
            state: Mutex::new(state),
        }
    }

    pub(super) fn post(&self, message: Message) -> Posted {
        let mut state = self.state.lock();
        if state.gone {
            return Posted::Gone(message);
        }
        if message.answer.is_some() && state.waiting.len() >= limits::INBOX_EVENTS {
            return Posted::Full(message);
        }
        state.waiting.push_back(message);
        if std::mem::replace(&mut state.running, true) {
            Posted::Taken
        } else {
            Posted::Idle
        }
    }

    /// Holds a message until another one arrives. Returns whether no task handles the inbox, so
    /// that a timer is needed.
    pub(super) fn post_late(&self, message: Message) -> Result<bool, Message> {
        let mut state = self.state.lock();
        if state.gone {
            return Err(message);
        }
        if state.running {
            state.waiting.push_back(message);
            return Ok(false);
        }
        state.late.push(message);
        Ok(true)
    }

    /// Ends the time for which messages are held. Returns whether the caller must run the inbox.
    pub(super) fn flush(&self) -> bool {
        let mut state = self.state.lock();
        !state.late.is_empty() && !std::mem::replace(&mut state.running, true)
    }

    /// Takes the execution, for the task that runs the inbox.
    pub(super) fn take_loaded(&self) -> Option<Box<LoadedExecution>> {
        self.state.lock().loaded.take()
    }

    /// The next inputs; with none the execution rests here again and the runner is done.
    pub(super) fn take(&self, loaded: &mut Option<Box<LoadedExecution>>) -> Vec<Message> {
        let mut state = self.state.lock();
        let mut messages = std::mem::take(&mut state.late);
        let room = limits::EVENTS_PER_COMMIT.saturating_sub(messages.len());
        let count = room.min(state.waiting.len());
        messages.extend(state.waiting.drain(..count));
        if messages.is_empty() {
            state.running = false;
            state.loaded = loaded.take();
        }
        messages
    }

    /// Puts inputs back in front.
    pub(super) fn put_back(&self, messages: Vec<Message>) {
        let mut state = self.state.lock();
        for message in messages.into_iter().rev() {
            state.waiting.push_front(message);
        }
    }

    /// Takes the inbox out of use; what waited for it.
    pub(super) fn close(&self) -> Vec<Message> {
        let mut state = self.state.lock();
        state.gone = true;
        state.loaded = None;
        let mut messages = std::mem::take(&mut state.late);
        messages.extend(state.waiting.drain(..));
        messages
    }

    /// Whether this resting execution newly belongs into the queue of those that may be forgotten.
    pub(super) fn enters_idle_queue(&self) -> bool {
        let mut state = self.state.lock();
        let idle = !state.running && !state.gone && !state.in_idle_queue;
        state.in_idle_queue |= idle;
        idle
    }

    /// Forgets the execution when nothing of it is in flight; whether it did. It is rebuilt from
    /// the journal when something happens.
    pub(super) fn forget(&self) -> bool {
        let mut state = self.state.lock();
        state.in_idle_queue = false;
        let may = !state.running
            && state.waiting.is_empty()
            && state.late.is_empty()
            && state.loaded.as_ref().is_none_or(|loaded| !loaded.is_busy());
        if may {
            state.gone = true;
            state.loaded = None;
        }
        may
    }
}
