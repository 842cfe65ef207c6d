//! Parses documents (GraphQL, appendix B). The recursion follows the nesting of the text, which it
//! counts: the nesting is at most [`limits::RECURSION`], and the text has at most
//! [`limits::DOCUMENT_BYTES`] and [`limits::TOKENS`].

use async_graphql::parser::types::{BaseType, OperationType, Type};
use async_graphql::{Name, Pos};

use super::lexer::{Kind, Lexer, Token};
use super::{
    Argument, Directive, Document, Field, Fragment, Inline, Named, Operation, Selection, Spread,
    SyntaxError, Value, ValueKind, VariableDefinition, strings,
};
use crate::graphql::limits::{self, TOO_MUCH};

impl SyntaxError {
    pub(super) fn new(message: &str, place: Pos) -> Box<Self> {
        Box::new(Self {
            message: format!("syntax error: {message}"),
            place: Some(place),
            code: "ValidationError",
        })
    }

    pub(super) fn over_bound(message: String, place: Pos) -> Box<Self> {
        Box::new(Self {
            message,
            place: Some(place),
            code: TOO_MUCH,
        })
    }
}

/// The document of a text.
///
/// # Errors
/// [`SyntaxError`]: the text is not a document, or is over a bound.
pub(in crate::graphql) fn parse(text: &str) -> Parsed<Document> {
    if text.len() > limits::DOCUMENT_BYTES {
        return Err(Box::new(SyntaxError {
            message: format!(
                "the document has {} bytes, and the limit is {}: split it",
                text.len(),
                limits::DOCUMENT_BYTES
            ),
            place: None,
            code: TOO_MUCH,
        }));
    }
    let mut lexer = Lexer::new(text);
    let token = lexer.next()?;
    let mut parser = Parser {
        lexer,
        token,
        nesting: 0,
        directives: 0,
        variables: 0,
    };
    let mut document = parser.document()?;
    document.tokens = parser.lexer.tokens();
    Ok(document)
}

struct Parser<'t> {
    lexer: Lexer<'t>,
    /// The next token.
    token: Token<'t>,
    /// Number of open brackets.
    nesting: usize,
    directives: usize,
    variables: usize,
}

/// The error is in a box: a recursion over a document needs less of the stack.
type Parsed<T> = Result<T, Box<SyntaxError>>;

impl<'t> Parser<'t> {
    fn document(&mut self) -> Parsed<Document> {
        let mut document = Document::default();
        loop {
            match self.token.text {
                "fragment" if self.is_name() => {
                    let fragment = self.fragment()?;
                    self.at_most(document.fragments.len(), limits::FRAGMENTS, "fragments")?;
                    let index = document.fragments.len();
                    let name = fragment.name.text.clone();
                    document.by_name.entry(name).or_insert(index);
                    document.fragments.push(fragment);
                }
                _ => {
                    let operation = self.operation()?;
                    self.at_most(document.operations.len(), limits::OPERATIONS, "operations")?;
                    document.operations.push(operation);
                }
            }
            if self.token.kind == Kind::End {
                return Ok(document);
            }
        }
    }

    fn at_most(&self, before: usize, limit: usize, what: &str) -> Parsed<()> {
        if before < limit {
            return Ok(());
        }
        let text = format!("the document has more than {limit} {what}: split it");
        Err(SyntaxError::over_bound(text, self.token.place))
    }

    fn operation(&mut self) -> Parsed<Operation> {
        let place = self.token.place;
        if self.is("{") {
            return Ok(Operation {
                kind: OperationType::Query,
                name: None,
                variables: Vec::new(),
                directives: Vec::new(),
                selections: self.selections()?,
                place,
            });
        }
        let kind = match self.token.text {
            "query" if self.is_name() => OperationType::Query,
            "mutation" if self.is_name() => OperationType::Mutation,
            "subscription" if self.is_name() => OperationType::Subscription,
            _ => return Err(self.expected("query, mutation, subscription, fragment or `{`")),
        };
        self.advance()?;
        let name = if self.is_name() {
            Some(self.name()?)
        } else {
            None
        };
        let variables = if self.is("(") {
            self.many("(", ")", Self::variable)?
        } else {
            Vec::new()
        };
        Ok(Operation {
            kind,
            name,
            variables,
            directives: self.directives(true)?,
            selections: self.selections()?,
            place,
        })
    }

    fn variable(&mut self) -> Parsed<VariableDefinition> {
        let place = self.token.place;
        self.at_most(self.variables, limits::VARIABLES, "variables")?;
        self.variables += 1;
        self.expect("$")?;
        let name = self.name()?.text;
        self.expect(":")?;
        let (kind, kind_place) = self.kind()?;
        let default = if self.skip("=")? {
            Some(self.value(true)?)
        } else {
            None
        };
        Ok(VariableDefinition {
            name,
            kind,
            kind_place,
            default,
            directives: self.directives(true)?,
            place,
        })
    }

    fn kind(&mut self) -> Parsed<(Type, Pos)> {
        let (base, place) = if self.is("[") {
            self.open("[")?;
            let (inner, place) = self.kind()?;
            self.close("]")?;
            (BaseType::List(Box::new(inner)), place)
        } else {
            let name = self.name()?;
            (BaseType::Named(name.text), name.place)
        };
        let nullable = !self.skip("!")?;
        Ok((Type { base, nullable }, place))
    }

    fn fragment(&mut self) -> Parsed<Fragment> {
        let place = self.token.place;
        self.advance()?;
        if self.is_name() && self.token.text == "on" {
            return Err(self.expected("the fragment's name"));
        }
        let name = self.name()?;
        if !self.is_name() || self.token.text != "on" {
            return Err(self.expected("`on`"));
        }
        self.advance()?;
        Ok(Fragment {
            name,
            condition: self.name()?,
            directives: self.directives(false)?,
            selections: self.selections()?,
            place,
        })
    }

    fn selections(&mut self) -> Parsed<Vec<Selection>> {
        self.many("{", "}", Self::selection)
    }

    fn selection(&mut self) -> Parsed<Selection> {
        if !self.is("...") {
            return self.field().map(Selection::Field);
        }
        let place = self.token.place;
        self.advance()?;
        if self.is_name() && self.token.text != "on" {
            return self.spread(place).map(Selection::Spread);
        }
        self.inline(place).map(Selection::Inline)
    }

    fn spread(&mut self, place: Pos) -> Parsed<Box<Spread>> {
        Ok(Box::new(Spread {
            name: self.name()?,
            directives: self.directives(false)?,
            place,
        }))
    }

    fn inline(&mut self, place: Pos) -> Parsed<Box<Inline>> {
        let mut inline = Box::new(Inline {
            condition: None,
            directives: Vec::new(),
            selections: Vec::new(),
            place,
        });
        if self.is_name() {
            self.advance()?;
            inline.condition = Some(self.name()?);
        }
        inline.directives = self.directives(false)?;
        inline.selections = self.selections()?;
        Ok(inline)
    }

    fn field(&mut self) -> Parsed<Box<Field>> {
        let mut field = self.field_itself()?;
        if self.is("{") {
            field.selections = self.selections()?;
        }
        Ok(field)
    }

    /// A field without its selections.
    fn field_itself(&mut self) -> Parsed<Box<Field>> {
        let place = self.token.place;
        let first = self.name()?;
        let (alias, name) = if self.skip(":")? {
            (Some(first), self.name()?)
        } else {
            (None, first)
        };
        Ok(Box::new(Field {
            alias,
            name,
            arguments: self.arguments(false)?,
            directives: self.directives(false)?,
            selections: Vec::new(),
            place,
        }))
    }

    fn arguments(&mut self, constant: bool) -> Parsed<Vec<Argument>> {
        if !self.is("(") {
            return Ok(Vec::new());
        }
        self.many("(", ")", |parser| {
            let name = parser.name()?;
            parser.expect(":")?;
            let value = parser.value(constant)?;
            Ok(Argument { name, value })
        })
    }

    fn directives(&mut self, constant: bool) -> Parsed<Vec<Directive>> {
        let mut directives = Vec::new();
        while self.is("@") {
            let place = self.token.place;
            self.at_most(self.directives, limits::DIRECTIVES, "directives")?;
            self.directives += 1;
            self.advance()?;
            directives.push(Directive {
                name: self.name()?.text,
                arguments: self.arguments(constant)?,
                place,
            });
        }
        Ok(directives)
    }

    fn value(&mut self, constant: bool) -> Parsed<Value> {
        let place = self.token.place;
        let kind = if self.is("[") {
            self.list(constant)?
        } else if self.is("{") {
            self.object(constant)?
        } else {
            self.scalar(constant)?
        };
        Ok(Value { kind, place })
    }

    fn list(&mut self, constant: bool) -> Parsed<ValueKind> {
        self.open("[")?;
        let mut values = Vec::new();
        while !self.is("]") {
            values.push(self.value(constant)?);
        }
        self.close("]")?;
        Ok(ValueKind::List(values))
    }

    fn object(&mut self, constant: bool) -> Parsed<ValueKind> {
        self.open("{")?;
        let mut fields = Vec::new();
        while !self.is("}") {
            let name = self.name()?;
            self.expect(":")?;
            fields.push((name, self.value(constant)?));
        }
        self.close("}")?;
        Ok(ValueKind::Object(fields))
    }

    /// A value without nested values.
    fn scalar(&mut self, constant: bool) -> Parsed<ValueKind> {
        let Token { kind, text, place } = self.token;
        let value = match kind {
            Kind::Punctuator if text == "$" && constant => {
                return Err(self.expected("a value without variables"));
            }
            Kind::Punctuator if text == "$" => {
                self.advance()?;
                return Ok(ValueKind::Variable(self.name()?.text));
            }
            Kind::Punctuator | Kind::End => return Err(self.expected("a value")),
            Kind::Int => ValueKind::Int(text.into()),
            Kind::Float => ValueKind::Float(text.into()),
            Kind::BlockString => ValueKind::String(strings::block_value(text).into()),
            Kind::String => {
                let value = strings::value(text);
                let value = value.map_err(|text| SyntaxError::new(&text, place))?;
                ValueKind::String(value.into())
            }
            Kind::Name => match text {
                "true" => ValueKind::Boolean(true),
                "false" => ValueKind::Boolean(false),
                "null" => ValueKind::Null,
                other => ValueKind::Enum(Name::new(other)),
            },
        };
        self.advance()?;
        Ok(value)
    }

    /// The items between two brackets, at least one.
    fn many<T>(
        &mut self,
        open: &str,
        close: &str,
        mut one: impl FnMut(&mut Self) -> Parsed<T>,
    ) -> Parsed<Vec<T>> {
        self.open(open)?;
        let mut all = vec![one(self)?];
        while !self.is(close) {
            all.push(one(self)?);
        }
        self.close(close)?;
        Ok(all)
    }

    fn open(&mut self, bracket: &str) -> Parsed<()> {
        self.nesting += 1;
        if self.nesting > limits::RECURSION {
            return Err(Box::new(SyntaxError {
                message: format!(
                    "the document is nested too deep: the limit is {}",
                    limits::RECURSION
                ),
                place: Some(self.token.place),
                code: "QueryDepthLimitReached",
            }));
        }
        self.expect(bracket)
    }

    fn close(&mut self, bracket: &str) -> Parsed<()> {
        self.nesting -= 1;
        self.expect(bracket)
    }

    fn name(&mut self) -> Parsed<Named> {
        if !self.is_name() {
            return Err(self.expected("a name"));
        }
        let named = Named {
            text: Name::new(self.token.text),
            place: self.token.place,
        };
        self.advance()?;
        Ok(named)
    }

    fn is_name(&self) -> bool {
        self.token.kind == Kind::Name
    }

    fn is(&self, punctuator: &str) -> bool {
        self.token.kind == Kind::Punctuator && self.token.text == punctuator
    }

    fn skip(&mut self, punctuator: &str) -> Parsed<bool> {
        let found = self.is(punctuator);
        if found {
            self.advance()?;
        }
        Ok(found)
    }

    fn expect(&mut self, punctuator: &str) -> Parsed<()> {
        if self.skip(punctuator)? {
            return Ok(());
        }
        Err(self.expected(&format!("`{punctuator}`")))
    }

    fn expected(&self, what: &str) -> Box<SyntaxError> {
        let text = format!("expected {what}, found {}", self.token.shown());
        SyntaxError::new(&text, self.token.place)
    }

    fn advance(&mut self) -> Parsed<()> {
        self.token = self.lexer.next()?;
        Ok(())
    }
}
