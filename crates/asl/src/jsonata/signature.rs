//! Signatures of functions: which arguments one takes, in JSONata's own notation. It does not call them.
use super::{
    value::Value,
    wrong::{Outcome, Wrong},
};

/// One parameter.
#[derive(Debug, Clone)]
struct Parameter {
    /// The kinds that it takes, a letter each.
    kinds: String,
    /// The first letter of its notation: `a` for arrays.
    kind: char,
    optional: bool,
    repeated: bool,
    /// The context stands in when it is missing.
    context: bool,
    /// What an array's items must be.
    items: Option<String>,
}

/// A parsed signature, such as `<s-nn?:s>`.
#[derive(Debug, Clone, Default)]
pub(super) struct Signature {
    parameters: Vec<Parameter>,
}

const ANY: &str = "asnblfom";

impl Signature {
    pub(super) fn parse(text: &str) -> Outcome<Self> {
        let mut parameters: Vec<Parameter> = Vec::new();
        let chars: Vec<char> = text.chars().collect();
        let closing = |from: usize, open: char, close: char| {
            let mut depth = 1;
            let mut at = from;
            while at + 1 < chars.len() {
                at += 1;
                if chars[at] == close {
                    depth -= 1;
                    if depth == 0 {
                        break;
                    }
                } else if chars[at] == open {
                    depth += 1;
                }
            }
            at
        };
        let mut at = 1;
        while at < chars.len() {
            let symbol = chars[at];
            let kinds = match symbol {
                ':' => break,
                's' | 'n' | 'b' | 'l' | 'o' => format!("{symbol}m"),
                'a' | 'x' => ANY.to_owned(),
                'f' => "f".to_owned(),
                'j' => "asnblom".to_owned(),
                '(' => {
                    let end = closing(at, '(', ')');
                    let choice: String = chars[at + 1..end.max(at + 1)].iter().collect();
                    if choice.contains('<') {
                        return Err(Wrong::new("S0402").value(choice));
                    }
                    at = end;
                    format!("{choice}m")
                }
                _ => String::new(),
            };
            if !kinds.is_empty() {
                parameters.push(Parameter {
                    kinds,
                    kind: symbol,
                    optional: false,
                    repeated: false,
                    context: false,
                    items: None,
                });
            } else if let Some(last) = parameters.last_mut() {
                match symbol {
                    '-' => (last.context, last.optional) = (true, true),
                    '?' => last.optional = true,
                    '+' => last.repeated = true,
                    '<' if matches!(last.kind, 'a' | 'f') => {
                        let end = closing(at, '<', '>');
                        last.items = Some(chars[at + 1..end.max(at + 1)].iter().collect());
                        at = end;
                    }
                    '<' => return Err(Wrong::new("S0401").value(last.kind)),
                    _ => {}
                }
            } else if symbol == '<' {
                return Err(Wrong::new("S0401"));
            }
            at += 1;
        }
        Ok(Self { parameters })
    }

    /// How many of `kinds` each of the first `count` parameters takes; all of them must be taken where `whole`.
    fn matched(&self, count: usize, kinds: &[char], whole: bool) -> Option<Vec<usize>> {
        fn from(
            parameters: &[Parameter],
            kinds: &[char],
            whole: bool,
            taken: &mut Vec<usize>,
        ) -> bool {
            let Some((first, rest)) = parameters.split_first() else {
                return !whole || kinds.is_empty();
            };
            let most = kinds
                .iter()
                .take(if first.repeated { usize::MAX } else { 1 })
                .take_while(|kind| first.kinds.contains(**kind))
                .count();
            for count in (usize::from(!first.optional)..=most).rev() {
                taken.push(count);
                if from(rest, &kinds[count..], whole, taken) {
                    return true;
                }
                taken.pop();
            }
            false
        }
        let mut taken = Vec::with_capacity(count);
        from(&self.parameters[..count], kinds, whole, &mut taken).then_some(taken)
    }

    /// The arguments as the function takes them: the context where one is missing, arrays where it wants some.
    pub(super) fn validate<'a>(
        &self,
        arguments: Vec<Value<'a>>,
        context: &Value<'a>,
    ) -> Outcome<Vec<Value<'a>>> {
        let kinds: Vec<char> = arguments.iter().map(symbol).collect();
        let Some(taken) = self.matched(self.parameters.len(), &kinds, true) else {
            let mut good = 0;
            for count in 1..=self.parameters.len() {
                match self.matched(count, &kinds, false) {
                    Some(taken) => good = taken.iter().sum(),
                    None => break,
                }
            }
            return Err(Wrong::argument(good + 1));
        };
        let mut validated = Vec::with_capacity(arguments.len().max(self.parameters.len()));
        let mut arguments = arguments.into_iter().enumerate().peekable();
        for (parameter, count) in self.parameters.iter().zip(taken) {
            let next = arguments.peek().map_or(kinds.len(), |(at, _)| *at);
            if count == 0 {
                if !parameter.context {
                    validated.push(arguments.next().map_or(Value::Undefined, |(_, a)| a));
                } else if parameter.kinds.contains(symbol(context)) {
                    validated.push(context.clone());
                } else {
                    return Err(Wrong::new("T0411").index(next + 1));
                }
            }
            for (at, argument) in arguments.by_ref().take(count) {
                if parameter.kind == 'a' {
                    validated.push(array(parameter, at, count, argument)?);
                } else {
                    validated.push(argument);
                }
            }
        }
        Ok(validated)
    }
}

/// An argument for an array: what is none becomes one.
fn array<'a>(
    parameter: &Parameter,
    at: usize,
    count: usize,
    argument: Value<'a>,
) -> Outcome<Value<'a>> {
    let kind = symbol(&argument);
    if kind == 'm' {
        return Ok(Value::Undefined);
    }
    if let Some(items) = &parameter.items {
        let fits = match argument.items() {
            Some(found) => {
                found.len() == 0 || {
                    let first = symbol(&found.get(0));
                    items.starts_with(first) && found.iter().all(|item| symbol(&item) == first)
                }
            }
            None => count == 1 && items.chars().eq([kind]),
        };
        if !fits {
            let plural = match items.as_str() {
                "a" => "\"arrays\"",
                "b" => "\"booleans\"",
                "f" => "\"functions\"",
                "n" => "\"numbers\"",
                "o" => "\"objects\"",
                "s" => "\"strings\"",
                _ => "undefined",
            };
            return Err(Wrong::new("T0412").index(at + 1).value(plural));
        }
    }
    Ok(if kind == 'a' {
        argument
    } else {
        Value::list(vec![argument])
    })
}

/// The letter of a value's kind.
fn symbol(value: &Value<'_>) -> char {
    match value {
        Value::Undefined => 'm',
        Value::Null => 'l',
        Value::Bool(_) => 'b',
        Value::Number(_) | Value::Wide(_) => 'n',
        Value::Str(_) | Value::Text(_) => 's',
        Value::JsonArray(_) | Value::List(_) | Value::Tuples(_) => 'a',
        Value::JsonObject(_) | Value::Object(_) => 'o',
        Value::Function(_) => 'f',
    }
}
