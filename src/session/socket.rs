//! One socket: reading into a decoder, and writing from an outbox. No protocol, no operations.

use std::cell::RefCell;
use std::io::IoSlice;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;
use wire::frame::{self, Decoder, Event, Violation};

use super::limits;
use super::outbox::Outbox;

/// Maximum number of bytes of one read.
const READ_BYTES: usize = 16 * 1024;

thread_local! {
    /// All sockets of a thread read into one buffer.
    static READ: RefCell<Box<[u8]>> = RefCell::new(vec![0; READ_BYTES].into());
}

/// The peer has closed the socket, or the socket failed.
#[derive(Debug)]
pub(super) struct Gone;

/// One socket.
pub(super) struct Socket<S> {
    /// `None` once it was taken to be closed.
    stream: Option<S>,
    decoder: Decoder,
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
            stalled: None,
        }
    }

    /// The stream, once.
    pub(super) fn take(&mut self) -> Option<S> {
        self.stream.take()
    }

    /// Since when the peer takes nothing.
    pub(super) fn stalled(&self) -> Option<Instant> {
        self.stalled
    }

    /// Takes the next message that was read completely.
    pub(super) fn decode(&mut self) -> Result<Option<Event>, Violation> {
        self.decoder.decode()
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Socket<S> {
    /// Writes from the outbox. Pending when the peer takes no more.
    pub(super) fn poll_write(
        &mut self,
        context: &mut Context<'_>,
        outbox: &mut Outbox,
    ) -> Poll<Result<(), Gone>> {
        let Some(stream) = &mut self.stream else {
            return Poll::Pending;
        };
        match Pin::new(stream).poll_write(context, outbox.unwritten()) {
            Poll::Pending => {
                self.stalled.get_or_insert_with(Instant::now);
                return Poll::Pending;
            }
            Poll::Ready(Ok(count)) if count > 0 => {
                self.stalled = None;
                outbox.written(count);
            }
            Poll::Ready(_) => return Poll::Ready(Err(Gone)),
        }
        Poll::Ready(Ok(()))
    }

    /// Queues one text message: the text before the payload, the payload, and the text after it. A
    /// big payload is written at once, without a copy.
    pub(super) fn send(
        &mut self,
        context: &mut Context<'_>,
        outbox: &mut Outbox,
        parts: [&[u8]; 3],
    ) -> Result<(), Gone> {
        let [prefix, payload, end] = parts;
        let out = outbox.buffer();
        if out.is_empty() && payload.len() >= limits::UNCOPIED_BYTES {
            frame::text_head(prefix.len() + payload.len() + end.len(), out);
            out.extend_from_slice(prefix);
            return self.write_with(context, outbox, [payload, end]);
        }
        frame::text(&parts, out);
        Ok(())
    }

    /// Writes the outbox and these two parts after it. They are copied only if the peer does not
    /// take them now.
    fn write_with(
        &mut self,
        context: &mut Context<'_>,
        outbox: &mut Outbox,
        parts: [&[u8]; 2],
    ) -> Result<(), Gone> {
        let Some(stream) = &mut self.stream else {
            return Ok(());
        };
        let all = [outbox.unwritten(), parts[0], parts[1]];
        let count = match Pin::new(stream).poll_write_vectored(context, &all.map(IoSlice::new)) {
            Poll::Pending => 0,
            Poll::Ready(Ok(count)) if count > 0 => count,
            Poll::Ready(_) => return Err(Gone),
        };
        if count < all.map(<[u8]>::len).iter().sum::<usize>() {
            for part in parts {
                outbox.buffer().extend_from_slice(part);
            }
        }
        outbox.written(count);
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
