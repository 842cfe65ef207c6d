//! Text without its byte order mark.

use crate::refused::Refused;

/// The text without a byte order mark before it.
pub fn without_mark(text: &str) -> &str {
    text.strip_prefix('\u{feff}').unwrap_or(text)
}

/// The bytes as text, without a byte order mark before it.
///
/// # Errors
/// The bytes are not UTF-8.
pub fn text(bytes: &[u8]) -> Result<&str, Refused> {
    std::str::from_utf8(bytes)
        .map(without_mark)
        .map_err(|error| Refused::not_utf8(bytes, error.valid_up_to()))
}
