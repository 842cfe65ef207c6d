//! An expression as a tree for the evaluation. It holds no values.

use regex::Regex;

use super::number::Number;

/// One node of an expression, with its suffixes.
#[derive(Debug, Default)]
pub(super) struct Node {
    pub(super) kind: NodeKind,
    /// Whether `[]` follows: a single value stays in its array.
    pub(super) keep_array: bool,
    /// Filters behind a node that is not a path.
    pub(super) predicate: Vec<Stage>,
    /// Filters and position bindings behind a step of a path.
    pub(super) stages: Vec<Stage>,
    /// `{key: value, …}` behind the node.
    pub(super) group: Option<Pairs>,
    /// Whether it is an array that a path does not flatten.
    pub(super) cons_array: bool,
    /// Whether its path is walked with the values that its steps bind.
    pub(super) tuple: bool,
    /// `@$name` behind a step.
    pub(super) focus: Option<String>,
    /// `#$name` behind a step.
    pub(super) index: Option<String>,
    /// The slot of the `%` that refers to the input of this step.
    pub(super) ancestor: Option<usize>,
    /// Slots of `%` whose step is not found yet. Used by `build`.
    pub(super) seeking: Vec<usize>,
}

/// Keys and values.
pub(super) type Pairs = Vec<(Node, Node)>;

/// A stage that is applied to the result of a step.
#[derive(Debug)]
pub(super) enum Stage {
    Filter(Node),
    /// Binds the position to a name.
    Index(String),
}

/// The kinds of nodes.
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
    /// A call with `?` for some arguments, which are `None`.
    Partial {
        procedure: Box<Node>,
        arguments: Vec<Option<Node>>,
    },
    Lambda(Lambda),
    /// A call in tail position: it is made after the function has returned.
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

    /// The name of a call of this node in errors.
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

/// A parsed expression.
#[derive(Debug)]
pub(super) struct Program {
    /// `None` if it nests so deeply that an evaluation would always fail.
    pub(super) root: Option<Node>,
    /// The names of the slots of `%`.
    pub(super) labels: Vec<String>,
}
