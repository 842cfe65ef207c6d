//! Percent-encoded text, as in addresses and forms. Pure.

/// The text that `text` encodes. With `plus_is_space` a `+` is a space, as in a form
/// (`application/x-www-form-urlencoded`). `None`: a `%` without two hexadecimal digits, or bytes
/// that are not UTF-8.
#[must_use]
pub fn percent_decoded(text: &str, plus_is_space: bool) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        match byte {
            b'+' if plus_is_space => bytes.push(b' '),
            b'%' => {
                let digits = std::str::from_utf8(after.get(..2)?).ok()?;
                bytes.push(u8::from_str_radix(digits, 16).ok()?);
                rest = &after[2..];
            }
            other => bytes.push(other),
        }
    }
    String::from_utf8(bytes).ok()
}
