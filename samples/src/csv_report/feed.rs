//! The bridge from a download to a reader on another thread. It holds a few chunks at a time, so
//! that a slow reader slows the download down and memory does not grow.

use std::io::{self, Read};

use bytes::{Buf, Bytes};
use functions::{Download, Error};
use tokio::sync::mpsc;

/// Maximum number of chunks between the download and the reader.
pub const FEED_CHUNKS: usize = 8;

/// The reader's end. Reading blocks, so run it on its own thread.
#[derive(Debug)]
pub(super) struct Feed {
    chunks: mpsc::Receiver<Result<Bytes, Error>>,
    current: Bytes,
}

/// A feed, and the sender to [`pump`] into it.
pub(super) fn feed() -> (mpsc::Sender<Result<Bytes, Error>>, Feed) {
    let (sender, chunks) = mpsc::channel(FEED_CHUNKS);
    (
        sender,
        Feed {
            chunks,
            current: Bytes::new(),
        },
    )
}

/// Moves a download into a feed until it ends, fails, or has no reader.
pub(super) async fn pump(mut download: Download, sender: mpsc::Sender<Result<Bytes, Error>>) {
    while let Some(chunk) = download.chunk().await.transpose() {
        let last = chunk.is_err();
        if sender.send(chunk).await.is_err() || last {
            return;
        }
    }
}

impl Read for Feed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.current.is_empty() {
            match self.chunks.blocking_recv() {
                Some(Ok(chunk)) => self.current = chunk,
                Some(Err(error)) => return Err(io::Error::other(error)),
                None => return Ok(0),
            }
        }
        let count = buffer.len().min(self.current.len());
        self.current.copy_to_slice(&mut buffer[..count]);
        Ok(count)
    }
}
