//! The end of what a process wrote during its invocation.

use std::collections::VecDeque;

use uuid::Uuid;

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

    pub(super) fn add(&mut self, line: &[u8]) {
        let line = &line[line.len().saturating_sub(limits::TAIL_BYTES)..];
        let over = (self.bytes.len() + line.len()).saturating_sub(limits::TAIL_BYTES);
        self.bytes.drain(..over);
        self.bytes.extend(line);
    }

    /// The invocation whose output this is.
    pub(super) fn request(&self) -> Option<Uuid> {
        self.request
    }

    pub(super) fn bytes(&self) -> Vec<u8> {
        self.bytes.iter().copied().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tail_keeps_the_last_bytes_of_an_invocation() {
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
}
