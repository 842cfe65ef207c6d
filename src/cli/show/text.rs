//! Text in styles, for the outputs. Every part of a [`Text`] is made printable when it is added,
//! and a `Text` contains only the escape sequences of its styles: no command can print untrusted
//! text raw. It does not implement `Display`, so that it cannot be added twice.

use std::fmt::Display;

use anstyle::{AnsiColor, Style};
use serde_json::Value;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use crate::printable::{printable, printable_json, printable_lines};

pub(crate) const PLAIN: Style = Style::new();
pub(crate) const BOLD: Style = Style::new().bold();
pub(crate) const DIM: Style = Style::new().dimmed();
pub(crate) const GREEN: Style = AnsiColor::Green.on_default();
pub(crate) const RED: Style = AnsiColor::Red.on_default();
pub(crate) const YELLOW: Style = AnsiColor::Yellow.on_default();
pub(crate) const CYAN: Style = AnsiColor::Cyan.on_default();

/// Printable text with the escape sequences of its styles.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Text(String);

/// A part of a [`Text`]: another text, or any value that can be written; the latter is made
/// printable and fits on one line.
pub(crate) trait Part {
    fn add_to(self, text: &mut Text);
}

impl Part for Text {
    fn add_to(self, text: &mut Text) {
        text.0.push_str(&self.0);
    }
}

impl<T: Display> Part for T {
    fn add_to(self, text: &mut Text) {
        text.0.push_str(&printable(&self.to_string()));
    }
}

/// A [`Text`] that consists of the given parts.
macro_rules! text {
    ($($part:expr),* $(,)?) => {{
        let mut text = $crate::cli::show::text::Text::default();
        $(text.add($part);)*
        text
    }};
}
pub(crate) use text;

impl Text {
    /// Appends a part.
    pub(crate) fn add(&mut self, part: impl Part) {
        part.add_to(self);
    }

    /// Several lines, each printable.
    pub(crate) fn lines(text: &str) -> Text {
        Text(printable_lines(text))
    }

    /// Several untrusted lines, each printable and indented, so that none looks like a line of
    /// ours.
    pub(crate) fn indented(text: &str) -> Text {
        Text(format!(
            "    {}",
            printable_lines(text).replace('\n', "\n    ")
        ))
    }

    /// A JSON document over several lines.
    pub(crate) fn json(value: &Value) -> Text {
        Text(printable_json(&format!("{value:#}")).into_owned())
    }

    /// Several texts, each on its own line.
    pub(crate) fn stacked(lines: impl IntoIterator<Item = Text>) -> Text {
        let lines: Vec<String> = lines.into_iter().map(|line| line.0).collect();
        Text(lines.join("\n"))
    }

    /// The text with escape sequences.
    pub(crate) fn styled(&self) -> &str {
        &self.0
    }

    /// The text without escape sequences.
    pub(crate) fn unstyled(&self) -> String {
        anstream::adapter::strip_str(&self.0).to_string()
    }
}

/// A part in a style. The style is dropped if it cannot be shown.
pub(crate) fn paint(style: Style, part: impl Part) -> Text {
    let mut text = Text(style.render().to_string());
    part.add_to(&mut text);
    text.0.push_str(&style.render_reset().to_string());
    text
}

/// Width of a text on a terminal in columns: two for wide characters and emoji, none for combining
/// characters.
pub(crate) fn width(text: &str) -> usize {
    UnicodeWidthStr::width(&*printable(text))
}

/// The text, padded with spaces to `columns` columns.
pub(crate) fn padded(text: &str, columns: usize) -> String {
    let gap = columns.saturating_sub(width(text));
    format!("{text}{}", " ".repeat(gap))
}

/// Printable text on one line, cut to `most` columns. A cut text ends in `…`.
pub(crate) fn shorten(text: &str, most: usize) -> String {
    let line: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let line = printable(&line).into_owned();
    if line.width() <= most {
        return line;
    }
    let room = most.saturating_sub(1);
    // A cluster may be narrower than the sum of its characters, but never wider: a cut between
    // characters fits.
    let (mut end, mut used) = (0, 0);
    for (at, c) in line.char_indices() {
        used += c.width().unwrap_or(0);
        if used > room {
            break;
        }
        end = at + c.len_utf8();
    }
    let kept = line[..end].trim_end_matches(['\u{200d}', ' ']);
    format!("{kept}{}", if most == 0 { "" } else { "…" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_styles_have_escape_sequences() {
        let hostile = "\u{1b}[2J\u{9b}31m\nx";
        let text = text![
            "a ",
            hostile,
            paint(RED, hostile),
            paint(BOLD, paint(DIM, 7))
        ];
        let bare = text.unstyled();
        assert_eq!(bare, r"a \u{1b}[2J\u{9b}31m\nx\u{1b}[2J\u{9b}31m\nx7");
        assert!(text.styled().contains(&RED.render().to_string()));
        assert!(!text.styled().contains("\u{1b}[2J"));
    }

    #[test]
    fn a_width_is_in_columns() {
        for (text, columns) in [
            ("abc", 3),
            ("東京", 4),
            ("e\u{301}", 1),
            ("👩\u{200d}🚀", 2),
            ("👍", 2),
            ("\u{1b}", 6),
            ("", 0),
        ] {
            assert_eq!(width(text), columns, "{text:?}");
        }
        assert_eq!(padded("東", 4), "東  ");
    }

    #[test]
    fn a_shortened_text_fits_on_a_line() {
        for (text, most, short) in [
            ("a  b\nc", 5, "a b c"),
            ("abcdef", 5, "abcd…"),
            ("äöüßé", 5, "äöüßé"),
            ("東京都", 6, "東京都"),
            ("東京都", 5, "東京…"),
            ("東京都", 4, "東…"),
            ("e\u{301}e\u{301}e\u{301}", 2, "e\u{301}…"),
            ("👩\u{200d}🚀abc", 3, "👩…"),
            ("abc", 1, "…"),
            ("abc", 0, ""),
        ] {
            assert_eq!(shorten(text, most), short, "{text:?} {most}");
            assert!(width(&shorten(text, most)) <= most);
        }
    }
}
