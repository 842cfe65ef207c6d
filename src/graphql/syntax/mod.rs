//! The syntax tree of an executable document (GraphQL, sections 2.2 to 2.12), with the place of
//! each part. The rules decide its meaning, and the plan its execution.

mod lexer;
mod parser;
mod strings;

use std::collections::HashMap;

use async_graphql::parser::types::{OperationType, Type};
use async_graphql::{Name, Pos};

pub(in crate::graphql) use parser::parse;

/// A text that is not a document: what is wrong, where, and the code.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::graphql) struct SyntaxError {
    pub(in crate::graphql) message: String,
    pub(in crate::graphql) place: Option<Pos>,
    pub(in crate::graphql) code: &'static str,
}

/// A document.
#[derive(Debug, Default)]
pub(in crate::graphql) struct Document {
    /// In the order of the text.
    pub(in crate::graphql) operations: Vec<Operation>,
    /// In the order of the text.
    pub(in crate::graphql) fragments: Vec<Fragment>,
    /// The first fragment of each name, as an index.
    by_name: HashMap<Name, usize>,
    /// Number of tokens of the text.
    pub(in crate::graphql) tokens: usize,
}

impl Document {
    /// The fragment of this name, as an index.
    pub(in crate::graphql) fn fragment_index(&self, name: &str) -> Option<usize> {
        self.by_name.get(name).copied()
    }

    /// The fragment of this name.
    pub(in crate::graphql) fn fragment(&self, name: &str) -> Option<&Fragment> {
        self.fragment_index(name)
            .map(|index| &self.fragments[index])
    }

    /// The operation of a request; `None` where the name is missing or unknown.
    pub(in crate::graphql) fn operation(&self, name: Option<&str>) -> Option<&Operation> {
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
pub(in crate::graphql) struct Named {
    pub(in crate::graphql) text: Name,
    pub(in crate::graphql) place: Pos,
}

/// A query, mutation or subscription.
#[derive(Debug)]
pub(in crate::graphql) struct Operation {
    pub(in crate::graphql) kind: OperationType,
    pub(in crate::graphql) name: Option<Named>,
    pub(in crate::graphql) variables: Vec<VariableDefinition>,
    pub(in crate::graphql) directives: Vec<Directive>,
    pub(in crate::graphql) selections: Vec<Selection>,
    pub(in crate::graphql) place: Pos,
}

/// A variable of an operation.
#[derive(Debug)]
pub(in crate::graphql) struct VariableDefinition {
    pub(in crate::graphql) name: Name,
    pub(in crate::graphql) kind: Type,
    /// The place of the type's name.
    pub(in crate::graphql) kind_place: Pos,
    pub(in crate::graphql) default: Option<Value>,
    pub(in crate::graphql) directives: Vec<Directive>,
    pub(in crate::graphql) place: Pos,
}

/// A fragment definition.
#[derive(Debug)]
pub(in crate::graphql) struct Fragment {
    pub(in crate::graphql) name: Named,
    pub(in crate::graphql) condition: Named,
    pub(in crate::graphql) directives: Vec<Directive>,
    pub(in crate::graphql) selections: Vec<Selection>,
    pub(in crate::graphql) place: Pos,
}

/// A part of a selection set, in boxes: a recursion over it needs less of the stack.
#[derive(Debug)]
pub(in crate::graphql) enum Selection {
    Field(Box<Field>),
    Spread(Box<Spread>),
    Inline(Box<Inline>),
}

impl Selection {
    pub(in crate::graphql) fn directives(&self) -> &[Directive] {
        match self {
            Self::Field(field) => &field.directives,
            Self::Spread(spread) => &spread.directives,
            Self::Inline(inline) => &inline.directives,
        }
    }
}

/// A field.
#[derive(Debug)]
pub(in crate::graphql) struct Field {
    pub(in crate::graphql) alias: Option<Named>,
    pub(in crate::graphql) name: Named,
    pub(in crate::graphql) arguments: Vec<Argument>,
    pub(in crate::graphql) directives: Vec<Directive>,
    pub(in crate::graphql) selections: Vec<Selection>,
    pub(in crate::graphql) place: Pos,
}

impl Field {
    /// The key in the response.
    pub(in crate::graphql) fn key(&self) -> &Name {
        &self.alias.as_ref().unwrap_or(&self.name).text
    }
}

/// `...name`
#[derive(Debug)]
pub(in crate::graphql) struct Spread {
    pub(in crate::graphql) name: Named,
    pub(in crate::graphql) directives: Vec<Directive>,
    pub(in crate::graphql) place: Pos,
}

/// `... on Type { … }`
#[derive(Debug)]
pub(in crate::graphql) struct Inline {
    pub(in crate::graphql) condition: Option<Named>,
    pub(in crate::graphql) directives: Vec<Directive>,
    pub(in crate::graphql) selections: Vec<Selection>,
    pub(in crate::graphql) place: Pos,
}

/// `@name(…)`
#[derive(Debug)]
pub(in crate::graphql) struct Directive {
    pub(in crate::graphql) name: Name,
    pub(in crate::graphql) arguments: Vec<Argument>,
    pub(in crate::graphql) place: Pos,
}

/// `name: value`
#[derive(Debug)]
pub(in crate::graphql) struct Argument {
    pub(in crate::graphql) name: Named,
    pub(in crate::graphql) value: Value,
}

/// A value and its place.
#[derive(Debug)]
pub(in crate::graphql) struct Value {
    pub(in crate::graphql) kind: ValueKind,
    pub(in crate::graphql) place: Pos,
}

/// The kind of a value. Numbers keep their text.
#[derive(Debug, PartialEq)]
pub(in crate::graphql) enum ValueKind {
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

/// Compares values by their text. Places, and the order of an object's fields, are ignored.
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
