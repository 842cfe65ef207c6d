//! The files of a directory of state machines, and their texts. Definitions are not parsed here.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::problem::Problem;

/// The end of a definition's file name.
const DEFINITION: &str = ".asl.json";
/// The end of a schema's file name.
const INPUT_SCHEMA: &str = ".input.schema.json";

/// The definitions of a directory with their names, in order. A directory that does not exist has
/// none.
pub(super) fn definitions(directory: &Path) -> Result<Vec<(PathBuf, String)>, Box<Problem>> {
    let entries = match std::fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(Box::new(Problem::of_file(directory, &error))),
    };
    let named = entries.filter_map(|entry| {
        let path = entry.ok()?.path();
        let name = path.file_name()?.to_str()?.strip_suffix(DEFINITION)?;
        let hidden = name.is_empty() || name.starts_with(['.', '#']);
        // Follows links.
        let ignored = match std::fs::metadata(&path) {
            _ if hidden => true,
            Ok(about) => !about.is_file(),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                tracing::warn!(path = %path.display(), "a link that leads nowhere is no state machine");
                true
            }
            // Reading it reports the error.
            Err(_) => false,
        };
        (!ignored).then(|| (path.clone(), name.to_owned()))
    });
    let mut files: Vec<_> = named.collect();
    files.sort();
    Ok(files)
}

pub(super) fn schema_file(directory: &Path, name: &str) -> PathBuf {
    directory.join(format!("{name}{INPUT_SCHEMA}"))
}

/// The text of a definition, and of its schema where it has one.
pub(super) type Texts = (Arc<str>, Option<Arc<str>>);

pub(super) fn texts(directory: &Path, file: &Path, name: &str) -> Result<Texts, Box<Problem>> {
    let failed = |file: &Path, error: &dyn fmt::Display| Box::new(Problem::of_file(file, error));
    let text = read_text(file).map_err(|error| failed(file, &error))?;
    let schema_file = schema_file(directory, name);
    let schema = match read_text(&schema_file) {
        Ok(schema) => {
            let schema = json::check(&schema).map_err(|refused| failed(&schema_file, &refused))?;
            Some(schema.into())
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(error) if error.kind() == std::io::ErrorKind::IsADirectory => None,
        Err(error) => return Err(failed(&schema_file, &error)),
    };
    Ok((text.into(), schema))
}

/// Reads a text file in UTF-8, without the byte order mark that some editors write at its
/// beginning.
///
/// # Errors
/// It cannot be read, or is in another encoding; the error says which one it looks like.
pub fn read_text(path: &Path) -> std::io::Result<String> {
    decode_text(std::fs::read(path)?)
}

/// As [`read_text`], for bytes from elsewhere.
///
/// # Errors
/// They are in another encoding.
pub fn decode_text(bytes: Vec<u8>) -> std::io::Result<String> {
    let invalid = |said: String| std::io::Error::new(std::io::ErrorKind::InvalidData, said);
    if let [0xff, 0xfe, ..] | [0xfe, 0xff, ..] | [0, _, 0, ..] | [_, 0, _, 0, ..] = bytes[..] {
        return Err(invalid("it is UTF-16: save it as UTF-8".to_owned()));
    }
    let mut text = String::from_utf8(bytes).map_err(|error| {
        let bytes = error.as_bytes();
        let before = &bytes[..error.utf8_error().valid_up_to()];
        let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
        invalid(format!("it is not UTF-8 in line {line}: save it as UTF-8"))
    })?;
    if text.starts_with('\u{feff}') {
        text.drain(..'\u{feff}'.len_utf8());
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_utf_8_with_or_without_a_byte_order_mark() {
        let utf16 = |text: &str, big: bool| -> Vec<u8> {
            let units = text.encode_utf16();
            units
                .flat_map(|unit| {
                    if big {
                        unit.to_be_bytes()
                    } else {
                        unit.to_le_bytes()
                    }
                })
                .collect()
        };
        for text in ["{}", "{\r\n}\r\n", ""] {
            assert_eq!(decode_text(text.into()).unwrap(), text);
            assert_eq!(decode_text(format!("\u{feff}{text}").into()).unwrap(), text);
        }
        for bytes in [
            utf16("\u{feff}{}", true),
            utf16("\u{feff}{}", false),
            utf16("{ }", true),
            utf16("{ }", false),
        ] {
            let error = decode_text(bytes).unwrap_err().to_string();
            assert!(error.contains("UTF-16"), "{error}");
        }
        let error = decode_text(b"{\n\xe9}".to_vec()).unwrap_err().to_string();
        assert!(error.contains("not UTF-8 in line 2"), "{error}");
    }
}
