//! Which variables each state of a definition refers to, as `DescribeStateMachine` shows it. It
//! reads the text only: what a reference gives is the interpreter's.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

/// Fields of a state that hold states of their own.
const NESTED: &[&str] = &["ItemProcessor", "Iterator", "Branches"];
/// Fields that hold texts, not references.
const TEXTS: &[&str] = &["Comment", "Type", "Resource", "Next", "Default", "Result"];

/// The names of states with the variables that they refer to.
pub(super) fn references(definition: &str) -> BTreeMap<String, BTreeSet<String>> {
    let mut found = BTreeMap::new();
    if let Ok(root) = json::read(definition) {
        let jsonata = root["QueryLanguage"] == "JSONata";
        json::with_room(|| states(&root, jsonata, &mut found));
    }
    found
}

fn states(graph: &Value, jsonata: bool, found: &mut BTreeMap<String, BTreeSet<String>>) {
    let Some(states_of) = graph["States"].as_object() else {
        return;
    };
    for (name, state) in states_of {
        let jsonata = match state["QueryLanguage"].as_str() {
            Some(language) => language == "JSONata",
            None => jsonata,
        };
        let mut names = BTreeSet::new();
        for (field, value) in state.as_object().into_iter().flatten() {
            if NESTED.contains(&field.as_str()) {
                for inner in value
                    .as_array()
                    .map_or(std::slice::from_ref(value), Vec::as_slice)
                {
                    states(inner, jsonata, found);
                }
            } else if !TEXTS.contains(&field.as_str()) {
                walk(field, value, jsonata, &mut names);
            }
        }
        if !names.is_empty() {
            found.insert(name.clone(), names);
        }
    }
}

fn walk(field: &str, value: &Value, jsonata: bool, names: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            for (field, value) in fields {
                walk(field, value, jsonata, names);
            }
        }
        Value::Array(values) => values
            .iter()
            .for_each(|value| walk("", value, jsonata, names)),
        Value::String(text) if jsonata => {
            let inner = text
                .strip_prefix("{%")
                .and_then(|text| text.strip_suffix("%}"));
            if let Some(inner) = inner {
                expression(inner, names);
            }
        }
        Value::String(text) if is_reference(field) => path(text, names),
        _ => {}
    }
}

/// Whether a field of a JSONPath state holds a path or an intrinsic function.
fn is_reference(field: &str) -> bool {
    field.ends_with(".$") || field.ends_with("Path") || field == "Variable"
}

/// Variables of a path or of the arguments of an intrinsic function: a `$` with a name behind it.
fn path(text: &str, names: &mut BTreeSet<String>) {
    let mut quoted = false;
    let mut before = ' ';
    for (index, c) in text.char_indices() {
        match c {
            '\'' if before != '\\' => quoted = !quoted,
            '$' if !quoted && before != '$' => {
                let name = name_at(&text[index + 1..]);
                if !name.is_empty() {
                    names.insert(name.to_owned());
                }
            }
            _ => {}
        }
        before = c;
    }
}

fn name_at(text: &str) -> &str {
    let end = text
        .char_indices()
        .find(|(index, c)| !(c.is_alphabetic() || *c == '_' || (*index > 0 && c.is_numeric())))
        .map_or(text.len(), |(index, _)| index);
    &text[..end]
}

/// Variables of a JSONata expression: those that it neither binds nor calls.
fn expression(text: &str, names: &mut BTreeSet<String>) {
    let (mut used, mut bound) = (BTreeSet::new(), BTreeSet::new());
    let mut quote = None;
    let mut parameters = false;
    let mut skip = 0;
    for (index, c) in text.char_indices() {
        if index < skip {
            continue;
        }
        if let Some(open) = quote {
            match c {
                '\\' => {
                    skip = index + 1 + text[index + 1..].chars().next().map_or(0, char::len_utf8)
                }
                _ if c == open => quote = None,
                _ => {}
            }
            continue;
        }
        match c {
            '"' | '\'' | '`' => quote = Some(c),
            ')' => parameters = false,
            '$' => {
                let name = name_at(&text[index + 1..]);
                skip = index + 1 + name.len();
                let after = text[skip..].trim_start();
                if name.is_empty() || name == "states" {
                } else if after.starts_with(":=") || parameters {
                    bound.insert(name.to_owned());
                } else if !after.starts_with('(') {
                    used.insert(name.to_owned());
                }
            }
            'f' | 'λ' => {
                let rest = &text[index..];
                let word = if c == 'λ' { "λ" } else { "function" };
                let begins = !text[..index].ends_with(|c: char| c.is_alphanumeric() || c == '$');
                if begins
                    && rest.starts_with(word)
                    && rest[word.len()..].trim_start().starts_with('(')
                {
                    parameters = true;
                }
            }
            _ => {}
        }
    }
    names.extend(used.difference(&bound).cloned());
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn each_state_has_its_own() {
        let definition = json!({"StartAt": "A", "States": {
            "A": {"Type": "Map", "ItemsPath": "$list", "ItemSelector": {"a.$": "States.Format('$no {}', $text, $$.Map.Item.Value)", "b": "$no"},
                "ItemProcessor": {"StartAt": "B", "States": {"B": {"Type": "Pass", "Parameters": {"c.$": "$inner.field", "d.$": "$.no"}, "End": true}}},
                "Next": "C"},
            "C": {"Type": "Choice", "Choices": [{"Variable": "$x[0]", "StringEqualsPath": "$y", "Next": "D"}]},
            "D": {"Type": "Pass", "QueryLanguage": "JSONata", "Output":
                "{% ($local := $z; $map($states.input, function($v) { $v + $local + $w })) & '$quoted' %}", "End": true},
        }});
        let found = references(&definition.to_string());
        let names = |state: &str| found[state].iter().map(String::as_str).collect::<Vec<_>>();
        assert_eq!(names("A"), ["list", "text"]);
        assert_eq!(names("B"), ["inner"]);
        assert_eq!(names("C"), ["x", "y"]);
        assert_eq!(names("D"), ["w", "z"]);
        assert_eq!(found.len(), 4);
    }
}
