//! What only the whole graph shows: missing targets, states that nothing reaches, no way to an end.
use super::{
    model::{Graph, Kind, State},
    reader::Reader,
};
use crate::template::token;
use serde_json::{Map, Value};
use std::{
    collections::{HashSet, VecDeque},
    sync::Arc,
};

const TARGET: &str = "MISSING_TRANSITION_TARGET";

/// Every target with the field that names it, below the state.
pub(super) fn targets(state: &State) -> Vec<(String, &Arc<str>)> {
    let mut all: Vec<(String, &Arc<str>)> =
        state.next.iter().map(|n| ("/Next".to_owned(), n)).collect();
    if let Kind::Choice { rules, default } = &state.kind {
        all.extend(
            rules
                .iter()
                .enumerate()
                .map(|(i, r)| (format!("/Choices/{i}/Next"), &r.next)),
        );
        all.extend(default.iter().map(|d| ("/Default".to_owned(), d)));
    }
    all.extend(
        state
            .catch
            .iter()
            .enumerate()
            .map(|(i, c)| (format!("/Catch/{i}/Next"), &c.next)),
    );
    all
}

/// The states that a walk from the start meets, in that order.
pub(super) fn walk(graph: &Graph) -> Vec<&Arc<str>> {
    let (mut seen, mut order, mut queue) =
        (HashSet::new(), Vec::new(), VecDeque::from([&graph.start]));
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

impl Reader {
    /// Checks a graph against the names in `states`, those of states that could not be read too.
    pub(super) fn check(&mut self, graph: &Graph, states: &Map<String, Value>, at: &str) {
        if !graph.start.is_empty() && !states.contains_key(&*graph.start) {
            self.problem(
                TARGET,
                &format!("{at}/StartAt"),
                format!("Missing 'Next' target: {}", graph.start),
                "StartAt must name a state of the same States",
            );
        }
        let mut ends = false;
        for name in states.keys() {
            let Some(state) = graph.states.get(name.as_str()) else {
                // A state that could not be read may lead anywhere.
                ends = true;
                continue;
            };
            ends |= match state.kind {
                Kind::Succeed | Kind::Fail { .. } => true,
                Kind::Choice { .. } => false,
                _ => state.next.is_none(),
            };
            for (field, target) in targets(state) {
                if !states.contains_key(&**target) {
                    self.problem(
                        TARGET,
                        &format!("{}{field}", state.at),
                        format!("Missing 'Next' target: {target}"),
                        "the target must be a state of the same States",
                    );
                }
            }
        }
        if graph.states.len() == states.len() && states.contains_key(&*graph.start) {
            let reached: HashSet<&str> = walk(graph).into_iter().map(|n| &**n).collect();
            for name in states.keys().filter(|n| !reached.contains(n.as_str())) {
                self.problem(
                    TARGET,
                    &format!("{at}/States/{}", token(name)),
                    format!("State \"{name}\" is not reachable."),
                    "lead to it with Next, Default or a Catch, or remove it",
                );
            }
        }
        if !ends {
            self.problem(
                "MISSING_END_STATE",
                &format!("{at}/States"),
                "No state ends the state machine",
                "a Succeed or Fail state, or \"End\": true, is needed",
            );
        }
    }
}
