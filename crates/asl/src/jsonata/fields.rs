//! The fields of objects: one by its name, all of them (`*`, `**`), and those that a transformer
//! (`| … | … |`) changes in a copy.

use std::collections::HashMap;
use std::rc::Rc;

use super::content::Walk;
use super::function::Frame;
use super::machine::Machine;
use super::node::Node;
use super::stack::level;
use super::value::{Object, Value};
use super::wrong::{Outcome, Wrong};

impl<'a> Machine<'a> {
    /// A field of an object, or of all objects in an array.
    pub(super) fn named_field(&self, input: &Value<'a>, name: &str) -> Outcome<Value<'a>> {
        self.visit()?;
        let Some(items) = input.items() else {
            return Ok(input.field(name).unwrap_or(Value::Undefined));
        };
        let mut found = Vec::new();
        for item in items.iter() {
            let field = level(|| self.named_field(&item, name))?;
            match field.items() {
                Some(items) => {
                    for item in items.iter() {
                        self.push(&mut found, item)?;
                    }
                }
                None if field.is_undefined() => {}
                None => self.push(&mut found, field)?,
            }
        }
        self.sequence(found)
    }

    pub(super) fn wildcard(&self, input: &Value<'a>) -> Outcome<Value<'a>> {
        let input = match input {
            Value::List(list) if list.outer => input.clone().into_items().get(0),
            _ => input.clone(),
        };
        let values: Vec<_> = match input.items() {
            Some(items) => items.iter().collect(),
            None => input.fields().into_iter().map(|(_, value)| value).collect(),
        };
        let mut found = Vec::new();
        let mut is_sequence = true;
        for value in values {
            is_sequence &= !value.is_array();
            self.flat(value, &mut found)?;
        }
        if is_sequence {
            return self.sequence(found);
        }
        self.array(found)
    }

    fn flat(&self, value: Value<'a>, found: &mut Vec<Value<'a>>) -> Outcome<()> {
        match value.items() {
            None => self.push(found, value),
            Some(items) => {
                self.visit()?;
                items
                    .iter()
                    .try_for_each(|item| level(|| self.flat(item, found)))
            }
        }
    }

    pub(super) fn descendants(&self, value: &Value<'a>, found: &mut Vec<Value<'a>>) -> Outcome<()> {
        if let Some(items) = value.items() {
            self.visit()?;
            return items
                .iter()
                .try_for_each(|item| level(|| self.descendants(&item, found)));
        }
        self.push(found, value.clone())?;
        let fields = value.fields();
        fields
            .iter()
            .try_for_each(|(_, value)| level(|| self.descendants(value, found)))
    }

    /// A copy of a value, with other fields in the objects that a pattern finds.
    pub(super) fn transformed(
        &self,
        pattern: &'a Node,
        update: &'a Node,
        delete: Option<&'a Node>,
        given: Value<'a>,
        frame: &Rc<Frame<'a>>,
    ) -> Outcome<Value<'a>> {
        let copy = self.copied(&given, &HashMap::new())?;
        let found = self.evaluate(pattern, &copy, frame)?;
        if found.is_undefined() {
            return Ok(copy);
        }
        let mut changed: Changes<'a> = HashMap::new();
        for item in found.into_items().iter() {
            let Value::Object(original) = &item else {
                // A value that is not an object cannot be changed, but its clauses are evaluated
                // and checked.
                self.clauses(update, delete, &item, frame)?;
                continue;
            };
            let current = self.copied(&item, &changed)?;
            let (updates, deletions) = self.clauses(update, delete, &current, frame)?;
            let address = Rc::as_ptr(original).cast::<()>();
            let known = changed.get(&address).map_or(original, |(_, new)| new);
            let mut object = Object::default();
            for (key, value) in known.iter() {
                object.set(Rc::clone(key), value.clone())?;
            }
            for (key, value) in updates {
                // A copy, so that no object contains itself.
                object.set(key, self.copied(&value, &changed)?)?;
            }
            for key in deletions {
                object.remove(&key);
            }
            changed.insert(address, (Rc::clone(original), Rc::new(object)));
        }
        self.copied(&copy, &changed)
    }

    /// The fields that are set in an object, and those that are removed.
    fn clauses(
        &self,
        update: &'a Node,
        delete: Option<&'a Node>,
        item: &Value<'a>,
        frame: &Rc<Frame<'a>>,
    ) -> Outcome<(Fields<'a>, Vec<String>)> {
        let updates = self.evaluate(update, item, frame)?;
        if !updates.is_undefined() && !updates.is_object() {
            return Err(Wrong::new("T2011").value(self.named(&updates)));
        }
        let Some(delete) = delete else {
            return Ok((updates.fields(), Vec::new()));
        };
        let deletions = self.evaluate(delete, item, frame)?;
        let mut names = Vec::new();
        if !deletions.is_undefined() {
            for name in deletions.clone().into_items().iter() {
                match name.as_str() {
                    Some(name) => names.push(name.to_owned()),
                    None => return Err(Wrong::new("T2012").value(self.named(&deletions))),
                }
            }
        }
        Ok((updates.fields(), names))
    }

    /// A deep copy, with some objects replaced.
    pub(super) fn copied(&self, value: &Value<'a>, changed: &Changes<'a>) -> Outcome<Value<'a>> {
        self.visit()?;
        if let Some(items) = value.items() {
            let items = items
                .iter()
                .map(|item| level(|| self.copied(&item, changed)));
            return self.array(items.collect::<Outcome<_>>()?);
        }
        let fields = match value {
            Value::Object(object) => {
                let address = Rc::as_ptr(object).cast::<()>();
                match changed.get(&address) {
                    Some((_, new)) => new.iter().cloned().collect(),
                    None => value.fields(),
                }
            }
            Value::JsonObject(_) => value.fields(),
            // As in JSON, which has no functions.
            Value::Function(_) => return self.text(""),
            other => return Ok(other.clone()),
        };
        let mut copy = Object::default();
        for (key, value) in fields {
            copy.set(key, level(|| self.copied(&value, changed))?)?;
        }
        self.object(copy)
    }
}

/// Names and values of an object.
type Fields<'a> = Vec<(Rc<str>, Value<'a>)>;

/// The replacement of each object, by the object's address. The object is kept so that its address
/// is not reused.
pub(super) type Changes<'a> = HashMap<*const (), (Rc<Object<'a>>, Rc<Object<'a>>)>;
