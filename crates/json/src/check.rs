//! Checks a text without building its value.

use crate::limits::{DEPTH, MADE_DEPTH};
use crate::mark::without_mark;
use crate::refused::Refused;
use crate::scan::Scanner;
use crate::token::Token;

/// Whether a text is JSON that can be kept, and that text without a byte order mark. Reads it once and builds nothing.
///
/// # Errors
/// The first thing that is wrong with it, and where.
pub fn check(text: &str) -> Result<&str, Refused> {
    check_names(text, |_| ())
}

/// As [`check`]; `name` sees each name of the outermost object, with its escapes resolved.
///
/// # Errors
/// Those of [`check`].
pub fn check_names(text: &str, name: impl FnMut(&str)) -> Result<&str, Refused> {
    check_within(text, DEPTH, name)
}

/// As [`check`], of a text that was made here: it may nest as deep as [`MADE_DEPTH`].
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
