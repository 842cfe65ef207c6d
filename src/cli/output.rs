//! What the commands print: results on standard output, everything else on standard error. Colours are for terminals only, and `NO_COLOR`
//! turns them off. It knows no job.

use std::fmt::Display;
use std::io::{ErrorKind, IsTerminal, Write};

use anstyle::{AnsiColor, Style};
use serde::Serialize;

use super::error::CliError;

pub(super) const BOLD: Style = Style::new().bold();
pub(super) const DIM: Style = Style::new().dimmed();
pub(super) const GREEN: Style = AnsiColor::Green.on_default();
pub(super) const RED: Style = AnsiColor::Red.on_default();
pub(super) const YELLOW: Style = AnsiColor::Yellow.on_default();
pub(super) const CYAN: Style = AnsiColor::Cyan.on_default();

/// Characters that the last column of a table has in any case.
const LEAST_ROOM: usize = 20;

/// Text in a style; the style goes away where it cannot be shown.
pub(super) fn paint(style: Style, text: impl Display) -> String {
    format!("{style}{text}{style:#}")
}

/// Whether a person looks at both outputs: then there are live bars.
pub(super) fn is_interactive() -> bool {
    std::io::stdout().is_terminal() && std::io::stderr().is_terminal()
}

/// Columns of the terminal that standard output is; `None` where it is none.
pub(super) fn columns() -> Option<usize> {
    let size = rustix::termios::tcgetwinsize(std::io::stdout()).ok()?;
    Some(usize::from(size.ws_col)).filter(|columns| *columns > 0)
}

/// Prints lines of a result.
pub(super) fn print(text: impl Display) {
    let mut out = anstream::stdout().lock();
    finish(writeln!(out, "{text}").and_then(|()| out.flush()));
}

/// Prints one JSON document on a line.
pub(super) fn print_json(value: &impl Serialize) {
    let text = serde_json::to_string(value).expect("what is printed has text keys");
    let mut out = std::io::stdout().lock();
    finish(writeln!(out, "{text}").and_then(|()| out.flush()));
}

/// Tells a person something that is not part of the result.
pub(super) fn note(text: impl Display) {
    // Nobody to tell it to is no error.
    let _ = writeln!(anstream::stderr(), "{text}");
}

/// Tells why the command failed.
pub(super) fn complain(error: &CliError) {
    match error {
        CliError::Interrupted(text) if text.is_empty() => {}
        CliError::Interrupted(text) => note(text),
        _ => note(format_args!("{} {error}", paint(RED.bold(), "error:"))),
    }
}

/// A reader that had enough (`| head`) ends the program quietly; without an output there is nothing left to do either.
fn finish(written: std::io::Result<()>) {
    match written {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::BrokenPipe => std::process::exit(0),
        Err(error) => {
            note(format_args!("error: standard output: {error}"));
            std::process::exit(1);
        }
    }
}

/// A table: columns as wide as their widest cell. On a terminal the last one ends where the line does.
#[derive(Debug)]
pub(super) struct Table {
    rows: Vec<Vec<(Style, String)>>,
}

impl Table {
    /// With a line of headings.
    pub(super) fn new(headings: &[&str]) -> Table {
        let headings = headings.iter().map(|name| (DIM, (*name).to_owned()));
        Table {
            rows: vec![headings.collect()],
        }
    }

    /// Adds a line.
    pub(super) fn row<const N: usize>(&mut self, cells: [(Style, String); N]) {
        self.rows.push(cells.into());
    }

    /// The lines, at most `most` characters long as far as the last column can help it.
    pub(super) fn lines(&self, most: Option<usize>) -> impl Iterator<Item = String> {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let widths: Vec<usize> = (0..columns)
            .map(|column| {
                let cells = self.rows.iter().filter_map(|row| row.get(column));
                cells
                    .map(|(_, text)| text.chars().count())
                    .max()
                    .unwrap_or(0)
            })
            .collect();
        let before: usize = widths.iter().rev().skip(1).map(|width| width + 2).sum();
        let room = most.map_or(usize::MAX, |most| {
            most.saturating_sub(before).max(LEAST_ROOM)
        });
        self.rows.iter().map(move |row| {
            let mut line = String::new();
            for (column, (style, text)) in row.iter().enumerate() {
                let last = row[column + 1..].iter().all(|(_, text)| text.is_empty());
                if column + 1 == columns {
                    line.push_str(&paint(*style, shorten(text, room)));
                    break;
                }
                line.push_str(&paint(*style, text));
                if last {
                    break;
                }
                let gap = widths[column] + 2 - text.chars().count();
                line.extend(std::iter::repeat_n(' ', gap));
            }
            line
        })
    }

    /// Prints them.
    pub(super) fn print(&self) {
        self.lines(columns()).for_each(print);
    }
}

/// `780 ms`, `1.2 s`, `3 min 20 s`, `2 h 5 min`, `4 d 3 h`.
pub(super) fn duration(millis: i64) -> String {
    let seconds = millis / 1_000;
    match seconds {
        0 => format!("{} ms", millis.max(0)),
        1..=59 => format!("{}.{} s", seconds, millis % 1_000 / 100),
        60..=3_599 => format!("{} min {} s", seconds / 60, seconds % 60),
        3_600..=86_399 => format!("{} h {} min", seconds / 3_600, seconds / 60 % 60),
        _ => format!("{} d {} h", seconds / 86_400, seconds / 3_600 % 24),
    }
}

/// At most `most` characters on one line.
pub(super) fn shorten(text: &str, most: usize) -> String {
    let line: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.chars().nth(most).is_none() {
        return line;
    }
    let kept: String = line.chars().take(most.saturating_sub(1)).collect();
    format!("{}…", kept.trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_for_people() {
        for (millis, text) in [
            (0, "0 ms"),
            (999, "999 ms"),
            (1_250, "1.2 s"),
            (59_999, "59.9 s"),
            (200_000, "3 min 20 s"),
            (7_500_000, "2 h 5 min"),
            (356_400_000, "4 d 3 h"),
        ] {
            assert_eq!(duration(millis), text);
        }
    }

    #[test]
    fn long_texts_fit_on_a_line() {
        assert_eq!(shorten("a  b\nc", 5), "a b c");
        assert_eq!(shorten("abcdef", 5), "abcd…");
        assert_eq!(shorten("äöüßé", 5), "äöüßé");
    }

    #[test]
    fn a_table_lines_up() {
        let mut table = Table::new(&["ID", "STATUS", "MESSAGE"]);
        let plain = |text: &str| (Style::new(), text.to_owned());
        table.row([plain("1"), plain("QUEUED"), plain("")]);
        table.row([plain("234"), plain("OK"), plain(&"done ".repeat(9))]);
        let lines = |most| -> Vec<String> {
            let lines = table.lines(most);
            lines
                .map(|line| anstream::adapter::strip_str(&line).to_string())
                .collect()
        };
        let whole = format!("234  OK      {}", "done ".repeat(9).trim_end());
        assert_eq!(lines(None), ["ID   STATUS  MESSAGE", "1    QUEUED", &whole]);
        for (most, end) in [
            (39, "done done done done done…"),
            (5, "done done done done…"),
        ] {
            assert_eq!(lines(Some(most))[2], format!("234  OK      {end}"));
        }
    }
}
