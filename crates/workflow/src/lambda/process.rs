//! One process of a function as the host sees it: whether it asked for work, what it serves, the
//! end of its output, and why it is ended. It is run in `lifetime`.

use std::borrow::Cow;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::Notify;
use uuid::Uuid;

use super::Redact;
use super::tail::Tail;
use crate::secret::Secret;

/// A process as its function sees it.
#[derive(Debug)]
pub(super) struct Process {
    pub(super) id: u64,
    pub(super) tail: Mutex<Tail>,
    pub(super) redact: Redact,
    /// What its requests show as the first part of their path.
    pub(super) secret: Option<Secret>,
    /// It has asked for work: its initialization is over.
    up: AtomicBool,
    pub(super) came_up: Notify,
    /// It was given an invocation.
    served: AtomicBool,
    /// The invocation that it has wants the end of the output.
    wants_tail: AtomicBool,
    /// Why the host ends it.
    pub(super) given_up: Mutex<Option<&'static str>>,
    pub(super) end: Notify,
    /// What it says about an initialization that failed.
    pub(super) init_error: Mutex<Option<(String, Bytes)>>,
}

impl Process {
    pub(super) fn new(id: u64, redact: Redact, secret: Option<Secret>) -> Process {
        Process {
            id,
            tail: Mutex::default(),
            redact,
            secret,
            up: AtomicBool::new(false),
            came_up: Notify::new(),
            served: AtomicBool::new(false),
            wants_tail: AtomicBool::new(false),
            given_up: Mutex::new(None),
            end: Notify::new(),
            init_error: Mutex::new(None),
        }
    }

    pub(super) fn came_up(&self) -> bool {
        self.up.load(Ordering::Acquire)
    }

    /// It asks for work; whether that is the first time.
    pub(super) fn comes_up(&self) -> bool {
        if self.came_up() {
            return false;
        }
        self.up.store(true, Ordering::Release);
        self.came_up.notify_one();
        true
    }

    pub(super) fn served(&self) -> bool {
        self.served.load(Ordering::Relaxed)
    }

    /// It gets an invocation.
    pub(super) fn begin(&self, id: Uuid, tail: bool) {
        self.served.store(true, Ordering::Relaxed);
        self.wants_tail.store(tail, Ordering::Relaxed);
        self.tail.lock().begin(id);
    }

    pub(super) fn wants_tail(&self) -> bool {
        self.wants_tail.load(Ordering::Relaxed)
    }

    /// The host ends it.
    pub(super) fn give_up(&self, why: &'static str) {
        *self.given_up.lock() = Some(why);
        self.end.notify_one();
    }

    /// It says that its initialization failed: that is its end.
    pub(super) fn init_failed(&self, error: String, payload: Bytes) {
        if !self.came_up() {
            *self.init_error.lock() = Some((error, payload));
            self.end.notify_one();
        }
    }

    pub(super) fn shown<'a>(&self, text: &'a str) -> Cow<'a, str> {
        (self.redact)(text)
    }
}
