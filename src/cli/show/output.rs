//! The output of commands: results on standard output, everything else on standard error. Colours
//! are for terminals only, and `NO_COLOR` turns them off. It does not depend on jobs.

use std::io::{ErrorKind, IsTerminal, Write};
use std::process::ExitCode;
use std::sync::atomic::{AtomicU8, Ordering};

use anstyle::Style;
use serde::Serialize;

use crate::cli::error::{BROKEN_PIPE, CliError, USAGE};
use crate::cli::show::text::{DIM, Part, RED, Text, padded, paint, shorten, text, width};
use crate::config::unknown_variables;
use crate::printable::{printable, printable_json};

/// Minimum width of a table's last column; if a line has less room, the column continues below it.
const LEAST_ROOM: usize = 20;
/// Indentation of the lines below a table's line.
const INDENT: &str = "  ";

/// Whether both outputs are a terminal that can move its cursor: then live bars are shown.
pub(crate) fn is_interactive() -> bool {
    // The bars' library decides too: if it does not draw, lines must be printed.
    let draws = !indicatif::ProgressDrawTarget::stderr().is_hidden();
    std::io::stdout().is_terminal() && std::io::stderr().is_terminal() && draws
}

/// Columns of the terminal on standard output; `None` if it is not a terminal. `COLUMNS` has
/// priority, as usual.
pub(crate) fn columns() -> Option<usize> {
    let out = std::io::stdout();
    if !out.is_terminal() {
        return None;
    }
    let set = std::env::var("COLUMNS").ok();
    let set = set.and_then(|columns| columns.trim().parse().ok());
    let size = || {
        let size = rustix::termios::tcgetwinsize(&out).ok()?;
        Some(usize::from(size.ws_col))
    };
    set.or_else(size).filter(|columns| *columns > 0)
}

/// Prints lines of a result.
pub(crate) fn print(part: impl Part) {
    let mut out = anstream::stdout().lock();
    finish(writeln!(out, "{}", text![part].styled()).and_then(|()| out.flush()));
}

/// Prints one JSON document on one line.
pub(crate) fn print_json(value: &impl Serialize) {
    let text = serde_json::to_string(value).expect("printed values have text keys");
    let mut out = std::io::stdout().lock();
    finish(writeln!(out, "{}", printable_json(&text)).and_then(|()| out.flush()));
}

/// Prints a note that is not part of the result.
pub(crate) fn note(part: impl Part) {
    // A closed standard error is not an error.
    let _ = writeln!(anstream::stderr(), "{}", text![part].styled());
}

/// Prints why the command failed.
pub(crate) fn complain(error: &CliError) {
    match error {
        CliError::Interrupted { said, .. } if said.is_empty() => {}
        CliError::Interrupted { said, .. } => note(said),
        _ => note(text![
            paint(RED.bold(), "error:"),
            " ",
            Text::lines(&error.to_string())
        ]),
    }
    if matches!(error, CliError::Unreachable { .. }) {
        let variables = std::env::vars_os().map(|(name, _)| name.to_string_lossy().into_owned());
        unknown_variables(variables).iter().for_each(note);
    }
}

/// Prints the help, or the error of the command line. The text may contain untrusted input, such as
/// the name of a file.
pub(crate) fn refuse(error: &clap::Error) -> ExitCode {
    if error.use_stderr() {
        note(Text::lines(error.render().to_string().trim_end()));
        return ExitCode::from(USAGE);
    }
    // A reader that closes the help early is not an error.
    let _ = error.print();
    ExitCode::SUCCESS
}

/// The exit status if the reader of standard output closes it.
static WITHOUT_READER: AtomicU8 = AtomicU8::new(0);

/// From now on the exit status reports how a job ended, so a reader that closes the output earlier
/// is not a success.
pub(crate) fn status_is_the_jobs() {
    WITHOUT_READER.store(BROKEN_PIPE, Ordering::Relaxed);
}

/// Ends the program quietly: the reader has closed the output (`| head`).
pub(crate) fn end_without_reader() -> ! {
    std::process::exit(WITHOUT_READER.load(Ordering::Relaxed).into());
}

/// Ends the program if the output is closed.
fn finish(written: std::io::Result<()>) {
    match written {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::BrokenPipe => end_without_reader(),
        Err(error) => {
            note(format_args!("error: standard output: {error}"));
            std::process::exit(1);
        }
    }
}

/// A table. Columns are as wide as their widest cell, and columns without text are left out. On a
/// terminal, cells that do not fit beside the others are printed below them, and the last column
/// ends at the line's end.
#[derive(Debug)]
pub(crate) struct Table {
    rows: Vec<Vec<(Style, String)>>,
}

impl Table {
    /// A table with a line of headings.
    pub(crate) fn new(headings: &[&str]) -> Table {
        let headings = headings.iter().map(|name| (DIM, (*name).to_owned()));
        Table {
            rows: vec![headings.collect()],
        }
    }

    /// Adds a line.
    pub(crate) fn row<const N: usize>(&mut self, cells: [(Style, String); N]) {
        // Several lines become one; the spaces within one line are kept.
        let line = |text: &str| match text.contains(char::is_control) {
            true => shorten(text, usize::MAX),
            false => printable(text).into_owned(),
        };
        let cells = cells.map(|(style, text)| (style, line(&text)));
        self.rows.push(cells.into());
    }

    /// The headings and each row, for a terminal of at most `most` columns.
    pub(crate) fn texts(&self, most: Option<usize>) -> impl Iterator<Item = Text> {
        let bands = self.bands(most);
        self.rows.iter().map(move |row| {
            let lines = bands.iter().enumerate().filter_map(|(at, band)| {
                let last = band
                    .iter()
                    .rposition(|(column, _)| !row[*column].1.is_empty());
                // A row always has its first line.
                if last.is_none() && at > 0 {
                    return None;
                }
                let mut line = text![if at > 0 { INDENT } else { "" }];
                for (place, (column, width)) in band
                    .iter()
                    .take(last.map_or(0, |last| last + 1))
                    .enumerate()
                {
                    let (style, cell) = &row[*column];
                    let cell = if *column == 0 {
                        cell.clone()
                    } else {
                        shorten(cell, *width)
                    };
                    line.add(paint(*style, &cell));
                    if Some(place) != last {
                        line.add(&padded(&cell, width + 2)[cell.len()..]);
                    }
                }
                Some(line)
            });
            Text::stacked(lines)
        })
    }

    /// The columns of each line of a row, with their widths.
    fn bands(&self, most: Option<usize>) -> Vec<Vec<(usize, usize)>> {
        let columns = self.rows.first().map_or(0, Vec::len);
        let widest = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column));
            cells.map(|(_, text)| width(text)).max().unwrap_or(0)
        };
        let filled = |column: &usize| {
            let mut rows = self.rows.iter().skip(1);
            self.rows.len() == 1 || rows.any(|row| !row[*column].1.is_empty())
        };
        let shown: Vec<usize> = (0..columns).filter(filled).collect();
        let most = most.unwrap_or(usize::MAX);
        let mut bands: Vec<Vec<(usize, usize)>> = vec![Vec::new()];
        let mut used = 0;
        for column in &shown {
            let wide = widest(*column);
            let is_last = Some(column) == shown.last();
            let needed = if is_last { wide.min(LEAST_ROOM) } else { wide };
            let band = bands
                .last_mut()
                .expect("the first band exists from the start");
            if !band.is_empty() && used + needed > most {
                bands.push(Vec::new());
                used = INDENT.len();
            }
            let band = bands
                .last_mut()
                .expect("the first band exists from the start");
            let wide = wide.min(most.saturating_sub(used).max(1));
            band.push((*column, wide));
            used += wide + 2;
        }
        bands
    }

    /// Prints the table.
    pub(crate) fn print(&self) {
        self.texts(columns()).for_each(print);
    }
}

/// `780 ms`, `1.2 s`, `3 min 20 s`, `2 h 5 min`, `4 d 3 h`.
pub(crate) fn duration(millis: i64) -> String {
    let seconds = millis / 1_000;
    match seconds {
        0 => format!("{} ms", millis.max(0)),
        1..=59 => format!("{}.{} s", seconds, millis % 1_000 / 100),
        60..=3_599 => format!("{} min {} s", seconds / 60, seconds % 60),
        3_600..=86_399 => format!("{} h {} min", seconds / 3_600, seconds / 60 % 60),
        _ => format!("{} d {} h", seconds / 86_400, seconds / 3_600 % 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_has_at_most_two_units() {
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

    fn table() -> Table {
        let mut table = Table::new(&["ID", "STATUS", "TAGS", "MESSAGE"]);
        let plain = |text: &str| (Style::new(), text.to_owned());
        table.row([plain("1"), plain("QUEUED"), plain(""), plain("")]);
        table.row([
            plain("234"),
            plain("OK"),
            plain(""),
            plain(&"done ".repeat(9)),
        ]);
        table
    }

    fn lines(table: &Table, most: Option<usize>) -> Vec<String> {
        let texts: Vec<String> = table.texts(most).map(|text| text.unstyled()).collect();
        texts.join("\n").lines().map(str::to_owned).collect()
    }

    #[test]
    fn a_table_is_aligned_and_omits_empty_columns() {
        let whole = format!("234  OK      {}", "done ".repeat(9).trim_end());
        assert_eq!(
            lines(&table(), None),
            ["ID   STATUS  MESSAGE", "1    QUEUED", &whole]
        );
        let mut wide = Table::new(&["TYPE", "END"]);
        let plain = |text: &str| (Style::new(), text.to_owned());
        wide.row([plain("東京"), plain("x")]);
        wide.row([plain("a\u{1b}"), plain("y")]);
        assert_eq!(
            lines(&wide, None),
            ["TYPE     END", "東京     x", "a\\u{1b}  y"]
        );
    }

    #[test]
    fn a_table_fits_into_a_terminal() {
        assert_eq!(
            lines(&table(), Some(39))[2],
            "234  OK      done done done done done…"
        );
        assert_eq!(
            lines(&table(), Some(24)),
            [
                "ID   STATUS",
                "  MESSAGE",
                "1    QUEUED",
                "234  OK",
                "  done done done done d…"
            ]
        );
        for most in 1..60 {
            for line in lines(&table(), Some(most)) {
                let first = line.starts_with("234") || line.starts_with("ID");
                assert!(
                    width(&line) <= most.max(if first { 3 } else { 4 }),
                    "{most}: {line}"
                );
            }
        }
    }
}
