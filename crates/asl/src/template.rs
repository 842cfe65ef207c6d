//! Payload templates: constants with `"name.$": path or intrinsic` in JSONPath, and `"{% … %}"` in
//! JSONata.

use serde_json::{Map, Value};

use crate::expression::{self, Known};
use crate::fault::Fault;
use crate::intrinsic::Intrinsic;
use crate::jsonata::{Jsonata, is_expression};
use crate::path::{Path, Root};
use crate::scope::Scope;
use crate::substitution::is_placeholder;

#[derive(Debug, Clone)]
pub(crate) enum Template {
    Constant(Value),
    Path(Path),
    Intrinsic(Intrinsic),
    Jsonata(Box<Jsonata>),
    Object(Vec<(String, Template)>),
    Array(Vec<Template>),
}

/// The problem of a part of a template.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    /// The field, as AWS names it.
    pub(crate) at: String,
    /// AWS's code; `None` for that of the schema.
    pub(crate) code: Option<&'static str>,
    pub(crate) message: String,
    /// Whether the definition runs, but probably not as intended.
    pub(crate) warning: bool,
}

impl Problem {
    fn error(at: &str, message: impl Into<String>) -> Self {
        Self {
            at: at.to_owned(),
            code: None,
            message: message.into(),
            warning: false,
        }
    }

    fn warning(at: &str, message: impl Into<String>) -> Self {
        Self {
            warning: true,
            ..Self::error(at, message)
        }
    }
}

/// The location of a field within a template, for error texts.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FieldLocation<'a> {
    above: Option<&'a FieldLocation<'a>>,
    name: Name<'a>,
}

#[derive(Debug, Clone, Copy)]
enum Name<'a> {
    Field(&'a str),
    Index(usize),
}

impl<'a> FieldLocation<'a> {
    pub(crate) fn new(field: &'a str) -> Self {
        Self {
            above: None,
            name: Name::Field(field),
        }
    }

    fn below(&'a self, name: Name<'a>) -> Self {
        Self {
            above: Some(self),
            name,
        }
    }

    fn text(&self) -> String {
        match (self.above, self.name) {
            (None, Name::Field(name)) => name.to_owned(),
            (None, Name::Index(index)) => format!("[{index}]"),
            (Some(above), Name::Field(name)) => format!("{}/{name}", above.text()),
            (Some(above), Name::Index(index)) => format!("{}[{index}]", above.text()),
        }
    }
}

impl Template {
    /// Parses a JSONPath template. Problems are added to `problems`.
    pub(crate) fn parse(value: &Value, at: &str, problems: &mut Vec<Problem>) -> Self {
        match value {
            Value::Object(map) => {
                let mut fields = Vec::with_capacity(map.len());
                for (key, value) in map {
                    let Some(name) = key.strip_suffix(".$") else {
                        let here = format!("{at}/{key}");
                        fields.push((key.clone(), Self::parse(value, &here, problems)));
                        continue;
                    };
                    if map.contains_key(name) {
                        problems.push(Problem::error(
                            at,
                            format!("The fields '{name}' and '{key}' are in conflict"),
                        ));
                    }
                    match Self::dynamic(value) {
                        Ok(template) => {
                            if let Self::Intrinsic(call) = &template {
                                let doubts = call.doubts().into_iter();
                                let here = format!("{at}/{key}");
                                problems.extend(doubts.map(|why| Problem::warning(&here, why)));
                            }
                            fields.push((name.to_owned(), template));
                        }
                        Err(_) if is_placeholder(value) => {
                            fields.push((name.to_owned(), Self::Constant(Value::Null)));
                        }
                        // The location is the object, as on AWS.
                        Err(_) => problems.push(Problem::error(
                            at,
                            format!("The value for the field '{key}' must be a valid JSONPath or a valid intrinsic function call"),
                        )),
                    }
                }
                Self::object(fields)
            }
            Value::Array(items) => Self::array(
                items
                    .iter()
                    .enumerate()
                    .map(|(i, item)| Self::parse(item, &format!("{at}[{i}]"), problems))
                    .collect(),
            ),
            other => Self::Constant(other.clone()),
        }
    }

    /// Parses a path or an intrinsic function.
    ///
    /// The error says why it is neither.
    pub(crate) fn dynamic(value: &Value) -> Result<Self, String> {
        let text = value
            .as_str()
            .ok_or_else(|| format!("{value} is not a string"))?;
        if text.starts_with("States.") {
            return Intrinsic::parse(text).map(Self::Intrinsic);
        }
        Path::parse(text)
            .map(Self::Path)
            .ok_or_else(|| format!("'{text}' is not a path"))
    }

    /// Parses a JSONata template. Problems are added to `problems`.
    pub(crate) fn parse_jsonata(
        value: &Value,
        at: &str,
        known: Known,
        problems: &mut Vec<Problem>,
    ) -> Self {
        match value {
            Value::Object(map) => Self::object(
                map.iter()
                    .map(|(key, value)| {
                        let here = format!("{at}/{key}");
                        if key.ends_with(".$") {
                            problems.push(Problem::warning(
                                &here,
                                format!("The field '{key}' is not a path in JSONata: it is passed on unchanged"),
                            ));
                        }
                        (key.clone(), Self::parse_jsonata(value, &here, known, problems))
                    })
                    .collect(),
            ),
            Value::Array(items) => Self::array(
                items
                    .iter()
                    .enumerate()
                    .map(|(i, item)| {
                        Self::parse_jsonata(item, &format!("{at}[{i}]"), known, problems)
                    })
                    .collect(),
            ),
            Value::String(text) if is_expression(text) => {
                let (parsed, refused) = expression::parse(text, known);
                let refused = refused.into_iter();
                problems.extend(refused.map(|(code, message)| Problem {
                    code: Some(code),
                    ..Problem::error(at, message)
                }));
                if parsed.is_some() && !spaced(text) {
                    problems.push(Problem::warning(
                        at,
                        "Write a space after {% and before %}: some tools take this text for a constant",
                    ));
                }
                parsed.map_or(Self::Constant(Value::Null), |expression| {
                    Self::Jsonata(Box::new(expression))
                })
            }
            Value::String(text) if expression::is_half_open(text) => {
                problems.push(Problem::error(at, expression::HALF_OPEN));
                Self::Constant(Value::Null)
            }
            Value::String(text) if expression::is_set_apart(text) => {
                problems.push(Problem::warning(
                    at,
                    "White space around {% and %} makes a constant of the text: nothing evaluates it",
                ));
                Self::Constant(value.clone())
            }
            other => Self::Constant(other.clone()),
        }
    }

    /// The value of this field, if it is constant.
    pub(crate) fn constant(&self, field: &str) -> Option<&Value> {
        match self {
            Self::Constant(value) => value.get(field),
            Self::Object(fields) => fields.iter().find_map(|(name, template)| match template {
                Self::Constant(value) if name == field => Some(value),
                _ => None,
            }),
            _ => None,
        }
    }

    fn object(fields: Vec<(String, Self)>) -> Self {
        if fields.iter().all(|f| matches!(f.1, Self::Constant(_))) {
            let constant = fields
                .into_iter()
                .filter_map(|(name, template)| match template {
                    Self::Constant(value) => Some((name, value)),
                    _ => None,
                });
            return Self::Constant(Value::Object(constant.collect()));
        }
        Self::Object(fields)
    }

    fn array(items: Vec<Self>) -> Self {
        if items.iter().all(|i| matches!(i, Self::Constant(_))) {
            let constant = items.into_iter().filter_map(|template| match template {
                Self::Constant(value) => Some(value),
                _ => None,
            });
            return Self::Constant(constant.collect());
        }
        Self::Array(items)
    }

    /// Fills the template within about `budget` bytes, so that many references to one large value
    /// cannot exhaust the memory.
    pub(crate) fn fill(
        &self,
        scope: &Scope<'_>,
        place: FieldLocation<'_>,
        budget: &mut usize,
    ) -> Result<Value, FillError> {
        let mut charge = |value: &Value| {
            *budget = budget
                .checked_sub(weight(value))
                .ok_or(FillError::TooLarge)?;
            Ok::<_, FillError>(())
        };
        Ok(match self {
            Self::Constant(value) => value.clone(),
            Self::Path(path) => {
                if path.root == Root::Input && scope.input.is_null() {
                    return Err(Fault::runtime(
                        "Unable to apply Path transformation to null or empty input.",
                    )
                    .into());
                }
                let value = path.read(scope).map_err(|_| {
                    FillError::Fault(Fault::runtime(format!(
                            "The JSONPath '{}' specified for the field '{}' could not be found in the input '{}'",
                            path.text,
                            match place.name {
                                Name::Field(name) => format!("{name}.$"),
                                Name::Index(index) => format!("[{index}]"),
                            },
                            scope.input
                        ))) })?;
                charge(&value)?;
                value.into_owned()
            }
            Self::Intrinsic(call) => {
                let value = call.evaluate(scope)?;
                charge(&value)?;
                value
            }
            Self::Jsonata(expression) => {
                let value = expression.evaluate(scope, &|| place.text())?;
                charge(&value)?;
                value
            }
            Self::Object(fields) => {
                let mut map = Map::with_capacity(fields.len());
                for (name, template) in fields {
                    let value = template.fill(scope, place.below(Name::Field(name)), budget)?;
                    map.insert(name.clone(), value);
                }
                Value::Object(map)
            }
            Self::Array(items) => Value::Array(
                items
                    .iter()
                    .enumerate()
                    .map(|(i, t)| t.fill(scope, place.below(Name::Index(i)), budget))
                    .collect::<Result<_, _>>()?,
            ),
        })
    }
}

/// Whether white space separates the delimiters from the expression.
fn spaced(text: &str) -> bool {
    let inside = text
        .get(2..text.len().saturating_sub(2))
        .unwrap_or_default();
    inside.starts_with(char::is_whitespace) && inside.ends_with(char::is_whitespace)
}

/// The reason why a template could not be filled.
#[derive(Debug)]
pub(crate) enum FillError {
    Fault(Fault),
    /// The result would exceed the limit.
    TooLarge,
}

impl From<Fault> for FillError {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

fn weight(value: &Value) -> usize {
    match value {
        Value::String(s) => s.len() + 2,
        Value::Array(items) => items.iter().map(weight).sum::<usize>() + 2,
        Value::Object(map) => {
            map.iter()
                .map(|(k, v)| k.len() + 4 + weight(v))
                .sum::<usize>()
                + 2
        }
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::scope::tests::with_scope;

    fn parse(value: &Value) -> (Template, Vec<Problem>) {
        let mut problems = Vec::new();
        (Template::parse(value, "", &mut problems), problems)
    }

    #[test]
    fn a_template_is_filled_within_its_budget() {
        let (template, problems) = parse(
            &json!({"a.$": "$.x", "b": [{"c.$": "$$.State.Name"}], "d.$": "States.Array($v.w)"}),
        );
        assert_eq!(problems, []);
        let fill = |budget: usize| {
            with_scope(&json!({"x": "0123456789"}), |scope| {
                template.fill(scope, FieldLocation::new("Parameters"), &mut { budget })
            })
        };
        assert_eq!(
            fill(18).unwrap(),
            json!({"a": "0123456789", "b": [{"c": "S"}], "d": [7]})
        );
        assert!(matches!(fill(17), Err(FillError::TooLarge)));
        let missing = with_scope(&json!({}), |scope| {
            template.fill(scope, FieldLocation::new("Parameters"), &mut 99)
        });
        assert!(
            matches!(missing, Err(FillError::Fault(f)) if f.cause.as_deref() == Some("The JSONPath '$.x' specified for the field 'a.$' could not be found in the input '{}'"))
        );
    }

    #[test]
    fn problems_are_reported_at_their_location() {
        for (template, at) in [
            (json!({"a": [{"b.$": "no"}]}), "/a[0]"),
            (json!({"a/b": {"c.$": 3}}), "/a/b"),
            (json!({"a.$": "$.x", "a": 1}), ""),
            (json!({"a.$": "States.Array("}), ""),
        ] {
            assert_eq!(parse(&template).1[0].at, at, "{template}");
        }
        let mut problems = Vec::new();
        let template = Template::parse_jsonata(
            &json!({"a": ["{% 1 + %}", "{%1%}"]}),
            "/O",
            Known::AFTER,
            &mut problems,
        );
        assert_eq!(
            problems
                .iter()
                .map(|p| (p.at.as_str(), p.warning))
                .collect::<Vec<_>>(),
            [("/O/a[0]", false), ("/O/a[1]", true)]
        );
        let mut problems = Vec::new();
        let nested = Template::parse_jsonata(
            &json!({"a": [1, {"b": "{% $none %}"}]}),
            "",
            Known::AFTER,
            &mut problems,
        );
        let fault = with_scope(&json!(1), |scope| {
            nested.fill(scope, FieldLocation::new("Output"), &mut 99)
        });
        assert!(
            matches!(fault, Err(FillError::Fault(f)) if f.cause.as_deref().is_some_and(|c| c.contains("'Output/a[1]/b'")))
        );
        assert!(matches!(template, Template::Object(_)));
    }
}
