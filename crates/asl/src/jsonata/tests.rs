//! JSONata in the states language: AWS's functions, limits, numbers and error texts.

use serde_json::{Value as Json, json};

use super::*;
use crate::scope::tests::with_scope;

fn run_on(input: &Json, text: &str) -> Result<Json, String> {
    let expression = Jsonata::parse(&format!("{{% {text} %}}"))?;
    with_scope(input, |scope| {
        expression
            .evaluate(scope, &|| "Output".to_owned())
            .map_err(|f| f.cause.unwrap_or_default())
    })
}

fn run(text: &str) -> Result<Json, String> {
    run_on(&json!({"a": [1, 2, 3], "s": "x"}), text)
}

/// The text behind AWS's sentence about an expression that fails.
fn failure(text: &str) -> String {
    let error = run(text).expect_err(text);
    let sentence = format!(
        "The JSONata expression '{text}' specified for the field 'Output' threw an error during evaluation"
    );
    match error.strip_prefix(&sentence) {
        Some(rest) => rest.to_owned(),
        None => error,
    }
}

#[test]
fn expressions_use_the_functions_of_aws() {
    for (text, want) in [
        ("$sum($states.input.a) + $v.w", json!(13)),
        ("$states.context.State.Name", json!("S")),
        ("$partition([0,1,2], 2)", json!([[0, 1], [2]])),
        ("$partition([1,2,3])", json!([[1, 2, 3]])),
        ("$partition([1,2,3,4,5], 2.9)", json!([[1, 2], [3, 4], [5]])),
        ("$range(0, 9, 3)", json!([0, 3, 6, 9])),
        ("$range(1, 9, 9)", json!(1)),
        ("$range(10, 0, -5)", json!([10, 5, 0])),
        ("$range(-1.7, 2, 1)", json!([-1, 0, 1, 2])),
        ("$range(-2.9, 0, 1)", json!([-2, -1, 0])),
        ("$range(5, 1, -1.5)", json!([5, 4, 3, 2, 1])),
        ("$range(3, 3, 1)", json!(3)),
        (
            "$count($range(-9223372036854775808, 9223372036854775807, 9223372036854775807))",
            json!(3),
        ),
        ("$parse('{\"a\":[1]}').a[0]", json!(1)),
        ("$exists($parse('null'))", json!(true)),
        ("$parse('1.0')", json!(1)),
        ("$parse('1e2')", json!(100)),
        ("$map(['{\"a\":1}', '{\"a\":2}'], $parse).a", json!([1, 2])),
        (
            "$hash('input data', 'MD5')",
            json!("812f45842bc6d66ee14572ce20db8e86"),
        ),
        ("$now()", json!("2026-01-02T03:04:05.000Z")),
        ("$now('[Y]')", json!("2026")),
        ("$millis()", json!(1_767_323_045_000_i64)),
        ("$random(1) = $random(1)", json!(true)),
        ("$random(42)", json!(0.727_563_680_032_868_1)),
        ("$random(0.9) = $random(0)", json!(true)),
        ("$random() = $random()", json!(false)),
        ("$length($uuid())", json!(36)),
        ("$uuid() = $uuid()", json!(false)),
        ("($x := 4; $x * 2)", json!(8)),
        ("$map($list, function($i){ $i * 2 })", json!([2, 4])),
        ("{'n': null, 'f': 1.5}", json!({"n": null, "f": 1.5})),
        (
            "$fromMillis(1510067557121)",
            json!("2017-11-07T15:12:37.121Z"),
        ),
        (
            "$toMillis('2017-11-07T15:12:37.121Z')",
            json!(1_510_067_557_121_i64),
        ),
        ("$formatNumber(1234.5678, '#,##0.00')", json!("1,234.57")),
        ("$formatInteger(1999, 'I')", json!("MCMXCIX")),
        ("$parseInteger('12,345', '#,##0')", json!(12345)),
        (
            "$formatBase(9223372036854775807, 16)",
            json!("7fffffffffffffff"),
        ),
    ] {
        assert_eq!(run(text), Ok(want), "{text}");
    }
}

#[test]
fn an_undefined_result_fails_the_field() {
    for text in [
        "$nothing",
        "$partition([], 2)",
        "$partition([1,2,3], 0)",
        "$partition([1,2], -0.5)",
        "$range(5, 1, 1)",
        "$range(1, 5, 0)",
        "$range(1, 5)",
        "$hash('a')",
        "$parse()",
        "$string()",
        "$states.input.none",
    ] {
        let words = format!(
            "The JSONata expression '{text}' specified for the field 'Output' returned nothing (undefined)."
        );
        assert_eq!(run(text), Err(words));
    }
}

#[test]
fn errors_have_the_texts_of_aws() {
    for (text, words) in [
        (
            "'a' + 1",
            "T2001: The left side of the \"+\" operator must evaluate to a number",
        ),
        (
            "1 + {}",
            "T2002: The right side of the \"+\" operator must evaluate to a number",
        ),
        ("1.5..2", "S0201: Syntax error: \"..\""),
        (
            "[1.5..2]",
            "T2003: The left side of the range operator (..) must evaluate to an integer",
        ),
        (
            "1 < 'a'",
            "T2009: The values 1 and \"a\" either side of operator \"<\" must be of the same data type",
        ),
        (
            "1 < true",
            "T2010: The expressions either side of operator \"<\" must evaluate to numeric or string values",
        ),
        ("-'a'", "D1002: Cannot negate a non-numeric value: \"a\""),
        (
            "{1: 2}",
            "T1003: Key in object structure must evaluate to a string; got: 1",
        ),
        (
            "{'a': 1, 'a': 2}",
            "D1009: Multiple key definitions evaluate to same key: \"a\"",
        ),
        (
            "$sum('a')",
            "T0412: Argument 1 of function \"sum\" must be an array of \"numbers\"",
        ),
        (
            "$sum(['a'])",
            "T0412: Argument 1 of function \"sum\" must be an array of \"numbers\"",
        ),
        (
            "$average(['a','b'])",
            "T0412: Argument 1 of function \"average\" must be an array of \"numbers\"",
        ),
        (
            "$join([1])",
            "T0412: Argument 1 of function \"join\" must be an array of \"strings\"",
        ),
        (
            "$merge([1])",
            "T0412: Argument 1 of function \"merge\" must be an array of \"objects\"",
        ),
        (
            "$abs('x')",
            "T0410: Argument 1 of function \"abs\" does not match function signature",
        ),
        (
            "$substring('a', 'b')",
            "T0410: Argument 2 of function \"substring\" does not match function signature",
        ),
        (
            "$each('x', function($v){$v})",
            "T0410: Argument 1 of function \"each\" does not match function signature",
        ),
        (
            "$lowercase(1)",
            "T0410: Argument 1 of function \"lowercase\" does not match function signature",
        ),
        ("$eval('1+1')", "T1006: Attempted to invoke a non-function"),
        (
            "sum(1)",
            "T1005: Attempted to invoke a non-function. Did you mean $sum?",
        ),
        (
            "$none(?)",
            "T1008: Attempted to partially apply a non-function",
        ),
        (
            "1 ~> 2",
            "T2006: The right side of the function application operator ~> must be a function",
        ),
        (
            "$sort([1, 'a'])",
            "D3070: The single argument form of the sort function can only be applied to an array of strings or an array of numbers.  Use the second argument to specify a comparison function",
        ),
        (
            "$sqrt(-1)",
            "D3060: The sqrt function cannot be applied to a negative number: -1",
        ),
        (
            "$power(10, 400)",
            "D3061: The power function has resulted in a value that cannot be represented as a JSON number: base=10, exponent=400",
        ),
        (
            "$number('x')",
            "D3030: Unable to cast value to a number: \"x\"",
        ),
        (
            "$split('a', 'b', -1)",
            "D3020: Third argument of split function must evaluate to a positive number",
        ),
        (
            "$match('a', /a/, -1)",
            "D3040: Third argument of match function must evaluate to a positive number",
        ),
        (
            "$replace('a', '', 'b')",
            "D3010: Second argument of replace function cannot be an empty string",
        ),
        (
            "$replace('a', 'b', 'c', -1)",
            "D3011: Fourth argument of replace function must evaluate to a positive number",
        ),
        (
            "$replace('a', /a/, function($m){1})",
            "D3012: Attempted to replace a matched string with a non-string value",
        ),
        (
            "$reduce([1,2], function($a){$a})",
            "D3050: The second argument of reduce function must be a function with at least two arguments",
        ),
        (
            "$single([1,2], function($x){true})",
            "D3138: The $single() function expected exactly 1 matching result.  Instead it matched more.",
        ),
        (
            "$single([1,2], function($x){false})",
            "D3139: The $single() function expected exactly 1 matching result.  Instead it matched 0.",
        ),
        (
            "$formatBase(1, 1)",
            "D3100: The radix of the formatBase function must be between 2 and 36.  It was given 1",
        ),
        (
            "$formatNumber(1, 'x')",
            "D3086: The sub-picture must not contain a passive character that is preceded by an active character and that is followed by another active character",
        ),
        (
            "$toMillis('nope')",
            "D3110: The argument of the toMillis function must be an ISO 8601 formatted timestamp. Given \"nope\"",
        ),
        (
            "$fromMillis(0, '[Q]')",
            "D3132: Unknown component specifier \"Q\" in date/time picture string",
        ),
        (
            "$formatInteger(1, '@')",
            "D3130: Formatting or parsing an integer as a sequence starting with \"@\" is not supported by this implementation",
        ),
        ("$error('no')", "D3137: no"),
        ("$error()", "D3137: $error() function evaluated"),
        ("$assert(false, 'not so')", "D3141: not so"),
        (
            "$decodeUrl('%')",
            "D3140: Malformed URL passed to $decodeUrl(): \"%\"",
        ),
        (
            "$base64decode('!!!')",
            ": The text is not Base64: Invalid symbol 33, offset 0.",
        ),
        (
            "$string(1/0)",
            "D3001: Attempting to invoke string function on Infinity or NaN",
        ),
        ("1/0 + 1", "D1001: Number out of range: null"),
        (
            "{'a': 1} ~> |a|5|",
            "T2011: The insert/update clause of the transform expression must evaluate to an object: 5",
        ),
        ("$parse('not JSON')", "D3137: Invalid JSON"),
        ("$parse('')", "D3137: Invalid JSON"),
        ("$parse('1e400')", "D3137: Invalid JSON"),
        ("$parse('[1] [2]')", "D3137: Invalid JSON"),
        ("$parse('{\"a\":1,\"a\":2}')", "D3137: Invalid JSON"),
        (
            "$parse(null)",
            "T0410: Argument 1 of function \"parse\" does not match function signature",
        ),
        (
            "$parse('{}', 'x')",
            "T0410: Argument 2 of function \"parse\" does not match function signature",
        ),
        (
            "$partition(null, 2)",
            "T0412: Argument 1 of function \"partition\" must be an array of undefined",
        ),
        (
            "$partition([1,2,3], -1)",
            "D3137: Second argument must be zero or greater",
        ),
        (
            "$partition([1,2,3], 2, 'x')",
            "T0410: Argument 3 of function \"partition\" does not match function signature",
        ),
        (
            "$range(1)",
            "T0410: Argument 2 of function \"range\" does not match function signature",
        ),
        (
            "$range(1, 5, 1, 'x')",
            "T0410: Argument 4 of function \"range\" does not match function signature",
        ),
        (
            "$hash(42, 'MD5')",
            "T0410: Argument 1 of function \"hash\" does not match function signature",
        ),
        (
            "$hash('a', 5)",
            "T0410: Argument 2 of function \"hash\" does not match function signature",
        ),
        (
            "$hash('a', 'md5')",
            "D3137: Hash algorithm 'md5' must be one of SHA-1, SHA-384, SHA-256, SHA-512, MD5",
        ),
        (
            "$uuid('seed')",
            "T0410: Argument 1 of function \"uuid\" does not match function signature",
        ),
        (
            "$random(1, 2)",
            "T0410: Argument 2 of function \"random\" does not match function signature",
        ),
        (
            "$states.input.a^(function(){1})",
            "T2008: The expressions within an order-by clause must evaluate to numeric or string values",
        ),
    ] {
        let found = failure(text);
        assert_eq!(found.strip_prefix(". ").unwrap_or(&found), words, "{text}");
    }
    assert!(run("function($x){$x}").is_err_and(|e| e.contains("unsupported result type")));
    for text in ["10 + * 2", "$.a[?(@.b < 1)].c", "(", ""] {
        assert!(run(text).is_err(), "{text}");
    }
}

#[test]
fn parse_errors_have_the_texts_of_jsonata() {
    for (text, words) in [
        (
            "\"unterminated",
            "S0101: String literal must be terminated by a matching quote",
        ),
        ("1e999", "S0102: Number out of range: \"1e999\""),
        ("'\\q'", "S0103: Unsupported escape sequence: \\\"q\""),
        (
            "'\\u00g0'",
            "S0104: The escape sequence \\u must be followed by 4 hex digits",
        ),
        (
            "`a",
            "S0105: Quoted property name must be terminated with a backquote (`)",
        ),
        ("1 /* a", "S0106: Comment has no closing tag"),
        ("1 2", "S0201: Syntax error: 2"),
        ("$a[1,2)", "S0202: Expected \"]\", got \",\""),
        ("(1", "S0203: Expected \")\" before end of expression"),
        ("1 ! 2", "S0204: Unknown operator: \"!\""),
        ("1 +", "S0207: Unexpected end of expression"),
        ("$x :=", "S0207: Unexpected end of expression"),
        (
            "function(x){1}",
            "S0208: Parameter 1 of function definition must be a variable name (start with $)",
        ),
        (
            "{\"a\":}",
            "S0211: The symbol \"}\" cannot be used as a unary operator",
        ),
        (
            "x := 1",
            "S0212: The left side of := must be a variable name (start with $)",
        ),
        (
            "$a.1",
            "S0213: The literal value 1 cannot be used as a step within a path expression",
        ),
        (
            "$match('a', //)",
            "S0301: Empty regular expressions are not allowed",
        ),
        (
            "$match(\"a\", /abc",
            "S0302: No terminating / in regular expression",
        ),
        (
            "%",
            "S0217: The object representing the 'parent' cannot be derived from this expression",
        ),
    ] {
        assert_eq!(run(text), Err(words.to_owned()), "{text}");
    }
}

#[test]
fn an_expression_longer_than_the_limit_is_refused() {
    let quoted = |bytes: usize| format!("$length('{}')", "x".repeat(bytes - "$length('')".len()));
    assert_eq!(
        run(&quoted(MAX_TEXT)),
        Ok(json!(MAX_TEXT - "$length('')".len()))
    );
    let over = run(&quoted(MAX_TEXT + 1)).expect_err("too long");
    assert!(over.contains("longer than 65536 bytes"), "{over}");
}

/// AWS's own limits, from both sides.
#[test]
fn an_expression_deeper_than_on_aws_is_refused() {
    let chain = |terms: usize, sign: &str| vec!["1"; terms].join(sign);
    let nested =
        |open: &str, close: &str, n: usize| format!("{}1{}", open.repeat(n), close.repeat(n));
    let called =
        |n: usize| format!("($f := function($x){{ $x <= 0 ? 0 : 1 + $f($x-1) }}; $f({n}))");
    let stack = ": Stack overflow error: Check for non-terminating recursive function. Consider rewriting as tail-recursive";
    for (deepest, too_deep, value) in [
        (chain(100, "+"), chain(101, "+"), json!(100)),
        (nested("(", ")", 99), nested("(", ")", 100), json!(1)),
        (
            format!("$count({})", nested("[", "]", 98)),
            nested("[", "]", 100),
            json!(1),
        ),
        (
            format!("1{}", "~>$string".repeat(99)),
            format!("1{}", "~>$string".repeat(100)),
            json!("1"),
        ),
        (called(31), called(32), json!(31)),
    ] {
        assert_eq!(run(&deepest), Ok(value));
        assert_eq!(failure(&too_deep), stack);
    }
    // Far beyond the limit, and beyond the depth that the parser follows.
    for text in [
        chain(200, "+"),
        chain(20_000, "+"),
        nested("(", ")", 5_000),
        nested("[", "]", 30_000),
        format!("{}1", "-".repeat(60_000)),
        "($f := function($n){ 1 + $f($n + 1) }; $f(0))".to_owned(),
    ] {
        assert_eq!(failure(&text), stack, "{}", &text[..40]);
    }
    // A call in tail position does not nest.
    let counted = "($f := function($n){ $n = 0 ? 'done' : $f($n - 1) }; $f(5000))";
    assert_eq!(run(counted), Ok(json!("done")));
}

#[test]
fn an_expression_with_too_many_steps_fails() {
    for text in [
        "($f := function($n){ $f($n + 1) }; $f(0))",
        "$map([1..800000], function($i) { $sum($map([1..1000], function($j) { $i * $j })) })",
        "($f := function($v, $n) { $n = 0 ? $v : $f([[$v], [$v]], $n - 1) }; $v := $f(1, 100); $w := $f(1, 100); $v = $w)",
    ] {
        let found = failure(text);
        assert_eq!(
            found, ": Expression evaluation timeout: Check for infinite loop",
            "{text}"
        );
    }
}

#[test]
fn an_expression_has_the_memory_limit_of_aws() {
    let doubled = |times: usize| {
        format!(
            "($p := function($s, $n) {{ $n = 0 ? $s : $p($s & $s, $n - 1) }}; $length($p('x', {times})))"
        )
    };
    let memory = ": Expression evaluation memory limit exceeded: Check for excessive memory usage";
    let most = value::MAX_BYTES;
    let long = "x".repeat(1000);
    for (text, value) in [
        (
            format!("[1..{}] ~> $count()", value::MAX_ITEMS),
            json!(value::MAX_ITEMS),
        ),
        ("$count($range(1, 360145, 1))".to_owned(), json!(360_145)),
        (
            "$sum($map([1..5000], function($v){$v * 2}))".to_owned(),
            json!(25_005_000),
        ),
        (doubled(22), json!(4_194_304)),
        (format!("$length($pad('x', {most}))"), json!(most)),
        (format!("$length($pad('x', -{most}))"), json!(most)),
        (
            format!("$length($join([1..16].('{long}'), '-'))"),
            json!(16_015),
        ),
        (
            format!("$length($replace($pad('x', 1000, 'x'), 'x', '{long}'))"),
            json!(1_000_000),
        ),
    ] {
        assert_eq!(run(&text), Ok(value), "{}", &text[..text.len().min(80)]);
    }
    for text in [
        format!("[1..{}] ~> $count()", value::MAX_ITEMS + 1),
        "[1..900000] ~> $count()".to_owned(),
        "$sum([1..900000])".to_owned(),
        "$range(1, 360146, 1)".to_owned(),
        "$range(1, 1000000000, 1)".to_owned(),
        doubled(23),
        doubled(60),
        format!("$length($pad('x', {}))", most + 1),
        "$length($pad('x', 3000000000000))".to_owned(),
        format!("$length([1..20000].('{long}') ~> $join)"),
        format!("$length($join([1..20000].('x'), '{long}'))"),
        format!("$length($replace($pad('x', 20000, 'x'), /x/, '{long}'))"),
        format!("$length($replace($pad('x', 20000, 'x'), 'x', '{long}'))"),
        // Values of growing depth.
        "($f := function($v, $n) { $n = 0 ? $v : $f([[$v]], $n - 1) }; $f(1, 100000))".to_owned(),
        "($f := function($v, $n) { $n = 0 ? $v : $f({'a': $v}, $n - 1) }; $f(1, 100000))".to_owned(),
        "($f := function($v, $n) { $n = 0 ? $v : $f($v ~> $string, $n - 1) }; $f($string, 100000))".to_owned(),
        "($f := function($v, $n) { $n = 0 ? $v : $f(function($a, $b) { $a }(?, $v), $n - 1) }; $f(1, 100000))".to_owned(),
    ] {
        let found = failure(&text);
        assert_eq!(found, memory, "{}", &text[..text.len().min(80)]);
    }
    let all =
        failure("($s := $pad('x', 4000000); $count($map([1..1000], function($i) { $s & $i })))");
    assert!(
        all.contains("memory limit") || all.contains("timeout"),
        "{all}"
    );
    assert_eq!(
        failure("[1..10000001]"),
        ". D2014: The size of the sequence allocated by the range operator (..) must not exceed 1e7.  Attempted to allocate 10000001."
    );
}

/// Cycles of values are freed, and no chain of them exhausts the stack.
#[test]
fn cycles_of_functions_are_freed_with_the_evaluation() {
    let chained = "($f := function($n, $k){ $n = 0 ? $k(0) : $f($n - 1, function($x){ $x + 1 }) }; $f(20000, function($x){ $x }))";
    assert_eq!(run(chained), Ok(json!(1)));
    let held =
        "($f := function($n, $k){ $n = 0 ? 7 : $f($n - 1, function($x){ $k }) }; $f(20000, 1))";
    assert_eq!(run(held), Ok(json!(7)));
}

#[test]
fn a_value_with_many_references_is_not_walked_for_long() {
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
        "$distinct([$v, $w])",
        "$lookup($v, 'a')",
        "$o.**",
        "[$o].**[0]",
        "$v.*",
        "$o ~> |a|{'c': 1}|",
        "$set($o)",
        "$string($o)",
        "$v & ''",
        "$clone($o)",
        "$keys($v)",
    ] {
        let walked = |times| run(&format!("({} $x := {walk}; 1)", made(times)));
        assert_eq!(walked(8), Ok(json!(1)), "{walk}");
        let error = walked(60).unwrap_err();
        assert!(
            error.contains("memory limit") || error.contains("timeout"),
            "{walk}: {error}"
        );
    }
}

#[test]
fn integers_of_64_bits_stay_exact() {
    let id = 1_234_567_890_123_456_789_i64;
    let input = json!({
        "id": id,
        "next": id + 1,
        "most": i64::MAX,
        "least": i64::MIN,
        "wide": u64::MAX,
        "edge": 9_007_199_254_740_993_i64,
        "even": 9_007_199_254_740_992_i64,
        "deep": [{"k": [id, {"v": id}]}],
        "ids": [id + 1, id, id, id - 1],
        "items": [{"id": id, "n": 1}, {"id": id + 1, "n": 2}],
        "f": 1.0,
        "g": 2.50,
        "big": 1e21,
        "json": format!("{{\"id\": {id}}}")
    });
    for (text, want) in [
        ("$states.input.id", json!(id)),
        ("$states.input.deep", json!([{"k": [id, {"v": id}]}])),
        ("$states.input.deep.k.v", json!(id)),
        ("$states.input.wide", json!(u64::MAX)),
        (
            "[$states.input.most, $states.input.least]",
            json!([i64::MAX, i64::MIN]),
        ),
        ("$states.input.edge", json!(9_007_199_254_740_993_i64)),
        ("$states.input.even", json!(9_007_199_254_740_992_i64)),
        ("{'a': $states.input.id}", json!({"a": id})),
        (
            "{$string($states.input.id): 1}",
            json!({"1234567890123456789": 1}),
        ),
        ("$string($states.input.id)", json!("1234567890123456789")),
        (
            "$string($states.input.items)",
            json!(format!(
                "[{{\"id\":{id},\"n\":1}},{{\"id\":{},\"n\":2}}]",
                id + 1
            )),
        ),
        ("'' & $states.input.id", json!("1234567890123456789")),
        ("$number('1234567890123456789')", json!(id)),
        ("$number('-9223372036854775808')", json!(i64::MIN)),
        ("1234567890123456789", json!(id)),
        ("-1234567890123456789", json!(-id)),
        ("$states.input.id = 1234567890123456789", json!(true)),
        ("$states.input.id = 1234567890123456788", json!(false)),
        ("$states.input.id = $states.input.next", json!(false)),
        ("$states.input.id < $states.input.next", json!(true)),
        ("$states.input.id in $states.input.ids", json!(true)),
        ("$states.input.id + 1", json!(id + 1)),
        ("$states.input.next - 1", json!(id)),
        ("$states.input.id * 2", json!(id * 2)),
        ("$states.input.id % 1000", json!(789)),
        ("$states.input.id / 1", json!(id)),
        ("-$states.input.id", json!(-id)),
        ("$sum([$states.input.id, 1])", json!(id + 1)),
        ("$max($states.input.ids)", json!(id + 1)),
        ("$min($states.input.ids)", json!(id - 1)),
        ("$average([$states.input.id, $states.input.id])", json!(id)),
        ("$abs(-$states.input.id)", json!(id)),
        ("$floor($states.input.id)", json!(id)),
        ("$ceil($states.input.id)", json!(id)),
        ("$round($states.input.id)", json!(id)),
        ("$round($states.input.id, 2)", json!(id)),
        ("$distinct($states.input.ids)", json!([id + 1, id, id - 1])),
        ("$sort($states.input.ids)", json!([id - 1, id, id, id + 1])),
        ("$states.input.items^(>id).id", json!([id + 1, id])),
        ("$states.input.items[id = 1234567890123456790].n", json!(2)),
        ("$merge($states.input.items)", json!({"id": id + 1, "n": 2})),
        (
            "$map($states.input.ids, function($i) { $i })",
            json!([id + 1, id, id, id - 1]),
        ),
        (
            "$filter($states.input.ids, function($i) { $i > 1234567890123456789 })",
            json!(id + 1),
        ),
        (
            "$reduce([$states.input.id, 1], function($a, $b) { $a + $b })",
            json!(id + 1),
        ),
        ("$append($states.input.ids, 1)[1]", json!(id)),
        ("$parse($states.input.json).id", json!(id)),
        ("$parse('9223372036854775807')", json!(i64::MAX)),
        (
            "$parse('9223372036854775808')",
            json!(9.223_372_036_854_776e18),
        ),
        (
            "$string($parse('9223372036854775808'))",
            json!("9223372036854776000"),
        ),
        ("$states.input ~> |items|{'x': id}|", {
            let mut changed = input.clone();
            for item in changed["items"].as_array_mut().unwrap() {
                item["x"] = item["id"].clone();
            }
            changed["f"] = json!(1);
            changed
        }),
        (
            "$sift($states.input.items[0], function($v) { $v > 1 })",
            json!({"id": id}),
        ),
        ("$lookup($states.input.items, 'id')", json!([id, id + 1])),
        (
            "($v := $states.input.id; $f := function($x) { $x }; $f($v))",
            json!(id),
        ),
        (
            "$states.input.items{$string(id): n}",
            json!({"1234567890123456789": 1, "1234567890123456790": 2}),
        ),
        (
            "$formatBase($states.input.id)",
            json!("1234567890123456789"),
        ),
        (
            "[9223372036854775806..9223372036854775807]",
            json!([i64::MAX - 1, i64::MAX]),
        ),
        ("$states.input.f", json!(1)),
        ("$states.input.g", json!(2.5)),
    ] {
        assert_eq!(run_on(&input, text), Ok(want), "{text}");
    }
    // No integer has a fraction or an exponent in its text.
    let whole = run_on(&input, "$states.input").unwrap().to_string();
    assert!(
        whole.contains("\"edge\":9007199254740993,\"even\":9007199254740992,"),
        "{whole}"
    );
    assert!(whole.contains("\"f\":1,\"g\":2.5,"), "{whole}");
}

#[test]
fn numbers_outside_of_json_are_named_as_on_aws() {
    for (text, want) in [
        ("1/0", json!("Infinity")),
        ("-1/0", json!("-Infinity")),
        ("0/0", json!("NaN")),
        ("1e308 * 10", json!("Infinity")),
        ("5 % 0", json!("NaN")),
        ("[1/0]", json!(["Infinity"])),
        ("[1/0, 2]", json!(["Infinity", 2])),
        ("{'k': 1/0}", json!({"k": "Infinity"})),
        ("$parseInteger('abc', '0')", json!("NaN")),
        ("[$parseInteger('abc', '0')]", json!(["NaN"])),
        ("9223372036854775807 + 1", json!(9.223_372_036_854_776e18)),
        ("1e21", json!(1e21)),
        ("-0", json!(0)),
        ("0 * -1", json!(0)),
        ("1/3", json!(1.0 / 3.0)),
        ("0.1 + 0.2", json!(0.1 + 0.2)),
        ("$string(1e20)", json!("100000000000000000000")),
        ("$string(-1e20)", json!("-100000000000000000000")),
        (
            "$string(999999999999999868928)",
            json!("999999999999999900000"),
        ),
        ("$string(1e21)", json!("1e+21")),
        ("$string(1e21 - 1)", json!("1e+21")),
        ("$string(1e-6)", json!("0.000001")),
        ("$string(1e-7)", json!("1e-7")),
        ("$string(1/3)", json!("0.333333333333333")),
        (
            "$string({'n': 1e20})",
            json!("{\"n\":100000000000000000000}"),
        ),
        ("$string({'a': 1}, true)", json!("{\n  \"a\": 1\n}")),
        (
            "$map([1e20, 1e21], $string)",
            json!(["100000000000000000000", "1e+21"]),
        ),
        ("$round(0.5)", json!(0)),
        ("$round(1.5)", json!(2)),
        ("$round(-1.5)", json!(-2)),
        ("$round(4.525, 2)", json!(4.52)),
        ("$round(12345, -2)", json!(12_300)),
        ("$number('0x1F')", json!(31)),
        ("$sqrt(2)", json!(2.0_f64.sqrt())),
        ("$power(2, 10)", json!(1024)),
        ("-7 % 3", json!(-1)),
        ("10 / 4", json!(2.5)),
        ("10 / 5", json!(2)),
    ] {
        assert_eq!(run(text), Ok(want), "{text}");
    }
}

#[test]
fn the_language_follows_its_specification() {
    for (text, want) in [
        (
            "($x := 'b'; 'a' & $x & 1 & [2, 'c'] & $nothing & {'d': null})",
            json!("ab1[2,\"c\"]{\"d\":null}"),
        ),
        ("$join(['a', 'b'], $string(1))", json!("a1b")),
        ("['a', 'b'] ~> $join('-') ~> $uppercase()", json!("A-B")),
        ("($j := $join(?, '+'); $j(['a', 'b']))", json!("a+b")),
        (
            "$map(['a', 'b'], function($s) { $s.$pad(3, '#') })",
            json!(["a##", "b##"]),
        ),
        ("$replace('aXbX', 'X', '-', 1)", json!("a-bX")),
        (
            "$replace('a1b2', /[0-9]/, function($m) { '<' & $m.match & '>' })",
            json!("a<1>b<2>"),
        ),
        ("$replace('265USD', /([0-9]+)USD/, '$$$1')", json!("$265")),
        ("'aXb' ~> $replace(/x/i, '-')", json!("a-b")),
        (
            "($x := {'a': [{'b': 1}, {'b': [2, 3]}]}; [$x.a.*, $x.**.b, $x.*.b])",
            json!([1, 2, 3, 1, 2, 3, 1, 2, 3]),
        ),
        (
            "($set := |a|{'c': $.b}, ['b']|; $set({'a': {'b': 1}}))",
            json!({"a": {"c": 1}}),
        ),
        (
            "{'a': {'b': {'c': 1}}} ~> |**[b or c]|{'x': 1}|",
            json!({"a": {"b": {"c": 1, "x": 1}, "x": 1}}),
        ),
        (
            "$match('a1b22', /[a-z](\\d+)/)",
            json!([
                {"match": "a1", "index": 0, "groups": ["1"]},
                {"match": "b22", "index": 2, "groups": ["22"]}
            ]),
        ),
        ("$split('a, b', /, */)", json!(["a", "b"])),
        ("$substring('hello', -3, 2)", json!("ll")),
        ("$length('\\ud83d\\ude00')", json!(1)),
        ("$type($states.input.a)", json!("array")),
        ("5 ~> $string", json!("5")),
        (
            "($inc := function($x) { $x + 1 }; $twice := $inc ~> $inc; $twice(1))",
            json!(3),
        ),
        (
            "$sort([3, 1, 2], function($l, $r) { $l < $r })",
            json!([3, 2, 1]),
        ),
        ("[{'a': 2, 'b': 1}, {'a': 1, 'b': 2}]^(a).b", json!([2, 1])),
        ("$states.input.a[0]", json!(1)),
        ("$states.input.a[-1]", json!(3)),
        ("$states.input.a[$ > 1]", json!([2, 3])),
        ("$states.input.a[[0..1]]", json!([1, 2])),
        ("true and 0", json!(false)),
        ("$not($exists($nothing))", json!(true)),
        ("$states.input.a#$i.($i * 10)", json!([0, 10, 20])),
        (
            "{'o': [{'i': 1, 'p': [{'n': 'x'}]}]}.o.p.{'n': n, 'i': %.i}",
            json!({"n": "x", "i": 1}),
        ),
        ("$nothing ?: 'd'", json!("d")),
        ("$nothing ?? 'd'", json!("d")),
    ] {
        assert_eq!(run(text), Ok(want), "{text}");
    }
}

#[test]
fn a_panic_of_the_library_is_an_error_of_the_expression() {
    let error = run("$fromMillis(0, '[Y,200000000]')").unwrap_err();
    assert!(error.contains("within the JSONata library"), "{error}");
}

#[test]
fn only_named_parts_of_states_are_read() {
    let found = parts("$states.input.x & $a.$b & '$c' & $sum($a)");
    assert!(found.input && !found.result && !found.context);
    assert!(parts("$lookup($states, 'input')").context);
}

/// The deepest evaluation needs only a part of a thread's stack, even without optimization.
#[test]
fn the_deepest_evaluation_fits_a_small_stack() {
    let deep = format!(
        "($f := function($x){{ $x <= 0 ? $string({}) : $map([1], function($i) {{ $f($x-1) }}) }}; $f(600))",
        "[".repeat(20) + "1" + &"]".repeat(20)
    );
    let nested = "($f := function($v, $n) { $n = 0 ? $v : $f([[$v]], $n - 1) }; $string($f(1, 1000)) = $string($f(1, 1000)) and $f(1, 1000) = $f(1, 1000))";
    let thread = std::thread::Builder::new().stack_size(500_000);
    let run = move || {
        let error = run(&deep).unwrap_err();
        assert!(error.contains("Stack overflow"), "{error}");
        assert_eq!(run(nested), Ok(json!(true)));
        assert!(run(&format!("{}1{}", "(".repeat(149), ")".repeat(149))).is_err());
        assert!(run(&vec!["$f(1)"; 299].join(" & ")).is_err());
    };
    thread.spawn(run).unwrap().join().unwrap();
}
