//! Parses a text into a raw tree, by the precedence of its operators. `build` makes the tree to
//! evaluate from it.

use super::build::Builder;
use super::node::{NodeKind, Program};
use super::raw::{Parsed, Raw, RawKind, Stop};
use super::signature::Signature;
use super::stack::level;
use super::token::{Lexer, Token};
use super::wrong::{Outcome, Wrong, quoted};

/// Maximum depth of brackets and prefixes, for each of which the parser calls itself. The
/// evaluator's limit is lower.
const MAX_BRACKETS: usize = 150;

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
    if matches!(root.kind, NodeKind::Parent(_)) || !root.seeking.is_empty() {
        return Err(Wrong::new("S0217"));
    }
    Ok(Program {
        root: Some(root),
        labels: builder.slots.into_iter().map(|slot| slot.label).collect(),
    })
}

/// The precedence of an operator.
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
            other => Err(Wrong::new("S0201").token_of(other).into()),
        }
    }

    fn next(&mut self, infix: bool) -> Parsed<Token> {
        let next = self.lexer.next(infix)?;
        if next.is("!") || next.is("~") {
            return Err(Wrong::new("S0204").token(&next.named()).into());
        }
        Ok(std::mem::replace(&mut self.token, next))
    }

    /// Consumes a required sign.
    fn expect(&mut self, sign: &'static str, infix: bool) -> Parsed<()> {
        if self.token.is(sign) {
            return self.next(infix).map(|_| ());
        }
        let wrong = match &self.token {
            Token::End => Wrong::new("S0203"),
            other => Wrong::new("S0202").token_of(other),
        };
        Err(wrong.value(quoted(sign)).into())
    }

    /// Consumes a sign if it is next, and returns whether it was.
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
                let terms = self.sort_terms()?;
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

    /// The terms of a sort in their parentheses, each with whether it is descending.
    fn sort_terms(&mut self) -> Parsed<Vec<(bool, Raw)>> {
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
        Ok(terms)
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
