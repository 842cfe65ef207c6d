//! JSONata as the states language has it, and its bounds.

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
    assert!(run("'a' + 1").is_err_and(|e| e.contains("threw an error during evaluation. T2001")));
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
