//! Documents as they are written: the tree of an executable document (GraphQL, sections 2.2 to 2.12), with the place of
//! each part. What it means is decided by the rules; how it is executed, by the plan.

mod lexer;
mod parser;
mod strings;

use std::collections::HashMap;

use async_graphql::parser::types::{OperationType, Type};
use async_graphql::{Name, Pos};

pub(super) use parser::parse;

/// A document is not one: what is wrong, where, and the code.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct SyntaxError {
    pub(super) message: String,
    pub(super) place: Option<Pos>,
    pub(super) code: &'static str,
}

/// A document.
#[derive(Debug, Default)]
pub(super) struct Document {
    /// In the order of the text.
    pub(super) operations: Vec<Operation>,
    /// In the order of the text.
    pub(super) fragments: Vec<Fragment>,
    /// The first fragment of each name, as an index.
    by_name: HashMap<Name, usize>,
    /// Tokens of the text.
    pub(super) tokens: usize,
}

impl Document {
    /// The fragment of this name, as an index.
    pub(super) fn fragment_index(&self, name: &str) -> Option<usize> {
        self.by_name.get(name).copied()
    }

    /// The fragment of this name.
    pub(super) fn fragment(&self, name: &str) -> Option<&Fragment> {
        self.fragment_index(name)
            .map(|index| &self.fragments[index])
    }

    /// The operation of a request; `None` where the name is missing or unknown.
    pub(super) fn operation(&self, name: Option<&str>) -> Option<&Operation> {
        match (name, &self.operations[..]) {
            (None, [only]) => Some(only),
            (None, _) => None,
            (Some(wanted), all) => all
                .iter()
                .find(|one| one.name.as_ref().is_some_and(|name| name.text == wanted)),
        }
    }
}

/// A name and its place.
#[derive(Clone, Debug)]
pub(super) struct Named {
    pub(super) text: Name,
    pub(super) place: Pos,
}

/// A query, mutation or subscription.
#[derive(Debug)]
pub(super) struct Operation {
    pub(super) kind: OperationType,
    pub(super) name: Option<Named>,
    pub(super) variables: Vec<VariableDefinition>,
    pub(super) directives: Vec<Directive>,
    pub(super) selections: Vec<Selection>,
    pub(super) place: Pos,
}

/// A variable of an operation.
#[derive(Debug)]
pub(super) struct VariableDefinition {
    pub(super) name: Name,
    pub(super) kind: Type,
    /// The place of the type's name.
    pub(super) kind_place: Pos,
    pub(super) default: Option<Value>,
    pub(super) directives: Vec<Directive>,
    pub(super) place: Pos,
}

/// A fragment definition.
#[derive(Debug)]
pub(super) struct Fragment {
    pub(super) name: Named,
    pub(super) condition: Named,
    pub(super) directives: Vec<Directive>,
    pub(super) selections: Vec<Selection>,
    pub(super) place: Pos,
}

/// A part of a selection set. In boxes: what goes down into them needs less of the stack.
#[derive(Debug)]
pub(super) enum Selection {
    Field(Box<Field>),
    Spread(Box<Spread>),
    Inline(Box<Inline>),
}

impl Selection {
    pub(super) fn directives(&self) -> &[Directive] {
        match self {
            Self::Field(field) => &field.directives,
            Self::Spread(spread) => &spread.directives,
            Self::Inline(inline) => &inline.directives,
        }
    }
}

/// A field.
#[derive(Debug)]
pub(super) struct Field {
    pub(super) alias: Option<Named>,
    pub(super) name: Named,
    pub(super) arguments: Vec<Argument>,
    pub(super) directives: Vec<Directive>,
    pub(super) selections: Vec<Selection>,
    pub(super) place: Pos,
}

impl Field {
    /// The key of the answer.
    pub(super) fn key(&self) -> &Name {
        &self.alias.as_ref().unwrap_or(&self.name).text
    }
}

/// `...name`
#[derive(Debug)]
pub(super) struct Spread {
    pub(super) name: Named,
    pub(super) directives: Vec<Directive>,
    pub(super) place: Pos,
}

/// `... on Type { … }`
#[derive(Debug)]
pub(super) struct Inline {
    pub(super) condition: Option<Named>,
    pub(super) directives: Vec<Directive>,
    pub(super) selections: Vec<Selection>,
    pub(super) place: Pos,
}

/// `@name(…)`
#[derive(Debug)]
pub(super) struct Directive {
    pub(super) name: Name,
    pub(super) arguments: Vec<Argument>,
    pub(super) place: Pos,
}

/// `name: value`
#[derive(Debug)]
pub(super) struct Argument {
    pub(super) name: Named,
    pub(super) value: Value,
}

/// A value and its place.
#[derive(Debug)]
pub(super) struct Value {
    pub(super) kind: ValueKind,
    pub(super) place: Pos,
}

/// What a value is. Numbers stay as they are written.
#[derive(Debug, PartialEq)]
pub(super) enum ValueKind {
    Variable(Name),
    Int(Box<str>),
    Float(Box<str>),
    String(Box<str>),
    Boolean(bool),
    Null,
    Enum(Name),
    List(Vec<Value>),
    Object(Vec<(Named, Value)>),
}

/// As written: the place does not count, and the order of an object's fields does not either.
impl PartialEq for Value {
    fn eq(&self, other: &Value) -> bool {
        self.kind == other.kind
    }
}

impl PartialEq for Named {
    fn eq(&self, other: &Named) -> bool {
        self.text == other.text
    }
}
