//! Objects built from the items of a value: one field for each key. Paths are elsewhere.

use std::collections::HashMap;
use std::rc::Rc;

use super::content::Walk;
use super::function::Frame;
use super::machine::{Machine, context};
use super::node::Pairs;
use super::value::{Object, Tuple, Value};
use super::wrong::{Outcome, Wrong, quoted};

impl<'a> Machine<'a> {
    /// Evaluates `{key: value, …}` over the items of a value: one field for each key. The value of
    /// a field sees all items with its key.
    pub(super) fn group(
        &self,
        pairs: &'a Pairs,
        input: Value<'a>,
        frame: &Rc<Frame<'a>>,
    ) -> Outcome<Value<'a>> {
        let tuples = match &input {
            Value::Tuples(tuples) if tuples.known => Some(Rc::clone(&tuples.items)),
            _ => None,
        };
        let items = match (&tuples, input.items()) {
            (None, Some(items)) if items.len() == 0 => Value::Undefined.into_items(),
            (None, Some(items)) => items,
            _ => input.into_items(),
        };
        let count = tuples.as_ref().map_or(items.len(), |tuples| tuples.len());
        // For each key: the index of its pair, and its items.
        let mut groups: Vec<(Rc<str>, usize, Vec<usize>)> = Vec::new();
        let mut places: HashMap<Rc<str>, usize> = HashMap::new();
        for at in 0..count {
            let (item, frame) = match &tuples {
                Some(tuples) => (context(&tuples[at]), self.tuple_frame(frame, &tuples[at])),
                None => (items.get(at), Rc::clone(frame)),
            };
            for (index, (key, _)) in pairs.iter().enumerate() {
                let key = self.evaluate(key, &item, &frame)?;
                let name: Rc<str> = match &key {
                    Value::Undefined => continue,
                    Value::Text(text) => Rc::clone(text),
                    Value::Str(text) => (*text).into(),
                    other => return Err(Wrong::new("T1003").value(self.named(other))),
                };
                if let "_jsonata_lambda" | "_jsonata_function" = &*name {
                    return Err(Wrong::new("D1013").value(quoted(&name)));
                }
                match places.get(&name) {
                    Some(place) if groups[*place].1 != index => {
                        return Err(Wrong::new("D1009").value(quoted(&name)));
                    }
                    Some(place) => groups[*place].2.push(at),
                    None => {
                        places.insert(Rc::clone(&name), groups.len());
                        groups.push((name, index, vec![at]));
                    }
                }
            }
        }
        let mut object = Object::default();
        for (key, index, members) in groups {
            let value = &pairs[index].1;
            let found = match &tuples {
                Some(tuples) => {
                    let mut merged = self.merged(members.iter().map(|at| &*tuples[*at]))?;
                    let item = context(&merged);
                    merged.retain(|(name, _)| *name != "@");
                    self.evaluate(value, &item, &self.tuple_frame(frame, &merged))?
                }
                None => {
                    let data = self.joined(members.iter().map(|at| items.get(*at)))?;
                    self.evaluate(value, &data, frame)?
                }
            };
            if !found.is_undefined() {
                object.set(key, found)?;
            }
        }
        self.object(object)
    }

    /// The items with one key: the item itself, or an array of several.
    fn joined(&self, mut members: impl ExactSizeIterator<Item = Value<'a>>) -> Outcome<Value<'a>> {
        let first = members.next().unwrap_or(Value::Undefined);
        if members.len() == 0 {
            return Ok(first);
        }
        let mut all: Vec<_> = match first {
            Value::Undefined => Vec::new(),
            first => first.into_items().iter().collect(),
        };
        for member in members.filter(|member| !member.is_undefined()) {
            all.extend(member.into_items().iter());
            self.visit()?;
        }
        self.array(all)
    }

    /// Merges tuples: each name has all its values.
    fn merged<'t>(&self, mut tuples: impl Iterator<Item = &'t Tuple<'a>>) -> Outcome<Tuple<'a>>
    where
        'a: 't,
    {
        let mut merged = tuples.next().cloned().unwrap_or_default();
        for tuple in tuples {
            for (name, value) in tuple {
                match merged.iter_mut().find(|(known, _)| known == name) {
                    Some((_, known)) => {
                        let first = std::mem::replace(known, Value::Undefined);
                        *known = self.append(first, value.clone())?;
                    }
                    None => merged.push((name, value.clone())),
                }
            }
        }
        Ok(merged)
    }
}
