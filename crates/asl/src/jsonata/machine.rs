//! Evaluates a tree: one call of [`Machine::evaluate`] for each part, within the bounds that AWS sets. Paths are walked in `walk`; the functions
//! that JSONata and AWS name are in `native`.
use super::{
    content::{self, Style, Walk},
    function::{Frame, Function},
    native,
    node::{Kind, Node, Stage},
    value::{MAX_ITEMS, Object, Tuple, Value, deeper},
    wrong::{MEMORY, Outcome, STACK, TIME, Wrong},
};
use crate::scope::{Dice, Variables};
use std::{
    cell::{Cell, RefCell},
    rc::Rc,
};

/// Maximum depth of evaluations within evaluations: AWS adds 100 numbers in one expression, and not 101.
pub(super) const MAX_STACK: usize = 100;
/// Maximum depth of calls within calls: functions such as `$map` call functions without an evaluation in between.
pub(super) const MAX_CALLS: usize = 500;
/// Maximum steps of one expression: about what takes the second that AWS allows. A step is a part that is evaluated, a value that is
/// visited, or [`STEP_BYTES`] of text that is read or made. A count says the same on a busy machine and in a replay; a clock does not.
pub(super) const MAX_STEPS: usize = 20_000_000;
/// Bytes of text that are read or made in one step.
const STEP_BYTES: usize = 64;
/// Maximum bytes of all texts, arrays and objects that one expression makes, those included that it forgets again.
const MAX_MADE: usize = 512 * 1024 * 1024;
/// Bytes of a value's place in an array or a frame.
pub(super) const PLACE: usize = 32;
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
    allowed: usize,
    depth: Cell<usize>,
    pub(super) calls: Cell<usize>,
    steps: Cell<usize>,
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
        self.work(1)
    }
    fn read(&self, bytes: usize) -> Outcome<()> {
        self.work(bytes / STEP_BYTES)
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
            allowed: MAX_STEPS,
            depth: Cell::new(0),
            calls: Cell::new(0),
            steps: Cell::new(0),
            made: Cell::new(0),
            held: RefCell::default(),
        }
    }
    /// Another maximum of steps, for tests.
    #[cfg(test)]
    pub(super) fn allow(&mut self, steps: usize) {
        self.allowed = steps;
    }
    fn work(&self, steps: usize) -> Outcome<()> {
        self.steps.set(self.steps.get().saturating_add(steps));
        if self.steps.get() > self.allowed {
            return Err(Wrong::bound(TIME));
        }
        Ok(())
    }
    pub(super) fn run(&self, root: &'a Node, frame: &Rc<Frame<'a>>) -> Outcome<Value<'a>> {
        self.evaluate(root, &self.root, frame)
    }

    /// Counts bytes that are made.
    pub(super) fn make(&self, bytes: usize) -> Outcome<()> {
        self.work(1 + bytes / STEP_BYTES)?;
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
        content::json_text(self, value, Style::Exact).unwrap_or_else(|_| "…".to_owned())
    }
    /// What `$string` makes of a value.
    pub(super) fn string_of(&self, value: &Value<'a>, style: Style) -> Outcome<Value<'a>> {
        match value {
            Value::Undefined | Value::Str(_) | Value::Text(_) => Ok(value.clone()),
            Value::Function(_) => self.text(""),
            Value::Number(n) if !n.double().is_finite() => Err(Wrong::new("D3001")),
            other => self.text(content::json_text(self, other, style)?),
        }
    }
    pub(super) fn equal(&self, a: &Value<'a>, b: &Value<'a>) -> Outcome<bool> {
        content::equal(self, a, b)
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
                    if content::level(|| self.truthy(&item))? {
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
    pub(super) fn lookup(&self, name: &str, frame: &Rc<Frame<'a>>) -> Value<'a> {
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
        let mut result = content::level(|| self.part(node, input, frame))?;
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
                    depth: deeper(input.depth())?,
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
}

/// The value that a tuple's path has come to.
pub(super) fn context<'a>(tuple: &Tuple<'a>) -> Value<'a> {
    let found = tuple.iter().find(|(name, _)| *name == "@");
    found.map_or(Value::Undefined, |(_, value)| value.clone())
}
