//! An expression as a tree, ready to be evaluated. It has no values.

use regex::Regex;

use super::number::Number;

/// One part of an expression, and what is written behind it.
#[derive(Debug, Default)]
pub(super) struct Node {
    pub(super) kind: NodeKind,
    /// `[]` is written behind it: a lone value stays in its array.
    pub(super) keep_array: bool,
    /// Filters behind a part that is no path.
    pub(super) predicate: Vec<Stage>,
    /// Filters and positions behind a step of a path.
    pub(super) stages: Vec<Stage>,
    /// `{key: value, …}` behind it.
    pub(super) group: Option<Pairs>,
    /// An array that a path does not take apart.
    pub(super) cons_array: bool,
    /// Its path is walked with the values that its steps bind.
    pub(super) tuple: bool,
    /// `@$name` behind a step.
    pub(super) focus: Option<String>,
    /// `#$name` behind a step.
    pub(super) index: Option<String>,
    /// The slot of the `%` that means what this step starts from.
    pub(super) ancestor: Option<usize>,
    /// Slots of `%` whose step is not found yet; used while parsing.
    pub(super) seeking: Vec<usize>,
}

/// Keys and values.
pub(super) type Pairs = Vec<(Node, Node)>;

/// What happens to the result of a step.
#[derive(Debug)]
pub(super) enum Stage {
    Filter(Node),
    /// Binds the position to a name.
    Index(String),
}

/// Kinds of parts.
#[derive(Debug, Default)]
pub(super) enum NodeKind {
    Text(String),
    Number(Number),
    Bool(bool),
    #[default]
    Null,
    Pattern(Result<Regex, String>),
    Name(String),
    Variable(String),
    Wildcard,
    Descendant,
    /// `%`, with its slot.
    Parent(usize),
    Path {
        steps: Vec<Node>,
        keep_singleton: bool,
    },
    Sort(Vec<Term>),
    Binary {
        sign: &'static str,
        lhs: Box<Node>,
        rhs: Box<Node>,
    },
    Negate(Box<Node>),
    Array(Vec<Node>),
    Object(Pairs),
    Block(Vec<Node>),
    Condition {
        condition: Box<Node>,
        then: Box<Node>,
        otherwise: Option<Box<Node>>,
    },
    Bind {
        name: String,
        value: Box<Node>,
    },
    Call {
        procedure: Box<Node>,
        arguments: Vec<Node>,
    },
    /// A call with `?` in some places, which are `None`.
    Partial {
        procedure: Box<Node>,
        arguments: Vec<Option<Node>>,
    },
    Lambda(Lambda),
    /// A call in the last place of a function's body: it is made when the function has returned.
    Thunk(Box<Node>),
    /// `lhs ~> rhs`.
    Apply {
        lhs: Box<Node>,
        rhs: Box<Node>,
    },
    Transform {
        pattern: Box<Node>,
        update: Box<Node>,
        delete: Option<Box<Node>>,
    },
}

/// A function that the expression defines.
#[derive(Debug)]
pub(super) struct Lambda {
    pub(super) parameters: Vec<String>,
    pub(super) signature: Option<super::signature::Signature>,
    pub(super) body: Box<Node>,
}

/// One term of an order.
#[derive(Debug)]
pub(super) struct Term {
    pub(super) descending: bool,
    pub(super) expression: Node,
}

impl Node {
    pub(super) fn of(kind: NodeKind) -> Self {
        Self {
            kind,
            ..Self::default()
        }
    }

    /// The name that a call of this part has in errors.
    pub(super) fn call_name(&self) -> Option<&str> {
        match &self.kind {
            NodeKind::Variable(name) | NodeKind::Name(name) => Some(name),
            NodeKind::Path { steps, .. } => match &steps.first()?.kind {
                NodeKind::Name(name) | NodeKind::Variable(name) => Some(name),
                _ => None,
            },
            _ => None,
        }
    }
}

/// A parsed text.
#[derive(Debug)]
pub(super) struct Program {
    /// `None`: nested so deeply that no evaluation comes to its end.
    pub(super) root: Option<Node>,
    /// The names of the slots of `%`.
    pub(super) labels: Vec<String>,
}
