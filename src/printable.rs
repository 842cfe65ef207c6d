//! Text of callers, as it may be shown: nothing in it moves a cursor, turns the reading direction,
//! hides text, or begins another line. It depends neither on a terminal nor on the log; both use
//! it.

use std::borrow::Cow;
use std::fmt::Write;

/// The text on one line. Each character that would act instead of being shown is written as an
/// escape: `\n`, `\u{1b}`.
pub fn printable(text: &str) -> Cow<'_, str> {
    if !text.chars().any(|c| c != ' ' && acts(c)) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    let mut chars = text.chars().peekable();
    let mut before = None;
    while let Some(c) = chars.next() {
        if !acts(c) || is_joiner(c) && joins(before, chars.peek().copied()) {
            shown.push(c);
        } else {
            shown.extend(c.escape_default());
        }
        before = Some(c);
    }
    Cow::Owned(shown)
}

/// The text as [`printable`] writes it, but with its line ends: for texts of several lines.
pub fn printable_lines(text: &str) -> String {
    let lines: Vec<_> = text.lines().map(printable).collect();
    lines.join("\n")
}

/// A JSON document with the same meaning and without such characters: in JSON they are only in
/// strings, where an escape is equal. The line ends of a document of several lines remain.
pub fn printable_json(text: &str) -> Cow<'_, str> {
    let acting = |c: char| !c.is_ascii_whitespace() && acts(c);
    if !text.chars().any(acting) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if acting(c) {
            for unit in c.encode_utf16(&mut [0; 2]) {
                write!(shown, "\\u{unit:04x}").expect("a text takes what is written");
            }
        } else {
            shown.push(c);
        }
    }
    Cow::Owned(shown)
}

/// Whether a character acts on its surroundings, or is invisible: controls (C0, DEL, C1), line and
/// paragraph separators, marks of direction, joiners, fillers, tags, and other characters that
/// Unicode calls ignorable, except for the selectors that choose the picture of an emoji.
fn acts(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{2800}' | '\u{3164}' | '\u{feff}'
            | '\u{fff0}'..='\u{fffb}' | '\u{ffa0}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}'
        )
}

/// Zero-width joiner and non-joiner.
fn is_joiner(c: char) -> bool {
    matches!(c, '\u{200c}' | '\u{200d}')
}

/// Whether a joiner has an effect between these two: in an emoji of several, and in scripts whose
/// letters join.
fn joins(before: Option<char>, after: Option<char>) -> bool {
    let joining = |c: char| {
        matches!(c, '\u{600}'..='\u{8ff}' | '\u{900}'..='\u{dff}' | '\u{fe0f}' | '\u{2190}'..='\u{2bff}' | '\u{1f000}'..='\u{1faff}')
            && !acts(c)
    };
    before.is_some_and(joining) && after.is_some_and(joining)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn acting_characters_are_written_as_escapes() {
        for (text, shown) in [
            ("plain text", "plain text"),
            (
                "Zürich 東京 café e\u{301} ☀\u{fe0f}",
                "Zürich 東京 café e\u{301} ☀\u{fe0f}",
            ),
            (
                "\u{1b}]0;owned\u{7}\u{1b}[2J",
                r"\u{1b}]0;owned\u{7}\u{1b}[2J",
            ),
            ("a\nb\r\tc\0", r"a\nb\r\tc\u{0}"),
            (
                "\u{7f}\u{80}\u{9b}2J\u{9d}\u{9f}",
                r"\u{7f}\u{80}\u{9b}2J\u{9d}\u{9f}",
            ),
            ("\u{202e}gpj.exe\u{202c}", r"\u{202e}gpj.exe\u{202c}"),
            (
                "\u{2066}\u{2069}\u{200e}\u{200f}\u{61c}",
                r"\u{2066}\u{2069}\u{200e}\u{200f}\u{61c}",
            ),
            (
                "a\u{200b}b\u{200d}c\u{2060}\u{feff}",
                r"a\u{200b}b\u{200d}c\u{2060}\u{feff}",
            ),
            ("\u{2028}\u{2029}\u{85}", r"\u{2028}\u{2029}\u{85}"),
            ("a\u{e0041}\u{3164}", r"a\u{e0041}\u{3164}"),
        ] {
            assert_eq!(printable(text), shown);
        }
    }

    #[test]
    fn joiners_are_kept_where_they_have_an_effect() {
        for text in [
            "👨\u{200d}👩\u{200d}👧",
            "❤\u{fe0f}\u{200d}🔥",
            "می\u{200c}خواهم",
            "क्\u{200d}ष",
        ] {
            assert_eq!(printable(text), text);
        }
        for text in ["\u{200d}👩", "👩\u{200d}", "é\u{200d}é", "a\u{200c}م"] {
            assert!(printable(text).contains(r"\u{200"), "{text:?}");
        }
    }

    #[test]
    fn only_visible_characters_are_kept() {
        for c in (0..=0x10_ffff).filter_map(char::from_u32) {
            let text = printable(&c.to_string()).into_owned();
            let direction = matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
            assert!(
                !(c.is_control() || direction) || text.is_ascii() && text.len() > 1,
                "{c:?}"
            );
            assert!(!text.chars().any(char::is_control), "{c:?}");
        }
    }

    #[test]
    fn line_ends_are_kept_in_texts_of_several_lines() {
        assert_eq!(
            printable_lines("one\n  two\u{1b}c\r\nthree"),
            "one\n  two\\u{1b}c\nthree"
        );
    }

    #[test]
    fn escaped_json_has_the_same_meaning() {
        let value = serde_json::json!({ "a\u{202e}": "\u{1b}[2J\u{7f}\u{9b}\u{200b}\u{e0001}\n東", "b": [1, "é"] });
        for text in [value.to_string(), format!("{value:#}")] {
            let shown = printable_json(&text);
            assert!(
                !shown.chars().any(|c| !c.is_ascii_whitespace() && acts(c)),
                "{shown}"
            );
            assert_eq!(
                serde_json::from_str::<serde_json::Value>(&shown).expect("JSON"),
                value
            );
            assert_eq!(shown.lines().count(), text.lines().count());
        }
    }
}
