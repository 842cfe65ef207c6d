//! The values of strings and block strings (GraphQL, section 2.9.4).

/// The length of the text before the closing quote.
pub(super) fn length(rest: &str) -> Option<usize> {
    let bytes = rest.as_bytes();
    let mut at = 0;
    loop {
        match bytes.get(at)? {
            b'"' => return Some(at),
            b'\n' | b'\r' => return None,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
}

/// The length of the text before the closing quotes.
pub(super) fn block_length(rest: &str) -> Option<usize> {
    let bytes = rest.as_bytes();
    let mut at = 0;
    loop {
        match bytes.get(at)? {
            b'"' if bytes[at..].starts_with(b"\"\"\"") => return Some(at),
            b'\\' if bytes[at..].starts_with(b"\\\"\"\"") => at += 4,
            _ => at += 1,
        }
    }
}

/// The value of a string; the error says what is wrong with an escape.
pub(super) fn value(raw: &str) -> Result<String, String> {
    let mut value = String::with_capacity(raw.len());
    let mut rest = raw;
    while let Some(at) = rest.find('\\') {
        value.push_str(&rest[..at]);
        let escape = &rest[at..];
        let (character, length) = escaped(escape).ok_or_else(|| {
            let shown: String = escape.chars().take(8).collect();
            format!("invalid escape at `{shown}`")
        })?;
        value.push(character);
        rest = &escape[length..];
    }
    value.push_str(rest);
    Ok(value)
}

/// The character of an escape, and the length of the escape.
fn escaped(escape: &str) -> Option<(char, usize)> {
    let simple = match escape.as_bytes().get(1)? {
        b'"' => '"',
        b'\\' => '\\',
        b'/' => '/',
        b'b' => '\u{8}',
        b'f' => '\u{c}',
        b'n' => '\n',
        b'r' => '\r',
        b't' => '\t',
        b'u' => return unicode(&escape[2..]).map(|(character, length)| (character, length + 2)),
        _ => return None,
    };
    Some((simple, 2))
}

fn unicode(digits: &str) -> Option<(char, usize)> {
    if let Some(braced) = digits.strip_prefix('{') {
        let end = braced.find('}')?;
        let code = hexadecimal(&braced[..end])?;
        return Some((char::from_u32(code)?, end + 2));
    }
    let four = |from: usize| hexadecimal(digits.get(from..from + 4)?);
    let first = four(0)?;
    if let Some(character) = char::from_u32(first) {
        return Some((character, 4));
    }
    // A character outside the basic plane, as a pair of surrogates.
    let second = digits
        .get(4..6)
        .filter(|begin| *begin == "\\u")
        .and(four(6))?;
    if !(0xD800..0xDC00).contains(&first) || !(0xDC00..0xE000).contains(&second) {
        return None;
    }
    let code = 0x1_0000 + ((first - 0xD800) << 10) + (second - 0xDC00);
    Some((char::from_u32(code)?, 10))
}

fn hexadecimal(digits: &str) -> Option<u32> {
    let all = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    all.then(|| u32::from_str_radix(digits, 16).ok()).flatten()
}

/// The value of a block string: without the common indent, and without blank lines at both ends.
pub(super) fn block_value(raw: &str) -> String {
    let raw = raw.replace("\\\"\"\"", "\"\"\"");
    let text = raw.replace("\r\n", "\n");
    let lines: Vec<&str> = text.split(['\n', '\r']).collect();
    let indent_of = |line: &str| line.bytes().position(|byte| byte != b' ' && byte != b'\t');
    let after_first = lines.iter().skip(1);
    let indent = after_first.filter_map(|line| indent_of(line)).min();
    let indent = indent.unwrap_or(0);
    let has_text = |line: &str| indent_of(line).is_some();
    let first = lines.iter().position(|line| has_text(line));
    let last = lines.iter().rposition(|line| has_text(line));
    let (Some(first), Some(last)) = (first, last) else {
        return String::new();
    };
    let mut value = String::with_capacity(text.len());
    for (at, line) in lines.iter().enumerate().take(last + 1).skip(first) {
        if at > first {
            value.push('\n');
        }
        let cut = if at == 0 { 0 } else { indent };
        value.push_str(line.get(cut..).unwrap_or(""));
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_escape_is_refused() {
        for (raw, expected) in [
            ("a", "a"),
            (r#"\"\\\/\b\f\n\r\t"#, "\"\\/\u{8}\u{c}\n\r\t"),
            (r"\u00e9\u{e9}\u{1F600}", "éé😀"),
            (r"\uD83D\uDE00!", "😀!"),
            (r"\u{0000000041}", "A"),
        ] {
            assert_eq!(value(raw).as_deref(), Ok(expected), "{raw}");
        }
        for raw in [
            r"\x",
            r"\u12",
            r"\u12G4",
            r"\u{}",
            r"\u{110000}",
            r"\u{D83D}",
            r"\uD83D",
            r"\uDE00",
            r"\uD83D\uD83D",
            r"\uD83Dx",
            r"\u{41",
            r"\u+123",
            "\\",
        ] {
            assert!(value(raw).is_err(), "{raw}");
        }
    }

    #[test]
    fn block_strings_lose_their_indent() {
        for (raw, expected) in [
            ("", ""),
            ("\n\n  \n", ""),
            ("a", "a"),
            ("  a\n    b\n   c\n", "  a\n b\nc"),
            ("\n    a\n      b\n\n    c\n  ", "a\n  b\n\nc"),
            ("\r\n  a\r  b", "a\nb"),
            ("a \\\"\"\" b \\n", "a \"\"\" b \\n"),
            ("a\n é", "a\né"),
        ] {
            assert_eq!(block_value(raw), expected, "{raw:?}");
        }
    }
}
