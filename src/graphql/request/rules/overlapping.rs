//! Fields of the same key must be equal (5.3.2). The schema has object types only, so all fields at
//! one place have the same parent: each is compared with the first of its key, and their selections
//! are compared together. The time is proportional to the size of the document, where a fragment
//! counts at each place where it is spread.

use std::collections::{HashMap, HashSet};

use super::{Checking, Rule};
use crate::graphql::syntax::{Argument, Document, Field, Selection, Value, ValueKind};

impl<'a> Checking<'a> {
    pub(super) fn overlapping(&mut self) {
        for operation in &self.document.operations {
            self.merge(&[&operation.selections]);
        }
    }

    fn merge(&mut self, sets: &[&'a [Selection]]) {
        let mut groups = Groups {
            document: self.document,
            place: HashMap::new(),
            fields: Vec::new(),
            spread: HashSet::new(),
        };
        for set in sets {
            groups.collect(set);
        }
        for group in groups.fields {
            let first = group[0];
            for other in &group[1..] {
                if first.name.text != other.name.text {
                    self.conflict(first, other, "they are different fields");
                } else if !same_arguments(&first.arguments, &other.arguments) {
                    self.conflict(first, other, "they have different arguments");
                }
            }
            let below: Vec<&[Selection]> =
                group.iter().map(|field| &field.selections[..]).collect();
            if below.iter().any(|set| !set.is_empty()) {
                self.merge(&below);
            }
        }
    }

    fn conflict(&mut self, one: &Field, other: &Field, reason: &str) {
        self.report(Rule::OverlappingFields, &[one.place, other.place], || {
            format!(
                "the fields of the key \"{}\" cannot be merged, {reason}: give them different aliases",
                one.key()
            )
        });
    }
}

/// Fields by their keys, in the order of the first of each.
struct Groups<'a> {
    document: &'a Document,
    place: HashMap<&'a str, usize>,
    fields: Vec<Vec<&'a Field>>,
    spread: HashSet<&'a str>,
}

impl<'a> Groups<'a> {
    fn collect(&mut self, set: &'a [Selection]) {
        for selection in set {
            match selection {
                Selection::Field(field) => {
                    let next = self.fields.len();
                    let place = *self.place.entry(field.key()).or_insert(next);
                    if place == next {
                        self.fields.push(Vec::new());
                    }
                    self.fields[place].push(field);
                }
                Selection::Inline(inline) => self.collect(&inline.selections),
                Selection::Spread(spread) => {
                    let name = spread.name.text.as_str();
                    if let Some(fragment) = self.document.fragment(name)
                        && self.spread.insert(name)
                    {
                        self.collect(&fragment.selections);
                    }
                }
            }
        }
    }
}

fn same_arguments(one: &[Argument], other: &[Argument]) -> bool {
    one.len() == other.len()
        && one.iter().all(|argument| {
            let same = other.iter().find(|same| same.name == argument.name);
            same.is_some_and(|same| same_value(&argument.value, &same.value))
        })
}

/// The order of an input object's fields is ignored.
fn same_value(one: &Value, other: &Value) -> bool {
    match (&one.kind, &other.kind) {
        (ValueKind::List(one), ValueKind::List(other)) => {
            let mut pairs = one.iter().zip(other);
            one.len() == other.len() && pairs.all(|(one, other)| same_value(one, other))
        }
        (ValueKind::Object(one), ValueKind::Object(other)) => {
            one.len() == other.len()
                && one.iter().all(|(name, value)| {
                    let same = other.iter().find(|(same, _)| same == name);
                    same.is_some_and(|(_, same)| same_value(value, same))
                })
        }
        (one, other) => one == other,
    }
}
