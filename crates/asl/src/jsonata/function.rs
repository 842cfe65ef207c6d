//! Functions as values, and the names in their scope. It does not call them.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::rc::Rc;

use regex::Regex;

use super::node::{Lambda, Node};
use super::signature::Signature;
use super::value::Value;

/// A function.
#[derive(Debug)]
pub(super) enum Function<'a> {
    Native(&'static Native),
    Lambda {
        lambda: &'a Lambda,
        input: Value<'a>,
        frame: Rc<Frame<'a>>,
        depth: u32,
    },
    /// A call that is made later, in place of its result.
    Thunk {
        call: &'a Node,
        input: Value<'a>,
        frame: Rc<Frame<'a>>,
    },
    /// A function with some arguments bound; `None` marks those that are not.
    Partial {
        function: Rc<Function<'a>>,
        arguments: Vec<Option<Value<'a>>>,
        depth: u32,
    },
    /// Two functions, called one after the other.
    Chain(Value<'a>, Value<'a>, u32),
    Pattern(&'a Regex),
    /// Finds the next match of a pattern.
    NextMatch {
        pattern: &'a Regex,
        text: Rc<str>,
        from: usize,
    },
    Transform {
        pattern: &'a Node,
        update: &'a Node,
        delete: Option<&'a Node>,
        frame: Rc<Frame<'a>>,
    },
}

impl Function<'_> {
    /// Number of arguments that it uses.
    pub(super) fn arity(&self) -> usize {
        match self {
            Self::Native(native) => native.arity,
            Self::Lambda { lambda, .. } => lambda.parameters.len(),
            Self::Partial { arguments, .. } => arguments.iter().filter(|a| a.is_none()).count(),
            Self::Chain(..) | Self::Transform { .. } => 1,
            Self::Pattern(_) => 2,
            Self::Thunk { .. } | Self::NextMatch { .. } => 0,
        }
    }

    /// Depth of the values that it holds itself. The values of its frame are freed separately.
    pub(super) fn depth(&self) -> u32 {
        match self {
            Self::Lambda { depth, .. } | Self::Partial { depth, .. } | Self::Chain(_, _, depth) => {
                *depth
            }
            _ => 0,
        }
    }

    /// Number of arguments that can be bound.
    pub(super) fn parameters(&self) -> usize {
        match self {
            Self::Native(native) => native.parameters,
            other => other.arity(),
        }
    }
}

/// A function of the language, as the table of `native` describes it.
pub(super) struct Native {
    pub(super) name: &'static str,
    /// Number of arguments that `$map` and similar functions pass to it.
    pub(super) arity: usize,
    /// Number of arguments that a call with `?` may leave open.
    pub(super) parameters: usize,
    pub(super) signature: Signature,
    /// Its row in the table.
    pub(super) row: usize,
}

impl fmt::Debug for Native {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "${}", self.name)
    }
}

/// Names and their values. Other names are looked up in the parent.
#[derive(Debug, Default)]
pub(super) struct Frame<'a> {
    names: RefCell<Vec<(&'a str, Value<'a>)>>,
    parent: Option<Rc<Frame<'a>>>,
    /// Whether a function refers to it.
    pub(super) held: Cell<bool>,
}

impl<'a> Frame<'a> {
    pub(super) fn within(parent: &Rc<Self>) -> Rc<Self> {
        Rc::new(Self {
            parent: Some(Rc::clone(parent)),
            ..Self::default()
        })
    }

    pub(super) fn bind(&self, name: &'a str, value: Value<'a>) {
        let mut names = self.names.borrow_mut();
        match names.iter_mut().find(|(known, _)| *known == name) {
            Some((_, known)) => *known = value,
            None => names.push((name, value)),
        }
    }

    pub(super) fn lookup(&self, name: &str) -> Option<Value<'a>> {
        let mut frame = self;
        loop {
            let names = frame.names.borrow();
            if let Some((_, value)) = names.iter().find(|(known, _)| *known == name) {
                return Some(value.clone());
            }
            drop(names);
            frame = frame.parent.as_deref()?;
        }
    }

    /// Removes all names, and returns them with their values.
    pub(super) fn take(&self) -> Vec<(&'a str, Value<'a>)> {
        self.names.take()
    }
}
