//! Screens as one animated SVG: a strip of pictures that moves behind a window. It needs no script,
//! so it plays where pictures are shown, and it shows the last picture to readers who want no
//! motion.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::time::Duration;

use super::Frame;
use super::screen::{Cell, Look};

/// Width of a character and height of a line, in pixels.
const CELL: (f64, f64) = (8.4, 18.0);
/// Pixels around the text.
const MARGIN: f64 = 16.0;
/// Height of the window's title.
const TITLE: f64 = 28.0;
/// Time for which the last picture is shown.
const LAST: Duration = Duration::from_secs(6);

const BACKGROUND: &str = "#0d1117";
const TEXT: &str = "#e6edf3";
/// The colours of a terminal, from black to white.
const COLOURS: [&str; 8] = [
    "#484f58", "#ff7b72", "#3fb950", "#d29922", "#58a6ff", "#bc8cff", "#39c5cf", "#b1bac4",
];

/// The picture of a recording.
pub(crate) fn render(frames: &[Frame], columns: usize, rows: usize) -> String {
    #[expect(clippy::cast_precision_loss, reason = "a terminal is small")]
    let (width, height) = (columns as f64 * CELL.0, rows as f64 * CELL.1);
    let strip = width + MARGIN;
    let last = frames.last().map_or(Duration::ZERO, |frame| frame.at);
    let whole = (last + LAST).as_secs_f64();
    let mut steps = String::new();
    let mut pictures = String::new();
    let mut lines = Lines::default();
    for (index, frame) in frames.iter().enumerate() {
        #[expect(clippy::cast_precision_loss, reason = "there are few pictures")]
        let left = index as f64 * strip;
        let part = 100.0 * frame.at.as_secs_f64() / whole;
        let part = if index == 0 { 0.0 } else { part };
        put(
            &mut steps,
            format_args!("{part:.2}%{{transform:translateX(-{left:.0}px)}}"),
        );
        put(
            &mut pictures,
            format_args!("<g transform=\"translate({left:.0} 0)\">"),
        );
        for (row, cells) in frame.screen.rows().iter().enumerate() {
            #[expect(clippy::cast_precision_loss, reason = "a terminal is small")]
            let top = (row as f64 + 0.75) * CELL.1;
            if let Some(name) = lines.name(cells) {
                put(
                    &mut pictures,
                    format_args!("<use href=\"#l{name}\" y=\"{top:.1}\"/>"),
                );
            }
        }
        pictures.push_str("</g>\n");
    }
    #[expect(clippy::cast_precision_loss, reason = "there are few pictures")]
    let end = frames.len().saturating_sub(1) as f64 * strip;
    let (outer_width, outer_height) = (width + 2.0 * MARGIN, height + 2.0 * MARGIN + TITLE);
    let top = MARGIN + TITLE;
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{outer_width:.0}\" height=\"{outer_height:.0}\" \
         viewBox=\"0 0 {outer_width:.0} {outer_height:.0}\" role=\"img\" aria-label=\"A recording of jobcast demo\">\n\
         <style>text{{font:14px ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',monospace;fill:{TEXT};\
         white-space:pre}}.b{{font-weight:bold}}.d{{opacity:.6}}{}\
         .s{{animation:p {whole:.2}s steps(1,end) infinite}}@keyframes p{{{steps}100%{{transform:translateX(-{end:.0}px)}}}}\
         @media(prefers-reduced-motion:reduce){{.s{{animation:none;transform:translateX(-{end:.0}px)}}}}</style>\n\
         <rect width=\"100%\" height=\"100%\" rx=\"8\" fill=\"{BACKGROUND}\"/>\n\
         <circle cx=\"20\" cy=\"18\" r=\"6\" fill=\"#ff5f57\"/><circle cx=\"40\" cy=\"18\" r=\"6\" fill=\"#febc2e\"/>\
         <circle cx=\"60\" cy=\"18\" r=\"6\" fill=\"#28c840\"/><text x=\"84\" y=\"23\" class=\"d\">jobcast demo</text>\n\
         <defs>{}</defs>\n\
         <svg x=\"{MARGIN:.0}\" y=\"{top:.0}\" width=\"{width:.0}\" height=\"{height:.0}\"><g class=\"s\">\n{pictures}</g></svg>\n\
         </svg>\n",
        colours(),
        lines.definitions,
    )
}

fn colours() -> String {
    let rules = COLOURS.iter().enumerate();
    rules
        .map(|(number, colour)| format!(".c{number}{{fill:{colour}}}"))
        .collect()
}

/// Lines that are drawn once and used in each picture that shows them.
#[derive(Default)]
struct Lines {
    known: HashMap<String, usize>,
    definitions: String,
}

impl Lines {
    /// The name of a line; an empty one has none.
    fn name(&mut self, cells: &[Cell]) -> Option<usize> {
        let drawn = draw(cells);
        if drawn.is_empty() {
            return None;
        }
        let next = self.known.len();
        let name = *self.known.entry(drawn.clone()).or_insert(next);
        if name == next {
            put(
                &mut self.definitions,
                format_args!("<g id=\"l{name}\">{drawn}</g>\n"),
            );
        }
        Some(name)
    }
}

/// A line as one text for each run of characters with one look.
fn draw(cells: &[Cell]) -> String {
    let mut drawn = String::new();
    let mut start = 0;
    while start < cells.len() {
        let look = cells[start].look;
        let length = cells[start..]
            .iter()
            .take_while(|cell| cell.look == look)
            .count();
        let text: String = cells[start..start + length]
            .iter()
            .map(|cell| cell.character)
            .collect();
        let before = text.chars().take_while(|c| *c == ' ').count();
        let text = text.trim();
        if !text.is_empty() {
            #[expect(clippy::cast_precision_loss, reason = "a terminal is small")]
            let (left, width) = (
                (start + before) as f64 * CELL.0,
                text.chars().count() as f64 * CELL.0,
            );
            let (class, text) = (class(look), escaped(text));
            put(
                &mut drawn,
                format_args!(
                    "<text x=\"{left:.1}\" textLength=\"{width:.1}\"{class}>{text}</text>"
                ),
            );
        }
        start += length;
    }
    drawn
}

fn class(look: Look) -> String {
    let colour = look.colour.map(|colour| format!("c{colour}"));
    let names = [
        look.bold.then(|| "b".to_owned()),
        look.dim.then(|| "d".to_owned()),
        colour,
    ];
    let names: Vec<String> = names.into_iter().flatten().collect();
    match names.is_empty() {
        true => String::new(),
        false => format!(" class=\"{}\"", names.join(" ")),
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

fn put(text: &mut String, what: std::fmt::Arguments<'_>) {
    text.write_fmt(what).expect("a string takes everything");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recording::screen::Screen;

    fn frame(millis: u64, text: &str) -> Frame {
        let mut screen = Screen::new(20, 2);
        screen.write(text.as_bytes());
        let at = Duration::from_millis(millis);
        Frame { at, screen }
    }

    #[test]
    fn a_recording_is_well_formed_and_shows_each_line_once() {
        let frames = [
            frame(0, "one & <two>\r\n"),
            frame(500, "one & <two>\r\n\x1b[32mthree"),
        ];
        let svg = render(&frames, 20, 2);
        let document = roxmltree::Document::parse(&svg).unwrap();
        let texts: Vec<&str> = document
            .descendants()
            .filter(|node| node.has_tag_name("text"))
            .filter_map(|node| node.text())
            .collect();
        assert_eq!(texts, ["jobcast demo", "one & <two>", "three"]);
        let uses = document
            .descendants()
            .filter(|node| node.has_tag_name("use"));
        assert_eq!(uses.count(), 3);
    }
}
