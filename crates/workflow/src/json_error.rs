//! What is wrong with a text that is not JSON, in the words of the parser that AWS uses.

/// Checks that a text is JSON.
///
/// # Errors
/// What is wrong, in the words of AWS's parser where it has short ones.
pub(crate) fn check_json(text: &str) -> Result<(), String> {
    let Err(refused) = json::check(text) else {
        return Ok(());
    };
    let error = match refused.reason {
        json::Reason::Depth(_) | json::Reason::Range | json::Reason::Surrogate => None,
        _ => serde_json::from_str::<serde::de::IgnoredAny>(text).err(),
    };
    let Some(error) = error else {
        return Err(format!("the text is {refused}"));
    };
    if text.trim().is_empty() {
        return Err("Invalid execution input.".to_owned());
    }
    let at = offset(text, error.line(), error.column());
    let rest = text.get(at..).unwrap_or_default();
    let word = |from: &str| -> String {
        from.chars()
            .take_while(|c| c.is_alphanumeric() || *c == '_' || *c == '$')
            .collect()
    };
    // serde reports where it stopped: the word that is not JSON began before.
    let start = text[..at.min(text.len())]
        .rfind(|c: char| !(c.is_alphanumeric() || c == '_' || c == '$'))
        .map_or(0, |index| {
            index + text[index..].chars().next().map_or(1, char::len_utf8)
        });
    let begun = word(&text[start..]);
    let kind = error.to_string();
    if kind.starts_with("EOF") {
        return Err("Unexpected end-of-input".to_owned());
    }
    if kind.starts_with("key must be a string")
        && let Some(found) = rest.chars().next()
    {
        return Err(format!(
            "Unexpected character ('{found}' (code {})): was expecting double-quote to start field name",
            u32::from(found)
        ));
    }
    if begun.starts_with(char::is_alphabetic) {
        return Err(format!(
            "Unrecognized token '{begun}': was expecting (JSON String, Number, Array, Object or token 'null', 'true' or 'false')"
        ));
    }
    match rest.chars().next() {
        Some(found) => Err(format!(
            "Unexpected character ('{found}' (code {})): expected a valid value (JSON String, Number, Array, Object or token 'null', 'true' \
             or 'false')",
            u32::from(found)
        )),
        None => Err(kind),
    }
}

/// The byte that a line and a column name.
fn offset(text: &str, line: usize, column: usize) -> usize {
    let begin: usize = text
        .split_inclusive('\n')
        .take(line.saturating_sub(1))
        .map(str::len)
        .sum();
    let mut at = (begin + column.saturating_sub(1)).min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn broken_json_is_reported_in_the_words_of_the_parser() {
        for (text, want) in [
            ("{}", ""),
            ("2", ""),
            ("", "Invalid execution input."),
            (
                "not some json",
                "Unrecognized token 'not': was expecting (JSON String, Number, Array, Object or token 'null', 'true' or 'false')",
            ),
            (
                "{'not': 'json'",
                "Unexpected character (''' (code 39)): was expecting double-quote to start field name",
            ),
            ("[1, ", "Unexpected end-of-input"),
            (
                "{\"a\": nul}",
                "Unrecognized token 'nul': was expecting (JSON String, Number, Array, Object or token 'null', 'true' or 'false')",
            ),
        ] {
            let reported = check_json(text).err().unwrap_or_default();
            assert_eq!(reported, want, "{text}");
        }
    }
}
