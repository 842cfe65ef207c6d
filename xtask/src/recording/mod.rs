//! `cargo xtask recording BINARY FILE`: runs `BINARY demo` on a pseudo terminal and writes what the
//! terminal showed as an animated picture, for the README.
//!
//! | module | what |
//! |---|---|
//! | `terminal` | runs the program on a pseudo terminal and notes when it wrote what |
//! | `screen` | the cells that a terminal shows after these bytes |
//! | `svg` | screens as an animated SVG |

mod screen;
mod svg;
mod terminal;

use std::fs;
use std::io;
use std::path::Path;
use std::time::Duration;

use screen::Screen;
use terminal::Written;

/// Size of the terminal, in characters.
const COLUMNS: usize = 100;
/// Size of the terminal, in lines.
const ROWS: usize = 32;
/// Maximum number of pictures; a longer run has fewer of them in a second.
const FRAMES: u32 = 60;
/// Minimum time between two pictures.
const FRAME: Duration = Duration::from_millis(120);
/// What the picture shows instead of the directory of the data.
const SHOWN_DATA: &str = "demo-data";

/// A screen, and when it was shown first.
pub(crate) struct Frame {
    pub(crate) at: Duration,
    pub(crate) screen: Screen,
}

/// Records a run of the demo.
///
/// # Errors
/// The program cannot be run or fails, or the picture cannot be written.
pub(crate) fn record(binary: &Path, file: &Path) -> io::Result<()> {
    let data = std::env::temp_dir().join(format!("jobcast-recording-{}", std::process::id()));
    let written = terminal::run(binary, &data, COLUMNS, ROWS);
    // A run that failed early has left nothing.
    let _ = fs::remove_dir_all(&data);
    let written = replaced(&written?, &data.display().to_string(), SHOWN_DATA);
    let frames = frames(&written);
    fs::write(file, svg::render(&frames, COLUMNS, ROWS))?;
    println!("{}: {} pictures", file.display(), frames.len());
    Ok(())
}

/// The same output with another text in the place of `from`, wherever the output was cut into
/// pieces.
fn replaced(written: &[Written], from: &str, to: &str) -> Vec<Written> {
    let bytes: Vec<u8> = written.iter().flat_map(|one| one.bytes.clone()).collect();
    let times = written
        .iter()
        .flat_map(|one| std::iter::repeat_n(one.at, one.bytes.len()));
    let times: Vec<Duration> = times.collect();
    let mut result: Vec<Written> = Vec::new();
    let mut place = 0;
    while place < bytes.len() {
        let at = times[place];
        let next = if bytes[place..].starts_with(from.as_bytes()) {
            place += from.len();
            to.as_bytes()
        } else {
            place += 1;
            &bytes[place - 1..place]
        };
        match result.last_mut() {
            Some(last) if last.at == at => last.bytes.extend_from_slice(next),
            _ => result.push(Written {
                at,
                bytes: next.to_vec(),
            }),
        }
    }
    result
}

/// The screens that differ from the ones before them, at most [`FRAMES`].
fn frames(written: &[Written]) -> Vec<Frame> {
    let end = written.last().map_or(Duration::ZERO, |last| last.at);
    let every = (end / FRAMES).max(FRAME);
    let mut screen = Screen::new(COLUMNS, ROWS);
    let mut frames: Vec<Frame> = Vec::new();
    let mut due = Duration::ZERO;
    for (index, one) in written.iter().enumerate() {
        screen.write(&one.bytes);
        let next = written.get(index + 1);
        if next.is_some_and(|next| next.at < due) {
            continue;
        }
        if frames.last().is_none_or(|last| last.screen != screen) {
            frames.push(Frame {
                at: one.at,
                screen: screen.clone(),
            });
        }
        due = due.max(one.at) + every;
    }
    frames
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(at: u64, text: &str) -> Written {
        Written {
            at: Duration::from_millis(at),
            bytes: text.as_bytes().to_vec(),
        }
    }

    #[test]
    fn a_text_is_replaced_across_pieces() {
        let output = [
            written(0, "in /tm"),
            written(5, "p/x/file"),
            written(9, "!"),
        ];
        let output = replaced(&output, "/tmp/x", "data");
        let text: Vec<u8> = output.iter().flat_map(|one| one.bytes.clone()).collect();
        assert_eq!(String::from_utf8_lossy(&text), "in data/file!");
    }

    #[test]
    fn a_long_run_has_a_bounded_number_of_pictures() {
        let output: Vec<Written> = (0..10_000)
            .map(|n| written(n * 10, &format!("\r{n}")))
            .collect();
        let frames = frames(&output);
        // The first and the last are beside those at regular times.
        assert!(frames.len() <= FRAMES as usize + 2, "{}", frames.len());
        let last = frames.last().map(|frame| frame.screen.line(0));
        assert_eq!(last.as_deref(), Some("9999"));
    }
}
