//! Evaluates a tree: one call of [`Machine::evaluate`] for each part, within the bounds that AWS sets. Paths are walked in `walk`; the functions
//! that JSONata and AWS name are in `native`.
use super::{
    function::{Frame, Function},
    native,
    node::{Kind, Node, Pairs, Stage},
    number::Number,
    value::{self, MAX_ITEMS, Object, Style, Tuple, Value, Walk},
    wrong::{MEMORY, Outcome, STACK, TIME, Wrong, quoted},
};
use crate::scope::{Dice, Variables};
use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    rc::Rc,
    time::{Duration, Instant},
};

/// Maximum depth of evaluations within evaluations: AWS adds 100 numbers in one expression, and not 101.
pub(super) const MAX_STACK: usize = 100;
/// Maximum depth of calls within calls: functions such as `$map` call functions without an evaluation in between.
const MAX_CALLS: usize = 500;
/// Time allowed for one expression, as on AWS.
const MAX_TIME: Duration = Duration::from_secs(1);
/// Steps from one look at the clock to the next.
const STEPS: u32 = 256;
/// Maximum bytes of all texts, arrays and objects that one expression makes, those included that it forgets again.
const MAX_MADE: usize = 512 * 1024 * 1024;
/// Bytes of a value's place in an array or a frame.
const PLACE: usize = 32;
/// Maximum frames that functions refer to: they live until the evaluation ends.
const MAX_HELD: usize = 500_000;

/// One evaluation.
pub(super) struct Machine<'a> {
    labels: &'a [String],
    root: Value<'a>,
    states: Value<'a>,
    variables: Option<&'a Variables>,
    /// Milliseconds since 1970.
    pub(super) now: jiff::Timestamp,
    pub(super) random: Dice,
    pub(super) ids: Dice,
    started: Instant,
    allowed: Duration,
    depth: Cell<usize>,
    calls: Cell<usize>,
    steps: Cell<u32>,
    made: Cell<usize>,
    /// Frames that functions refer to, and which may refer to these functions in turn.
    held: RefCell<Vec<Rc<Frame<'a>>>>,
}

/// What an evaluation begins with.
pub(super) struct Start<'a> {
    pub(super) labels: &'a [String],
    /// `$$`, which the states language does not have.
    pub(super) root: Value<'a>,
    pub(super) states: Value<'a>,
    pub(super) variables: Option<&'a Variables>,
    pub(super) now: jiff::Timestamp,
    /// Where `$random` and `$shuffle` get their chance from.
    pub(super) random: Dice,
    /// Where `$uuid` gets it from.
    pub(super) ids: Dice,
}

impl Walk for Machine<'_> {
    fn visit(&self) -> Outcome<()> {
        self.steps.set(self.steps.get().wrapping_add(1));
        if self.steps.get().is_multiple_of(STEPS) && self.started.elapsed() > self.allowed {
            return Err(Wrong::bound(TIME));
        }
        Ok(())
    }
}

/// What frames and functions refer to each other in a circle is freed here, and step by step, so that no chain of them exhausts the stack.
impl Drop for Machine<'_> {
    fn drop(&mut self) {
        let mut held = self.held.take();
        let names: Vec<_> = held.iter().map(|frame| frame.take()).collect();
        drop(names);
        while held.pop().is_some() {}
    }
}

impl<'a> Machine<'a> {
    pub(super) fn new(start: Start<'a>) -> Self {
        Self {
            labels: start.labels,
            root: start.root,
            states: start.states,
            variables: start.variables,
            now: start.now,
            random: start.random,
            ids: start.ids,
            started: Instant::now(),
            allowed: MAX_TIME,
            depth: Cell::new(0),
            calls: Cell::new(0),
            steps: Cell::new(0),
            made: Cell::new(0),
            held: RefCell::default(),
        }
    }
    /// For tests, which measure nothing.
    #[cfg(test)]
    pub(super) fn allow(&mut self, time: Duration) {
        self.allowed = time;
    }
    pub(super) fn run(&self, root: &'a Node, frame: &Rc<Frame<'a>>) -> Outcome<Value<'a>> {
        self.evaluate(root, &self.root, frame)
    }

    /// So many bytes more are made.
    pub(super) fn make(&self, bytes: usize) -> Outcome<()> {
        self.visit()?;
        self.made.set(self.made.get().saturating_add(bytes));
        if self.made.get() > MAX_MADE {
            return Err(Wrong::bound(MEMORY));
        }
        Ok(())
    }
    pub(super) fn text(&self, text: impl Into<Rc<str>>) -> Outcome<Value<'a>> {
        let text = text.into();
        self.make(text.len())?;
        Value::text(text)
    }
    pub(super) fn array(&self, items: Vec<Value<'a>>) -> Outcome<Value<'a>> {
        self.make(items.len() * PLACE)?;
        Value::array(items)
    }
    pub(super) fn sequence(&self, items: Vec<Value<'a>>) -> Outcome<Value<'a>> {
        self.make(items.len() * PLACE)?;
        Value::sequence(items)
    }
    pub(super) fn object(&self, object: Object<'a>) -> Outcome<Value<'a>> {
        self.make(object.len() * 2 * PLACE)?;
        Ok(Value::Object(Rc::new(object)))
    }
    /// Adds to a list that is being made.
    pub(super) fn push(&self, items: &mut Vec<Value<'a>>, item: Value<'a>) -> Outcome<()> {
        if items.len() >= MAX_ITEMS {
            return Err(Wrong::bound(MEMORY));
        }
        self.visit()?;
        items.push(item);
        Ok(())
    }
    /// A value as an error names it.
    pub(super) fn named(&self, value: &Value<'a>) -> String {
        if value.is_undefined() {
            return "undefined".to_owned();
        }
        value::json_text(self, value, Style::Exact).unwrap_or_else(|_| "…".to_owned())
    }
    /// What `$string` makes of a value.
    pub(super) fn string_of(&self, value: &Value<'a>, style: Style) -> Outcome<Value<'a>> {
        match value {
            Value::Undefined | Value::Str(_) | Value::Text(_) => Ok(value.clone()),
            Value::Function(_) => self.text(""),
            Value::Number(n) if !n.double().is_finite() => Err(Wrong::new("D3001")),
            other => self.text(value::json_text(self, other, style)?),
        }
    }
    pub(super) fn equal(&self, a: &Value<'a>, b: &Value<'a>) -> Outcome<bool> {
        value::equal(self, a, b)
    }
    /// Whether a value counts as true; nothing does not.
    pub(super) fn truthy(&self, value: &Value<'a>) -> Outcome<bool> {
        self.visit()?;
        Ok(match value {
            Value::Undefined | Value::Null | Value::Function(_) => false,
            Value::Bool(b) => *b,
            Value::Number(_) | Value::Wide(_) => {
                let n = value.as_number()?;
                n.is_some_and(|n| n.double() != 0.0)
            }
            Value::Str(text) => !text.is_empty(),
            Value::Text(text) => !text.is_empty(),
            Value::JsonObject(fields) => !fields.is_empty(),
            Value::Object(object) => object.len() > 0,
            Value::JsonArray(_) | Value::List(_) | Value::Tuples(_) => {
                for item in value.clone().into_items().iter() {
                    if value::level(|| self.truthy(&item))? {
                        return Ok(true);
                    }
                }
                false
            }
        })
    }
    /// One list of two values, of which each may be one already.
    pub(super) fn append(&self, first: Value<'a>, second: Value<'a>) -> Outcome<Value<'a>> {
        if first.is_undefined() {
            return Ok(second);
        }
        if second.is_undefined() {
            return Ok(first);
        }
        let mut items: Vec<_> = first.into_items().iter().collect();
        items.extend(second.into_items().iter());
        self.array(items)
    }

    pub(super) fn label(&self, slot: usize) -> &'a str {
        self.labels.get(slot).map_or("", String::as_str)
    }
    fn lookup(&self, name: &str, frame: &Rc<Frame<'a>>) -> Value<'a> {
        if let Some(value) = frame.lookup(name) {
            return value;
        }
        if name == "states" {
            return self.states.clone();
        }
        if name == "$" {
            return self.root.clone();
        }
        if let Some(value) = self.variables.and_then(|known| known.get(name)) {
            return Value::from_json(value);
        }
        native::find(name).map_or(Value::Undefined, |native| {
            Value::Function(Rc::new(Function::Native(native)))
        })
    }
    fn hold(&self, frame: &Rc<Frame<'a>>) -> Outcome<()> {
        if !frame.held.replace(true) {
            let mut held = self.held.borrow_mut();
            if held.len() >= MAX_HELD {
                return Err(Wrong::bound(MEMORY));
            }
            held.push(Rc::clone(frame));
        }
        Ok(())
    }
    pub(super) fn tuple_frame(&self, frame: &Rc<Frame<'a>>, tuple: &Tuple<'a>) -> Rc<Frame<'a>> {
        let inner = Frame::within(frame);
        for (name, value) in tuple {
            inner.bind(name, value.clone());
        }
        inner
    }

    /// The value of one part; `input` is the context.
    pub(super) fn evaluate(
        &self,
        node: &'a Node,
        input: &Value<'a>,
        frame: &Rc<Frame<'a>>,
    ) -> Outcome<Value<'a>> {
        self.visit()?;
        self.depth.set(self.depth.get() + 1);
        if self.depth.get() > MAX_STACK {
            return Err(Wrong::bound(STACK));
        }
        let mut result = value::level(|| self.part(node, input, frame))?;
        for stage in &node.predicate {
            if let Stage::Filter(predicate) = stage {
                result = self.filter(predicate, result, frame)?;
            }
        }
        if let Some(pairs) = &node.group
            && !matches!(node.kind, Kind::Path { .. })
        {
            result = self.group(pairs, result, frame)?;
        }
        if let Value::List(list) = &mut result
            && list.sequence
        {
            list.keep_singleton |= node.keep_array;
            let keep = list.keep_singleton;
            if let Some(items) = result.items() {
                match items.len() {
                    0 => result = Value::Undefined,
                    1 if !keep => result = items.get(0),
                    _ => {}
                }
            }
        }
        self.depth.set(self.depth.get() - 1);
        Ok(result)
    }

    fn part(&self, node: &'a Node, input: &Value<'a>, frame: &Rc<Frame<'a>>) -> Outcome<Value<'a>> {
        Ok(match &node.kind {
            Kind::Text(text) => Value::Str(text),
            Kind::Number(n) => Value::Number(*n),
            Kind::Bool(b) => Value::Bool(*b),
            Kind::Null => Value::Null,
            Kind::Variable(name) if name.is_empty() => match input {
                Value::List(list) if list.outer => input.clone().into_items().get(0),
                _ => input.clone(),
            },
            Kind::Variable(name) => self.lookup(name, frame),
            Kind::Name(name) => self.named_field(input, name)?,
            Kind::Path { .. } => return self.path(node, input, frame),
            Kind::Binary { sign, lhs, rhs } => return self.binary(sign, lhs, rhs, input, frame),
            Kind::Call {
                procedure,
                arguments,
            } => return self.call(procedure, arguments, None, input, frame),
            Kind::Condition {
                condition,
                then,
                otherwise,
            } => {
                let condition = self.evaluate(condition, input, frame)?;
                if self.truthy(&condition)? {
                    return self.evaluate(then, input, frame);
                }
                match otherwise {
                    Some(otherwise) => return self.evaluate(otherwise, input, frame),
                    None => Value::Undefined,
                }
            }
            Kind::Block(parts) => {
                let frame = Frame::within(frame);
                let mut result = Value::Undefined;
                for part in parts {
                    result = self.evaluate(part, input, &frame)?;
                }
                result
            }
            Kind::Bind { name, value } => {
                let value = self.evaluate(value, input, frame)?;
                frame.bind(name, value.clone());
                value
            }
            Kind::Negate(inner) => {
                let value = self.evaluate(inner, input, frame)?;
                if value.is_undefined() {
                    return Ok(value);
                }
                match value.as_number()? {
                    Some(n) => Value::Number(n.negate()),
                    None => {
                        return Err(Wrong::new("D1002").token("-").value(self.named(&value)));
                    }
                }
            }
            Kind::Array(parts) => return self.constructed(node.cons_array, parts, input, frame),
            Kind::Object(pairs) => self.group(pairs, input.clone(), frame)?,
            Kind::Wildcard => self.wildcard(input)?,
            Kind::Descendant => {
                let mut found = Vec::new();
                if !input.is_undefined() {
                    self.descendants(input, &mut found)?;
                }
                match found.len() {
                    1 => found.remove(0),
                    _ => self.sequence(found)?,
                }
            }
            Kind::Parent(slot) => frame.lookup(self.label(*slot)).unwrap_or(Value::Undefined),
            Kind::Pattern(Ok(pattern)) => Value::Function(Rc::new(Function::Pattern(pattern))),
            Kind::Pattern(Err(why)) => return Err(Wrong::bound(why)),
            Kind::Lambda(lambda) => {
                self.hold(frame)?;
                self.make(PLACE * 4)?;
                Value::Function(Rc::new(Function::Lambda {
                    lambda,
                    input: input.clone(),
                    frame: Rc::clone(frame),
                    depth: value::deeper(input.depth())?,
                }))
            }
            Kind::Thunk(call) => Value::Function(Rc::new(Function::Thunk {
                call,
                input: input.clone(),
                frame: Rc::clone(frame),
            })),
            Kind::Partial {
                procedure,
                arguments,
            } => self.partial(procedure, arguments, input, frame)?,
            Kind::Apply { lhs, rhs } => return self.chained(lhs, rhs, input, frame),
            Kind::Transform {
                pattern,
                update,
                delete,
            } => {
                self.hold(frame)?;
                Value::Function(Rc::new(Function::Transform {
                    pattern,
                    update,
                    delete: delete.as_deref(),
                    frame: Rc::clone(frame),
                }))
            }
            // A path evaluates its orders itself.
            Kind::Sort(_) => Value::Undefined,
        })
    }

    fn constructed(
        &self,
        cons: bool,
        parts: &'a [Node],
        input: &Value<'a>,
        frame: &Rc<Frame<'a>>,
    ) -> Outcome<Value<'a>> {
        let mut items = Vec::with_capacity(parts.len());
        for part in parts {
            let value = self.evaluate(part, input, frame)?;
            if value.is_undefined() {
                continue;
            }
            let is_whole = parts.len() == 1 && !cons && !matches!(part.kind, Kind::Array(_));
            if is_whole && matches!(value, Value::List(_)) {
                return Ok(value.into_plain());
            }
            match value.items() {
                Some(found) if !matches!(part.kind, Kind::Array(_)) => {
                    for item in found.iter() {
                        self.push(&mut items, item)?;
                    }
                }
                _ => self.push(&mut items, value)?,
            }
        }
        let mut array = self.array(items)?;
        if let Value::List(list) = &mut array {
            list.cons = cons;
        }
        Ok(array)
    }

    fn binary(
        &self,
        sign: &'static str,
        lhs: &'a Node,
        rhs: &'a Node,
        input: &Value<'a>,
        frame: &Rc<Frame<'a>>,
    ) -> Outcome<Value<'a>> {
        let left = self.evaluate(lhs, input, frame)?;
        if let "and" | "or" = sign {
            let first = self.truthy(&left)?;
            if first == (sign == "or") {
                return Ok(Value::Bool(first));
            }
            let right = self.evaluate(rhs, input, frame)?;
            return Ok(Value::Bool(self.truthy(&right)?));
        }
        let right = self.evaluate(rhs, input, frame)?;
        self.operation(sign, &left, &right)
            .map_err(|wrong| wrong.token(sign))
    }
    fn operation(&self, sign: &str, left: &Value<'a>, right: &Value<'a>) -> Outcome<Value<'a>> {
        let missing = left.is_undefined() || right.is_undefined();
        Ok(match sign {
            "=" | "!=" => Value::Bool(!missing && self.equal(left, right)? == (sign == "=")),
            "&" => self.concatenated(left, right)?,
            "in" => {
                let mut found = false;
                if !missing {
                    for item in right.clone().into_items().iter() {
                        self.visit()?;
                        found |= item.is_same(left);
                    }
                }
                Value::Bool(found)
            }
            ".." => self.range(left, right)?,
            "<" | "<=" | ">" | ">=" => self.comparison(sign, left, right)?,
            _ => {
                let number = |value: &Value<'a>, code| match value.as_number()? {
                    None if !value.is_undefined() => Err(Wrong::new(code).value(self.named(value))),
                    n => Ok(n),
                };
                let (left, right) = (number(left, "T2001")?, number(right, "T2002")?);
                let (Some(left), Some(right)) = (left, right) else {
                    return Ok(Value::Undefined);
                };
                Value::Number(match sign {
                    "+" => left.add(right),
                    "-" => left.subtract(right),
                    "*" => left.multiply(right),
                    "/" => left.divide(right),
                    _ => left.modulo(right),
                })
            }
        })
    }
    fn concatenated(&self, left: &Value<'a>, right: &Value<'a>) -> Outcome<Value<'a>> {
        let left = self.string_of(left, Style::Text)?;
        let right = self.string_of(right, Style::Text)?;
        let (left, right) = (
            left.as_str().unwrap_or_default(),
            right.as_str().unwrap_or_default(),
        );
        if left.len() + right.len() > value::MAX_BYTES {
            return Err(Wrong::bound(MEMORY));
        }
        self.text([left, right].concat())
    }
    fn range(&self, left: &Value<'a>, right: &Value<'a>) -> Outcome<Value<'a>> {
        let whole = |value: &Value<'a>, code| match value.any_number() {
            Some(n) if n.is_integer() => Ok(Some(n)),
            None if value.is_undefined() => Ok(None),
            _ => Err(Wrong::new(code).value(self.named(value))),
        };
        let (from, to) = (whole(left, "T2003")?, whole(right, "T2004")?);
        let (Some(from), Some(to)) = (from, to) else {
            return Ok(Value::Undefined);
        };
        let (from, to) = (from.towards_zero(), to.towards_zero());
        if from > to {
            return Ok(Value::Undefined);
        }
        let count = i128::from(to) - i128::from(from) + 1;
        if count > 10_000_000 {
            return Err(Wrong::new("D2014").value(Number::of(count as f64).to_string()));
        }
        if count > MAX_ITEMS as i128 {
            return Err(Wrong::bound(MEMORY));
        }
        let items = (from..=to).map(|n| Value::Number(Number::Whole(n)));
        self.sequence(items.collect())
    }
    fn comparison(&self, sign: &str, left: &Value<'a>, right: &Value<'a>) -> Outcome<Value<'a>> {
        let comparable = |value: &Value<'a>| {
            value.is_undefined() || value.as_str().is_some() || value.any_number().is_some()
        };
        if !comparable(left) || !comparable(right) {
            return Err(Wrong::new("T2010"));
        }
        if left.is_undefined() || right.is_undefined() {
            return Ok(Value::Undefined);
        }
        let order = match (left.as_str(), right.as_str()) {
            (Some(left), Some(right)) => Some(left.encode_utf16().cmp(right.encode_utf16())),
            (None, None) => match (left.any_number(), right.any_number()) {
                (Some(left), Some(right)) => left.partial_cmp(&right),
                _ => None,
            },
            _ => {
                return Err(Wrong::new("T2009")
                    .value(self.named(left))
                    .other(self.named(right)));
            }
        };
        Ok(Value::Bool(order.is_some_and(|order| match sign {
            "<" => order.is_lt(),
            "<=" => order.is_le(),
            ">" => order.is_gt(),
            _ => order.is_ge(),
        })))
    }

    /// `{key: value, …}` over the items of a value: one field for each key, whose value sees all items that have it.
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
        // For each key: its pair, and its items.
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
                    let mut members = members.iter().map(|at| items.get(*at));
                    let first = members.next().unwrap_or(Value::Undefined);
                    let data = match members.len() {
                        0 => first,
                        _ => {
                            let mut all: Vec<_> = match first {
                                Value::Undefined => Vec::new(),
                                first => first.into_items().iter().collect(),
                            };
                            for member in members.filter(|member| !member.is_undefined()) {
                                all.extend(member.into_items().iter());
                                self.visit()?;
                            }
                            self.array(all)?
                        }
                    };
                    self.evaluate(value, &data, frame)?
                }
            };
            if !found.is_undefined() {
                object.set(key, found)?;
            }
        }
        self.object(object)
    }
    /// One tuple of several: of each name, all values.
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

    pub(super) fn call(
        &self,
        procedure: &'a Node,
        arguments: &'a [Node],
        first: Option<Value<'a>>,
        input: &Value<'a>,
        frame: &Rc<Frame<'a>>,
    ) -> Outcome<Value<'a>> {
        let function = self.evaluate(procedure, input, frame)?;
        let name = procedure.call_name();
        if function.is_undefined() && self.would_be(procedure, frame) {
            return Err(Wrong::new("T1005").token(name.unwrap_or_default()));
        }
        let mut given = Vec::with_capacity(arguments.len() + 1);
        given.extend(first);
        for argument in arguments {
            given.push(self.evaluate(argument, input, frame)?);
        }
        self.apply(&function, given, input)
            .map_err(|wrong| match name {
                Some(name) => wrong.token(name),
                None => wrong,
            })
    }
    /// Whether a `$` before the name would make it a function.
    fn would_be(&self, procedure: &Node, frame: &Rc<Frame<'a>>) -> bool {
        matches!(procedure.kind, Kind::Path { .. })
            && procedure
                .call_name()
                .is_some_and(|name| self.truthy_lookup(name, frame))
    }
    fn truthy_lookup(&self, name: &str, frame: &Rc<Frame<'a>>) -> bool {
        !self.lookup(name, frame).is_undefined()
    }
    fn partial(
        &self,
        procedure: &'a Node,
        arguments: &'a [Option<Node>],
        input: &Value<'a>,
        frame: &Rc<Frame<'a>>,
    ) -> Outcome<Value<'a>> {
        let mut given = Vec::with_capacity(arguments.len());
        for argument in arguments {
            given.push(match argument {
                Some(argument) => Some(self.evaluate(argument, input, frame)?),
                None => None,
            });
        }
        let function = self.evaluate(procedure, input, frame)?;
        let name = procedure.call_name().unwrap_or_default();
        let Value::Function(function) = function else {
            let code = if function.is_undefined() && self.would_be(procedure, frame) {
                "T1007"
            } else {
                "T1008"
            };
            return Err(Wrong::new(code).token(name));
        };
        given.resize(
            function.parameters().max(given.len()),
            Some(Value::Undefined),
        );
        let deepest = given.iter().flatten().map(Value::depth).max();
        let depth = value::deeper(function.depth().max(deepest.unwrap_or(0)))?;
        Ok(Value::Function(Rc::new(Function::Partial {
            function,
            arguments: given,
            depth,
        })))
    }
    /// `lhs ~> rhs`.
    fn chained(
        &self,
        lhs: &'a Node,
        rhs: &'a Node,
        input: &Value<'a>,
        frame: &Rc<Frame<'a>>,
    ) -> Outcome<Value<'a>> {
        let left = self.evaluate(lhs, input, frame)?;
        if let Kind::Call {
            procedure,
            arguments,
        } = &rhs.kind
        {
            return self.call(procedure, arguments, Some(left), input, frame);
        }
        let function = self.evaluate(rhs, input, frame)?;
        if !matches!(function, Value::Function(_)) {
            return Err(Wrong::new("T2006").value(self.named(&function)));
        }
        if matches!(left, Value::Function(_)) {
            self.make(PLACE * 4)?;
            let depth = value::deeper(left.depth().max(function.depth()))?;
            let chain = Function::Chain(left, function, depth);
            return Ok(Value::Function(Rc::new(chain)));
        }
        self.apply(&function, vec![left], &Value::Null)
            .map_err(|wrong| match rhs.call_name() {
                Some(name) => wrong.token(name),
                None => wrong,
            })
    }

    /// The result of a function; `input` stands in for a first argument that is missing.
    pub(super) fn apply(
        &self,
        function: &Value<'a>,
        arguments: Vec<Value<'a>>,
        input: &Value<'a>,
    ) -> Outcome<Value<'a>> {
        self.calls.set(self.calls.get() + 1);
        if self.calls.get() > MAX_CALLS {
            return Err(Wrong::bound(STACK));
        }
        let result = value::level(|| self.applied(function, arguments, input))?;
        self.calls.set(self.calls.get() - 1);
        Ok(result)
    }
    fn applied(
        &self,
        function: &Value<'a>,
        arguments: Vec<Value<'a>>,
        input: &Value<'a>,
    ) -> Outcome<Value<'a>> {
        let mut result = self.apply_once(function, arguments, input)?;
        loop {
            let Value::Function(thunk) = &result else {
                return Ok(result);
            };
            let Function::Thunk {
                call,
                input: own,
                frame,
            } = &**thunk
            else {
                return Ok(result);
            };
            let Kind::Call {
                procedure,
                arguments,
            } = &call.kind
            else {
                return Ok(Value::Undefined);
            };
            let next = self.evaluate(procedure, own, frame)?;
            let mut given = Vec::with_capacity(arguments.len());
            for argument in arguments {
                given.push(self.evaluate(argument, own, frame)?);
            }
            result = self.apply_once(&next, given, input).map_err(|wrong| {
                match procedure.call_name() {
                    Some(name) => wrong.token(name),
                    None => wrong,
                }
            })?;
        }
    }
    fn apply_once(
        &self,
        function: &Value<'a>,
        arguments: Vec<Value<'a>>,
        input: &Value<'a>,
    ) -> Outcome<Value<'a>> {
        let Value::Function(function) = function else {
            return Err(Wrong::new("T1006"));
        };
        match &**function {
            Function::Native(native) => {
                let arguments = native.signature().validate(arguments, input)?;
                (native.run)(self, &arguments)
            }
            Function::Lambda { lambda, .. } => {
                let arguments = match &lambda.signature {
                    Some(signature) => signature.validate(arguments, input)?,
                    None => arguments,
                };
                self.apply_bare(function, arguments)
            }
            _ => self.apply_bare(function, arguments),
        }
    }
    /// Without a look at the signature.
    fn apply_bare(
        &self,
        function: &Rc<Function<'a>>,
        arguments: Vec<Value<'a>>,
    ) -> Outcome<Value<'a>> {
        match &**function {
            Function::Native(native) => (native.run)(self, &arguments),
            Function::Lambda {
                lambda,
                input,
                frame,
                ..
            } => {
                let inner = Frame::within(frame);
                let mut arguments = arguments.into_iter();
                for name in &lambda.parameters {
                    inner.bind(name, arguments.next().unwrap_or(Value::Undefined));
                }
                self.evaluate(&lambda.body, input, &inner)
            }
            Function::Thunk { .. } => Ok(Value::Function(Rc::clone(function))),
            Function::Partial {
                function,
                arguments: given,
                ..
            } => {
                let mut arguments = arguments.into_iter();
                let all = given.iter().map(|argument| match argument {
                    Some(argument) => argument.clone(),
                    None => arguments.next().unwrap_or(Value::Undefined),
                });
                self.apply_bare(function, all.collect())
            }
            Function::Chain(first, second, _) => {
                let between = self.apply(first, arguments, &Value::Null)?;
                self.apply(second, vec![between], &Value::Null)
            }
            Function::Pattern(pattern) => {
                let text: Rc<str> = match arguments.first().and_then(Value::as_str) {
                    Some(text) => text.into(),
                    None => return Ok(Value::Undefined),
                };
                native::texts::match_object(self, pattern, &text, 0)
            }
            Function::NextMatch {
                pattern,
                text,
                from,
            } => native::texts::next_match(self, pattern, text, *from),
            Function::Transform {
                pattern,
                update,
                delete,
                frame,
            } => {
                if !matches!(self.lookup("clone", frame), Value::Function(_)) {
                    return Err(Wrong::new("T2013"));
                }
                let given = arguments.into_iter().next().unwrap_or(Value::Undefined);
                match given {
                    Value::Undefined => Ok(given),
                    given if given.is_array() || given.is_object() => {
                        self.transformed(pattern, update, *delete, given, frame)
                    }
                    _ => Err(Wrong::argument(1)),
                }
            }
        }
    }
}

/// The value that a tuple's path has come to.
pub(super) fn context<'a>(tuple: &Tuple<'a>) -> Value<'a> {
    let found = tuple.iter().find(|(name, _)| *name == "@");
    found.map_or(Value::Undefined, |(_, value)| value.clone())
}
