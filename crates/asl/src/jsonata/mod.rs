//! JSONata between `{%` and `%}`: parsed once, evaluated over `$states` and the variables, with AWS's extra functions.
//!
//! Depth, length of sequences and texts, size of values that are walked through, and time are bounded; chance and time come from the scope,
//! so that a replay gives the same values. `$eval` is refused as on AWS. The language itself is `jsonata-core`'s;
//! `functions` adds AWS's.
mod bounds;
mod functions;
#[cfg(test)]
mod suite;

use crate::{fault::Fault, path::number, scope::Scope};
use jsonata_core::{
    ast::AstNode,
    evaluator::{Context, Evaluator, EvaluatorError, EvaluatorOptions},
    parser,
    value::JValue,
};
use serde_json::Value;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Nested evaluations of one expression.
const MAX_STACK: usize = 2_000;
/// Items of one sequence.
const MAX_SEQUENCE: usize = 1_000_000;
/// Milliseconds of one expression: a guard against endless ones, far above what a real one takes.
const MAX_MILLISECONDS: u64 = 1_000;
/// Bytes of an expression's text.
const MAX_TEXT: usize = 65_536;
/// Brackets open at once in an expression's text, so that its parser's recursion is bounded.
const MAX_BRACKETS: usize = 100;

/// A parsed expression.
#[derive(Debug, Clone)]
pub(crate) struct Jsonata {
    /// The expression, without its delimiters.
    pub(crate) text: String,
    ast: AstNode,
    /// Whether the functions of [`bounds`] are in it.
    bounded: bool,
    states: Parts,
    variables: Vec<String>,
}
/// The parts of `$states` that the text may touch.
#[derive(Debug, Clone, Copy, Default)]
struct Parts {
    input: bool,
    result: bool,
    error: bool,
    context: bool,
}

/// Whether a text is an expression.
pub(crate) fn is_expression(text: &str) -> bool {
    text.len() >= 4 && text.starts_with("{%") && text.ends_with("%}")
}

impl Jsonata {
    /// Parses a text for which [`is_expression`] holds; `Err` says what is wrong.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let inside = text
            .get(2..text.len().saturating_sub(2))
            .unwrap_or_default()
            .trim();
        if inside.len() > MAX_TEXT {
            return Err(format!("the expression is longer than {MAX_TEXT} bytes"));
        }
        let mut open = 0_usize;
        let mut deepest = 0;
        for c in inside.chars() {
            match c {
                '(' | '[' | '{' => open += 1,
                ')' | ']' | '}' => open = open.saturating_sub(1),
                '-' | '?' | '~' | '^' | '&' => {}
                _ => continue,
            }
            deepest = deepest.max(open);
        }
        if deepest > MAX_BRACKETS {
            return Err(format!(
                "the expression nests deeper than {MAX_BRACKETS} brackets"
            ));
        }
        let mut ast = parser::parse(inside).map_err(|e| e.to_string())?;
        let bounded = bounds::bound(inside, &mut ast);
        let (states, variables) = names(inside);
        Ok(Self {
            text: inside.to_owned(),
            ast,
            bounded,
            states,
            variables,
        })
    }

    /// The value; `location` names the field in an error.
    pub(crate) fn evaluate(
        &self,
        scope: &Scope<'_>,
        location: &dyn Fn() -> String,
    ) -> Result<Value, Fault> {
        let failed = |why: String| {
            let location = location();
            let cause = format!(
                "The JSONata expression '{}' specified for the field '{location}' {why}",
                self.text
            );
            Fault::evaluation(Some(location), cause)
        };
        let found = self
            .run(scope)
            .map_err(|e| failed(format!("threw an error during evaluation. {}", e.message())))?;
        if found.is_undefined() {
            return Err(failed("returned nothing (undefined).".to_owned()));
        }
        value(&found).map_err(failed)
    }

    /// The value, which must be of a kind; `kind` is JSONata's name for it.
    pub(crate) fn evaluate_as(
        &self,
        scope: &Scope<'_>,
        location: &str,
        kind: &str,
    ) -> Result<Value, Fault> {
        let found = self.evaluate(scope, &|| location.to_owned())?;
        let got = kind_of(&found);
        if got == kind || (kind == "integer" && found.is_i64()) {
            return Ok(found);
        }
        Err(Fault::evaluation(
            Some(location.to_owned()),
            format!(
                "The JSONata expression '{}' specified for the field '{location}' returned an unexpected result type. Expected '{kind}', but was '{got}' for value: {found}",
                self.text
            ),
        ))
    }

    fn run(&self, scope: &Scope<'_>) -> Result<JValue, EvaluatorError> {
        let mut context = Context::new();
        let parts = [
            ("input", self.states.input, Some(scope.input)),
            ("result", self.states.result, scope.result),
            ("errorOutput", self.states.error, scope.error),
            (
                "context",
                self.states.context,
                self.states.context.then(|| scope.context.value()),
            ),
        ];
        let states = parts
            .into_iter()
            .filter(|p| p.1)
            .filter_map(|(name, _, part)| Some((name.to_owned(), jvalue(part?))));
        context.bind("states".to_owned(), JValue::object(states.collect()));
        for name in &self.variables {
            if let Some(known) = scope.variables.get(name) {
                context.bind(name.clone(), jvalue(known));
            }
        }
        let mut evaluator = Evaluator::with_options(context, options());
        functions::register(&mut evaluator, scope)?;
        if self.bounded {
            bounds::register(&mut evaluator)?;
        }
        // A mistake of the library is an error of the expression, and nobody else's.
        let found = catch_unwind(AssertUnwindSafe(|| {
            evaluator.evaluate(&self.ast, &JValue::Undefined)
        }));
        found.unwrap_or_else(|_| {
            Err(functions::wrong(
                "The evaluation failed within the JSONata library",
            ))
        })
    }
}

/// The bounds of one evaluation.
fn options() -> EvaluatorOptions {
    EvaluatorOptions {
        timeout_ms: Some(MAX_MILLISECONDS),
        max_stack_depth: Some(MAX_STACK),
        max_sequence_length: Some(MAX_SEQUENCE),
        ..EvaluatorOptions::default()
    }
}

/// JSONata's name of a value's type.
pub(crate) fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// What a text may refer to: a superset, found without understanding it.
fn names(text: &str) -> (Parts, Vec<String>) {
    let all = Parts {
        input: true,
        result: true,
        error: true,
        context: true,
    };
    let (mut states, mut variables) = (Parts::default(), Vec::new());
    for (at, _) in text.match_indices('$') {
        let rest = &text[at + 1..];
        let end = rest
            .find(|c: char| !(c.is_alphanumeric() || c == '_'))
            .unwrap_or(rest.len());
        let (name, after) = (&rest[..end], &rest[end..]);
        if name == "states" {
            let field = after.strip_prefix('.').map_or("", |f| {
                &f[..f
                    .find(|c: char| !c.is_ascii_alphanumeric())
                    .unwrap_or(f.len())]
            });
            match field {
                "input" => states.input = true,
                "result" => states.result = true,
                "errorOutput" => states.error = true,
                "context" => states.context = true,
                _ => states = all,
            }
        } else if !name.is_empty() && !variables.iter().any(|v| v == name) {
            variables.push(name.to_owned());
        }
    }
    (states, variables)
}

fn jvalue(value: &Value) -> JValue {
    match value {
        Value::Null => JValue::Null,
        Value::Bool(b) => JValue::from(*b),
        Value::Number(n) => JValue::from_f64(n.as_f64().unwrap_or(f64::NAN)),
        Value::String(s) => JValue::from(s.as_str()),
        Value::Array(items) => JValue::array(items.iter().map(jvalue).collect()),
        Value::Object(map) => {
            JValue::object(map.iter().map(|(k, v)| (k.clone(), jvalue(v))).collect())
        }
    }
}
/// The error says what the expression returned, where JSON cannot hold it (functions, infinities, too deep a nesting) or it is too large.
fn value(found: &JValue) -> Result<Value, String> {
    let mut room = bounds::MAX_BYTES;
    convert(found, crate::execution::MAX_DEPTH, &mut room)
}
fn convert(found: &JValue, depth: usize, room: &mut usize) -> Result<Value, String> {
    let unsupported = || "returned an unsupported result type.".to_owned();
    *room = room
        .checked_sub(bounds::own_size(found))
        .ok_or_else(|| format!("returned a value of more than {} bytes.", bounds::MAX_BYTES))?;
    let mut inner = |item: &JValue| {
        let deeper = depth.checked_sub(1).ok_or_else(unsupported)?;
        convert(item, deeper, room)
    };
    Ok(match found {
        JValue::Null | JValue::Undefined => Value::Null,
        JValue::Bool(b) => Value::Bool(*b),
        JValue::Number(n) => number(*n).ok_or_else(unsupported)?,
        JValue::String(s) => Value::String(s.to_string()),
        JValue::Array(items) => Value::Array(items.iter().map(inner).collect::<Result<_, _>>()?),
        JValue::Object(map) => Value::Object(
            map.iter()
                .filter(|(_, item)| !item.is_undefined())
                .map(|(key, item)| Ok((key.clone(), inner(item)?)))
                .collect::<Result<_, String>>()?,
        ),
        _ => return Err(unsupported()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scope::tests::with_scope;
    use serde_json::json;

    fn run(text: &str) -> Result<Value, String> {
        let input = json!({"a": [1, 2, 3], "s": "x"});
        let expression = Jsonata::parse(&format!("{{% {text} %}}"))?;
        with_scope(&input, |scope| {
            expression
                .evaluate(scope, &|| "Output".to_owned())
                .map_err(|f| f.cause.unwrap_or_default())
        })
    }

    #[test]
    fn evaluates_with_aws_functions() {
        for (text, want) in [
            ("$sum($states.input.a) + $v.w", json!(13)),
            ("$states.context.State.Name", json!("S")),
            ("$partition([0,1,2], 2)", json!([[0, 1], [2]])),
            ("$range(0, 9, 3)", json!([0, 3, 6, 9])),
            ("$range(1, 9, 9)", json!(1)),
            ("$parse('{\"a\":[1]}').a[0]", json!(1)),
            (
                "$hash('input data', 'MD5')",
                json!("812f45842bc6d66ee14572ce20db8e86"),
            ),
            ("$now()", json!("2026-01-02T03:04:05.000Z")),
            ("$now('[Y]')", json!("2026")),
            ("$random(1) = $random(1)", json!(true)),
            ("$length($uuid())", json!(36)),
            ("($x := 4; $x * 2)", json!(8)),
            ("$map($list, function($i){ $i * 2 })", json!([2, 4])),
            ("{'n': null, 'f': 1.5}", json!({"n": null, "f": 1.5})),
        ] {
            assert_eq!(run(text), Ok(want), "{text}");
        }
    }

    #[test]
    fn errors_are_in_words_of_aws() {
        let field = "specified for the field 'Output'";
        assert_eq!(
            run("$nothing"),
            Err(format!(
                "The JSONata expression '$nothing' {field} returned nothing (undefined)."
            ))
        );
        assert!(
            run("'a' + 1").is_err_and(|e| e.contains("threw an error during evaluation. T2001"))
        );
        assert!(run("function($x){$x}").is_err_and(|e| e.contains("unsupported result type")));
        for text in ["10 + * 2", "$.a[?(@.b < 1)].c", "(", ""] {
            assert!(run(text).is_err(), "{text}");
        }
        assert!(run("$eval('1')").is_err_and(|e| e.contains("$eval")));
    }

    #[test]
    fn runaway_expressions_end() {
        assert!(run("($f := function($n){ 1 + $f($n + 1) }; $f(0))").is_err());
        assert!(run("[1..9000000]").is_err());
        assert!(run("($f := function($n){ $f($n + 1) }; $f(0))").is_err());
        let deep = |n: usize| format!("{}1{}", "(".repeat(n), ")".repeat(n));
        assert_eq!(run(&deep(MAX_BRACKETS)), Ok(json!(1)));
        assert!(run(&deep(MAX_BRACKETS + 1)).is_err());
    }

    #[test]
    fn no_text_is_longer_than_an_expression_may_make_it() {
        let most = bounds::MAX_BYTES;
        let doubled = |times: usize| {
            format!(
                "($f := function($s, $n) {{ $n = 0 ? $s : $f($s & $s, $n - 1) }}; $length($f('x', {times})))"
            )
        };
        let nested = |times: usize| {
            format!(
                "($f := function($v, $n) {{ $n = 0 ? $v : $f([[$v], [$v]], $n - 1) }}; $f(1, {times}))"
            )
        };
        let long = "x".repeat(1000);
        for (text, fits) in [
            (doubled(20), true),
            (doubled(40), false),
            (format!("$length($pad('x', {most}))"), true),
            (format!("$length($pad('x', {}))", most + 1), false),
            (format!("$length($pad('x', -{}))", most + 1), false),
            (format!("$length('x' ~> $pad({}, '-'))", most + 1), false),
            ("$length($pad('x', 3000000000000))".to_owned(), false),
            (format!("$length($join([1..16].('{long}'), '-'))"), true),
            (format!("$length($join([1..20000].('{long}')))"), false),
            (
                format!("$length([1..20000].('{long}') ~> $join('-'))"),
                false,
            ),
            (format!("$length([1..20000].('{long}') ~> $join)"), false),
            (format!("$length($join([1..20000].('x'), '{long}'))"), false),
            (
                format!("$length($replace($pad('x', 1000, 'x'), 'x', '{long}'))"),
                true,
            ),
            (
                format!("$length($replace($pad('x', 20000, 'x'), 'x', '{long}'))"),
                false,
            ),
            (
                format!("$length($replace($pad('x', 600000, 'x'), /x/, '{long}'))"),
                false,
            ),
            (
                format!("$length($replace($pad('x', 250000), /x/, '{long}'))"),
                true,
            ),
            (
                format!("$length($replace($pad('x', 20000), 'y', '{long}'))"),
                true,
            ),
            (nested(5), true),
            (nested(30), false),
            (format!("$length($string({}))", nested(30)), false),
            ("[1..1000000]".to_owned(), true),
        ] {
            let got = run(&text);
            assert_eq!(got.is_ok(), fits, "{}", &text[..text.len().min(80)]);
            if let Err(error) = got {
                assert!(error.contains("bytes"), "{error}");
            }
        }
    }

    #[test]
    fn all_texts_of_one_expression_together_are_bounded() {
        let texts = |count: usize| {
            format!(
                "($s := $pad('x', 1000000); $count($map([1..{count}], function($i) {{ $s & $i }})))"
            )
        };
        assert_eq!(run(&texts(100)), Ok(json!(100)));
        let error = run(&texts(1000)).unwrap_err();
        assert!(
            error.contains("bytes") || error.contains("D1012"),
            "{error}"
        );
    }

    #[test]
    fn what_is_bounded_means_the_same_as_before() {
        for (text, want) in [
            (
                "($x := 'b'; 'a' & $x & 1 & [2, 'c'] & $nothing & {'d': null})",
                json!("ab1[2,\"c\"]{\"d\":null}"),
            ),
            ("$join(['a', 'b'], $string(1))", json!("a1b")),
            ("$join('a')", json!("a")),
            ("['a', 'b'] ~> $join('-') ~> $uppercase()", json!("A-B")),
            ("($j := $join(?, '+'); $j(['a', 'b']))", json!("a+b")),
            (
                "$map(['a', 'b'], function($s) { $s.$pad(3, '#') })",
                json!(["a##", "b##"]),
            ),
            ("$pad('a', -3)", json!("  a")),
            ("$replace('aXbX', 'X', '-', 1)", json!("a-bX")),
            (
                "$replace('a1b2', /[0-9]/, function($m) { '<' & $m.match & '>' })",
                json!("a<1>b<2>"),
            ),
            ("'aXb' ~> $replace('X', '')", json!("ab")),
            ("'aXb' ~> $replace(/x/i, '-')", json!("a-b")),
            ("$string([1, 2])", json!("[1,2]")),
            (
                "($x := {'a': [{'b': 1}, {'b': [2, 3]}]}; [$x.a.*, $x.**.b, $x.*.b])",
                json!([1, 2, 3, 1, 2, 3, 1, 2, 3]),
            ),
            (
                "($x := [[1, 2], [3]]; [$x.*, $x.**, [$x].*[0]])",
                json!([1, 2, 3, 1, 2, 3, 1, 3]),
            ),
            (
                "($set := |a|{'c': $.b}, ['b']|; $set({'a': {'b': 1}}))",
                json!({"a": {"c": 1}}),
            ),
            (
                "($x := {'a': [1, {'b': 2}]}; [$x = {'a': [1, {'b': 2}]}, $x.a[0] != $x.a[1], 1 in $x.a])",
                json!([true, true, true]),
            ),
            ("5 ~> $string", json!("5")),
            (
                "$reduce(['a', 'b', 'c'], function($all, $s) { $all & $s })",
                json!("abc"),
            ),
        ] {
            assert_eq!(run(text), Ok(want), "{text}");
        }
        let chain = vec!["'x'"; 500].join(" & ");
        assert_eq!(run(&chain), Ok(json!("x".repeat(500))));
        let chain = format!("($a := 'x'; {})", vec!["$a"; 500].join(" & "));
        assert_eq!(run(&chain), Ok(json!("x".repeat(500))));
    }

    #[test]
    fn a_mistake_of_the_library_is_an_error_of_the_expression() {
        let error = run("$fromMillis(0, '[Y,200000000]')").unwrap_err();
        assert!(error.contains("within the JSONata library"), "{error}");
    }

    #[test]
    fn a_value_that_holds_another_again_and_again_is_not_walked_through_for_long() {
        let made = |times: usize| {
            format!(
                "$lists := function($v, $n) {{ $n = 0 ? $v : $lists([[$v], [$v]], $n - 1) }};
                 $objects := function($v, $n) {{ $n = 0 ? $v : $objects({{'a': $v, 'b': $v}}, $n - 1) }};
                 $v := $lists(1, {times}); $w := $lists(1, {times});
                 $o := $objects(1, {times}); $p := $objects(1, {times});
                 $set := |a|{{'c': 1}}|;"
            )
        };
        for walk in [
            "$v = $w",
            "$o != $p",
            "$v in [$w]",
            "$distinct([$v, $w])",
            "[$v, $w] ~> $distinct",
            "[$v, $w] ~> $distinct()",
            "$lookup($v, 'a')",
            "$v ~> $lookup('a')",
            "$o.**",
            "[$o].**[0]",
            "$v.*",
            "$o ~> |a|{'c': 1}|",
            "$set($o)",
            "$hash($o, 'MD5')",
        ] {
            let walked = |times| run(&format!("({} $x := {walk}; 1)", made(times)));
            assert_eq!(walked(8), Ok(json!(1)), "{walk}");
            let error = walked(60).unwrap_err();
            assert!(error.contains("bytes"), "{walk}: {error}");
        }
    }

    #[test]
    fn only_named_parts_are_bound() {
        let (parts, variables) = names("$states.input.x & $a.$b & '$c' & $sum($a)");
        assert!(parts.input && !parts.result && !parts.context);
        assert_eq!(variables, ["a", "b", "c", "sum"]);
        assert!(names("$lookup($states, 'input')").0.context);
    }
}
