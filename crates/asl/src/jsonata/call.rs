//! Calls functions of all kinds, with arguments that are bound beforehand. `native` has the
//! functions of the language.

use std::rc::Rc;

use super::content::Walk;
use super::function::{Frame, Function};
use super::machine::{MAX_CALLS, Machine, PLACE};
use super::native;
use super::node::{Node, NodeKind};
use super::stack::level;
use super::value::{self, Value};
use super::wrong::{Outcome, STACK, Wrong};

impl<'a> Machine<'a> {
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

    /// Whether the name would be a function with a `$` before it.
    fn would_be(&self, procedure: &Node, frame: &Rc<Frame<'a>>) -> bool {
        matches!(procedure.kind, NodeKind::Path { .. })
            && procedure
                .call_name()
                .is_some_and(|name| self.truthy_lookup(name, frame))
    }

    fn truthy_lookup(&self, name: &str, frame: &Rc<Frame<'a>>) -> bool {
        !self.lookup(name, frame).is_undefined()
    }

    pub(super) fn partial(
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
    pub(super) fn chained(
        &self,
        lhs: &'a Node,
        rhs: &'a Node,
        input: &Value<'a>,
        frame: &Rc<Frame<'a>>,
    ) -> Outcome<Value<'a>> {
        let left = self.evaluate(lhs, input, frame)?;
        if let NodeKind::Call {
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

    /// The result of a function. `input` replaces a missing first argument.
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
        let result = level(|| self.applied(function, arguments, input))?;
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
            let NodeKind::Call {
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
                let arguments = native.signature.validate(arguments, input)?;
                self.read_all(&arguments)?;
                native::run(native, self, &arguments)
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

    /// Counts the texts among the arguments. The function may read each of them to its end.
    fn read_all(&self, arguments: &[Value<'a>]) -> Outcome<()> {
        let texts = arguments.iter().filter_map(Value::as_str);
        self.read(texts.map(str::len).sum())
    }

    /// Calls a function without a check of its signature.
    fn apply_bare(
        &self,
        function: &Rc<Function<'a>>,
        arguments: Vec<Value<'a>>,
    ) -> Outcome<Value<'a>> {
        match &**function {
            Function::Native(native) => {
                self.read_all(&arguments)?;
                native::run(native, self, &arguments)
            }
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
                self.read(text.len())?;
                native::patterns::match_object(self, pattern, &text, 0)
            }
            Function::NextMatch {
                pattern,
                text,
                from,
            } => {
                self.read(text.len())?;
                native::patterns::next_match(self, pattern, text, *from)
            }
            Function::Transform {
                pattern,
                update,
                delete,
                frame,
            } => {
                let given = arguments.into_iter().next().unwrap_or(Value::Undefined);
                self.transform(pattern, update, *delete, given, frame)
            }
        }
    }

    fn transform(
        &self,
        pattern: &'a Node,
        update: &'a Node,
        delete: Option<&'a Node>,
        given: Value<'a>,
        frame: &Rc<Frame<'a>>,
    ) -> Outcome<Value<'a>> {
        if !matches!(self.lookup("clone", frame), Value::Function(_)) {
            return Err(Wrong::new("T2013"));
        }
        match given {
            Value::Undefined => Ok(given),
            given if given.is_array() || given.is_object() => {
                self.transformed(pattern, update, delete, given, frame)
            }
            _ => Err(Wrong::argument(1)),
        }
    }
}
