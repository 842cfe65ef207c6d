//! Placeholders of deployment tools, such as `${Name}` and `{"Fn::GetAtt": …}`. The definition is
//! not final until the tool fills them. Each placeholder gets a warning, and no field is refused
//! because of one.

use serde_json::{Map, Value};

use crate::Diagnostic;

/// The code of a placeholder's warning.
pub(crate) const UNRESOLVED: &str = "UNRESOLVED_SUBSTITUTION";

/// Whether a text holds a placeholder: `${`, at least one character, and `}`.
pub(crate) fn has_placeholder(text: &str) -> bool {
    text.match_indices("${").any(|(at, _)| {
        let rest = &text[at + 2..];
        rest.find('}').is_some_and(|end| end > 0)
    })
}

/// Whether a deployment tool will fill the value.
pub(crate) fn is_placeholder(value: &Value) -> bool {
    match value {
        Value::String(text) => has_placeholder(text),
        Value::Object(map) => is_template_call(map),
        _ => false,
    }
}

/// Whether an object is a CloudFormation function, such as `{"Fn::GetAtt": …}`.
fn is_template_call(map: &Map<String, Value>) -> bool {
    map.len() == 1
        && map
            .iter()
            .all(|(key, value)| (key == "Ref" && value.is_string()) || key.starts_with("Fn::"))
}

/// One warning for each placeholder, in the order of the text.
pub(crate) fn find(root: &Value) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    // A stack of values, since a definition may nest deeper than this thread's stack allows.
    let mut open = vec![(String::new(), root)];
    while let Some((at, value)) = open.pop() {
        if is_placeholder(value) && !at.is_empty() {
            let what = if value.is_string() {
                "a substitution"
            } else {
                "a template function"
            };
            found.push(
                Diagnostic::warning(
                    UNRESOLVED,
                    &at,
                    format!("The field holds {what} that no tool has resolved: {value}"),
                )
                .with_hint("the tool that deploys the definition fills it"),
            );
            continue;
        }
        match value {
            Value::Object(map) => {
                for (key, value) in map.iter().rev() {
                    open.push((format!("{at}/{key}"), value));
                    if has_placeholder(key) {
                        found.push(
                            Diagnostic::warning(
                                UNRESOLVED,
                                &format!("{at}/{key}"),
                                "The name of the field holds a substitution that no tool has resolved",
                            )
                            .with_hint("the tool that deploys the definition fills it"),
                        );
                    }
                }
            }
            Value::Array(items) => {
                let items = items.iter().enumerate().rev();
                open.extend(items.map(|(index, item)| (format!("{at}[{index}]"), item)));
            }
            _ => {}
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_placeholder_is_reported_at_its_location() {
        let found = find(
            &json!({"a": "${X}", "b": [{"c": "x ${Y} z"}, {"Ref": "R"}], "${K}": 1,
            "d": ["$", "${", "${}", "$x", {"Ref": "R", "more": 1}, {"Ref": {}}], "e": {"Fn::Sub": "${Z}"}}),
        );
        let mut places: Vec<&str> = found.iter().map(|d| d.location.as_str()).collect();
        places.sort_unstable();
        assert_eq!(places, ["/${K}", "/a", "/b[0]/c", "/b[1]", "/e"]);
    }
}
