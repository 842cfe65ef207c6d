//! Reads what a function's process writes: each line goes to the log, and the end of it is kept for
//! the invocation. Nothing is written to files.

use std::sync::Arc;

use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncRead, AsyncReadExt, BufReader};

use super::limits;
use super::process::Process;

/// Reads until the pipe closes.
pub(super) async fn read(pipe: impl AsyncRead + Unpin, function: Arc<str>, process: Arc<Process>) {
    let mut pipe = BufReader::new(pipe);
    let mut line = Vec::new();
    loop {
        match read_line(&mut pipe, &mut line).await {
            Ok(0) | Err(_) if line.is_empty() => return,
            // The pipe closes behind a line without an end.
            Ok(0) | Err(_) => say(&line, &function, &process),
            Ok(_) => {
                let cut = line.len() == limits::LINE_BYTES && !line.ends_with(b"\n");
                let rest = if cut { unfinished_word(&line) } else { 0 };
                let whole = line.len() - rest;
                say(&line[..whole], &function, &process);
                line.drain(..whole);
                continue;
            }
        }
        return;
    }
}

fn say(line: &[u8], function: &str, process: &Process) {
    let text = String::from_utf8_lossy(line);
    let text = process.shown(&text);
    let request = {
        let mut tail = process.tail.lock();
        tail.add(text.as_bytes());
        tail.request()
    };
    let text = text.trim_end();
    match request {
        Some(request) => tracing::info!(target: "function", function, %request, "{text}"),
        None => tracing::info!(target: "function", function, "{text}"),
    }
}

/// Reads up to the end of the line, or until it has [`limits::LINE_BYTES`].
async fn read_line(
    pipe: &mut (impl AsyncBufRead + Unpin),
    line: &mut Vec<u8>,
) -> std::io::Result<usize> {
    let room = limits::LINE_BYTES.saturating_sub(line.len());
    pipe.take(room as u64).read_until(b'\n', line).await
}

/// Bytes of the word at the end of a line that was cut: it may be half a token, of which the halves
/// are not recognized. 0 when it is too long to be one.
fn unfinished_word(line: &[u8]) -> usize {
    let in_word = |byte: &&u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    let word = line.iter().rev().take_while(in_word).count();
    if word <= limits::WORD_BYTES { word } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_long_line_is_cut_at_the_limit() {
        let text = [b'x'; limits::LINE_BYTES + 1];
        let (mut pipe, mut line) = (BufReader::new(&text[..]), Vec::new());
        let read = read_line(&mut pipe, &mut line).await.unwrap();
        assert_eq!(read, limits::LINE_BYTES);
        line.clear();
        assert_eq!(read_line(&mut pipe, &mut line).await.unwrap(), 1);
    }

    fn redact(text: &str) -> std::borrow::Cow<'_, str> {
        text.replace("secret.word", "hidden").into()
    }

    /// What is kept of an output.
    async fn kept(text: &[u8]) -> String {
        let process = Arc::new(Process::new(1, redact, None));
        read(text, "f".into(), process.clone()).await;
        String::from_utf8(process.tail.lock().bytes()).unwrap()
    }

    #[tokio::test]
    async fn a_secret_is_hidden_also_where_a_line_is_cut() {
        assert_eq!(
            kept(b"a secret.word\nsecret.word").await,
            "a hidden\nhidden"
        );
        for before in 1..12 {
            let padding = " ".repeat(limits::LINE_BYTES - before);
            let shown = kept(format!("{padding}secret.word end\n").as_bytes()).await;
            assert!(shown.ends_with(" hidden end\n"), "{before}: {shown:?}");
        }
    }

    #[tokio::test]
    async fn a_word_without_end_does_not_stop_the_output() {
        let text = vec![b'x'; 3 * limits::LINE_BYTES];
        assert_eq!(kept(&text).await.len(), limits::TAIL_BYTES);
        assert_eq!(
            unfinished_word(&[b'x'; limits::WORD_BYTES]),
            limits::WORD_BYTES
        );
        assert_eq!(unfinished_word(&[b'x'; limits::WORD_BYTES + 1]), 0);
    }
}
