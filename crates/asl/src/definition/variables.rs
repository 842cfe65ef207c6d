//! Variables: valid names, and the variables that may be assigned before a state is entered. An
//! inner scope (a branch, or the iterations of a Map) reads the variables of the enclosing scopes,
//! and may not assign them.

use std::collections::{HashMap, HashSet};

use serde_json::{Map, Value};

use super::model::Language;
use super::values::{list, query_language};

/// Maximum length of a variable's name, in characters.
const MAX_NAME: usize = 80;

/// A variable's name in `Assign`.
pub(super) fn name(key: &str, language: Language) -> &str {
    match language {
        Language::JsonPath => key.strip_suffix(".$").unwrap_or(key),
        Language::Jsonata => key,
    }
}

/// The code and message for a text that is not a valid name of a variable.
pub(super) fn refused(name: &str) -> Option<(&'static str, String)> {
    let why = match name {
        "states" => {
            return Some((
                "RESERVED_VARIABLE_NAME",
                "Cannot assign to reserved variable '$states'.".to_owned(),
            ));
        }
        "" => "is empty".to_owned(),
        _ if name.chars().count() > MAX_NAME => format!("exceeds the {MAX_NAME}-character limit"),
        _ if !is_identifier(name) => "contains invalid characters".to_owned(),
        _ => return None,
    };
    let message = format!("Invalid variable name '{name}': the variable name {why}.");
    Some(("INVALID_VARIABLE_NAME", message))
}

/// Whether a text is a Unicode identifier (UAX 31): a character of `ID_Start`, then characters of
/// `ID_Continue`.
fn is_identifier(text: &str) -> bool {
    let mut chars = text.chars();
    chars.next().is_some_and(unicode_ident::is_xid_start)
        && chars.all(unicode_ident::is_xid_continue)
}

/// A transition from a state, with the variables that it assigns.
struct Transition {
    from: usize,
    variables: Vec<String>,
}

/// The variables of one graph.
pub(super) struct VariableScope {
    states: HashMap<String, usize>,
    /// The transitions to each state.
    into: Vec<Vec<Transition>>,
    /// All variables that the graph assigns.
    assigned: HashSet<String>,
    /// The state that is being read.
    current: usize,
    /// By state, the variables that may be assigned when it is entered. Computed on first use.
    before: HashMap<usize, HashSet<String>>,
}

impl VariableScope {
    pub(super) fn new(states: &Map<String, Value>, machine: Language) -> Self {
        let mut scope = Self {
            states: states.keys().cloned().zip(0..).collect(),
            into: states.iter().map(|_| Vec::new()).collect(),
            assigned: HashSet::new(),
            current: 0,
            before: HashMap::new(),
        };
        for (from, state) in states.values().enumerate() {
            let Some(state) = state.as_object() else {
                continue;
            };
            let language = query_language(state, machine);
            let entries = ["Choices", "Catch"]
                .into_iter()
                .flat_map(|field| list(state, field))
                .filter_map(Value::as_object);
            for object in std::iter::once(state).chain(entries) {
                let keys = object.get("Assign").and_then(Value::as_object);
                let keys = keys.into_iter().flat_map(Map::keys);
                let variables: Vec<String> =
                    keys.map(|key| name(key, language).to_owned()).collect();
                scope.assigned.extend(variables.iter().cloned());
                for target in ["Next", "Default"] {
                    let to = object.get(target).and_then(Value::as_str);
                    if let Some(to) = to.and_then(|to| scope.states.get(to)) {
                        scope.into[*to].push(Transition {
                            from,
                            variables: variables.clone(),
                        });
                    }
                }
            }
        }
        scope
    }

    /// Makes this state the current one.
    pub(super) fn enter(&mut self, state: &str) {
        self.current = self.states.get(state).copied().unwrap_or_default();
    }

    /// Whether a variable may be assigned when the current state is entered.
    pub(super) fn has(&mut self, variable: &str) -> bool {
        if !self.assigned.contains(variable) {
            return false;
        }
        let (current, into) = (self.current, &self.into);
        let before = self.before.entry(current).or_insert_with(|| {
            let (mut open, mut seen) = (vec![current], vec![false; into.len()]);
            let mut variables = HashSet::new();
            while let Some(state) = open.pop() {
                for transition in &into[state] {
                    variables.extend(transition.variables.iter().cloned());
                    if !std::mem::replace(&mut seen[transition.from], true) {
                        open.push(transition.from);
                    }
                }
            }
            variables
        });
        before.contains(variable)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn names_are_identifiers() {
        for (name, code) in [
            ("a", ""),
            ("größe2_x", ""),
            ("変数", ""),
            ("States", ""),
            ("a-b", "INVALID_VARIABLE_NAME"),
            ("a b", "INVALID_VARIABLE_NAME"),
            ("a.b", "INVALID_VARIABLE_NAME"),
            ("x[2]", "INVALID_VARIABLE_NAME"),
            ("1a", "INVALID_VARIABLE_NAME"),
            ("_a", "INVALID_VARIABLE_NAME"),
            ("$a", "INVALID_VARIABLE_NAME"),
            ("a🙂", "INVALID_VARIABLE_NAME"),
            ("", "INVALID_VARIABLE_NAME"),
            ("states", "RESERVED_VARIABLE_NAME"),
        ] {
            let found = refused(name);
            assert_eq!(found.as_ref().map_or("", |found| found.0), code, "{name}");
        }
        assert!(refused(&"ü".repeat(MAX_NAME)).is_none());
        assert!(refused(&"ü".repeat(MAX_NAME + 1)).is_some());
    }

    #[test]
    fn variables_are_visible_only_after_their_assignment() {
        let states = json!({
            "A": {"Assign": {"a.$": "$"}, "Next": "C"},
            "C": {"Assign": {"d": 1}, "Choices": [{"Next": "M", "Assign": {"c": 1}}, {"Next": "Z"}], "Default": "Z"},
            "M": {"Assign": {"m": 1}, "Catch": [{"Next": "Z", "Assign": {"e": 1}}], "Next": "N"},
            "N": {"Next": "Z"},
            "Z": {},
        });
        let mut scope = VariableScope::new(states.as_object().unwrap(), Language::JsonPath);
        let names = ["a", "c", "d", "m", "e", "other"];
        let mut before = |state: &str| {
            scope.enter(state);
            let names = names.into_iter().filter(|name| scope.has(name));
            names.collect::<Vec<_>>()
        };
        assert_eq!(before("A"), [""; 0]);
        assert_eq!(before("C"), ["a"]);
        assert_eq!(before("M"), ["a", "c"]);
        assert_eq!(before("N"), ["a", "c", "m"]);
        assert_eq!(before("Z"), ["a", "c", "d", "m", "e"]);
    }
}
