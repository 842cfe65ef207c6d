//! The bytes that one socket has still to write. All queued messages leave in one write.
//!
//! An idle connection owns no buffer: bytes are written from a buffer that all sockets of a thread
//! share. A connection keeps a buffer only while its peer takes no more.

use std::cell::Cell;

use super::limits;

thread_local! {
    static WRITE: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// Bytes to write.
#[derive(Default)]
pub(super) struct Outbox {
    /// Without capacity when there are no bytes.
    bytes: Vec<u8>,
    /// The number of bytes that were written.
    written: usize,
}

impl Outbox {
    /// Where to append: the thread's buffer, as long as there are bytes to write.
    pub(super) fn buffer(&mut self) -> &mut Vec<u8> {
        if self.bytes.capacity() == 0 {
            self.bytes = WRITE.take();
        }
        &mut self.bytes
    }

    /// The bytes that are still to be written.
    pub(super) fn unwritten(&self) -> &[u8] {
        &self.bytes[self.written..]
    }

    /// Takes the bytes that are still to be written.
    pub(super) fn rest(&mut self) -> Vec<u8> {
        self.bytes.split_off(self.written)
    }

    /// Notes that the socket took this number of bytes.
    pub(super) fn written(&mut self, count: usize) {
        self.written += count;
        if self.written >= self.bytes.len() {
            self.written = 0;
            give_back(std::mem::take(&mut self.bytes));
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Whether the socket took a part of the bytes.
    pub(super) fn is_partly_written(&self) -> bool {
        self.written > 0
    }

    /// Whether there is room for another answer.
    pub(super) fn has_room(&self) -> bool {
        self.bytes.len() - self.written < limits::OUTBOX_BYTES
    }

    /// Whether there is no room for another delivery.
    pub(super) fn is_full(&self) -> bool {
        self.bytes.len() >= limits::OUTBOX_BYTES
    }
}

/// The buffer serves the thread's next connection, unless it has grown beyond the usual size.
fn give_back(mut buffer: Vec<u8>) {
    if buffer.capacity() <= limits::OUTBOX_BYTES * 2 {
        buffer.clear();
        WRITE.set(buffer);
    }
}
