//! Evaluates paths: their steps, filters, sort terms, and the names that steps bind.

use std::rc::Rc;

use super::function::Frame;
use super::machine::{Machine, context};
use super::node::{Node, NodeKind, Stage, Term};
use super::value::{Items, Tuple, Tuples, Value, tuple_object};
use super::wrong::{Outcome, Wrong};

/// The current value of a path.
enum Reached<'a> {
    Nothing,
    /// One value, which may be an array that is not flattened.
    One(Value<'a>),
    Many(Items<'a>),
    /// An array that is the value of the path.
    Array(Value<'a>),
}

impl<'a> Reached<'a> {
    fn of(value: Value<'a>) -> Self {
        match value.items() {
            Some(items) => Self::Many(items),
            None if value.is_undefined() => Self::Nothing,
            None => Self::One(value),
        }
    }

    fn is_empty(&self) -> bool {
        match self {
            Self::Nothing => true,
            Self::One(_) => false,
            Self::Many(items) => items.len() == 0,
            Self::Array(array) => array.items().is_none_or(|items| items.len() == 0),
        }
    }

    fn items(&self) -> Items<'a> {
        match self {
            Self::Nothing => Items::Own(Rc::default()),
            Self::One(value) => Items::Own(Rc::new(vec![value.clone()])),
            Self::Many(items) => items.clone(),
            Self::Array(array) => array.clone().into_items(),
        }
    }

    /// The value as the input of the next step.
    fn as_input(&self) -> Self {
        match self {
            Self::Nothing => Self::Nothing,
            Self::One(value) => Self::One(value.clone()),
            Self::Many(items) => Self::Many(items.clone()),
            Self::Array(array) => Self::of(array.clone()),
        }
    }
}

impl<'a> Machine<'a> {
    pub(super) fn path(
        &self,
        node: &'a Node,
        input: &Value<'a>,
        frame: &Rc<Frame<'a>>,
    ) -> Outcome<Value<'a>> {
        let NodeKind::Path {
            steps,
            keep_singleton,
        } = &node.kind
        else {
            return Ok(Value::Undefined);
        };
        let is_absolute = matches!(steps.first().map(|s| &s.kind), Some(NodeKind::Variable(_)));
        let mut from = match input.items() {
            Some(items) if !is_absolute => Reached::Many(items),
            _ => Reached::One(input.clone()),
        };
        let mut tuples: Option<Tuples<'a>> = None;
        let mut reached = Reached::Nothing;
        let mut is_stream = false;
        for (at, step) in steps.iter().enumerate() {
            is_stream |= step.tuple;
            if at == 0 && step.cons_array {
                let whole = match from {
                    Reached::Many(_) => input.clone(),
                    other => Value::sequence(other.items().iter().collect())?,
                };
                let found = self.evaluate(step, &whole, frame)?;
                reached = match found.is_array() {
                    true => Reached::Array(found),
                    false => Reached::of(found),
                };
                from = Reached::Nothing;
            } else if is_stream {
                tuples = Some(self.tuple_step(step, &from, tuples, frame)?);
            } else {
                reached = self.step(step, &from, at + 1 == steps.len(), frame)?;
            }
            if !is_stream && reached.is_empty() {
                break;
            }
            if step.focus.is_none() && !is_stream {
                from = reached.as_input();
            }
        }
        let mut result = if is_stream {
            let tuples = tuples.unwrap_or(Tuples {
                items: Rc::default(),
                known: true,
            });
            if let Some(pairs) = &node.group {
                return self.group(pairs, Value::Tuples(tuples), frame);
            }
            if node.tuple {
                return Ok(Value::Tuples(tuples));
            }
            self.sequence(tuples.items.iter().map(|tuple| context(tuple)).collect())?
        } else {
            self.reached_value(reached, *keep_singleton)?
        };
        if *keep_singleton && let Value::List(list) = &mut result {
            list.keep_singleton = true;
        }
        match &node.group {
            Some(pairs) => self.group(pairs, result, frame),
            None => Ok(result),
        }
    }

    /// The value of a path that has reached its end.
    fn reached_value(&self, reached: Reached<'a>, keep_singleton: bool) -> Outcome<Value<'a>> {
        match reached {
            Reached::Nothing => Ok(Value::Undefined),
            Reached::One(value) if !keep_singleton => Ok(value),
            Reached::One(value) => self.sequence(vec![value]),
            Reached::Many(Items::Own(items)) => {
                let items = Rc::try_unwrap(items).unwrap_or_else(|items| (*items).clone());
                self.sequence(items)
            }
            Reached::Many(items) => self.sequence(items.iter().collect()),
            Reached::Array(array) => match &array {
                Value::List(list) if keep_singleton && list.cons && !list.sequence => {
                    self.sequence(vec![array])
                }
                _ => Ok(array),
            },
        }
    }

    fn step(
        &self,
        step: &'a Node,
        from: &Reached<'a>,
        last: bool,
        frame: &Rc<Frame<'a>>,
    ) -> Outcome<Reached<'a>> {
        if let NodeKind::Sort(terms) = &step.kind {
            let items: Vec<_> = from.items().iter().collect();
            let sorted = self.sorted(terms, items, |item| (item.clone(), None), frame)?;
            let mut sorted = self.sequence(sorted)?;
            for stage in &step.stages {
                if let Stage::Filter(predicate) = stage {
                    sorted = self.filter(predicate, sorted, frame)?;
                }
            }
            return Ok(Reached::of(sorted));
        }
        let evaluate = |item: &Value<'a>| {
            let mut found = self.evaluate(step, item, frame)?;
            for stage in &step.stages {
                if let Stage::Filter(predicate) = stage {
                    found = self.filter(predicate, found, frame)?;
                }
            }
            Ok::<_, Box<Wrong>>(found)
        };
        let is_cons = |value: &Value<'a>| matches!(value, Value::List(list) if list.cons);
        // Most steps map one value to one value.
        let only = match from {
            Reached::One(item) => Some(item.clone()),
            Reached::Many(items) if items.len() == 1 => Some(items.get(0)),
            _ => None,
        };
        if let Some(item) = only {
            let found = evaluate(&item)?;
            return Ok(if last && found.is_array() && !found.is_sequence() {
                Reached::Array(found)
            } else if is_cons(&found) {
                Reached::One(found)
            } else {
                Reached::of(found)
            });
        }
        let mut results = Vec::new();
        for item in from.items().iter() {
            let found = evaluate(&item)?;
            if !found.is_undefined() {
                self.push(&mut results, found)?;
            }
        }
        if last && results.len() == 1 && results[0].is_array() && !results[0].is_sequence() {
            return Ok(Reached::Array(results.remove(0)));
        }
        let mut flat = Vec::with_capacity(results.len());
        for found in results {
            match found.items() {
                Some(items) if !is_cons(&found) => {
                    for item in items.iter() {
                        self.push(&mut flat, item)?;
                    }
                }
                _ => self.push(&mut flat, found)?,
            }
        }
        Ok(Reached::Many(Items::Own(Rc::new(flat))))
    }

    fn tuple_step(
        &self,
        step: &'a Node,
        from: &Reached<'a>,
        tuples: Option<Tuples<'a>>,
        frame: &Rc<Frame<'a>>,
    ) -> Outcome<Tuples<'a>> {
        if let NodeKind::Sort(terms) = &step.kind {
            let result = self.sorted_tuples(step, terms, from, tuples, frame)?;
            return self.stages(&step.stages, result, frame);
        }
        let before: Rc<Vec<Rc<Tuple<'a>>>> = match tuples {
            Some(tuples) => tuples.items,
            None => {
                let items = from.items();
                Rc::new(
                    items
                        .iter()
                        .map(|item| Rc::new(vec![("@", item)]))
                        .collect(),
                )
            }
        };
        let mut made: Vec<Rc<Tuple<'a>>> = Vec::new();
        for tuple in before.iter() {
            let at = context(tuple);
            let inner = self.tuple_frame(frame, tuple);
            let found = self.evaluate(step, &at, &inner)?;
            if found.is_undefined() {
                continue;
            }
            if let Value::Tuples(found) = &found
                && found.known
            {
                for more in found.items.iter() {
                    let mut tuple = (**tuple).clone();
                    for (name, value) in more.iter() {
                        put(&mut tuple, name, value.clone());
                    }
                    self.make(tuple.len() * 32)?;
                    made.push(Rc::new(tuple));
                }
                continue;
            }
            for (index, item) in found.into_items().iter().enumerate() {
                let mut tuple = (**tuple).clone();
                match &step.focus {
                    Some(name) => put(&mut tuple, name, item),
                    None => put(&mut tuple, "@", item),
                }
                if let Some(name) = &step.index {
                    put(&mut tuple, name, Value::whole(index));
                }
                if let Some(slot) = step.ancestor {
                    put(&mut tuple, self.label(slot), at.clone());
                }
                self.make(tuple.len() * 32)?;
                made.push(Rc::new(tuple));
            }
        }
        let made = Tuples {
            items: Rc::new(made),
            known: true,
        };
        self.stages(&step.stages, made, frame)
    }

    /// Sorts the tuples of a path, or its items if it has no tuples yet.
    fn sorted_tuples(
        &self,
        step: &'a Node,
        terms: &'a [Term],
        from: &Reached<'a>,
        tuples: Option<Tuples<'a>>,
        frame: &Rc<Frame<'a>>,
    ) -> Outcome<Tuples<'a>> {
        Ok(match tuples {
            Some(tuples) => {
                let known = tuples.items.len() <= 1 && tuples.known;
                let items = (*tuples.items).clone();
                let of_tuple = |tuple: &Rc<Tuple<'a>>| match tuples.known {
                    true => (context(tuple), Some(Rc::clone(tuple))),
                    false => (tuple_object(tuple), None),
                };
                let items = self.sorted(terms, items, of_tuple, frame)?;
                Tuples {
                    items: Rc::new(items),
                    known,
                }
            }
            None => {
                let items: Vec<_> = from.items().iter().collect();
                let sorted = self.sorted(terms, items, |item| (item.clone(), None), frame)?;
                let items = sorted.into_iter().enumerate().map(|(at, item)| {
                    let mut tuple: Tuple<'a> = vec![("@", item)];
                    if let Some(name) = &step.index {
                        tuple.push((name, Value::whole(at)));
                    }
                    Rc::new(tuple)
                });
                Tuples {
                    items: Rc::new(items.collect()),
                    known: true,
                }
            }
        })
    }

    fn stages(
        &self,
        stages: &'a [Stage],
        mut tuples: Tuples<'a>,
        frame: &Rc<Frame<'a>>,
    ) -> Outcome<Tuples<'a>> {
        for stage in stages {
            match stage {
                Stage::Filter(predicate) => {
                    let items = self.kept(
                        predicate,
                        &tuples.items,
                        |tuple| match tuples.known {
                            true => (context(tuple), Some(Rc::clone(tuple))),
                            false => (tuple_object(tuple), None),
                        },
                        frame,
                    )?;
                    tuples.items = Rc::new(items);
                }
                Stage::Index(name) => {
                    let items = tuples.items.iter().enumerate().map(|(at, tuple)| {
                        let mut tuple = (**tuple).clone();
                        put(&mut tuple, name, Value::whole(at));
                        Rc::new(tuple)
                    });
                    tuples.items = Rc::new(items.collect());
                }
            }
        }
        Ok(tuples)
    }
}

fn put<'a>(tuple: &mut Tuple<'a>, name: &'a str, value: Value<'a>) {
    match tuple.iter_mut().find(|(known, _)| *known == name) {
        Some((_, known)) => *known = value,
        None => tuple.push((name, value)),
    }
}
