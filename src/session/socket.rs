//! The bytes of one socket: reading into a decoder, and an outbox that is written as the socket
//! takes it. No protocol, no operations.
//!
//! An idle socket owns no buffer. Bytes are read into a buffer, and written from a buffer, that all
//! sockets of a thread share. A socket keeps a buffer only while its peer takes no more. All queued
//! messages leave in one write.

use std::cell::{Cell, RefCell};
use std::io::IoSlice;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;
use wire::frame::{self, Decoder, Event, Violation};

use super::limits;

/// Maximum number of bytes of one read.
const READ_BYTES: usize = 16 * 1024;

thread_local! {
    static READ: RefCell<Box<[u8]>> = RefCell::new(vec![0; READ_BYTES].into());
    static WRITE: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// The peer has closed the socket, or the socket failed.
#[derive(Debug)]
pub(super) struct Gone;

/// One socket with its pending bytes.
pub(super) struct Socket<S> {
    /// `None` once it was taken to be closed.
    stream: Option<S>,
    decoder: Decoder,
    /// The bytes to write; without capacity when there are none.
    out: Vec<u8>,
    /// The number of bytes of `out` that were written.
    written: usize,
    /// Since when the peer takes nothing.
    stalled: Option<Instant>,
}

impl<S> Socket<S> {
    /// `early` are bytes of the stream that were read already.
    pub(super) fn new(stream: S, early: &[u8]) -> Self {
        let mut decoder = Decoder::default();
        if !early.is_empty() {
            decoder.receive(early);
        }
        Self {
            stream: Some(stream),
            decoder,
            out: Vec::new(),
            written: 0,
            stalled: None,
        }
    }

    /// The stream, once, and the bytes that are still to be written to it.
    pub(super) fn rest(&mut self) -> Option<(S, Vec<u8>)> {
        let rest = self.out.split_off(self.written);
        Some((self.stream.take()?, rest))
    }

    /// Whether the outbox has room for another answer.
    pub(super) fn has_room(&self) -> bool {
        self.out.len() - self.written < limits::OUTBOX_BYTES
    }

    /// Whether deliveries may be queued: the peer takes what is in the outbox. They are conflated
    /// in the mailbox otherwise.
    pub(super) fn takes_deliveries(&self) -> bool {
        self.stalled.is_none() && self.written == 0
    }

    /// Whether the outbox is full of deliveries.
    pub(super) fn is_full(&self) -> bool {
        self.out.len() >= limits::OUTBOX_BYTES
    }

    pub(super) fn has_output(&self) -> bool {
        !self.out.is_empty()
    }

    /// Since when the peer takes nothing.
    pub(super) fn stalled(&self) -> Option<Instant> {
        self.stalled
    }

    /// Takes the next message that was read completely.
    pub(super) fn decode(&mut self) -> Result<Option<Event>, Violation> {
        self.decoder.decode()
    }

    /// Where to write: the thread's buffer, as long as this socket has bytes to write.
    pub(super) fn outbox(&mut self) -> &mut Vec<u8> {
        if self.out.capacity() == 0 {
            self.out = WRITE.take();
        }
        &mut self.out
    }

    fn clear(&mut self) {
        self.written = 0;
        give_back(std::mem::take(&mut self.out));
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Socket<S> {
    /// Writes from the outbox. Pending when the peer takes no more.
    pub(super) fn poll_write(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Gone>> {
        let Some(stream) = &mut self.stream else {
            return Poll::Pending;
        };
        match Pin::new(stream).poll_write(context, &self.out[self.written..]) {
            Poll::Pending => {
                self.stalled.get_or_insert_with(Instant::now);
                return Poll::Pending;
            }
            Poll::Ready(Ok(count)) if count > 0 => {
                self.stalled = None;
                self.written += count;
                if self.written == self.out.len() {
                    self.clear();
                }
            }
            Poll::Ready(_) => return Poll::Ready(Err(Gone)),
        }
        Poll::Ready(Ok(()))
    }

    /// Queues one text message of these parts. A big payload is written at once, without a copy.
    pub(super) fn send(
        &mut self,
        context: &mut Context<'_>,
        prefix: &[u8],
        payload: &[u8],
        end: &[u8],
    ) -> Result<(), Gone> {
        let out = self.outbox();
        if out.is_empty() && payload.len() >= limits::UNCOPIED_BYTES {
            frame::text_head(prefix.len() + payload.len() + end.len(), out);
            out.extend_from_slice(prefix);
            return self.write_with(context, [payload, end]);
        }
        frame::text(&[prefix, payload, end], out);
        Ok(())
    }

    /// Writes the outbox and these two parts after it. They are copied only if the peer does not
    /// take them now.
    fn write_with(&mut self, context: &mut Context<'_>, parts: [&[u8]; 2]) -> Result<(), Gone> {
        let Some(stream) = &mut self.stream else {
            return Ok(());
        };
        let all = [&self.out, parts[0], parts[1]];
        let count = match Pin::new(stream).poll_write_vectored(context, &all.map(IoSlice::new)) {
            Poll::Pending => 0,
            Poll::Ready(Ok(count)) if count > 0 => count,
            Poll::Ready(_) => return Err(Gone),
        };
        if count == all.map(<[u8]>::len).iter().sum::<usize>() {
            self.clear();
            return Ok(());
        }
        self.written = count;
        for part in parts {
            self.out.extend_from_slice(part);
        }
        Ok(())
    }

    /// Reads once. Pending when there is nothing to read.
    pub(super) fn poll_read(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Gone>> {
        let Some(stream) = &mut self.stream else {
            return Poll::Pending;
        };
        READ.with_borrow_mut(|bytes| {
            let mut buffer = ReadBuf::new(bytes);
            match Pin::new(stream).poll_read(context, &mut buffer) {
                Poll::Pending => Poll::Pending,
                Poll::Ready(Ok(())) if !buffer.filled().is_empty() => {
                    self.decoder.receive(buffer.filled());
                    Poll::Ready(Ok(()))
                }
                Poll::Ready(_) => Poll::Ready(Err(Gone)),
            }
        })
    }
}

/// The buffer serves the thread's next socket, unless it has grown beyond the usual size.
fn give_back(mut buffer: Vec<u8>) {
    if buffer.capacity() <= limits::OUTBOX_BYTES * 2 {
        buffer.clear();
        WRITE.set(buffer);
    }
}
