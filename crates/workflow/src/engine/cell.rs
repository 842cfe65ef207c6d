//! An execution's mailbox: whatever happens to it waits here for its turn, one after the other. It handles nothing itself.

use std::collections::VecDeque;

use asl::{Event, TimerId};
use parking_lot::Mutex;
use tokio::sync::oneshot;

use super::error::EngineError;
use super::live::Live;
use super::model::limits;

/// What is to be handled.
#[derive(Debug)]
pub(super) enum Input {
    Event(Event),
    /// A timer's deadline has come.
    Timer(TimerId),
    /// After a crash: whatever is due by now, and what was in flight.
    Wake,
}

/// An input on its way.
#[derive(Debug)]
pub(super) struct Mail {
    pub(super) input: Input,
    pub(super) at: i64,
    /// The input is for the task that has this token.
    pub(super) token: Option<String>,
    /// Who wants to know that it is durable.
    pub(super) answer: Option<oneshot::Sender<Result<(), EngineError>>>,
}

impl Mail {
    pub(super) fn is_redrive(&self) -> bool {
        matches!(self.input, Input::Event(Event::Redrive))
    }

    pub(super) fn refuse(self) {
        if let Some(answer) = self.answer {
            let _ = answer.send(Err(EngineError::NoSuchTask));
        }
    }
}

/// The mailbox, and the execution while it rests.
#[derive(Debug)]
pub(super) struct Cell {
    pub(super) id: i64,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    inbox: VecDeque<Mail>,
    /// Waits for company: handled before whatever comes next.
    late: Vec<Mail>,
    /// Somebody handles the inbox.
    running: bool,
    /// No longer in the engine's table: look there again.
    gone: bool,
    live: Option<Box<Live>>,
    in_idle_queue: bool,
}

/// What became of a mail.
#[derive(Debug)]
pub(super) enum Posted {
    /// Somebody handles it.
    Taken,
    /// Nobody is at work: the caller must run the cell.
    Idle,
    /// The cell is no longer in use.
    Gone(Mail),
    /// The mailbox is full.
    Full(Mail),
}

impl Cell {
    pub(super) fn resting(id: i64) -> Cell {
        Cell {
            id,
            state: Mutex::default(),
        }
    }

    /// A cell that its maker runs.
    pub(super) fn running(id: i64) -> Cell {
        let state = State {
            running: true,
            ..State::default()
        };
        Cell {
            id,
            state: Mutex::new(state),
        }
    }

    pub(super) fn post(&self, mail: Mail) -> Posted {
        let mut state = self.state.lock();
        if state.gone {
            return Posted::Gone(mail);
        }
        if mail.answer.is_some() && state.inbox.len() >= limits::MAILBOX_EVENTS {
            return Posted::Full(mail);
        }
        state.inbox.push_back(mail);
        if std::mem::replace(&mut state.running, true) {
            Posted::Taken
        } else {
            Posted::Idle
        }
    }

    /// Puts a mail aside until something else happens; whether nobody is at work, so that an alarm is needed.
    pub(super) fn post_late(&self, mail: Mail) -> Result<bool, Mail> {
        let mut state = self.state.lock();
        if state.gone {
            return Err(mail);
        }
        if state.running {
            state.inbox.push_back(mail);
            return Ok(false);
        }
        state.late.push(mail);
        Ok(true)
    }

    /// The wait for company is over; whether the caller must run the cell.
    pub(super) fn flush(&self) -> bool {
        let mut state = self.state.lock();
        !state.late.is_empty() && !std::mem::replace(&mut state.running, true)
    }

    /// Whoever runs the cell takes the execution.
    pub(super) fn take_live(&self) -> Option<Box<Live>> {
        self.state.lock().live.take()
    }

    /// The next inputs; with none the execution rests here again and the runner is done.
    pub(super) fn take(&self, live: &mut Option<Box<Live>>) -> Vec<Mail> {
        let mut state = self.state.lock();
        let mut mails = std::mem::take(&mut state.late);
        let room = limits::EVENTS_PER_COMMIT.saturating_sub(mails.len());
        let count = room.min(state.inbox.len());
        mails.extend(state.inbox.drain(..count));
        if mails.is_empty() {
            state.running = false;
            state.live = live.take();
        }
        mails
    }

    /// Puts inputs back in front.
    pub(super) fn put_back(&self, mails: Vec<Mail>) {
        let mut state = self.state.lock();
        for mail in mails.into_iter().rev() {
            state.inbox.push_front(mail);
        }
    }

    /// Takes the cell out of use; what waited for it.
    pub(super) fn close(&self) -> Vec<Mail> {
        let mut state = self.state.lock();
        state.gone = true;
        state.live = None;
        let mut mails = std::mem::take(&mut state.late);
        mails.extend(state.inbox.drain(..));
        mails
    }

    /// Whether this resting execution newly belongs into the queue of those that may be forgotten.
    pub(super) fn enters_idle_queue(&self) -> bool {
        let mut state = self.state.lock();
        let idle = !state.running && !state.gone && !state.in_idle_queue;
        state.in_idle_queue |= idle;
        idle
    }

    /// Forgets the execution when nothing of it is in flight; whether it did. It is rebuilt from the journal when something happens.
    pub(super) fn forget(&self) -> bool {
        let mut state = self.state.lock();
        state.in_idle_queue = false;
        let may = !state.running
            && state.inbox.is_empty()
            && state.late.is_empty()
            && state.live.as_ref().is_none_or(|live| !live.is_busy());
        if may {
            state.gone = true;
            state.live = None;
        }
        may
    }
}
