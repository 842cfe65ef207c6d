//! Paths: their steps, filters, orders, and the names that steps bind; and what looks at all fields: `*`, `**` and `| … | … |`.
use super::{
    function::Frame,
    machine::{Machine, context},
    node::{Kind, Node, Stage, Term},
    value::{Items, Object, Tuple, Tuples, Value, Walk, level, tuple_object},
    wrong::{Outcome, Wrong},
};
use std::{collections::HashMap, rc::Rc};

/// What a path has come to.
enum Reached<'a> {
    Nothing,
    /// One value, which may be an array that is not taken apart.
    One(Value<'a>),
    Many(Items<'a>),
    /// An array that the path's value is, as it stands.
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
}

impl<'a> Machine<'a> {
    pub(super) fn path(
        &self,
        node: &'a Node,
        input: &Value<'a>,
        frame: &Rc<Frame<'a>>,
    ) -> Outcome<Value<'a>> {
        let Kind::Path {
            steps,
            keep_singleton,
        } = &node.kind
        else {
            return Ok(Value::Undefined);
        };
        let starts_anew = matches!(steps.first().map(|s| &s.kind), Some(Kind::Variable(_)));
        let mut from = match input.items() {
            Some(items) if !starts_anew => Reached::Many(items),
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
                from = match &reached {
                    Reached::Nothing => Reached::Nothing,
                    Reached::One(value) => Reached::One(value.clone()),
                    Reached::Many(items) => Reached::Many(items.clone()),
                    Reached::Array(array) => Reached::of(array.clone()),
                };
            }
        }
        let mut result = match (is_stream, tuples) {
            (true, tuples) => {
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
            }
            (false, _) => match reached {
                Reached::Nothing => Value::Undefined,
                Reached::One(value) if !keep_singleton => value,
                Reached::One(value) => self.sequence(vec![value])?,
                Reached::Many(Items::Own(items)) => {
                    let items = Rc::try_unwrap(items).unwrap_or_else(|items| (*items).clone());
                    self.sequence(items)?
                }
                Reached::Many(items) => self.sequence(items.iter().collect())?,
                Reached::Array(array) => match &array {
                    Value::List(list) if *keep_singleton && list.cons && !list.sequence => {
                        self.sequence(vec![array])?
                    }
                    _ => array,
                },
            },
        };
        if *keep_singleton && let Value::List(list) = &mut result {
            list.keep_singleton = true;
        }
        match &node.group {
            Some(pairs) => self.group(pairs, result, frame),
            None => Ok(result),
        }
    }

    fn step(
        &self,
        step: &'a Node,
        from: &Reached<'a>,
        last: bool,
        frame: &Rc<Frame<'a>>,
    ) -> Outcome<Reached<'a>> {
        if let Kind::Sort(terms) = &step.kind {
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
        // The values of most steps: of one value, one value.
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
        if let Kind::Sort(terms) = &step.kind {
            let result = match tuples {
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
            };
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

    /// The items of a value for which a predicate holds, or which it names by position.
    pub(super) fn filter(
        &self,
        predicate: &'a Node,
        input: Value<'a>,
        frame: &Rc<Frame<'a>>,
    ) -> Outcome<Value<'a>> {
        if let Value::Tuples(tuples) = &input
            && tuples.known
        {
            let of_tuple = |tuple: &Rc<Tuple<'a>>| (context(tuple), Some(Rc::clone(tuple)));
            let items = self.kept(predicate, &tuples.items, of_tuple, frame)?;
            return Ok(Value::Tuples(Tuples {
                items: Rc::new(items),
                known: true,
            }));
        }
        let items = input.into_items();
        if let Kind::Number(n) = &predicate.kind {
            let item = match position(n.floor().towards_zero(), items.len()) {
                Some(at) => items.get(at),
                None => Value::Undefined,
            };
            return match item {
                Value::Undefined => self.sequence(Vec::new()),
                array if array.is_array() => Ok(array),
                item => self.sequence(vec![item]),
            };
        }
        let mut kept = Vec::new();
        for (at, item) in items.iter().enumerate() {
            for _ in 0..self.times(predicate, &item, at, items.len(), frame)? {
                self.push(&mut kept, item.clone())?;
            }
        }
        self.sequence(kept)
    }
    fn kept<T: Clone>(
        &self,
        predicate: &'a Node,
        items: &[T],
        seen: impl Fn(&T) -> (Value<'a>, Option<Rc<Tuple<'a>>>),
        frame: &Rc<Frame<'a>>,
    ) -> Outcome<Vec<T>> {
        if let Kind::Number(n) = &predicate.kind {
            let at = position(n.floor().towards_zero(), items.len());
            return Ok(at.map(|at| items[at].clone()).into_iter().collect());
        }
        let mut kept = Vec::new();
        for (at, item) in items.iter().enumerate() {
            let (value, tuple) = seen(item);
            let inner = match tuple {
                Some(tuple) => self.tuple_frame(frame, &tuple),
                None => Rc::clone(frame),
            };
            for _ in 0..self.times(predicate, &value, at, items.len(), &inner)? {
                kept.push(item.clone());
            }
        }
        Ok(kept)
    }
    /// How often a predicate keeps the item at a place.
    fn times(
        &self,
        predicate: &'a Node,
        item: &Value<'a>,
        at: usize,
        count: usize,
        frame: &Rc<Frame<'a>>,
    ) -> Outcome<usize> {
        let found = self.evaluate(predicate, item, frame)?;
        let named =
            |n: super::number::Number| position(n.floor().towards_zero(), count) == Some(at);
        if let Some(n) = found.as_number()? {
            return Ok(usize::from(named(n)));
        }
        if let Some(items) = found.items() {
            let mut times = 0;
            let mut all = true;
            for item in items.iter() {
                self.visit()?;
                match item.as_number()? {
                    Some(n) => times += usize::from(named(n)),
                    None => {
                        all = false;
                        break;
                    }
                }
            }
            if all {
                return Ok(times);
            }
        }
        self.truthy(&found).map(usize::from)
    }

    fn sorted<T: Clone>(
        &self,
        terms: &'a [Term],
        items: Vec<T>,
        seen: impl Fn(&T) -> (Value<'a>, Option<Rc<Tuple<'a>>>),
        frame: &Rc<Frame<'a>>,
    ) -> Outcome<Vec<T>> {
        let value = |item: &T, term: &'a Term| {
            let (value, tuple) = seen(item);
            match tuple {
                Some(tuple) => {
                    self.evaluate(&term.expression, &value, &self.tuple_frame(frame, &tuple))
                }
                None => self.evaluate(&term.expression, &value, frame),
            }
        };
        self.merge_sort(items, &mut |a, b| {
            for term in terms {
                let (a, b) = (value(a, term)?, value(b, term)?);
                let order = match (a.is_undefined(), b.is_undefined()) {
                    (true, true) => continue,
                    (true, false) => return Ok(true),
                    (false, true) => return Ok(false),
                    (false, false) => order(self, &a, &b)?,
                };
                if order.is_ne() {
                    return Ok(order.is_gt() != term.descending);
                }
            }
            Ok(false)
        })
    }
    /// Sorts by a function that says whether its first argument comes after its second.
    pub(super) fn merge_sort<T: Clone>(
        &self,
        items: Vec<T>,
        after: &mut dyn FnMut(&T, &T) -> Outcome<bool>,
    ) -> Outcome<Vec<T>> {
        if items.len() <= 1 {
            return Ok(items);
        }
        let mut left = items;
        let right = left.split_off(left.len() / 2);
        let left = self.merge_sort(left, after)?;
        let right = self.merge_sort(right, after)?;
        let mut merged = Vec::with_capacity(left.len() + right.len());
        let (mut left, mut right) = (left.into_iter().peekable(), right.into_iter().peekable());
        while let (Some(a), Some(b)) = (left.peek(), right.peek()) {
            self.visit()?;
            let next = if after(a, b)? {
                right.next()
            } else {
                left.next()
            };
            merged.extend(next);
        }
        merged.extend(left);
        merged.extend(right);
        Ok(merged)
    }

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

    /// A copy of a value, in which the objects that a pattern finds have other fields.
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
                // What is no object cannot be changed, but the clauses must hold for it all the same.
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
                // A copy, so that no object comes to hold itself.
                object.set(key, self.copied(&value, &changed)?)?;
            }
            for key in deletions {
                object.remove(&key);
            }
            changed.insert(address, (Rc::clone(original), Rc::new(object)));
        }
        self.copied(&copy, &changed)
    }
    /// The fields that an object gets, and those that it loses.
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
    /// A copy all of whose objects are its own, with some of them replaced.
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
            // As JSON, which has no functions.
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

/// Objects by their address, kept so that no other one gets it, and what stands for each.
type Changes<'a> = HashMap<*const (), (Rc<Object<'a>>, Rc<Object<'a>>)>;

fn put<'a>(tuple: &mut Tuple<'a>, name: &'a str, value: Value<'a>) {
    match tuple.iter_mut().find(|(known, _)| *known == name) {
        Some((_, known)) => *known = value,
        None => tuple.push((name, value)),
    }
}

/// The place that a number means: a negative one counts from the end.
fn position(n: i64, count: usize) -> Option<usize> {
    let at = if n < 0 {
        n.checked_add(i64::try_from(count).ok()?)?
    } else {
        n
    };
    usize::try_from(at).ok().filter(|at| *at < count)
}

fn order<'a>(machine: &Machine<'a>, a: &Value<'a>, b: &Value<'a>) -> Outcome<std::cmp::Ordering> {
    let orders = |value: &Value<'a>| value.as_str().is_some() || value.any_number().is_some();
    if !orders(a) || !orders(b) {
        return Err(Wrong::new("T2008"));
    }
    match (a.as_str(), b.as_str()) {
        (Some(a), Some(b)) => Ok(a.encode_utf16().cmp(b.encode_utf16())),
        (None, None) => Ok(match (a.any_number(), b.any_number()) {
            (Some(a), Some(b)) => a.partial_cmp(&b).unwrap_or(std::cmp::Ordering::Equal),
            _ => std::cmp::Ordering::Equal,
        }),
        _ => Err(Wrong::new("T2007")
            .value(machine.named(a))
            .other(machine.named(b))),
    }
}
