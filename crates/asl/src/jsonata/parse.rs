//! From a text to a tree. First by precedence into a raw tree, then into what is evaluated: paths are gathered, filters and groups are put
//! where they apply, and each `%` finds its step.
use super::{
    node::{Kind, Lambda, Node, Pairs, Program, Stage, Term},
    signature::Signature,
    token::{Lexer, Token},
    value::level,
    wrong::{Outcome, Wrong, quoted},
};

/// Maximum depth of brackets and prefixes: the parser calls itself for each. The evaluator's own bound is lower.
const MAX_BRACKETS: usize = 150;
/// Maximum depth of the tree; a chain of operators is as deep as it is long.
const MAX_DEPTH: usize = 300;

/// What goes on until the end, or until the tree is too deep to be evaluated.
enum Stop {
    Wrong(Box<Wrong>),
    TooDeep,
}
impl From<Box<Wrong>> for Stop {
    fn from(wrong: Box<Wrong>) -> Self {
        Self::Wrong(wrong)
    }
}
type Parsed<T> = Result<T, Stop>;

/// Parses an expression.
pub(super) fn parse(text: &str) -> Outcome<Program> {
    let mut parser = Parser {
        lexer: Lexer::new(text),
        token: Token::End,
        open: 0,
    };
    let raw = match parser.whole() {
        Ok(raw) => raw,
        Err(Stop::Wrong(wrong)) => return Err(wrong),
        Err(Stop::TooDeep) => {
            return Ok(Program {
                root: None,
                labels: Vec::new(),
            });
        }
    };
    let mut builder = Builder::default();
    let root = builder.node(raw)?;
    if matches!(root.kind, Kind::Parent(_)) || !root.seeking.is_empty() {
        return Err(Wrong::new("S0217"));
    }
    Ok(Program {
        root: Some(root),
        labels: builder.slots.into_iter().map(|slot| slot.label).collect(),
    })
}

/// A part as it is written.
#[derive(Debug, Clone)]
struct Raw {
    kind: RawKind,
    keep_array: bool,
    depth: usize,
}
#[derive(Debug, Clone)]
enum RawKind {
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
    /// Whether something is there.
    Exists(Box<Raw>),
    Call(Box<Raw>, Vec<Option<Raw>>),
    Lambda(Vec<String>, Option<Signature>, Box<Raw>),
    Transform(Box<Raw>, Box<Raw>, Option<Box<Raw>>),
}

impl Raw {
    fn of(kind: RawKind) -> Parsed<Self> {
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
    /// What an error calls it.
    fn named(&self) -> String {
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

/// How strongly an operator binds what stands before it.
fn power(token: &Token) -> u8 {
    let Token::Sign(sign) = token else { return 0 };
    match *sign {
        "(" | "[" | "@" | "#" => 80,
        "." => 75,
        "{" => 70,
        "*" | "/" | "%" => 60,
        "+" | "-" | "&" => 50,
        "=" | "<" | ">" | "!=" | "<=" | ">=" | "~>" | "in" | "^" | "?:" | "??" => 40,
        "and" => 30,
        "or" => 25,
        "?" => 20,
        ":=" => 10,
        _ => 0,
    }
}

struct Parser<'a> {
    lexer: Lexer<'a>,
    token: Token,
    open: usize,
}

impl Parser<'_> {
    fn whole(&mut self) -> Parsed<Raw> {
        self.next(false)?;
        let raw = self.expression(0)?;
        match &self.token {
            Token::End => Ok(raw),
            other => Err(Wrong::new("S0201").found(other).into()),
        }
    }
    fn next(&mut self, infix: bool) -> Parsed<Token> {
        let next = self.lexer.next(infix)?;
        if next.is("!") || next.is("~") {
            return Err(Wrong::new("S0204").found(&next).into());
        }
        Ok(std::mem::replace(&mut self.token, next))
    }
    /// Goes on behind a sign that must stand here.
    fn expect(&mut self, sign: &'static str, infix: bool) -> Parsed<()> {
        if self.token.is(sign) {
            return self.next(infix).map(|_| ());
        }
        let wrong = match &self.token {
            Token::End => Wrong::new("S0203"),
            other => Wrong::new("S0202").found(other),
        };
        Err(wrong.value(quoted(sign)).into())
    }
    /// Whether a sign stands here; goes on behind it if it does.
    fn accept(&mut self, sign: &'static str) -> Parsed<bool> {
        let found = self.token.is(sign);
        if found {
            self.next(false)?;
        }
        Ok(found)
    }
    fn boxed(&mut self, least: u8) -> Parsed<Box<Raw>> {
        self.expression(least).map(Box::new)
    }
    fn expression(&mut self, least: u8) -> Parsed<Raw> {
        level(|| self.expression_here(least))
    }
    fn expression_here(&mut self, least: u8) -> Parsed<Raw> {
        self.open += 1;
        if self.open > MAX_BRACKETS {
            return Err(Stop::TooDeep);
        }
        let first = self.next(true)?;
        let mut left = self.prefix(first)?;
        while least < power(&self.token) {
            let operator = self.next(false)?;
            let Token::Sign(sign) = operator else { break };
            left = self.infix(sign, left)?;
        }
        self.open -= 1;
        Ok(left)
    }
    fn prefix(&mut self, token: Token) -> Parsed<Raw> {
        let Token::Sign(sign) = token else {
            return Raw::of(RawKind::Leaf(token));
        };
        let kind = match sign {
            "and" | "or" | "in" => RawKind::Leaf(token),
            "-" => RawKind::Negate(self.boxed(70)?),
            "*" => RawKind::Wildcard,
            "**" => RawKind::Descendant,
            "%" => RawKind::Parent,
            "(" => {
                let mut parts = Vec::new();
                while !self.token.is(")") {
                    parts.push(self.expression(0)?);
                    if !self.accept(";")? {
                        break;
                    }
                }
                self.expect(")", true)?;
                RawKind::Block(parts)
            }
            "[" => {
                let mut items = Vec::new();
                if !self.token.is("]") {
                    loop {
                        let mut item = self.expression(0)?;
                        if self.accept("..")? {
                            let to = self.boxed(0)?;
                            item = Raw::of(RawKind::Binary("..", Box::new(item), to))?;
                        }
                        items.push(item);
                        if !self.accept(",")? {
                            break;
                        }
                    }
                }
                self.expect("]", true)?;
                RawKind::Array(items)
            }
            "{" => RawKind::Object(self.pairs()?),
            "|" => {
                let pattern = self.boxed(0)?;
                self.expect("|", false)?;
                let update = self.boxed(0)?;
                let delete = if self.accept(",")? {
                    Some(self.boxed(0)?)
                } else {
                    None
                };
                self.expect("|", false)?;
                RawKind::Transform(pattern, update, delete)
            }
            other => return Err(Wrong::new("S0211").token(other).into()),
        };
        Raw::of(kind)
    }
    fn pairs(&mut self) -> Parsed<Vec<(Raw, Raw)>> {
        let mut pairs = Vec::new();
        if !self.token.is("}") {
            loop {
                let key = self.expression(0)?;
                self.expect(":", false)?;
                pairs.push((key, self.expression(0)?));
                if !self.accept(",")? {
                    break;
                }
            }
        }
        self.expect("}", true)?;
        Ok(pairs)
    }
    fn infix(&mut self, sign: &'static str, left: Raw) -> Parsed<Raw> {
        let kind = match sign {
            "(" => return self.call(left),
            "[" if self.token.is("]") => {
                let mut left = left;
                let mut step = &mut left;
                while let RawKind::Binary("[", lhs, _) = &mut step.kind {
                    step = lhs;
                }
                step.keep_array = true;
                self.expect("]", false)?;
                return Ok(left);
            }
            "[" => {
                let filter = self.boxed(0)?;
                self.expect("]", true)?;
                RawKind::Binary(sign, Box::new(left), filter)
            }
            "{" => RawKind::Group(Box::new(left), self.pairs()?),
            "^" => {
                self.expect("(", false)?;
                let mut terms = Vec::new();
                loop {
                    let descending = self.token.is(">");
                    if descending || self.token.is("<") {
                        self.next(false)?;
                    }
                    terms.push((descending, self.expression(0)?));
                    if !self.accept(",")? {
                        break;
                    }
                }
                self.expect(")", false)?;
                RawKind::Sort(Box::new(left), terms)
            }
            ":=" => {
                if !matches!(left.kind, RawKind::Leaf(Token::Variable(_))) {
                    return Err(Wrong::new("S0212").token(&left.named()).into());
                }
                RawKind::Binary(sign, Box::new(left), self.boxed(9)?)
            }
            "@" | "#" => {
                let name = self.boxed(80)?;
                if !matches!(name.kind, RawKind::Leaf(Token::Variable(_))) {
                    return Err(Wrong::new("S0214").token(sign).into());
                }
                RawKind::Binary(sign, Box::new(left), name)
            }
            "?" => {
                let then = self.boxed(0)?;
                let otherwise = if self.accept(":")? {
                    Some(self.boxed(0)?)
                } else {
                    None
                };
                RawKind::Condition(Box::new(left), then, otherwise)
            }
            "?:" => {
                let left = Box::new(left);
                RawKind::Condition(left.clone(), left, Some(self.boxed(0)?))
            }
            "??" => {
                let left = Box::new(left);
                let exists = Raw::of(RawKind::Exists(left.clone()))?;
                RawKind::Condition(Box::new(exists), left, Some(self.boxed(0)?))
            }
            _ => {
                let least = power(&Token::Sign(sign));
                RawKind::Binary(sign, Box::new(left), self.boxed(least)?)
            }
        };
        Raw::of(kind)
    }
    fn call(&mut self, left: Raw) -> Parsed<Raw> {
        let mut arguments = Vec::new();
        if !self.token.is(")") {
            loop {
                if self.accept("?")? {
                    arguments.push(None);
                } else {
                    arguments.push(Some(self.expression(0)?));
                }
                if !self.accept(",")? {
                    break;
                }
            }
        }
        self.expect(")", true)?;
        match &left.kind {
            RawKind::Leaf(Token::Name(name)) if name == "function" || name == "λ" => {}
            _ => return Raw::of(RawKind::Call(Box::new(left), arguments)),
        }
        let mut parameters = Vec::new();
        for (at, argument) in arguments.into_iter().enumerate() {
            match argument.map(|a| a.kind) {
                Some(RawKind::Leaf(Token::Variable(name))) => parameters.push(name),
                _ => return Err(Wrong::new("S0208").value((at + 1).to_string()).into()),
            }
        }
        let mut signature = None;
        if self.token.is("<") {
            let mut depth = 1;
            let mut text = "<".to_owned();
            while depth > 0 && !self.token.is("{") && !matches!(self.token, Token::End) {
                self.next(false)?;
                match &self.token {
                    Token::Sign(">") => depth -= 1,
                    Token::Sign("<") => depth += 1,
                    _ => {}
                }
                text.push_str(&self.token.named());
            }
            self.expect(">", false)?;
            signature = Some(Signature::parse(&text)?);
        }
        self.expect("{", false)?;
        let body = self.boxed(0)?;
        self.expect("}", false)?;
        Raw::of(RawKind::Lambda(parameters, signature, body))
    }
}

/// Where a `%` looks: so many steps up.
#[derive(Debug)]
struct Slot {
    label: String,
    level: i32,
}

#[derive(Default)]
struct Builder {
    slots: Vec<Slot>,
}

impl Builder {
    fn boxed(&mut self, raw: Raw) -> Outcome<Box<Node>> {
        self.node(raw).map(Box::new)
    }
    fn pairs(&mut self, pairs: Vec<(Raw, Raw)>) -> Outcome<Pairs> {
        let node = |(key, value)| Ok((self.node(key)?, self.node(value)?));
        pairs.into_iter().map(node).collect()
    }
    fn node(&mut self, raw: Raw) -> Outcome<Node> {
        level(|| self.node_here(raw))
    }
    fn node_here(&mut self, raw: Raw) -> Outcome<Node> {
        let keep_array = raw.keep_array;
        let mut node = match raw.kind {
            RawKind::Leaf(token) => return self.leaf(token, keep_array),
            RawKind::Wildcard => Node::of(Kind::Wildcard),
            RawKind::Descendant => Node::of(Kind::Descendant),
            RawKind::Parent => {
                let slot = self.slots.len();
                self.slots.push(Slot {
                    label: format!("!{slot}"),
                    level: 1,
                });
                Node::of(Kind::Parent(slot))
            }
            RawKind::Binary(".", lhs, rhs) => self.step(*lhs, *rhs)?,
            RawKind::Binary("[", lhs, rhs) => self.filter(*lhs, *rhs)?,
            RawKind::Binary(":=", lhs, rhs) => {
                let value = self.boxed(*rhs)?;
                let seeking = seeking(&value);
                let RawKind::Leaf(Token::Variable(name)) = lhs.kind else {
                    return Err(Wrong::new("S0212"));
                };
                Node {
                    seeking,
                    ..Node::of(Kind::Bind { name, value })
                }
            }
            RawKind::Binary(sign @ ("@" | "#"), lhs, rhs) => {
                let RawKind::Leaf(Token::Variable(name)) = rhs.kind else {
                    return Err(Wrong::new("S0214").token(sign));
                };
                let node = self.node(*lhs)?;
                bound(node, sign == "@", name, keep_array)?
            }
            RawKind::Binary("~>", lhs, rhs) => {
                let (lhs, rhs) = (self.boxed(*lhs)?, self.boxed(*rhs)?);
                Node {
                    keep_array: lhs.keep_array || rhs.keep_array,
                    ..Node::of(Kind::Apply { lhs, rhs })
                }
            }
            RawKind::Binary(sign, lhs, rhs) => {
                let (lhs, rhs) = (self.boxed(*lhs)?, self.boxed(*rhs)?);
                let mut all = seeking(&lhs);
                all.extend(seeking(&rhs));
                Node {
                    seeking: all,
                    ..Node::of(Kind::Binary { sign, lhs, rhs })
                }
            }
            RawKind::Group(lhs, pairs) => {
                let mut node = self.node(*lhs)?;
                if node.group.is_some() {
                    return Err(Wrong::new("S0210"));
                }
                node.group = Some(self.pairs(pairs)?);
                node
            }
            RawKind::Sort(lhs, terms) => {
                let node = self.node(*lhs)?;
                let mut path = into_path(node);
                let mut sort = Node::default();
                let mut ordered = Vec::new();
                for (descending, expression) in terms {
                    let expression = self.node(expression)?;
                    sort.seeking.extend(seeking(&expression));
                    ordered.push(Term {
                        descending,
                        expression,
                    });
                }
                sort.kind = Kind::Sort(ordered);
                if let Kind::Path { steps, .. } = &mut path.kind {
                    steps.push(sort);
                }
                self.resolve(&mut path)?;
                path
            }
            RawKind::Negate(inner) => {
                let inner = self.boxed(*inner)?;
                if let Kind::Number(n) = inner.kind {
                    Node {
                        kind: Kind::Number(n.negate()),
                        ..*inner
                    }
                } else {
                    Node {
                        seeking: seeking(&inner),
                        ..Node::of(Kind::Negate(inner))
                    }
                }
            }
            RawKind::Array(items) => {
                let items = items
                    .into_iter()
                    .map(|item| self.node(item))
                    .collect::<Outcome<Vec<_>>>()?;
                Node {
                    seeking: items.iter().flat_map(seeking).collect(),
                    ..Node::of(Kind::Array(items))
                }
            }
            RawKind::Object(pairs) => {
                let pairs = self.pairs(pairs)?;
                Node {
                    seeking: pairs
                        .iter()
                        .flat_map(|(key, value)| [seeking(key), seeking(value)].concat())
                        .collect(),
                    ..Node::of(Kind::Object(pairs))
                }
            }
            RawKind::Block(parts) => {
                let parts = parts
                    .into_iter()
                    .map(|part| self.node(part))
                    .collect::<Outcome<Vec<_>>>()?;
                let cons = |part: &Node| {
                    part.cons_array
                        || matches!(&part.kind, Kind::Path { steps, .. } if steps.first().is_some_and(|step| step.cons_array))
                };
                Node {
                    cons_array: parts.iter().any(cons),
                    seeking: parts.iter().flat_map(seeking).collect(),
                    ..Node::of(Kind::Block(parts))
                }
            }
            RawKind::Condition(condition, then, otherwise) => {
                let (condition, then) = (self.boxed(*condition)?, self.boxed(*then)?);
                let otherwise = otherwise.map(|raw| self.boxed(*raw)).transpose()?;
                let mut all = seeking(&condition);
                all.extend(seeking(&then));
                all.extend(otherwise.iter().flat_map(|node| seeking(node)));
                Node {
                    seeking: all,
                    ..Node::of(Kind::Condition {
                        condition,
                        then,
                        otherwise,
                    })
                }
            }
            RawKind::Exists(inner) => {
                let inner = self.node(*inner)?;
                Node {
                    seeking: seeking(&inner),
                    ..Node::of(Kind::Call {
                        procedure: Box::new(Node::of(Kind::Variable("exists".to_owned()))),
                        arguments: vec![inner],
                    })
                }
            }
            RawKind::Call(procedure, arguments) => {
                let arguments = arguments
                    .into_iter()
                    .map(|argument| argument.map(|raw| self.node(raw)).transpose())
                    .collect::<Outcome<Vec<_>>>()?;
                let all = arguments.iter().flatten().flat_map(seeking).collect();
                let procedure = self.boxed(*procedure)?;
                let kind = if arguments.iter().any(Option::is_none) {
                    Kind::Partial {
                        procedure,
                        arguments,
                    }
                } else {
                    Kind::Call {
                        procedure,
                        arguments: arguments.into_iter().flatten().collect(),
                    }
                };
                Node {
                    seeking: all,
                    ..Node::of(kind)
                }
            }
            RawKind::Lambda(parameters, signature, body) => {
                let body = with_thunks(self.node(*body)?);
                Node::of(Kind::Lambda(Lambda {
                    parameters,
                    signature,
                    body: Box::new(body),
                }))
            }
            RawKind::Transform(pattern, update, delete) => Node::of(Kind::Transform {
                pattern: self.boxed(*pattern)?,
                update: self.boxed(*update)?,
                delete: delete.map(|raw| self.boxed(*raw)).transpose()?,
            }),
        };
        node.keep_array |= keep_array;
        Ok(node)
    }
    fn leaf(&mut self, token: Token, keep_array: bool) -> Outcome<Node> {
        let name = match token {
            Token::Name(name) => name,
            Token::Sign(word @ ("and" | "or" | "in")) => word.to_owned(),
            other => {
                let kind = match other {
                    Token::Variable(name) => Kind::Variable(name),
                    Token::Text(text) => Kind::Text(text),
                    Token::Number(n) => Kind::Number(n),
                    Token::Bool(b) => Kind::Bool(b),
                    Token::Null => Kind::Null,
                    Token::Pattern(pattern) => Kind::Pattern(pattern),
                    Token::End => return Err(Wrong::new("S0207")),
                    other => return Err(Wrong::new("S0201").found(&other)),
                };
                return Ok(Node {
                    keep_array,
                    ..Node::of(kind)
                });
            }
        };
        let step = Node {
            keep_array,
            ..Node::of(Kind::Name(name))
        };
        Ok(Node {
            keep_array,
            ..Node::of(Kind::Path {
                steps: vec![step],
                keep_singleton: keep_array,
            })
        })
    }
    /// `lhs.rhs`.
    fn step(&mut self, lhs: Raw, rhs: Raw) -> Outcome<Node> {
        let lhs = self.node(lhs)?;
        let parent = match lhs.kind {
            Kind::Parent(slot) => Some(slot),
            _ => None,
        };
        let mut path = into_path(lhs);
        if let Some(slot) = parent {
            path.seeking = vec![slot];
        }
        let mut rest = self.node(rhs)?;
        let Kind::Path {
            steps,
            keep_singleton,
        } = &mut path.kind
        else {
            return Ok(path);
        };
        if let Kind::Path { steps: more, .. } = rest.kind {
            steps.extend(more);
        } else {
            rest.stages.append(&mut rest.predicate);
            steps.push(rest);
        }
        for step in steps.iter_mut() {
            let literal = match &mut step.kind {
                Kind::Text(text) => {
                    step.kind = Kind::Name(std::mem::take(text));
                    continue;
                }
                Kind::Number(n) => n.to_string(),
                Kind::Bool(b) => b.to_string(),
                Kind::Null => "null".to_owned(),
                _ => continue,
            };
            return Err(Wrong::new("S0213").value(literal));
        }
        *keep_singleton |= steps.iter().any(|step| step.keep_array);
        for at in [0, steps.len() - 1] {
            if matches!(steps[at].kind, Kind::Array(_)) {
                steps[at].cons_array = true;
            }
        }
        self.resolve(&mut path)?;
        Ok(path)
    }
    /// `lhs[rhs]`.
    fn filter(&mut self, lhs: Raw, rhs: Raw) -> Outcome<Node> {
        let mut node = self.node(lhs)?;
        let predicate = self.node(rhs)?;
        let is_path = matches!(node.kind, Kind::Path { .. });
        let Some(step) = last_step(&mut node) else {
            return Ok(node);
        };
        if step.group.is_some() {
            return Err(Wrong::new("S0209"));
        }
        if !predicate.seeking.is_empty() {
            for slot in predicate.seeking.clone() {
                if self.slots[slot].level == 1 {
                    self.seek(step, slot)?;
                } else {
                    self.slots[slot].level -= 1;
                }
            }
            step.seeking.extend(seeking(&predicate));
        }
        let stage = Stage::Filter(predicate);
        if is_path {
            step.stages.push(stage);
        } else {
            step.predicate.push(stage);
        }
        Ok(node)
    }
    /// Goes up one step for a `%`.
    fn seek(&mut self, node: &mut Node, slot: usize) -> Outcome<()> {
        match &mut node.kind {
            Kind::Name(_) | Kind::Wildcard => {
                self.slots[slot].level -= 1;
                if self.slots[slot].level == 0 {
                    if let Some(other) = node.ancestor {
                        self.slots[slot].label = self.slots[other].label.clone();
                    }
                    node.ancestor = Some(slot);
                    node.tuple = true;
                }
            }
            Kind::Parent(_) => self.slots[slot].level += 1,
            Kind::Block(parts) => {
                if let Some(last) = parts.last_mut() {
                    node.tuple = true;
                    self.seek(last, slot)?;
                }
            }
            Kind::Path { steps, .. } => {
                node.tuple = true;
                let mut steps = steps.iter_mut().rev();
                if let Some(last) = steps.next() {
                    self.seek(last, slot)?;
                }
                for step in steps {
                    if self.slots[slot].level <= 0 {
                        break;
                    }
                    self.seek(step, slot)?;
                }
            }
            _ => return Err(Wrong::new("S0217")),
        }
        Ok(())
    }
    /// Finds the steps that the `%` in a path's last step mean; the others are left to what the path is part of.
    fn resolve(&mut self, path: &mut Node) -> Outcome<()> {
        let Kind::Path { steps, .. } = &mut path.kind else {
            return Ok(());
        };
        let Some(last) = steps.last() else {
            return Ok(());
        };
        for slot in seeking(last) {
            let mut at = steps.len() as isize - 2;
            while self.slots[slot].level > 0 {
                if at < 0 {
                    path.seeking.push(slot);
                    break;
                }
                let mut step = at as usize;
                at -= 1;
                while at >= 0 && steps[step].focus.is_some() && steps[at as usize].focus.is_some() {
                    step = at as usize;
                    at -= 1;
                }
                self.seek(&mut steps[step], slot)?;
            }
        }
        Ok(())
    }
}

/// The slots that are not found within a part.
fn seeking(node: &Node) -> Vec<usize> {
    let mut all = node.seeking.clone();
    if let Kind::Parent(slot) = node.kind {
        all.push(slot);
    }
    all
}

fn into_path(node: Node) -> Node {
    if matches!(node.kind, Kind::Path { .. }) {
        return node;
    }
    Node::of(Kind::Path {
        steps: vec![node],
        keep_singleton: false,
    })
}

fn last_step(node: &mut Node) -> Option<&mut Node> {
    if matches!(node.kind, Kind::Path { .. }) {
        let Kind::Path { steps, .. } = &mut node.kind else {
            return None;
        };
        return steps.last_mut();
    }
    Some(node)
}

/// `node@$name` (focus) or `node#$name`.
fn bound(mut node: Node, focus: bool, name: String, keep_array: bool) -> Outcome<Node> {
    if !focus && !matches!(node.kind, Kind::Path { .. }) {
        node.stages = std::mem::take(&mut node.predicate);
        node = into_path(node);
    }
    let Some(step) = last_step(&mut node) else {
        return Ok(node);
    };
    step.tuple = true;
    if focus {
        if !step.stages.is_empty() || !step.predicate.is_empty() {
            return Err(Wrong::new("S0215"));
        }
        if matches!(step.kind, Kind::Sort(_)) {
            return Err(Wrong::new("S0216"));
        }
        step.keep_array |= keep_array;
        step.focus = Some(name);
    } else if step.stages.is_empty() {
        step.index = Some(name);
    } else {
        step.stages.push(Stage::Index(name));
    }
    Ok(node)
}

/// The calls in the last place of a body are made by the caller, so that they do not nest.
fn with_thunks(mut node: Node) -> Node {
    match &mut node.kind {
        Kind::Call { .. } if node.predicate.is_empty() => {
            return Node::of(Kind::Thunk(Box::new(node)));
        }
        Kind::Condition {
            then, otherwise, ..
        } => {
            **then = with_thunks(std::mem::take(then));
            if let Some(otherwise) = otherwise {
                **otherwise = with_thunks(std::mem::take(otherwise));
            }
        }
        Kind::Block(parts) => {
            if let Some(last) = parts.pop() {
                parts.push(with_thunks(last));
            }
        }
        _ => {}
    }
    node
}
