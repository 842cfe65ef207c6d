//! Cuts one state out of its definition.

use serde_json::{Map, Value, json};

/// The name of a state that is given without one.
pub(super) const NAME: &str = "StateName";

/// A state machine with only this state. The states it leads to do nothing.
pub(super) fn alone(state: &Value, language: Value) -> Value {
    let mut states = Map::new();
    let rules = ["Choices", "Catch"];
    let rules = rules.iter().filter_map(|field| state[*field].as_array());
    let targets = rules.flatten().map(|rule| &rule["Next"]);
    for target in targets.chain([&state["Next"], &state["Default"]]) {
        if let Some(target) = target.as_str() {
            states.insert(target.to_owned(), json!({"Type": "Succeed"}));
        }
    }
    states.insert(NAME.to_owned(), state.clone());
    let mut machine = json!({"StartAt": NAME, "States": states});
    if language.is_string() {
        machine["QueryLanguage"] = language;
    }
    machine
}

/// A state by its name, including nested states.
pub(super) fn find<'a>(graph: &'a Value, name: &str) -> Option<&'a Value> {
    let states = graph["States"].as_object()?;
    if let Some(state) = states.get(name) {
        return Some(state);
    }
    states.values().find_map(|state| {
        let branches = state["Branches"].as_array().map_or(&[][..], Vec::as_slice);
        let processors = [&state["ItemProcessor"], &state["Iterator"]];
        branches
            .iter()
            .chain(processors)
            .find_map(|graph| find(graph, name))
    })
}
