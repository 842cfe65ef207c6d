//! Event patterns.

use localcloud::mapping::filter::Filters;
use localcloud::pattern::Pattern;
use serde_json::{Value, json};

#[test]
fn a_pattern_matches_as_eventbridge_does() {
    let cases: &[(Value, Value, bool)] = &[
        (json!({"a": ["x"]}), json!({"a": "x"}), true),
        (json!({"a": ["x"]}), json!({"a": "y"}), false),
        (json!({"a": ["x"]}), json!({"b": "x"}), false),
        (json!({"a": ["x", "y"]}), json!({"a": "y"}), true),
        (json!({"a": ["x"], "b": ["y"]}), json!({"a": "x"}), false),
        (json!({"a": ["x"]}), json!({"a": ["w", "x"]}), true),
        (json!({"a": {"b": [1]}}), json!({"a": {"b": 1.0}}), true),
        (
            json!({"a": {"b": [1]}}),
            json!({"a": [{"b": 2}, {"b": 1}]}),
            true,
        ),
        (json!({"a": [null]}), json!({"a": null}), true),
        (json!({"a": [null]}), json!({}), false),
        (json!({"a": [""]}), json!({"a": ""}), true),
        (
            json!({"a": [{"prefix": "us-"}]}),
            json!({"a": "us-east-1"}),
            true,
        ),
        (
            json!({"a": [{"prefix": {"equals-ignore-case": "US"}}]}),
            json!({"a": "us-1"}),
            true,
        ),
        (
            json!({"a": [{"suffix": ".png"}]}),
            json!({"a": "x.jpg"}),
            false,
        ),
        (
            json!({"a": [{"equals-ignore-case": "AbC"}]}),
            json!({"a": "aBc"}),
            true,
        ),
        (
            json!({"a": [{"wildcard": "a*c*e"}]}),
            json!({"a": "abcde"}),
            true,
        ),
        (
            json!({"a": [{"wildcard": "a*c"}]}),
            json!({"a": "abcd"}),
            false,
        ),
        (json!({"a": [{"exists": true}]}), json!({"a": 0}), true),
        (json!({"a": [{"exists": false}]}), json!({"b": 0}), true),
        (json!({"a": {"b": [{"exists": false}]}}), json!({}), true),
        (
            json!({"a": [{"anything-but": "x"}]}),
            json!({"a": "y"}),
            true,
        ),
        (
            json!({"a": [{"anything-but": ["x", 3]}]}),
            json!({"a": 3}),
            false,
        ),
        (
            json!({"a": [{"anything-but": {"prefix": "x"}}]}),
            json!({"a": "xy"}),
            false,
        ),
        (json!({"a": [{"anything-but": "x"}]}), json!({}), false),
        (
            json!({"a": [{"numeric": [">=", 1, "<", 5]}]}),
            json!({"a": 5}),
            false,
        ),
        (
            json!({"a": [{"numeric": [">=", 1, "<", 5]}]}),
            json!({"a": 1}),
            true,
        ),
        // DynamoDB's numbers are texts.
        (
            json!({"a": [{"numeric": ["=", 5]}]}),
            json!({"a": "5"}),
            false,
        ),
        (
            json!({"a": [{"cidr": "10.0.0.0/8"}]}),
            json!({"a": "10.1.2.3"}),
            true,
        ),
        (
            json!({"a": [{"cidr": "10.0.0.0/8"}]}),
            json!({"a": "11.1.2.3"}),
            false,
        ),
        (
            json!({"$or": [{"a": [1]}, {"b": [2]}]}),
            json!({"b": 2}),
            true,
        ),
        (
            json!({"$or": [{"a": [1]}, {"b": [2]}]}),
            json!({"b": 3}),
            false,
        ),
    ];
    for (pattern, event, expected) in cases {
        let parsed = Pattern::of(pattern).unwrap();
        assert_eq!(parsed.matches(event), *expected, "{pattern} {event}");
    }
}

#[test]
fn an_invalid_pattern_is_refused() {
    for text in [
        "",
        "null",
        "\"text\"",
        "[]",
        "{}",
        "{\"a\": \"x\"}",
        "{\"a\": []}",
        "{\"a\": {}}",
        "{\"a\": [[1]]}",
        "{\"a\": [{\"unknown\": 1}]}",
        "{\"a\": [{\"exists\": \"yes\"}]}",
        "{\"a\": [{\"numeric\": [\">\"]}]}",
        "{\"a\": [{\"numeric\": [\"~\", 1]}]}",
        "{\"a\": [{\"cidr\": \"10.0.0.0/33\"}]}",
        "{\"a\": [{\"prefix\": \"x\", \"suffix\": \"y\"}]}",
        "{\"$or\": [{\"a\": [1]}]}",
        "{\"eventName\": [\"INSERT\"=123}",
    ] {
        assert!(Pattern::parse(text).is_err(), "{text}");
    }
}

#[test]
fn a_body_is_matched_in_the_form_that_the_pattern_asks_for() {
    let cases = [
        // Pattern of fields: JSON only.
        (json!({"body": {"a": ["x"]}}), "{\"a\":\"x\"}", true),
        (json!({"body": {"a": ["x"]}}), "{\"a\":\"y\"}", false),
        (json!({"body": {"a": ["x"]}}), "plain", false),
        // Pattern of texts: plain texts only.
        (json!({"body": ["plain"]}), "plain", true),
        (json!({"body": ["plain"]}), "other", false),
        (json!({"body": [{"exists": true}]}), "{\"a\":\"x\"}", false),
        // Pattern of something else: any body.
        (json!({"messageId": ["1"]}), "plain", true),
        (json!({"messageId": ["2"]}), "plain", false),
    ];
    for (pattern, body, expected) in cases {
        let criteria = json!({"Filters": [{"Pattern": pattern.to_string()}]});
        let filters = Filters::of(&criteria).unwrap();
        let message = json!({"messageId": "1", "body": body});
        assert_eq!(
            filters.admit_message(&message),
            expected,
            "{pattern} {body}"
        );
    }
}

#[test]
fn one_of_several_filters_is_enough_and_none_lets_everything_through() {
    let filter = |id: &str| json!({"Pattern": json!({"messageId": [id]}).to_string()});
    let criteria = json!({"Filters": [filter("1"), filter("2")]});
    let filters = Filters::of(&criteria).unwrap();
    assert!(filters.admit_message(&json!({"messageId": "2"})));
    assert!(!filters.admit_message(&json!({"messageId": "3"})));
    assert!(Filters::default().admit_message(&json!({"messageId": "3"})));
}
