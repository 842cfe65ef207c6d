//! The verdicts at the limits, and the same values as `serde_json` where both accept a text.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn nested(open: &str, close: &str, depth: usize) -> String {
    open.repeat(depth) + "1" + &close.repeat(depth)
}

fn reason(text: &str) -> Reason {
    let refused = check(text).expect_err(text);
    assert_eq!(read(text).as_ref(), Err(&refused), "{text:?}");
    refused.reason
}

#[test]
fn nesting_beyond_the_limit_is_refused() {
    for (open, close) in [("[", "]"), ("{\"a\":", "}"), ("[{\"a\":", "}]")] {
        let levels = open.matches(['[', '{']).count();
        let most = DEPTH / levels;
        let text = nested(open, close, most);
        assert_eq!(check(&text), Ok(&*text));
        let value = read(&text).unwrap();
        assert_eq!(depth(&value, DEPTH), DEPTH);
        assert_eq!(with_room(|| value.to_string()), text);
        assert_eq!(reason(&nested(open, close, most + 1)), Reason::Depth(DEPTH));
    }
    assert!(read_made(&nested("[", "]", MADE_DEPTH)).is_ok());
    assert!(read_made(&nested("[", "]", MADE_DEPTH + 1)).is_err());
    // A long text of brackets is refused at the limit, and not read to its end.
    let refused = check(&"[".repeat(1_000_000)).unwrap_err();
    assert_eq!(refused.offset, DEPTH);
    assert_eq!(
        refused.to_string(),
        "not usable JSON: it nests deeper than 1000 levels at line 1 column 1001"
    );
}

#[test]
fn depth_counts_arrays_and_objects() {
    for (value, deep) in [
        (json!("a"), 0),
        (json!([]), 1),
        (json!({}), 1),
        (json!([1, [2], {"a": [3]}]), 3),
    ] {
        assert_eq!(depth(&value, 100), deep, "{value}");
    }
    assert_eq!(depth(&json!([[[[1]]]]), 1), 2);
}

#[test]
fn numbers_out_of_range_are_refused() {
    for text in [
        "0",
        "-1",
        "9007199254740993",
        "9223372036854775807",
        "-9223372036854775808",
        "18446744073709551615",
    ] {
        assert_eq!(read(text).unwrap().to_string(), text);
    }
    for (text, value) in [
        ("18446744073709551616", 18_446_744_073_709_551_616.0),
        ("-9223372036854775809", -9_223_372_036_854_775_809.0),
        ("1.7976931348623157e308", f64::MAX),
        ("5e-324", 5e-324),
        ("2.2250738585072014E-308", f64::MIN_POSITIVE),
        ("0e999", 0.0),
        ("-0.0e-999", -0.0),
        ("0.1", 0.1),
    ] {
        assert_eq!(read(text).unwrap().as_f64(), Some(value), "{text}");
    }
    let tiny = format!("0.{}1", "0".repeat(400));
    let zero = format!("0.{}", "0".repeat(400));
    let huge = "9".repeat(400);
    for text in ["1e999", "-1E+309", "1e-999", "1.8e308", &tiny, &huge] {
        assert_eq!(reason(text), Reason::Range, "{text}");
        assert_eq!(reason(&format!("{{\"n\":[{text}]}}")), Reason::Range);
    }
    assert_eq!(read(&zero), Ok(json!(0.0)));
    assert!(read(&"9".repeat(308)).is_ok());
    assert_eq!(
        check("{\"n\": 1e999}").unwrap_err().to_string(),
        "not usable JSON: the number 1e999 is out of range (numbers of double precision reach from about 5e-324 to 1.8e308; write it as a string) at line 1 column 7"
    );
}

#[test]
fn a_lone_surrogate_is_refused() {
    for text in [
        r#""\ud800""#,
        r#""\udc00""#,
        r#""\udbff\u0041""#,
        r#""\ud800\ud800""#,
        r#""\ud83dx\ude00""#,
        r#"{"\ud800": 1}"#,
        r#"["a", "\uDEAD"]"#,
    ] {
        assert_eq!(reason(text), Reason::Surrogate, "{text}");
    }
    for (text, value) in [
        (r#""\ud83d\ude00""#, "\u{1f600}"),
        (r#""\uD834\uDD1E!""#, "\u{1d11e}!"),
        (r#""\udbff\udfff""#, "\u{10ffff}"),
        (r#""\ud800\udc00""#, "\u{10000}"),
        (
            r#""\u0000\u2028\ufeff\uffff""#,
            "\0\u{2028}\u{feff}\u{ffff}",
        ),
        (r#""\"\\\/\b\f\n\r\t\u00e9""#, "\"\\/\u{8}\u{c}\n\r\té"),
    ] {
        assert_eq!(read(text).unwrap(), value, "{text}");
        assert_eq!(read(text), Ok(serde_json::from_str(text).unwrap()));
    }
    assert_eq!(
        check("[\n \"\\ud800\"]").unwrap_err().to_string(),
        "not usable JSON: the escape \\ud800 is one half of a pair of surrogates and is no character at line 2 column 3"
    );
}

#[test]
fn a_byte_order_mark_is_ignored_only_before_the_text() {
    assert_eq!(check("\u{feff}{}"), Ok("{}"));
    assert_eq!(read("\u{feff}[1]"), Ok(json!([1])));
    assert_eq!(text(b"\xef\xbb\xbf{}"), Ok("{}"));
    for text in ["\u{feff}\u{feff}{}", " \u{feff}{}", "{}\u{feff}"] {
        assert!(matches!(reason(text), Reason::Expected(_)), "{text:?}");
    }
    assert_eq!(read("\"\u{feff}\""), Ok(json!("\u{feff}")));
}

#[test]
fn text_that_is_not_json_is_refused_with_its_position() {
    for (text, message) in [
        ("", "not JSON: it is empty"),
        (" \n", "not JSON: it is empty"),
        ("\u{feff}", "not JSON: it is empty"),
        ("{", "not JSON: it ends too early at line 1 column 2"),
        ("tru", "not JSON: it ends too early at line 1 column 1"),
        ("\"a", "not JSON: it ends too early at line 1 column 3"),
        ("nul1", "not JSON: expected a value at line 1 column 1"),
        ("NaN", "not JSON: expected a value at line 1 column 1"),
        ("[1,]", "not JSON: expected a value at line 1 column 4"),
        ("[1 2]", "not JSON: expected `,` or `]` at line 1 column 4"),
        ("{\"a\" 1}", "not JSON: expected `:` at line 1 column 6"),
        (
            "{\"a\":1]",
            "not JSON: expected `,` or `}` at line 1 column 7",
        ),
        (
            "{a:1}",
            "not JSON: expected a name in quotation marks at line 1 column 2",
        ),
        (
            "{\"a\":1,}",
            "not JSON: expected a name in quotation marks at line 1 column 8",
        ),
        (
            "{} {}",
            "not JSON: expected the end of the text at line 1 column 4",
        ),
        (
            "01",
            "not JSON: expected a number without a leading zero at line 1 column 2",
        ),
        ("-", "not JSON: it ends too early at line 1 column 2"),
        ("+1", "not JSON: expected a value at line 1 column 1"),
        ("1.x", "not JSON: expected a digit at line 1 column 3"),
        ("1e", "not JSON: it ends too early at line 1 column 3"),
        (
            "\"\u{1}\"",
            "not JSON: control characters in a string must be escaped at line 1 column 2",
        ),
        (
            "\"\\x\"",
            "not JSON: this escape does not exist in JSON at line 1 column 2",
        ),
        (
            "\"\\u00g0\"",
            "not JSON: this escape does not exist in JSON at line 1 column 2",
        ),
    ] {
        assert_eq!(
            check(text).expect_err(text).to_string(),
            message,
            "{text:?}"
        );
        assert_eq!(read(text).expect_err(text).to_string(), message, "{text:?}");
    }
    assert_eq!(
        text(b"{\"a\": \"\xff\"}").unwrap_err().to_string(),
        "not JSON: it is not UTF-8 at line 1 column 8"
    );
}

#[test]
fn only_names_of_the_outermost_object_are_passed_on() {
    let names = |text: &str| {
        let mut names = Vec::new();
        check_names(text, |name| names.push(name.to_owned())).unwrap();
        names
    };
    assert_eq!(
        names(r#"{"a": {"b": 1}, "c": [{"d": 2}], "\u006aob": 3}"#),
        ["a", "c", "job"]
    );
    assert_eq!(names(r#"[{"job": 1}]"#), [""; 0]);
}

#[test]
fn the_last_of_two_equal_names_counts() {
    assert_eq!(
        read(r#"{"a": 1, "b": 2, "a": 3}"#),
        Ok(json!({"a": 3, "b": 2}))
    );
}

#[test]
fn repeated_names_are_found_at_any_depth() {
    let shown = |text: &str| -> Vec<String> {
        let step = |step: &Step| match step {
            Step::Name(name) => format!(".{name}"),
            Step::Index(index) => format!("[{index}]"),
        };
        let way = |steps: Vec<Step>| steps.iter().map(step).collect();
        repeated_names(text).into_iter().map(way).collect()
    };
    for (text, found) in [
        (r#"{"a": 1, "b": {"a": 2}}"#, vec![]),
        (r#"{"a": 1, "b": 2, "\u0061": 3}"#, vec![".a"]),
        (
            r#"{"x": [0, [], {"y": 1, "y": 2, "y": 3}]}"#,
            vec![".x[2].y", ".x[2].y"],
        ),
        (r#"{"a": 1, "a": 2"#, vec![]),
    ] {
        assert_eq!(shown(text), found, "{text}");
    }
    let (open, close) = ("[".repeat(DEPTH - 1), "]".repeat(DEPTH - 1));
    assert_eq!(shown(&format!("{open}{{\"a\":1,\"a\":2}}{close}")).len(), 1);
}

fn values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        proptest::num::f64::NORMAL.prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 40, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::vec((any::<String>(), inner), 0..6)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn every_written_value_is_read_back(value in values()) {
        prop_assert_eq!(read(&value.to_string()), Ok(value.clone()));
        prop_assert_eq!(read(&serde_json::to_string_pretty(&value).unwrap()), Ok(value));
    }

    /// Texts of the characters that JSON consists of: both readers agree on nearly all of them, and
    /// on every value.
    #[test]
    fn random_text_gets_the_verdict_of_serde_json(
        text in r#"[\[\]{}",:0-9eE.+\-tfn\\u \nabdDrulse]{0,24}"#
    ) {
        let known: Result<Value, _> = serde_json::from_str(&text);
        match (read(&text), known) {
            (Ok(ours), Ok(theirs)) => prop_assert_eq!(ours, theirs),
            (Err(_), Err(_)) => {}
            // It becomes zero there.
            (Err(refused), Ok(_)) => prop_assert_eq!(refused.reason, Reason::Range),
            (Ok(_), Err(error)) => prop_assert!(false, "{:?} {}", text, error),
        }
        prop_assert_eq!(check(&text).is_ok(), read(&text).is_ok());
    }
}
