//! Signatures of functions, in JSONata's notation: the arguments that a function takes. It does not
//! call them.

use super::wrong::{Outcome, Wrong};

/// One parameter.
#[derive(Debug, Clone)]
pub(super) struct Parameter {
    /// The types that it takes, a letter each.
    pub(super) kinds: String,
    /// The first letter of its notation: `a` for arrays.
    pub(super) kind: char,
    pub(super) optional: bool,
    pub(super) repeated: bool,
    /// Whether the context replaces a missing argument.
    pub(super) context: bool,
    /// The type that an array's items must have.
    pub(super) items: Option<String>,
}

/// A parsed signature, such as `<s-nn?:s>`.
#[derive(Debug, Clone, Default)]
pub(super) struct Signature {
    pub(super) parameters: Vec<Parameter>,
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

    /// Number of `kinds` that each of the first `count` parameters takes. If `whole`, all kinds
    /// must be taken.
    pub(super) fn matched(&self, count: usize, kinds: &[char], whole: bool) -> Option<Vec<usize>> {
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
}
