//! Intrinsic functions (`States.Format(…)`): parsed once, with bounded depth. `call` computes them.
//!
//! Source: AWS Step Functions developer guide, "Intrinsics for JSONPath states".

mod call;

use serde_json::{Number, Value};

use crate::fault::Fault;
use crate::path::Path;
use crate::scope::Scope;

/// Maximum nesting of calls, as on AWS.
const MAX_NESTING: usize = 10;

/// The functions, each with its minimum and maximum number of arguments.
const FUNCTIONS: [(&str, usize, usize); 18] = [
    ("States.Array", 0, usize::MAX),
    ("States.ArrayPartition", 2, 2),
    ("States.ArrayContains", 2, 2),
    ("States.ArrayRange", 3, 3),
    ("States.ArrayGetItem", 2, 2),
    ("States.ArrayLength", 1, 1),
    ("States.ArrayUnique", 1, 1),
    ("States.Base64Encode", 1, 1),
    ("States.Base64Decode", 1, 1),
    ("States.Hash", 2, 2),
    ("States.JsonMerge", 3, 3),
    ("States.StringToJson", 1, 1),
    ("States.JsonToString", 1, 1),
    ("States.MathRandom", 2, 3),
    ("States.MathAdd", 2, 2),
    ("States.StringSplit", 2, 2),
    ("States.UUID", 0, 0),
    ("States.Format", 1, usize::MAX),
];

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Intrinsic {
    name: &'static str,
    arguments: Vec<Argument>,
    pub(crate) text: String,
}

#[derive(Debug, Clone, PartialEq)]
enum Argument {
    Literal(Value),
    Path(Path),
    Call(Intrinsic),
}

impl Intrinsic {
    /// Parses a whole text; white space may follow.
    ///
    /// The error says what is wrong with it.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let (call, rest) = call(text, 0)?;
        if rest.trim_start().is_empty() {
            Ok(call)
        } else {
            Err(format!("unexpected text after the call: {rest}"))
        }
    }

    /// Whether the result is a text, as the fields `ErrorPath` and `CausePath` require.
    pub(crate) fn gives_text(&self) -> bool {
        matches!(
            self.name,
            "States.Format"
                | "States.JsonToString"
                | "States.ArrayGetItem"
                | "States.Base64Encode"
                | "States.Base64Decode"
                | "States.Hash"
                | "States.UUID"
        )
    }

    /// Problems that are known before the call: literals of a type that the function never takes.
    pub(crate) fn doubts(&self) -> Vec<String> {
        let mut found: Vec<String> = self
            .arguments
            .iter()
            .flat_map(|a| match a {
                Argument::Call(call) => call.doubts(),
                _ => Vec::new(),
            })
            .collect();
        let numeric: &[usize] = match self.name {
            "States.MathAdd" | "States.MathRandom" | "States.ArrayRange" => &[0, 1, 2],
            "States.ArrayGetItem" | "States.ArrayPartition" => &[1],
            _ => &[],
        };
        for at in numeric {
            if let Some(Argument::Literal(value)) = self.arguments.get(*at)
                && !value.is_number()
            {
                found.push(format!(
                    "argument {} of {} must be a number or a path, not {value}",
                    at + 1,
                    self.name
                ));
            }
        }
        found
    }

    /// Computes the call.
    pub(crate) fn evaluate(&self, scope: &Scope<'_>) -> Result<Value, Fault> {
        let mut arguments = Vec::with_capacity(self.arguments.len());
        for argument in &self.arguments {
            arguments.push(match argument {
                Argument::Literal(value) => value.clone(),
                Argument::Call(call) => call.evaluate(scope)?,
                Argument::Path(path) => path
                    .read(scope)
                    .map_err(|_| {
                        Fault::runtime(format!(
                            "The function '{}' had the following error: The JsonPath argument for the field '{}' could not be found in the input '{}'",
                            self.text, path.text, scope.input
                        ))
                    })?
                    .into_owned(),
            });
        }
        call::call(self.name, &arguments, scope).map_err(|why| {
            Fault::state(
                "States.IntrinsicFailure",
                format!(
                    "The function '{}' had the following error: {why}",
                    self.text
                ),
            )
        })
    }
}

fn call(text: &str, depth: usize) -> Result<(Intrinsic, &str), String> {
    if depth >= MAX_NESTING {
        return Err(format!("calls nest deeper than {MAX_NESTING}"));
    }
    let open = text.find('(').ok_or("a call needs parentheses")?;
    let (name, least, most) = FUNCTIONS
        .into_iter()
        .find(|f| f.0 == &text[..open])
        .ok_or_else(|| format!("unknown function {}", &text[..open]))?;
    let mut rest = text[open + 1..].trim_start();
    let mut arguments = Vec::new();
    if let Some(after) = rest.strip_prefix(')') {
        rest = after;
    } else {
        loop {
            let (argument, tail) = argument(rest, depth)?;
            arguments.push(argument);
            let tail = tail.trim_start();
            if let Some(tail) = tail.strip_prefix(',') {
                rest = tail.trim_start();
            } else {
                rest = tail
                    .strip_prefix(')')
                    .ok_or("a comma or a closing parenthesis is missing")?;
                break;
            }
        }
    }
    if !(least..=most).contains(&arguments.len()) {
        return Err(format!(
            "{name} does not take {} arguments",
            arguments.len()
        ));
    }
    let call = Intrinsic {
        name,
        arguments,
        text: text[..text.len() - rest.len()].to_owned(),
    };
    Ok((call, rest))
}

fn argument(text: &str, depth: usize) -> Result<(Argument, &str), String> {
    if text.starts_with('\'') {
        let (text, rest) = string(text).ok_or("a string is not closed")?;
        return Ok((Argument::Literal(Value::String(text)), rest));
    }
    if text.starts_with('$') {
        let (path, rest) =
            Path::parse_prefix(text).ok_or_else(|| format!("{text} does not begin with a path"))?;
        return Ok((Argument::Path(path), rest));
    }
    if text.starts_with("States.") {
        let (call, rest) = call(text, depth + 1)?;
        return Ok((Argument::Call(call), rest));
    }
    let end = text
        .find(|c: char| c == ',' || c == ')' || c.is_whitespace())
        .unwrap_or(text.len());
    let value = match &text[..end] {
        "true" => Value::Bool(true),
        "false" => Value::Bool(false),
        "null" => Value::Null,
        word => Value::Number(
            serde_json::from_str::<Number>(word)
                .map_err(|_| format!("{word} is not a string, a number, a path or a call"))?,
        ),
    };
    Ok((Argument::Literal(value), &text[end..]))
}

/// A text in single quotes. Braces stay escaped, since `States.Format` interprets them.
fn string(text: &str) -> Option<(String, &str)> {
    let mut out = String::new();
    let mut chars = text.char_indices().skip(1);
    while let Some((at, c)) = chars.next() {
        match c {
            '\'' => return Some((out, &text[at + 1..])),
            '\\' => match chars.next()?.1 {
                c @ ('\'' | '\\') => out.push(c),
                'n' => out.push('\n'),
                't' => out.push('\t'),
                'r' => out.push('\r'),
                c => out.extend(['\\', c]),
            },
            c => out.push(c),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::scope::tests::with_scope;

    fn run(text: &str) -> Result<Value, String> {
        let call = Intrinsic::parse(text)?;
        let input = json!({"s": "a-b", "n": 2, "l": [1, 2, 2], "o": {"a": 1, "b": [null, "x"]}});
        with_scope(&input, |scope| {
            call.evaluate(scope)
                .map_err(|f| f.cause.unwrap_or_default())
        })
    }

    #[test]
    fn calls_nest_up_to_the_limit() {
        let nested = |levels: usize| "States.Array(".repeat(levels) + &")".repeat(levels);
        assert!(run(&nested(MAX_NESTING)).is_ok());
        let over = run(&nested(MAX_NESTING + 1)).expect_err("too deep");
        assert_eq!(over, format!("calls nest deeper than {MAX_NESTING}"));
    }

    #[test]
    fn every_function_returns_its_documented_value() {
        for (text, want) in [
            ("States.Array()", json!([])),
            ("States.Array(1, 'x', null, $.n)", json!([1, "x", null, 2])),
            ("States.ArrayPartition($.l, 2)", json!([[1, 2], [2]])),
            ("States.ArrayContains($.l, 2)", json!(true)),
            ("States.ArrayRange(1, 9, 2)", json!([1, 3, 5, 7, 9])),
            ("States.ArrayRange(3, 1, -1)", json!([3, 2, 1])),
            ("States.ArrayGetItem($.l, 1)", json!(2)),
            ("States.ArrayLength($.l)", json!(3)),
            ("States.ArrayUnique($.l)", json!([1, 2])),
            (
                "States.Base64Encode('Data to encode')",
                json!("RGF0YSB0byBlbmNvZGU="),
            ),
            (
                "States.Base64Decode('RGF0YSB0byBlbmNvZGU=')",
                json!("Data to encode"),
            ),
            (
                "States.Hash('input data', 'SHA-1')",
                json!("aaff4a450a104cd177d28d18d74485e8cae074b7"),
            ),
            (
                "States.JsonMerge($.o, $$.State, false)",
                json!({"a": 1, "b": [null, "x"], "Name": "S"}),
            ),
            ("States.StringToJson('{\"a\":[1]}')", json!({"a": [1]})),
            (
                "States.JsonToString($.o)",
                json!("{\"a\":1,\"b\":[null,\"x\"]}"),
            ),
            ("States.MathAdd(1.5, 1.51)", json!(4)),
            ("States.MathAdd(-1.5, 0)", json!(-1)),
            ("States.StringSplit($.s, '-')", json!(["a", "b"])),
            ("States.StringSplit(',,', ',')", json!([])),
            ("States.Format('It''s', $.n)", json!("?")),
            (
                "States.Format('{} \\{\\} {}', $.o, $v.w)",
                json!("{a=1, b=[null, x]} {} 7"),
            ),
            (
                "States.Format('it\\'s {}', States.Format('<{}>', 1))",
                json!("it's <1>"),
            ),
        ] {
            if text.contains("''") {
                assert!(run(text).is_err(), "{text}");
                continue;
            }
            assert_eq!(run(text), Ok(want), "{text}");
        }
        assert_eq!(run("States.UUID()").unwrap().as_str().unwrap().len(), 36);
        let random = run("States.MathRandom(-5, 5)").unwrap().as_i64().unwrap();
        assert!((-5..5).contains(&random));
        assert_eq!(
            run("States.MathRandom(0, 999, 3)"),
            run("States.MathRandom(0, 999, 3)")
        );
    }

    #[test]
    fn invalid_calls_name_the_problem() {
        for text in [
            "States.ArrayLength()",
            "States.Nothing(1)",
            " States.Array()",
            "States.Array(1) 2",
            "States.Array(1",
            "States.Array(x)",
            "States.Array('x)",
            "States.UUID(1)",
            "",
        ] {
            assert!(Intrinsic::parse(text).is_err(), "{text}");
        }
        let deep = format!("{}1{}", "States.Array(".repeat(11), ")".repeat(11));
        assert!(
            Intrinsic::parse(&deep).is_err() && Intrinsic::parse(&deep[13..deep.len() - 1]).is_ok()
        );
        for text in [
            "States.ArrayLength($.s)",
            "States.ArrayGetItem($.l, 9)",
            "States.ArrayPartition($.l, 0)",
            "States.ArrayRange(1, 9, 0)",
            "States.ArrayRange(1, 5000, 1)",
            "States.StringToJson('{')",
            "States.Format('{} {}', 1)",
            "States.Format('{}', 1, 2)",
            "States.MathAdd('1', 2)",
            "States.Hash('a', 'SHA-2')",
            "States.JsonMerge($.o, $.o, true)",
            "States.Base64Decode('*')",
            "States.Format('{', 1)",
            "States.Array($.none)",
        ] {
            assert!(
                run(text).is_err_and(|e| e.contains("had the following error")),
                "{text}"
            );
        }
    }
}
