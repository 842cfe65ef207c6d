//! The log: to standard error, as text for a person or one JSON object per line. A logged text may
//! be any caller's; it cannot forge a line or control a terminal.

pub mod filter;

use std::fmt::Debug;
use std::io::{self, IsTerminal, Stderr, Write};

use tracing::field::Field;
use tracing_subscriber::field::MakeExt;
use tracing_subscriber::fmt::format::{FormatFields, Writer, debug_fn};

use crate::colour;
use crate::config::LogFormat;
use crate::printable::{printable, printable_json};
use filter::FilterError;

/// Starts the log. It is called once in a process.
///
/// # Errors
/// The filter is not valid.
pub fn init(filter: &str, format: LogFormat) -> Result<(), FilterError> {
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter::parse(filter)?)
        // A line that cannot be written is lost. Reporting that would fail as well, and panic in
        // the code that logs.
        .log_internal_errors(false);
    match format {
        LogFormat::Json => builder
            .with_writer(|| JsonLines(io::stderr()))
            .json()
            .flatten_event(true)
            .init(),
        LogFormat::Text => {
            let colours = io::stderr().is_terminal() && colour::is_allowed();
            builder
                .with_writer(io::stderr)
                .fmt_fields(fields())
                .with_ansi(colours)
                .with_target(false)
                .init();
        }
    }
    Ok(())
}

/// The fields of an event, on one line regardless of their content.
fn fields() -> impl for<'writer> FormatFields<'writer> {
    debug_fn(
        |writer: &mut Writer<'_>, field: &Field, value: &dyn Debug| {
            let text = format!("{value:?}");
            let text = printable(&text);
            match field.name() {
                "message" => write!(writer, "{text}"),
                name => write!(writer, "{name}={text}"),
            }
        },
    )
    .delimited(" ")
}

/// Writes lines of JSON; each write is one event.
struct JsonLines(Stderr);

impl Write for JsonLines {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(line);
        self.0.write_all(printable_json(&text).as_bytes())?;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Buffer(Arc<Mutex<Vec<u8>>>);

    impl Write for Buffer {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().expect("not poisoned").extend(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_logged_text_forges_no_line() {
        let buffer = Buffer::default();
        let writer = buffer.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_writer(move || writer.clone())
            .fmt_fields(fields())
            .with_ansi(false)
            .finish();
        let hostile = "x\n2026-01-01T00:00:00Z ERROR forged\u{1b}]0;t\u{7}\u{9b}\u{202e}";
        tracing::subscriber::with_default(subscriber, || {
            let span = tracing::info_span!("request", job = %hostile);
            let _entered = span.enter();
            tracing::info!(error = %hostile, text = hostile, debug = ?hostile, count = 7, "{hostile}");
        });
        let text =
            String::from_utf8(buffer.0.lock().expect("not poisoned").clone()).expect("UTF-8");
        assert_eq!(text.lines().count(), 1, "{text}");
        assert!(
            !text
                .trim_end()
                .contains(|c: char| c.is_control() || c == '\u{202e}'),
            "{text:?}"
        );
        assert!(
            text.contains(r"x\n2026") && text.contains(" count=7"),
            "{text}"
        );
    }
}
