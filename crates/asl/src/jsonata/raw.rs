//! The raw tree of an expression: its nodes as they are written, and how deep they are.

use super::signature::Signature;
use super::token::Token;
use super::wrong::Wrong;

/// Maximum depth of the tree. A chain of operators is as deep as it is long.
const MAX_DEPTH: usize = 600;

/// The reason why parsing stops: an error, or a tree too deep to evaluate.
pub(super) enum Stop {
    Wrong(Box<Wrong>),
    TooDeep,
}

impl From<Box<Wrong>> for Stop {
    fn from(wrong: Box<Wrong>) -> Self {
        Self::Wrong(wrong)
    }
}

pub(super) type Parsed<T> = Result<T, Stop>;

/// A node as written.
#[derive(Debug, Clone)]
pub(super) struct Raw {
    pub(super) kind: RawKind,
    pub(super) keep_array: bool,
    depth: usize,
}

/// The kinds of nodes, as written.
#[derive(Debug, Clone)]
pub(super) enum RawKind {
    Leaf(Token),
    Wildcard,
    Descendant,
    Parent,
    Binary(&'static str, Box<Raw>, Box<Raw>),
    Group(Box<Raw>, Vec<(Raw, Raw)>),
    Sort(Box<Raw>, Vec<(bool, Raw)>),
    Negate(Box<Raw>),
    Array(Vec<Raw>),
    Object(Vec<(Raw, Raw)>),
    Block(Vec<Raw>),
    Condition(Box<Raw>, Box<Raw>, Option<Box<Raw>>),
    /// A test for existence.
    Exists(Box<Raw>),
    Call(Box<Raw>, Vec<Option<Raw>>),
    Lambda(Vec<String>, Option<Signature>, Box<Raw>),
    Transform(Box<Raw>, Box<Raw>, Option<Box<Raw>>),
}

impl Raw {
    pub(super) fn of(kind: RawKind) -> Parsed<Self> {
        let pairs = |pairs: &[(Raw, Raw)]| {
            let deepest = pairs.iter().flat_map(|(k, v)| [k.depth, v.depth]).max();
            deepest.unwrap_or(0)
        };
        let all = |items: &[Raw]| items.iter().map(|item| item.depth).max().unwrap_or(0);
        let inner = match &kind {
            RawKind::Leaf(_) | RawKind::Wildcard | RawKind::Descendant | RawKind::Parent => 0,
            RawKind::Binary(_, lhs, rhs) => lhs.depth.max(rhs.depth),
            RawKind::Group(lhs, given) => lhs.depth.max(pairs(given)),
            RawKind::Sort(lhs, terms) => {
                let deepest = terms.iter().map(|(_, term)| term.depth).max();
                lhs.depth.max(deepest.unwrap_or(0))
            }
            RawKind::Negate(inner) | RawKind::Exists(inner) | RawKind::Lambda(_, _, inner) => {
                inner.depth
            }
            RawKind::Array(items) | RawKind::Block(items) => all(items),
            RawKind::Object(given) => pairs(given),
            RawKind::Condition(a, b, c) | RawKind::Transform(a, b, c) => {
                let last = c.as_ref().map_or(0, |c| c.depth);
                a.depth.max(b.depth).max(last)
            }
            RawKind::Call(procedure, arguments) => {
                let given = arguments.iter().flatten().map(|a| a.depth).max();
                procedure.depth.max(given.unwrap_or(0))
            }
        };
        if inner >= MAX_DEPTH {
            return Err(Stop::TooDeep);
        }
        Ok(Self {
            kind,
            keep_array: false,
            depth: inner + 1,
        })
    }

    /// Its name in an error.
    pub(super) fn named(&self) -> String {
        match &self.kind {
            RawKind::Leaf(token) => token.named(),
            RawKind::Binary(sign, ..) => (*sign).to_owned(),
            RawKind::Call(..) | RawKind::Block(_) | RawKind::Lambda(..) => "(".to_owned(),
            RawKind::Array(_) => "[".to_owned(),
            RawKind::Object(_) | RawKind::Group(..) => "{".to_owned(),
            RawKind::Negate(_) => "-".to_owned(),
            RawKind::Wildcard => "*".to_owned(),
            RawKind::Descendant => "**".to_owned(),
            RawKind::Parent => "%".to_owned(),
            RawKind::Sort(..) => "^".to_owned(),
            RawKind::Condition(..) | RawKind::Exists(_) => "?".to_owned(),
            RawKind::Transform(..) => "|".to_owned(),
        }
    }
}
