//! Event patterns: the filters of event source mappings and the patterns of EventBridge rules are
//! one language. Pure.
//!
//! Source: "Amazon EventBridge event patterns" and "Control which events Lambda sends to your
//! function". A number never matches a text of digits: DynamoDB's `N` values are texts.

use std::net::IpAddr;

use serde_json::{Map, Value};

/// A valid pattern.
#[derive(Clone, Debug, PartialEq)]
pub struct Pattern(Node);

/// Why a text is no pattern, in Lambda's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("Invalid filter pattern definition.")]
pub struct InvalidPattern;

#[derive(Clone, Debug, PartialEq)]
enum Node {
    /// Each field must match, and one of the alternatives of `$or` if there are any.
    Fields(Vec<(String, Node)>, Vec<Node>),
    /// One of these must match.
    Leaf(Vec<Matcher>),
}

#[derive(Clone, Debug, PartialEq)]
enum Matcher {
    Equals(Value),
    EqualsIgnoreCase(String),
    Prefix(String),
    PrefixIgnoreCase(String),
    Suffix(String),
    SuffixIgnoreCase(String),
    Wildcard(String),
    Numeric(Vec<(Comparison, f64)>),
    Cidr(IpAddr, u8),
    Exists(bool),
    AnythingBut(Vec<Matcher>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Comparison {
    Equal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Pattern {
    /// Reads a pattern from its text.
    ///
    /// # Errors
    /// It is not JSON, not an object, or has a field that is neither an object nor a list of
    /// values and operators.
    pub fn parse(text: &str) -> Result<Self, InvalidPattern> {
        let value: Value = serde_json::from_str(text).map_err(|_| InvalidPattern)?;
        Self::of(&value)
    }

    /// As [`Pattern::parse`], from JSON.
    ///
    /// # Errors
    /// See [`Pattern::parse`].
    pub fn of(value: &Value) -> Result<Self, InvalidPattern> {
        let fields = value.as_object().ok_or(InvalidPattern)?;
        fields_of(fields).map(Pattern)
    }

    /// Whether an event matches.
    #[must_use]
    pub fn matches(&self, event: &Value) -> bool {
        self.0.matches(Some(event))
    }

    /// What the pattern asks of one top-level field: nothing, a text, or the fields of a JSON
    /// document.
    #[must_use]
    pub fn asks_of(&self, field: &str) -> Asks {
        let Node::Fields(fields, _) = &self.0 else {
            return Asks::Nothing;
        };
        match fields.iter().find(|(name, _)| name == field) {
            None => Asks::Nothing,
            Some((_, Node::Leaf(_))) => Asks::Text,
            Some((_, Node::Fields(..))) => Asks::Fields,
        }
    }
}

/// See [`Pattern::asks_of`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asks {
    /// The field may be anything.
    Nothing,
    /// The field is matched as a text.
    Text,
    /// The field is matched as a JSON object.
    Fields,
}

fn fields_of(fields: &Map<String, Value>) -> Result<Node, InvalidPattern> {
    if fields.is_empty() {
        return Err(InvalidPattern);
    }
    let (mut named, mut either) = (Vec::new(), Vec::new());
    for (name, value) in fields {
        match value {
            Value::Array(alternatives) if name == "$or" => {
                let nodes = alternatives
                    .iter()
                    .map(|one| fields_of(one.as_object().ok_or(InvalidPattern)?));
                either = nodes.collect::<Result<_, _>>()?;
                if either.len() < 2 {
                    return Err(InvalidPattern);
                }
            }
            Value::Object(inner) => named.push((name.clone(), fields_of(inner)?)),
            Value::Array(list) if !list.is_empty() => {
                let matchers = list.iter().map(matcher_of).collect::<Result<_, _>>()?;
                named.push((name.clone(), Node::Leaf(matchers)));
            }
            _ => return Err(InvalidPattern),
        }
    }
    Ok(Node::Fields(named, either))
}

fn matcher_of(value: &Value) -> Result<Matcher, InvalidPattern> {
    let Value::Object(operator) = value else {
        return match value {
            Value::Array(_) => Err(InvalidPattern),
            plain => Ok(Matcher::Equals(plain.clone())),
        };
    };
    let mut pairs = operator.iter();
    let (Some((name, argument)), None) = (pairs.next(), pairs.next()) else {
        return Err(InvalidPattern);
    };
    let text = || argument.as_str().map(str::to_owned).ok_or(InvalidPattern);
    match name.as_str() {
        "prefix" | "suffix" => affix(name == "prefix", argument),
        "equals-ignore-case" => Ok(Matcher::EqualsIgnoreCase(text()?.to_lowercase())),
        "wildcard" => Ok(Matcher::Wildcard(text()?)),
        "exists" => argument
            .as_bool()
            .map(Matcher::Exists)
            .ok_or(InvalidPattern),
        "numeric" => numeric(argument.as_array().ok_or(InvalidPattern)?),
        "cidr" => cidr(&text()?),
        "anything-but" => anything_but(argument),
        _ => Err(InvalidPattern),
    }
}

fn affix(is_prefix: bool, argument: &Value) -> Result<Matcher, InvalidPattern> {
    if let Some(text) = argument.as_str() {
        let text = text.to_owned();
        return Ok(if is_prefix {
            Matcher::Prefix(text)
        } else {
            Matcher::Suffix(text)
        });
    }
    let text = argument["equals-ignore-case"].as_str();
    let text = text.ok_or(InvalidPattern)?.to_lowercase();
    Ok(if is_prefix {
        Matcher::PrefixIgnoreCase(text)
    } else {
        Matcher::SuffixIgnoreCase(text)
    })
}

fn numeric(list: &[Value]) -> Result<Matcher, InvalidPattern> {
    if list.is_empty() || list.len() > 4 || !list.len().is_multiple_of(2) {
        return Err(InvalidPattern);
    }
    let pairs = list.chunks(2).map(|pair| {
        let comparison = match pair[0].as_str() {
            Some("=") => Comparison::Equal,
            Some("<") => Comparison::Less,
            Some("<=") => Comparison::LessOrEqual,
            Some(">") => Comparison::Greater,
            Some(">=") => Comparison::GreaterOrEqual,
            _ => return Err(InvalidPattern),
        };
        Ok((comparison, pair[1].as_f64().ok_or(InvalidPattern)?))
    });
    pairs.collect::<Result<_, _>>().map(Matcher::Numeric)
}

fn cidr(text: &str) -> Result<Matcher, InvalidPattern> {
    let (address, bits) = text.split_once('/').ok_or(InvalidPattern)?;
    let address: IpAddr = address.parse().map_err(|_| InvalidPattern)?;
    let bits: u8 = bits.parse().map_err(|_| InvalidPattern)?;
    let most = if address.is_ipv4() { 32 } else { 128 };
    (bits <= most)
        .then_some(Matcher::Cidr(address, bits))
        .ok_or(InvalidPattern)
}

fn anything_but(argument: &Value) -> Result<Matcher, InvalidPattern> {
    let list = match argument {
        Value::Array(list) if !list.is_empty() => list
            .iter()
            .map(|one| match one {
                Value::String(_) | Value::Number(_) => Ok(Matcher::Equals(one.clone())),
                _ => Err(InvalidPattern),
            })
            .collect::<Result<_, _>>()?,
        Value::String(_) | Value::Number(_) => vec![Matcher::Equals(argument.clone())],
        Value::Object(operator) => but_operator(operator)?,
        _ => return Err(InvalidPattern),
    };
    Ok(Matcher::AnythingBut(list))
}

/// The operators inside `anything-but`: each with one text or a list of them.
fn but_operator(operator: &Map<String, Value>) -> Result<Vec<Matcher>, InvalidPattern> {
    let mut pairs = operator.iter();
    let (Some((name, argument)), None) = (pairs.next(), pairs.next()) else {
        return Err(InvalidPattern);
    };
    let one = |argument: &Value| {
        let mut operator = Map::new();
        operator.insert(name.clone(), argument.clone());
        match name.as_str() {
            "prefix" | "suffix" | "equals-ignore-case" | "wildcard" if argument.is_string() => {
                matcher_of(&Value::Object(operator))
            }
            _ => Err(InvalidPattern),
        }
    };
    match argument {
        Value::Array(list) if !list.is_empty() => list.iter().map(one).collect(),
        single => Ok(vec![one(single)?]),
    }
}

impl Node {
    fn matches(&self, value: Option<&Value>) -> bool {
        match self {
            // One element of a list is enough.
            Node::Fields(..) if matches!(value, Some(Value::Array(_))) => {
                let list = value.and_then(Value::as_array);
                list.is_some_and(|list| list.iter().any(|one| self.matches(Some(one))))
            }
            Node::Fields(fields, either) => {
                let of = |name: &str| value.and_then(|value| value.get(name));
                fields.iter().all(|(name, node)| node.matches(of(name)))
                    && (either.is_empty() || either.iter().any(|node| node.matches(value)))
            }
            Node::Leaf(matchers) => match value {
                Some(Value::Array(list)) => matchers.iter().any(|matcher| match matcher {
                    Matcher::Exists(wanted) => *wanted,
                    matcher => list.iter().any(|one| matcher.matches(Some(one))),
                }),
                Some(Value::Object(_)) => false,
                value => matchers.iter().any(|matcher| matcher.matches(value)),
            },
        }
    }
}

impl Matcher {
    fn matches(&self, value: Option<&Value>) -> bool {
        if let Matcher::Exists(wanted) = self {
            return value.is_some() == *wanted;
        }
        let Some(value) = value else { return false };
        let text = value.as_str();
        let lower = || text.map(str::to_lowercase);
        match self {
            Matcher::Equals(Value::Number(wanted)) => value
                .as_f64()
                .is_some_and(|found| Some(found) == wanted.as_f64()),
            Matcher::Equals(wanted) => wanted == value,
            Matcher::EqualsIgnoreCase(wanted) => lower().is_some_and(|found| found == *wanted),
            Matcher::Prefix(wanted) => text.is_some_and(|found| found.starts_with(wanted)),
            Matcher::PrefixIgnoreCase(wanted) => {
                lower().is_some_and(|found| found.starts_with(wanted))
            }
            Matcher::Suffix(wanted) => text.is_some_and(|found| found.ends_with(wanted)),
            Matcher::SuffixIgnoreCase(wanted) => {
                lower().is_some_and(|found| found.ends_with(wanted))
            }
            Matcher::Wildcard(wanted) => text.is_some_and(|found| wildcard(wanted, found)),
            Matcher::Numeric(pairs) => value
                .as_f64()
                .is_some_and(|found| pairs.iter().all(|(how, than)| how.holds(found, *than))),
            Matcher::Cidr(network, bits) => text
                .and_then(|found| found.parse().ok())
                .is_some_and(|found| within(*network, *bits, found)),
            Matcher::AnythingBut(list) => {
                (text.is_some() || value.is_number())
                    && !list.iter().any(|one| one.matches(Some(value)))
            }
            Matcher::Exists(_) => unreachable!("handled above"),
        }
    }
}

impl Comparison {
    fn holds(self, found: f64, than: f64) -> bool {
        match self {
            Comparison::Equal => found == than,
            Comparison::Less => found < than,
            Comparison::LessOrEqual => found <= than,
            Comparison::Greater => found > than,
            Comparison::GreaterOrEqual => found >= than,
        }
    }
}

/// Whether a text matches a pattern in which `*` matches any characters.
fn wildcard(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(rest) = parts.next().and_then(|first| text.strip_prefix(first)) else {
        return false;
    };
    let mut rest = rest;
    let mut parts = parts.peekable();
    if parts.peek().is_none() {
        return rest.is_empty();
    }
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return rest.ends_with(part);
        }
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    true
}

fn within(network: IpAddr, bits: u8, address: IpAddr) -> bool {
    let (network, address, width) = match (network, address) {
        (IpAddr::V4(a), IpAddr::V4(b)) => (u128::from(a.to_bits()), u128::from(b.to_bits()), 32),
        (IpAddr::V6(a), IpAddr::V6(b)) => (a.to_bits(), b.to_bits(), 128),
        _ => return false,
    };
    let shift = width - u32::from(bits);
    shift == 128 || network >> shift == address >> shift
}
