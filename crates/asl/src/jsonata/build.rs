//! Builds the tree to evaluate from the tree as written: joins paths, attaches filters and groups
//! to their steps, and finds the step of each `%`.

mod rework;

use super::node::{Lambda, Node, NodeKind, Pairs, Stage, Term};
use super::raw::{Raw, RawKind};
use super::stack::level;
use super::token::Token;
use super::wrong::{Outcome, Wrong};
use rework::{bound, into_path, last_step, seeking, with_thunks};

/// Number of steps above the current one that a `%` refers to.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) label: String,
    level: i32,
}

#[derive(Default)]
pub(super) struct Builder {
    pub(super) slots: Vec<Slot>,
}

impl Builder {
    fn boxed(&mut self, raw: Raw) -> Outcome<Box<Node>> {
        self.node(raw).map(Box::new)
    }

    fn pairs(&mut self, pairs: Vec<(Raw, Raw)>) -> Outcome<Pairs> {
        let node = |(key, value)| Ok((self.node(key)?, self.node(value)?));
        pairs.into_iter().map(node).collect()
    }

    pub(super) fn node(&mut self, raw: Raw) -> Outcome<Node> {
        level(|| self.node_here(raw))
    }

    fn node_here(&mut self, raw: Raw) -> Outcome<Node> {
        let keep_array = raw.keep_array;
        let mut node = match raw.kind {
            RawKind::Leaf(token) => return self.leaf(token, keep_array),
            RawKind::Wildcard => Node::of(NodeKind::Wildcard),
            RawKind::Descendant => Node::of(NodeKind::Descendant),
            RawKind::Parent => self.parent(),
            RawKind::Binary(sign, lhs, rhs) => self.binary(sign, *lhs, *rhs, keep_array)?,
            RawKind::Group(lhs, pairs) => self.group(*lhs, pairs)?,
            RawKind::Sort(lhs, terms) => self.sort(*lhs, terms)?,
            RawKind::Negate(inner) => self.negate(*inner)?,
            RawKind::Array(items) => {
                let items = items
                    .into_iter()
                    .map(|item| self.node(item))
                    .collect::<Outcome<Vec<_>>>()?;
                Node {
                    seeking: items.iter().flat_map(seeking).collect(),
                    ..Node::of(NodeKind::Array(items))
                }
            }
            RawKind::Object(pairs) => {
                let pairs = self.pairs(pairs)?;
                Node {
                    seeking: pairs
                        .iter()
                        .flat_map(|(key, value)| [seeking(key), seeking(value)].concat())
                        .collect(),
                    ..Node::of(NodeKind::Object(pairs))
                }
            }
            RawKind::Block(parts) => self.block(parts)?,
            RawKind::Condition(condition, then, otherwise) => {
                self.condition(*condition, *then, otherwise)?
            }
            RawKind::Exists(inner) => {
                let inner = self.node(*inner)?;
                Node {
                    seeking: seeking(&inner),
                    ..Node::of(NodeKind::Call {
                        procedure: Box::new(Node::of(NodeKind::Variable("exists".to_owned()))),
                        arguments: vec![inner],
                    })
                }
            }
            RawKind::Call(procedure, arguments) => self.call(*procedure, arguments)?,
            RawKind::Lambda(parameters, signature, body) => {
                let body = with_thunks(self.node(*body)?);
                Node::of(NodeKind::Lambda(Lambda {
                    parameters,
                    signature,
                    body: Box::new(body),
                }))
            }
            RawKind::Transform(pattern, update, delete) => Node::of(NodeKind::Transform {
                pattern: self.boxed(*pattern)?,
                update: self.boxed(*update)?,
                delete: delete.map(|raw| self.boxed(*raw)).transpose()?,
            }),
        };
        node.keep_array |= keep_array;
        Ok(node)
    }

    /// `%`, with a slot for its step.
    fn parent(&mut self) -> Node {
        let slot = self.slots.len();
        self.slots.push(Slot {
            label: format!("!{slot}"),
            level: 1,
        });
        Node::of(NodeKind::Parent(slot))
    }

    /// `lhs{pairs}`.
    fn group(&mut self, lhs: Raw, pairs: Vec<(Raw, Raw)>) -> Outcome<Node> {
        let mut node = self.node(lhs)?;
        if node.group.is_some() {
            return Err(Wrong::new("S0210"));
        }
        node.group = Some(self.pairs(pairs)?);
        Ok(node)
    }

    /// `lhs sign rhs`. `keep_array` is whether `[]` follows.
    fn binary(
        &mut self,
        sign: &'static str,
        lhs: Raw,
        rhs: Raw,
        keep_array: bool,
    ) -> Outcome<Node> {
        Ok(match sign {
            "." => self.step(lhs, rhs)?,
            "[" => self.filter(lhs, rhs)?,
            ":=" => {
                let value = self.boxed(rhs)?;
                let seeking = seeking(&value);
                let RawKind::Leaf(Token::Variable(name)) = lhs.kind else {
                    return Err(Wrong::new("S0212"));
                };
                Node {
                    seeking,
                    ..Node::of(NodeKind::Bind { name, value })
                }
            }
            "@" | "#" => {
                let RawKind::Leaf(Token::Variable(name)) = rhs.kind else {
                    return Err(Wrong::new("S0214").token(sign));
                };
                let node = self.node(lhs)?;
                bound(node, sign == "@", name, keep_array)?
            }
            "~>" => {
                let (lhs, rhs) = (self.boxed(lhs)?, self.boxed(rhs)?);
                Node {
                    keep_array: lhs.keep_array || rhs.keep_array,
                    ..Node::of(NodeKind::Apply { lhs, rhs })
                }
            }
            _ => {
                let (lhs, rhs) = (self.boxed(lhs)?, self.boxed(rhs)?);
                let mut all = seeking(&lhs);
                all.extend(seeking(&rhs));
                Node {
                    seeking: all,
                    ..Node::of(NodeKind::Binary { sign, lhs, rhs })
                }
            }
        })
    }

    /// `lhs^(terms)`.
    fn sort(&mut self, lhs: Raw, terms: Vec<(bool, Raw)>) -> Outcome<Node> {
        let node = self.node(lhs)?;
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
        sort.kind = NodeKind::Sort(ordered);
        if let NodeKind::Path { steps, .. } = &mut path.kind {
            steps.push(sort);
        }
        self.resolve(&mut path)?;
        Ok(path)
    }

    fn negate(&mut self, inner: Raw) -> Outcome<Node> {
        let inner = self.boxed(inner)?;
        Ok(if let NodeKind::Number(n) = inner.kind {
            Node {
                kind: NodeKind::Number(n.negate()),
                ..*inner
            }
        } else {
            Node {
                seeking: seeking(&inner),
                ..Node::of(NodeKind::Negate(inner))
            }
        })
    }

    fn block(&mut self, parts: Vec<Raw>) -> Outcome<Node> {
        let parts = parts
            .into_iter()
            .map(|part| self.node(part))
            .collect::<Outcome<Vec<_>>>()?;
        let cons = |part: &Node| {
            part.cons_array
                || matches!(&part.kind, NodeKind::Path { steps, .. } if steps.first().is_some_and(|step| step.cons_array))
        };
        Ok(Node {
            cons_array: parts.iter().any(cons),
            seeking: parts.iter().flat_map(seeking).collect(),
            ..Node::of(NodeKind::Block(parts))
        })
    }

    fn condition(
        &mut self,
        condition: Raw,
        then: Raw,
        otherwise: Option<Box<Raw>>,
    ) -> Outcome<Node> {
        let (condition, then) = (self.boxed(condition)?, self.boxed(then)?);
        let otherwise = otherwise.map(|raw| self.boxed(*raw)).transpose()?;
        let mut all = seeking(&condition);
        all.extend(seeking(&then));
        all.extend(otherwise.iter().flat_map(|node| seeking(node)));
        Ok(Node {
            seeking: all,
            ..Node::of(NodeKind::Condition {
                condition,
                then,
                otherwise,
            })
        })
    }

    /// A call, or a partial application if an argument is missing.
    fn call(&mut self, procedure: Raw, arguments: Vec<Option<Raw>>) -> Outcome<Node> {
        let arguments = arguments
            .into_iter()
            .map(|argument| argument.map(|raw| self.node(raw)).transpose())
            .collect::<Outcome<Vec<_>>>()?;
        let all = arguments.iter().flatten().flat_map(seeking).collect();
        let procedure = self.boxed(procedure)?;
        let kind = if arguments.iter().any(Option::is_none) {
            NodeKind::Partial {
                procedure,
                arguments,
            }
        } else {
            NodeKind::Call {
                procedure,
                arguments: arguments.into_iter().flatten().collect(),
            }
        };
        Ok(Node {
            seeking: all,
            ..Node::of(kind)
        })
    }

    fn leaf(&mut self, token: Token, keep_array: bool) -> Outcome<Node> {
        let name = match token {
            Token::Name(name) => name,
            Token::Sign(word @ ("and" | "or" | "in")) => word.to_owned(),
            other => {
                let kind = match other {
                    Token::Variable(name) => NodeKind::Variable(name),
                    Token::Text(text) => NodeKind::Text(text),
                    Token::Number(n) => NodeKind::Number(n),
                    Token::Bool(b) => NodeKind::Bool(b),
                    Token::Null => NodeKind::Null,
                    Token::Pattern(pattern) => NodeKind::Pattern(pattern),
                    Token::End => return Err(Wrong::new("S0207")),
                    other => return Err(Wrong::new("S0201").token_of(&other)),
                };
                return Ok(Node {
                    keep_array,
                    ..Node::of(kind)
                });
            }
        };
        let step = Node {
            keep_array,
            ..Node::of(NodeKind::Name(name))
        };
        Ok(Node {
            keep_array,
            ..Node::of(NodeKind::Path {
                steps: vec![step],
                keep_singleton: keep_array,
            })
        })
    }

    /// `lhs.rhs`.
    fn step(&mut self, lhs: Raw, rhs: Raw) -> Outcome<Node> {
        let lhs = self.node(lhs)?;
        let parent = match lhs.kind {
            NodeKind::Parent(slot) => Some(slot),
            _ => None,
        };
        let mut path = into_path(lhs);
        if let Some(slot) = parent {
            path.seeking = vec![slot];
        }
        let mut rest = self.node(rhs)?;
        let NodeKind::Path {
            steps,
            keep_singleton,
        } = &mut path.kind
        else {
            return Ok(path);
        };
        if let NodeKind::Path { steps: more, .. } = rest.kind {
            steps.extend(more);
        } else {
            rest.stages.append(&mut rest.predicate);
            steps.push(rest);
        }
        for step in steps.iter_mut() {
            let literal = match &mut step.kind {
                NodeKind::Text(text) => {
                    step.kind = NodeKind::Name(std::mem::take(text));
                    continue;
                }
                NodeKind::Number(n) => n.to_string(),
                NodeKind::Bool(b) => b.to_string(),
                NodeKind::Null => "null".to_owned(),
                _ => continue,
            };
            return Err(Wrong::new("S0213").value(literal));
        }
        *keep_singleton |= steps.iter().any(|step| step.keep_array);
        for at in [0, steps.len() - 1] {
            if matches!(steps[at].kind, NodeKind::Array(_)) {
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
        let is_path = matches!(node.kind, NodeKind::Path { .. });
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
            NodeKind::Name(_) | NodeKind::Wildcard => {
                self.slots[slot].level -= 1;
                if self.slots[slot].level == 0 {
                    if let Some(other) = node.ancestor {
                        self.slots[slot].label = self.slots[other].label.clone();
                    }
                    node.ancestor = Some(slot);
                    node.tuple = true;
                }
            }
            NodeKind::Parent(_) => self.slots[slot].level += 1,
            NodeKind::Block(parts) => {
                if let Some(last) = parts.last_mut() {
                    node.tuple = true;
                    self.seek(last, slot)?;
                }
            }
            NodeKind::Path { steps, .. } => {
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

    /// Finds the steps for the `%` in a path's last step. Others are left for the enclosing path.
    fn resolve(&mut self, path: &mut Node) -> Outcome<()> {
        let NodeKind::Path { steps, .. } = &mut path.kind else {
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
