//! Checks a text without building its value.

use crate::limits::{DEPTH, MADE_DEPTH};
use crate::mark::without_mark;
use crate::refused::Refused;
use crate::scan::Scanner;
use crate::token::Token;

/// Checks that a text is JSON that can be kept, and returns it without a byte order mark. It reads
/// the text once and builds nothing.
///
/// # Errors
/// The first problem of the text, and its position.
pub fn check(text: &str) -> Result<&str, Refused> {
    check_names(text, |_| ())
}

/// Like [`check`]. `name` receives each name of the outermost object, with its escapes resolved.
///
/// # Errors
/// Those of [`check`].
pub fn check_names(text: &str, name: impl FnMut(&str)) -> Result<&str, Refused> {
    check_within(text, DEPTH, name)
}

/// Like [`check`], for a text from an execution, which may nest as deep as [`MADE_DEPTH`].
///
/// # Errors
/// Those of [`check`].
pub fn check_made(text: &str) -> Result<&str, Refused> {
    check_within(text, MADE_DEPTH, |_| ())
}

fn check_within(text: &str, most: usize, mut name: impl FnMut(&str)) -> Result<&str, Refused> {
    let text = without_mark(text);
    let mut scanner = Scanner::new(text, most);
    while let Some(token) = scanner.next().map_err(|stop| scanner.refused(stop))? {
        if let Token::Name(found) = token
            && scanner.depth() == 1
        {
            name(&found.resolved());
        }
    }
    Ok(text)
}
