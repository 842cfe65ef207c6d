//! One evaluation: its inputs, its limits, and the values that it creates. `evaluate` walks the
//! tree.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use super::content::{self, Style, Walk};
use super::function::Frame;
use super::node::Node;
use super::stack::level;
use super::value::{MAX_ITEMS, Object, Tuple, Value};
use super::wrong::{MEMORY, Outcome, TIME, Wrong};
use crate::scope::{Dice, Variables};

/// Maximum depth of nested evaluations. AWS adds 100 numbers in one expression, but not 101.
pub(super) const MAX_STACK: usize = 100;
/// Maximum depth of nested calls. Functions such as `$map` call functions without an evaluation
/// between them.
pub(super) const MAX_CALLS: usize = 500;
/// Maximum number of steps of one expression: about as many as take the second that AWS allows. A
/// step is a node that is evaluated, a value that is visited, or [`STEP_BYTES`] of text that is
/// read or written. Unlike a clock, a count is the same on a busy machine and in a replay.
pub(super) const MAX_STEPS: usize = 20_000_000;
/// Size of the text that is read or written in one step, in bytes.
const STEP_BYTES: usize = 64;
/// Maximum size of all texts, arrays and objects that one expression creates, freed ones included,
/// in bytes.
const MAX_MADE: usize = 512 * 1024 * 1024;
/// Size of a value's slot in an array or a frame, in bytes.
pub(super) const PLACE: usize = 32;
/// Maximum number of frames that functions refer to. They are freed when the evaluation ends.
const MAX_HELD: usize = 500_000;

/// One evaluation.
pub(super) struct Machine<'a> {
    pub(super) labels: &'a [String],
    pub(super) root: Value<'a>,
    pub(super) states: Value<'a>,
    pub(super) variables: Option<&'a Variables>,
    /// The time of the evaluation.
    pub(super) now: jiff::Timestamp,
    pub(super) random: Dice,
    pub(super) ids: Dice,
    allowed: usize,
    pub(super) depth: Cell<usize>,
    pub(super) calls: Cell<usize>,
    steps: Cell<usize>,
    made: Cell<usize>,
    /// Frames that functions refer to. These functions may refer to the frames in turn.
    held: RefCell<Vec<Rc<Frame<'a>>>>,
}

/// The inputs of an evaluation.
pub(super) struct MachineInput<'a> {
    pub(super) labels: &'a [String],
    /// `$$`, which the states language does not have.
    pub(super) root: Value<'a>,
    pub(super) states: Value<'a>,
    pub(super) variables: Option<&'a Variables>,
    pub(super) now: jiff::Timestamp,
    /// The source of randomness for `$random` and `$shuffle`.
    pub(super) random: Dice,
    /// The source of randomness for `$uuid`.
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

/// Frees cycles of frames and functions one by one, so that a long chain does not exhaust the
/// stack.
impl Drop for Machine<'_> {
    fn drop(&mut self) {
        let mut held = self.held.take();
        let names: Vec<_> = held.iter().map(|frame| frame.take()).collect();
        drop(names);
        while held.pop().is_some() {}
    }
}

impl<'a> Machine<'a> {
    pub(super) fn new(start: MachineInput<'a>) -> Self {
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

    /// Sets another maximum of steps, for tests.
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

    /// Counts bytes that are created.
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

    /// Adds an item to a list.
    pub(super) fn push(&self, items: &mut Vec<Value<'a>>, item: Value<'a>) -> Outcome<()> {
        if items.len() >= MAX_ITEMS {
            return Err(Wrong::bound(MEMORY));
        }
        self.visit()?;
        items.push(item);
        Ok(())
    }

    /// A value as text for an error.
    pub(super) fn named(&self, value: &Value<'a>) -> String {
        if value.is_undefined() {
            return "undefined".to_owned();
        }
        content::json_text(self, value, Style::Exact).unwrap_or_else(|_| "…".to_owned())
    }

    /// The result of `$string` for a value.
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

    /// Whether a value counts as true. Undefined does not.
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
                    if level(|| self.truthy(&item))? {
                        return Ok(true);
                    }
                }
                false
            }
        })
    }

    /// One list of two values, each of which may be a list.
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

    pub(super) fn hold(&self, frame: &Rc<Frame<'a>>) -> Outcome<()> {
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
}

/// The current value of a tuple.
pub(super) fn context<'a>(tuple: &Tuple<'a>) -> Value<'a> {
    let found = tuple.iter().find(|(name, _)| *name == "@");
    found.map_or(Value::Undefined, |(_, value)| value.clone())
}
