//! What a function's process writes: line by line into the log, and the end of it kept for the invocation. It keeps no files.

use std::collections::VecDeque;
use std::sync::Arc;

use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncRead, AsyncReadExt, BufReader};
use uuid::Uuid;

use super::function::Process;
use super::limits;

/// The end of what was written during an invocation.
#[derive(Debug, Default)]
pub(super) struct Tail {
    request: Option<Uuid>,
    bytes: VecDeque<u8>,
}

impl Tail {
    pub(super) fn begin(&mut self, request: Uuid) {
        self.request = Some(request);
        self.bytes.clear();
    }

    fn add(&mut self, line: &[u8]) {
        let line = &line[line.len().saturating_sub(limits::TAIL_BYTES)..];
        let over = (self.bytes.len() + line.len()).saturating_sub(limits::TAIL_BYTES);
        self.bytes.drain(..over);
        self.bytes.extend(line);
    }

    pub(super) fn bytes(&self) -> Vec<u8> {
        self.bytes.iter().copied().collect()
    }
}

/// Reads until the pipe closes.
pub(super) async fn read(pipe: impl AsyncRead + Unpin, function: Arc<str>, process: Arc<Process>) {
    let mut pipe = BufReader::new(pipe);
    let mut line = Vec::new();
    loop {
        line.clear();
        match read_line(&mut pipe, &mut line).await {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
        let request = {
            let mut tail = process.tail.lock();
            tail.add(&line);
            tail.request
        };
        let text = String::from_utf8_lossy(&line);
        let text = text.trim_end();
        match request {
            Some(request) => tracing::info!(target: "function", %function, %request, "{text}"),
            None => tracing::info!(target: "function", %function, "{text}"),
        }
    }
}

async fn read_line(
    pipe: &mut (impl AsyncBufRead + Unpin),
    line: &mut Vec<u8>,
) -> std::io::Result<usize> {
    pipe.take(limits::LINE_BYTES as u64)
        .read_until(b'\n', line)
        .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tail_keeps_the_end() {
        let mut tail = Tail::default();
        tail.add(&[b'a'; limits::TAIL_BYTES]);
        assert_eq!(tail.bytes().len(), limits::TAIL_BYTES);
        tail.add(b"end");
        assert_eq!(tail.bytes().len(), limits::TAIL_BYTES);
        assert!(tail.bytes().ends_with(b"aend"));
        tail.add(&[b'b'; 2 * limits::TAIL_BYTES]);
        assert_eq!(tail.bytes(), [b'b'; limits::TAIL_BYTES]);
        tail.begin(Uuid::nil());
        assert!(tail.bytes().is_empty());
    }

    #[tokio::test]
    async fn a_long_line_is_cut_at_the_limit() {
        let text = [b'x'; limits::LINE_BYTES + 1];
        let (mut pipe, mut line) = (BufReader::new(&text[..]), Vec::new());
        assert_eq!(
            read_line(&mut pipe, &mut line).await.unwrap(),
            limits::LINE_BYTES
        );
        assert_eq!(read_line(&mut pipe, &mut line).await.unwrap(), 1);
    }
}
