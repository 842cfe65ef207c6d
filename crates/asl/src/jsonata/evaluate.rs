//! Evaluates a tree: one call of [`Machine::evaluate`] for each node, within the bounds of
//! `machine`. `walk` evaluates paths; `native` has the functions of the language.

use std::rc::Rc;

use super::content::Walk;
use super::function::{Frame, Function};
use super::machine::{MAX_STACK, Machine, PLACE};
use super::native;
use super::node::{Lambda, Node, NodeKind, Stage};
use super::stack::level;
use super::value::{Value, deeper};
use super::wrong::{Outcome, STACK, Wrong};

impl<'a> Machine<'a> {
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

    /// The value of one node. `input` is the context item.
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
        let mut result = level(|| self.part(node, input, frame))?;
        for stage in &node.predicate {
            if let Stage::Filter(predicate) = stage {
                result = self.filter(predicate, result, frame)?;
            }
        }
        if let Some(pairs) = &node.group
            && !matches!(node.kind, NodeKind::Path { .. })
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
            NodeKind::Text(text) => Value::Str(text),
            NodeKind::Number(n) => Value::Number(*n),
            NodeKind::Bool(b) => Value::Bool(*b),
            NodeKind::Null => Value::Null,
            NodeKind::Variable(name) if name.is_empty() => match input {
                Value::List(list) if list.outer => input.clone().into_items().get(0),
                _ => input.clone(),
            },
            NodeKind::Variable(name) => self.lookup(name, frame),
            NodeKind::Name(name) => self.named_field(input, name)?,
            NodeKind::Path { .. } => return self.path(node, input, frame),
            NodeKind::Binary { sign, lhs, rhs } => {
                return self.binary(sign, lhs, rhs, input, frame);
            }
            NodeKind::Call {
                procedure,
                arguments,
            } => return self.call(procedure, arguments, None, input, frame),
            NodeKind::Condition {
                condition,
                then,
                otherwise,
            } => {
                let condition = self.evaluate(condition, input, frame)?;
                let chosen = match self.truthy(&condition)? {
                    true => Some(then),
                    false => otherwise.as_ref(),
                };
                return match chosen {
                    Some(chosen) => self.evaluate(chosen, input, frame),
                    None => Ok(Value::Undefined),
                };
            }
            NodeKind::Block(parts) => self.block(parts, input, frame)?,
            NodeKind::Bind { name, value } => {
                let value = self.evaluate(value, input, frame)?;
                frame.bind(name, value.clone());
                value
            }
            NodeKind::Negate(inner) => return self.negated(inner, input, frame),
            NodeKind::Array(parts) => {
                return self.constructed(node.cons_array, parts, input, frame);
            }
            NodeKind::Object(pairs) => self.group(pairs, input.clone(), frame)?,
            NodeKind::Wildcard => self.wildcard(input)?,
            NodeKind::Descendant => self.all_descendants(input)?,
            NodeKind::Parent(slot) => frame.lookup(self.label(*slot)).unwrap_or(Value::Undefined),
            NodeKind::Pattern(Ok(pattern)) => Value::Function(Rc::new(Function::Pattern(pattern))),
            NodeKind::Pattern(Err(why)) => return Err(Wrong::bound(why)),
            NodeKind::Lambda(lambda) => self.lambda(lambda, input, frame)?,
            NodeKind::Thunk(call) => Value::Function(Rc::new(Function::Thunk {
                call,
                input: input.clone(),
                frame: Rc::clone(frame),
            })),
            NodeKind::Partial {
                procedure,
                arguments,
            } => self.partial(procedure, arguments, input, frame)?,
            NodeKind::Apply { lhs, rhs } => return self.chained(lhs, rhs, input, frame),
            NodeKind::Transform {
                pattern,
                update,
                delete,
            } => self.transformer(pattern, update, delete.as_deref(), frame)?,
            // A path evaluates its sort terms itself.
            NodeKind::Sort(_) => Value::Undefined,
        })
    }

    fn block(
        &self,
        parts: &'a [Node],
        input: &Value<'a>,
        frame: &Rc<Frame<'a>>,
    ) -> Outcome<Value<'a>> {
        let frame = Frame::within(frame);
        let mut result = Value::Undefined;
        for part in parts {
            result = self.evaluate(part, input, &frame)?;
        }
        Ok(result)
    }

    fn transformer(
        &self,
        pattern: &'a Node,
        update: &'a Node,
        delete: Option<&'a Node>,
        frame: &Rc<Frame<'a>>,
    ) -> Outcome<Value<'a>> {
        self.hold(frame)?;
        Ok(Value::Function(Rc::new(Function::Transform {
            pattern,
            update,
            delete,
            frame: Rc::clone(frame),
        })))
    }

    fn negated(
        &self,
        inner: &'a Node,
        input: &Value<'a>,
        frame: &Rc<Frame<'a>>,
    ) -> Outcome<Value<'a>> {
        let value = self.evaluate(inner, input, frame)?;
        if value.is_undefined() {
            return Ok(value);
        }
        match value.as_number()? {
            Some(n) => Ok(Value::Number(n.negate())),
            None => Err(Wrong::new("D1002").token("-").value(self.named(&value))),
        }
    }

    fn all_descendants(&self, input: &Value<'a>) -> Outcome<Value<'a>> {
        let mut found = Vec::new();
        if !input.is_undefined() {
            self.descendants(input, &mut found)?;
        }
        match found.len() {
            1 => Ok(found.remove(0)),
            _ => self.sequence(found),
        }
    }

    fn lambda(
        &self,
        lambda: &'a Lambda,
        input: &Value<'a>,
        frame: &Rc<Frame<'a>>,
    ) -> Outcome<Value<'a>> {
        self.hold(frame)?;
        self.make(PLACE * 4)?;
        Ok(Value::Function(Rc::new(Function::Lambda {
            lambda,
            input: input.clone(),
            frame: Rc::clone(frame),
            depth: deeper(input.depth())?,
        })))
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
            let is_whole = parts.len() == 1 && !cons && !matches!(part.kind, NodeKind::Array(_));
            if is_whole && matches!(value, Value::List(_)) {
                return Ok(value.into_plain());
            }
            match value.items() {
                Some(found) if !matches!(part.kind, NodeKind::Array(_)) => {
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
