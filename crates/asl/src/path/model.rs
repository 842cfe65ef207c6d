//! The parts of a parsed path.

use serde_json::{Map, Value};

/// The root of a path.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Root {
    /// `$`: the state's input (or result).
    Input,
    /// `$$`: the context object.
    Context,
    /// `$name`: a variable.
    Variable(String),
}

/// The roots that a reference path may have besides the input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Roots {
    /// None: `ResultPath` writes into the input.
    Input,
    /// A variable.
    Variables,
    /// A variable or the context object.
    All,
}

/// One step of a path.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Part {
    Field(String),
    Index(i64),
    Fields(Vec<String>),
    Indexes(Vec<i64>),
    Slice(Option<i64>, Option<i64>),
    Wildcard,
    /// `..`: all nested values, then the next part.
    Descent,
    Filter(Filter),
}

/// A function at a path's end, such as `.length()`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Function {
    Length,
    Min,
    Max,
    Average,
    Deviation,
    Sum,
    Keys,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Path {
    pub(crate) root: Root,
    pub(super) parts: Vec<Part>,
    pub(super) function: Option<Function>,
    pub(crate) text: String,
}

impl Path {
    /// Whether every part names exactly one field or element.
    pub(crate) fn is_reference(&self) -> bool {
        self.function.is_none()
            && self
                .parts
                .iter()
                .all(|p| matches!(p, Part::Field(_) | Part::Index(_)))
    }

    /// Whether it is `$` itself.
    pub(crate) fn is_whole(&self) -> bool {
        self.root == Root::Input && self.parts.is_empty() && self.function.is_none()
    }

    /// Writes `value` into `input` at the path, and creates objects on the way. `None` if the path
    /// does not fit.
    pub(crate) fn write(&self, mut input: Value, value: Value) -> Option<Value> {
        let mut slot = &mut input;
        for part in &self.parts {
            slot = match part {
                Part::Field(name) => {
                    if slot.is_null() {
                        *slot = Value::Object(Map::new());
                    }
                    slot.as_object_mut()?
                        .entry(name.clone())
                        .or_insert(Value::Null)
                }
                Part::Index(index) => {
                    let list = slot.as_array_mut()?;
                    let index = position(*index, list.len())?;
                    list.get_mut(index)?
                }
                _ => return None,
            };
        }
        *slot = value;
        Some(input)
    }
}

/// The index of an element. Negative numbers count from the end.
pub(super) fn position(index: i64, length: usize) -> Option<usize> {
    let length = i64::try_from(length).ok()?;
    let at = if index < 0 { index + length } else { index };
    usize::try_from(at).ok().filter(|_| at < length)
}

#[derive(Debug, Clone)]
pub(crate) enum Filter {
    Or(Vec<Filter>),
    And(Vec<Filter>),
    Not(Box<Filter>),
    Exists(Operand),
    Compare(Operand, Operator, Operand),
    Matches(Operand, regex::Regex),
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Operand {
    Literal(Value),
    /// `@…`: from the element.
    Element(Vec<Part>),
    /// `$…`: from the document.
    Document(Vec<Part>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operator {
    Equal,
    Unequal,
    LessEqual,
    GreaterEqual,
    Less,
    Greater,
    In,
    NotIn,
    SubsetOf,
    AnyOf,
    NoneOf,
    Size,
    Empty,
}

impl PartialEq for Filter {
    fn eq(&self, other: &Self) -> bool {
        format!("{self:?}") == format!("{other:?}")
    }
}
