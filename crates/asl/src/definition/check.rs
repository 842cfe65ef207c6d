//! Checks of a whole graph: missing targets, unreachable states, and no path to an end.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use serde_json::{Map, Value};

use super::model::{Graph, State, StateKind};
use super::reader::DefinitionReader;
use crate::Diagnostic;
use crate::substitution::{has_placeholder, is_placeholder};

const TARGET: &str = "MISSING_TRANSITION_TARGET";

/// Every target of a state, with the location of its field below the state.
pub(super) fn targets(state: &State) -> Vec<(String, &Arc<str>)> {
    let mut all: Vec<(String, &Arc<str>)> =
        state.next.iter().map(|n| ("/Next".to_owned(), n)).collect();
    if let StateKind::Choice { rules, default } = &state.kind {
        all.extend(
            rules
                .iter()
                .map(|r| (format!("/Choices[{}]/Next", r.index), &r.next)),
        );
        all.extend(default.iter().map(|d| ("/Default".to_owned(), d)));
    }
    all.extend(
        state
            .catch
            .iter()
            .map(|c| (format!("/Catch[{}]/Next", c.index), &c.next)),
    );
    all
}

/// The states that can be reached from the start, in the order of a walk.
pub(super) fn walk(graph: &Graph) -> Vec<&Arc<str>> {
    reached(graph, VecDeque::from([&graph.start]))
}

/// The states that can be reached from `queue`, in the order of a walk.
fn reached<'a>(graph: &'a Graph, mut queue: VecDeque<&'a Arc<str>>) -> Vec<&'a Arc<str>> {
    let (mut seen, mut order) = (HashSet::new(), Vec::new());
    while let Some(name) = queue.pop_front() {
        if let Some(state) = graph.states.get(name)
            && seen.insert(name)
        {
            order.push(name);
            queue.extend(targets(state).into_iter().map(|t| t.1));
        }
    }
    order
}

/// The unreachable states that AWS names: of each connected group, the states that no other state
/// leads to. A group that is one circle is named whole.
fn unreached<'a>(graph: &'a Graph, states: &'a Map<String, Value>) -> Vec<&'a str> {
    let met: HashSet<&str> = walk(graph).into_iter().map(|n| &**n).collect();
    let mut led_to = HashSet::new();
    for (name, state) in &graph.states {
        let others = targets(state).into_iter().map(|t| &**t.1);
        led_to.extend(others.filter(|target| *target != &**name));
    }
    let missed = |name: &&str| !met.contains(*name);
    let first: Vec<&str> = states
        .keys()
        .map(String::as_str)
        .filter(missed)
        .filter(|name| !led_to.contains(name))
        .collect();
    let starts = graph.states.keys().filter(|n| first.contains(&&***n));
    let below: HashSet<&str> = reached(graph, starts.collect())
        .into_iter()
        .map(|n| &**n)
        .collect();
    states
        .keys()
        .map(String::as_str)
        .filter(missed)
        .filter(|name| first.contains(name) || !below.contains(name))
        .collect()
}

/// Whether a deployment tool has yet to fill the state, its type or one of its transitions.
fn may_lead_anywhere(state: &Value) -> bool {
    let Some(map) = state.as_object().filter(|_| !is_placeholder(state)) else {
        return true;
    };
    ["Type", "Next", "End", "Default", "Catch", "Choices"]
        .iter()
        .filter_map(|field| map.get(*field))
        .any(|value| {
            let list = value.as_array().map_or(&[][..], Vec::as_slice);
            is_placeholder(value)
                || list.iter().any(|entry| {
                    is_placeholder(entry) || entry.get("Next").is_some_and(is_placeholder)
                })
        })
}

/// Whether a graph can end with the state.
fn is_end(state: &State) -> bool {
    match state.kind {
        StateKind::Succeed | StateKind::Fail { .. } => true,
        StateKind::Choice { .. } => false,
        _ => state.next.is_none(),
    }
}

impl DefinitionReader {
    /// Checks a graph. `states` has the names of all its states, including those that could not be
    /// read. `starts` is whether the graph names its start.
    pub(super) fn check(
        &mut self,
        graph: &Graph,
        states: &Map<String, Value>,
        starts: bool,
        at: &str,
    ) {
        let whole = graph.states.len() == states.len();
        // A name that a deployment tool will fill may be any state.
        let mut open = states
            .iter()
            .any(|(name, state)| has_placeholder(name) || may_lead_anywhere(state))
            || graph
                .states
                .values()
                .any(|state| self.unfilled.contains(&state.at));
        let mut missing = Vec::new();
        let mut lead = |target: &str, place: String, state: Option<&str>| {
            if has_placeholder(target) {
                open = true;
            } else if !states.contains_key(target) {
                missing.push((target.to_owned(), place, state.map(str::to_owned)));
            }
        };
        if starts {
            lead(&graph.start, format!("{at}/StartAt"), None);
        }
        let mut ends = !whole;
        for name in states.keys() {
            let Some(state) = graph.states.get(name.as_str()) else {
                continue;
            };
            ends |= is_end(state);
            for (field, target) in targets(state) {
                lead(target, format!("{}{field}", state.at), Some(name));
            }
        }
        if open {
            return;
        }
        for (target, place, state) in missing {
            self.transition(
                TARGET,
                &place,
                state,
                format!("Missing 'Next' target: {target}"),
                "the target must be a state of the same States",
            );
        }
        if !ends {
            self.transition(
                "MISSING_END_STATE",
                at,
                None,
                "Workflow has no terminal state".to_owned(),
                "a Succeed or Fail state, or \"End\": true, is needed",
            );
        } else if whole && starts {
            for name in unreached(graph, states) {
                self.transition(
                    TARGET,
                    &format!("{at}/States/{name}"),
                    Some(name.to_owned()),
                    format!("State \"{name}\" is not reachable."),
                    "lead to it with Next, Default or a Catch, or remove it",
                );
            }
        }
    }

    fn transition(
        &mut self,
        code: &'static str,
        at: &str,
        state: Option<String>,
        message: String,
        hint: &str,
    ) {
        let state = state.or_else(|| self.inside.last().cloned());
        self.errors += 1;
        self.transitions.push(
            Diagnostic::error(code, at, message)
                .with_hint(hint)
                .in_state(state),
        );
    }
}
