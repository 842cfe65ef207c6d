//! Values on their way through states: 64-bit integers in either query language, numbers out of a
//! field's range, and objects as items of a Map. `JOBCAST_CASES` is the number of random values,
//! `JOBCAST_TEST_SEED` their seed.
#![expect(clippy::unwrap_used, reason = "a test may panic")]
mod simulation;

use std::sync::Arc;

use serde_json::{Value, json};

use asl::{StateMachine, Task};
use simulation::{Answer, Run, start};

fn play(definition: &Value, input: &Value) -> Run {
    let parsed = StateMachine::parse(&definition.to_string());
    let machine = Arc::new(parsed.unwrap_or_else(|problems| panic!("{definition}: {problems:?}")));
    let echo = |task: &Task| Answer {
        outcome: Some(Ok(task.payload.to_string())),
        ..Answer::default()
    };
    let run = simulation::run(&machine, &start(&input.to_string()), false, echo, |_| {
        Ok("[]".to_owned())
    });
    assert!(run.journal.len() < simulation::MAX_EVENTS && !run.history.is_empty());
    run
}

/// The output's text, or the error and the cause.
fn outcome(definition: &Value, input: &Value) -> Result<String, (String, String)> {
    let run = play(definition, input);
    run.execution.output().map(str::to_owned).ok_or_else(|| {
        let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
        (text(run.execution.error()), text(run.execution.cause()))
    })
}

fn one(language: &str, state: Value) -> Value {
    json!({"QueryLanguage": language, "StartAt": "S", "States": {"S": state}})
}

fn jsonata(state: Value) -> Value {
    one("JSONata", state)
}

const ID: i64 = 1_234_567_890_123_456_789;

#[test]
fn integers_of_64_bits_pass_through_jsonata_states() {
    let input = json!({"id": ID, "wide": u64::MAX, "least": i64::MIN, "list": [ID, ID + 1], "edge": 9_007_199_254_740_993_i64, "even": 9_007_199_254_740_992_i64});
    let text = input.to_string();
    let task = |more: Value| {
        let mut state = json!({"Type": "Task", "Resource": "f", "End": true});
        let more = more.as_object().unwrap().clone();
        state.as_object_mut().unwrap().extend(more);
        jsonata(state)
    };
    let id = ID.to_string();
    let pass = json!({"StartAt": "P", "States": {"P": {"Type": "Pass", "End": true}}});
    for (definition, want) in [
        (
            task(json!({"Arguments": "{% $states.input.id %}"})),
            id.clone(),
        ),
        (
            task(json!({"Arguments": "{% $states.input %}"})),
            text.clone(),
        ),
        (
            task(
                json!({"Arguments": {"a": ["{% $states.input.list %}"]}, "Output": "{% $states.result.a[0][1] %}"}),
            ),
            (ID + 1).to_string(),
        ),
        (
            task(json!({"Output": "{% $states.context.Execution.Input.id %}"})),
            id.clone(),
        ),
        (
            jsonata(json!({"Type": "Pass", "Output": "{% $states.input %}", "End": true})),
            text.clone(),
        ),
        (
            jsonata(
                json!({"Type": "Pass", "Output": {"id": "{% $states.input.id %}"}, "End": true}),
            ),
            format!("{{\"id\":{id}}}"),
        ),
        (
            jsonata(
                json!({"Type": "Map", "Items": "{% $states.input.list %}", "ItemProcessor": pass, "End": true}),
            ),
            format!("[{id},{}]", ID + 1),
        ),
        (
            jsonata(
                json!({"Type": "Map", "Items": "{% $states.input.list %}", "ItemSelector": {"v": "{% $states.context.Map.Item.Value %}"}, "ItemProcessor": pass, "End": true}),
            ),
            format!("[{{\"v\":{id}}},{{\"v\":{}}}]", ID + 1),
        ),
        (
            jsonata(
                json!({"Type": "Parallel", "Arguments": "{% $states.input.id %}", "Branches": [pass], "Output": "{% $states.result[0] %}", "End": true}),
            ),
            id.clone(),
        ),
        (
            json!({"QueryLanguage": "JSONata", "StartAt": "A", "States": {
                "A": {"Type": "Pass", "Assign": {"kept": "{% $states.input.id %}"}, "Next": "B"},
                "B": {"Type": "Choice", "Choices": [{"Condition": "{% $kept = 1234567890123456789 and $kept != 1234567890123456790 %}", "Next": "C"}], "Default": "D"},
                "C": {"Type": "Succeed", "Output": "{% [$kept, $string($kept)] %}"},
                "D": {"Type": "Fail"},
            }}),
            format!("[{id},\"{id}\"]"),
        ),
    ] {
        assert_eq!(outcome(&definition, &input), Ok(want), "{definition}");
    }
}

#[test]
fn integers_of_64_bits_pass_through_jsonpath_states() {
    let input = json!({"id": ID, "next": ID + 1, "most": i64::MAX, "list": [ID, ID + 1, ID], "text": format!("[{ID},{}]", u64::MAX), "rows": [{"id": ID, "n": 1}, {"id": ID + 1, "n": 2}]});
    let parameters = |template: Value| {
        one(
            "JSONPath",
            json!({"Type": "Pass", "Parameters": {"v.$": template}, "OutputPath": "$.v", "End": true}),
        )
    };
    for (template, want) in [
        ("$.id", ID.to_string()),
        ("$.list[1]", (ID + 1).to_string()),
        ("$.rows[?(@.id == 1234567890123456790)].n", "[2]".to_owned()),
        ("$.rows[?(@.id > 1234567890123456789)].n", "[2]".to_owned()),
        ("States.MathAdd($.id, 1)", (ID + 1).to_string()),
        ("States.MathAdd($.id, -1)", (ID - 1).to_string()),
        ("States.MathAdd(1234567890123456788, 1)", ID.to_string()),
        ("States.Format('{}', $.id)", format!("\"{ID}\"")),
        (
            "States.JsonToString($.list)",
            format!("\"[{ID},{},{ID}]\"", ID + 1),
        ),
        (
            "States.StringToJson($.text)",
            format!("[{ID},{}]", u64::MAX),
        ),
        (
            "States.Array($.id, 1234567890123456789)",
            format!("[{ID},{ID}]"),
        ),
        (
            "States.ArrayContains($.list, 1234567890123456790)",
            "true".to_owned(),
        ),
        (
            "States.ArrayContains($.list, 1234567890123456791)",
            "false".to_owned(),
        ),
        ("States.ArrayUnique($.list)", format!("[{ID},{}]", ID + 1)),
        ("States.ArrayGetItem($.list, 1)", (ID + 1).to_string()),
        (
            "States.ArrayPartition($.list, 2)",
            format!("[[{ID},{}],[{ID}]]", ID + 1),
        ),
        (
            "States.JsonMerge($.rows[0], $.rows[1], false)",
            format!("{{\"id\":{},\"n\":2}}", ID + 1),
        ),
        ("$.list.max()", (ID + 1).to_string()),
        ("$.list.min()", ID.to_string()),
        ("$.list.length()", "3".to_owned()),
    ] {
        assert_eq!(
            outcome(&parameters(template.into()), &input),
            Ok(want),
            "{template}"
        );
    }
    let choice = |rule: Value| {
        let mut rule = rule;
        rule["Next"] = json!("Y");
        json!({"StartAt": "C", "States": {
            "C": {"Type": "Choice", "Choices": [rule], "Default": "N"},
            "Y": {"Type": "Pass", "Result": true, "End": true},
            "N": {"Type": "Pass", "Result": false, "End": true},
        }})
    };
    for (rule, holds) in [
        (json!({"Variable": "$.id", "NumericEquals": ID}), true),
        (json!({"Variable": "$.id", "NumericEquals": ID + 1}), false),
        (
            json!({"Variable": "$.id", "NumericEqualsPath": "$.next"}),
            false,
        ),
        (
            json!({"Variable": "$.id", "NumericLessThanPath": "$.next"}),
            true,
        ),
        (
            json!({"Variable": "$.next", "NumericGreaterThan": ID}),
            true,
        ),
        (
            json!({"Variable": "$.next", "NumericLessThanEquals": ID}),
            false,
        ),
        (
            json!({"Variable": "$.id", "NumericGreaterThanEqualsPath": "$.next"}),
            false,
        ),
    ] {
        let found = outcome(&choice(rule.clone()), &input);
        assert_eq!(found, Ok(holds.to_string()), "{rule}");
    }
}

/// An expression whose number does not fit its field is an error that the state can catch.
#[test]
fn a_number_out_of_range_is_an_error_of_its_expression() {
    let pass = json!({"StartAt": "P", "States": {"P": {"Type": "Pass", "End": true}}});
    let distributed = json!({"ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"}, "StartAt": "P", "States": {"P": {"Type": "Pass", "End": true}}});
    let task = json!({"Type": "Task", "Resource": "f", "End": true});
    let wait = json!({"Type": "Wait", "End": true});
    let map = json!({"Type": "Map", "Items": [1], "ItemProcessor": pass, "End": true});
    let wide = json!({"Type": "Map", "Items": [1], "ItemProcessor": distributed, "End": true});
    for (state, field, expressions) in [
        (
            &task,
            "TimeoutSeconds",
            &[
                "-1",
                "0",
                "99999999 + 1",
                "1.5",
                "1/0",
                "'3'",
                "$none",
                "null",
            ][..],
        ),
        (&task, "HeartbeatSeconds", &["-1", "0", "1e10", "0.5"]),
        (&wait, "Seconds", &["-5", "100000000", "1.5", "0/0", "'1'"]),
        (&wait, "Timestamp", &["1", "'yesterday'", "''"]),
        (&map, "MaxConcurrency", &["-1", "1.5", "'1'"]),
        (&wide, "ToleratedFailureCount", &["-1", "0.5"]),
        (&wide, "ToleratedFailurePercentage", &["-1", "100.1", "1/0"]),
        (&wide, "ItemBatcher/MaxItemsPerBatch", &["0", "-1", "1.5"]),
        (&wide, "ItemBatcher/MaxInputBytesPerBatch", &["0", "-1"]),
        (
            &map,
            "Items",
            &["1", "'a'", "null", "true", "{'a': 1}", "$none"],
        ),
    ] {
        for expression in expressions {
            let mut state = state.clone();
            let given = json!(format!("{{% {expression} %}}"));
            match field.split_once('/') {
                Some((outer, inner)) => state[outer] = json!({inner: given}),
                None => state[field] = given,
            }
            let (error, cause) = outcome(&jsonata(state), &json!({})).unwrap_err();
            assert_eq!(
                error, "States.QueryEvaluationError",
                "{field} {expression}: {cause}"
            );
            let inner = field.rsplit('/').next().unwrap();
            assert!(cause.contains(inner), "{field} {expression}: {cause}");
        }
    }
    for (state, field, expression) in [
        (&task, "TimeoutSeconds", "1"),
        (&task, "TimeoutSeconds", "99999999"),
        (&task, "TimeoutSeconds", "2.0"),
        (&wait, "Seconds", "0"),
        (&map, "MaxConcurrency", "0"),
        (&wide, "ToleratedFailurePercentage", "99.5"),
        (&wide, "ToleratedFailureCount", "0"),
    ] {
        let mut state = state.clone();
        state[field] = json!(format!("{{% {expression} %}}"));
        let found = outcome(&jsonata(state), &json!({}));
        assert!(found.is_ok(), "{field} {expression}: {found:?}");
    }
    // An error of an expression can be caught.
    let caught = json!({"QueryLanguage": "JSONata", "StartAt": "S", "States": {
        "S": {"Type": "Task", "Resource": "f", "TimeoutSeconds": "{% -1 %}", "Next": "N",
            "Catch": [{"ErrorEquals": ["States.QueryEvaluationError"], "Output": "caught", "Next": "N"}]},
        "N": {"Type": "Succeed"},
    }});
    assert_eq!(outcome(&caught, &json!({})), Ok("\"caught\"".to_owned()));
}

/// The values that a path may have where a number is required: the verdict of each field, in shared
/// words.
#[test]
fn a_path_to_an_unfit_number_fails_its_field() {
    let graph = |config: Value| {
        let mut graph = json!({"StartAt": "P", "States": {"P": {"Type": "Pass", "End": true}}});
        graph["ProcessorConfig"] = config;
        json!({"Type": "Map", "ItemsPath": "$.l", "ItemProcessor": graph, "End": true})
    };
    let inline = graph(json!({"Mode": "INLINE"}));
    let distributed = graph(json!({"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"}));
    let task = json!({"Type": "Task", "Resource": "f", "End": true});
    let wait = json!({"Type": "Wait", "End": true});
    let most = json!(99_999_999);
    let above = json!(100_000_000);
    let huge = json!(1e300);
    let no = [
        json!("x"),
        json!(" 3 "),
        json!("1.5"),
        json!(1.5),
        json!(null),
        json!(true),
        json!([1]),
        json!({}),
        huge.clone(),
        json!(u64::MAX),
    ];
    let long = |path: &str| {
        (
            format!("The {path} parameter cannot be parsed as a long value: $.n == "),
            "",
        )
    };
    let integer = |path: &str| {
        (
            format!("The {path} field refers to value \""),
            "\" which is not a valid integer: $.n",
        )
    };
    for (path, state, unread, taken, outside) in [
        (
            "TimeoutSecondsPath",
            &task,
            long("TimeoutSecondsPath"),
            vec![json!(1), json!("3"), most.clone()],
            vec![
                (
                    json!(0),
                    "The TimeoutSecondsPath must be between 1 and 99999999, but is 0",
                ),
                (
                    above.clone(),
                    "The TimeoutSecondsPath must be between 1 and 99999999, but is 100000000",
                ),
            ],
        ),
        (
            "HeartbeatSecondsPath",
            &task,
            long("HeartbeatSecondsPath"),
            vec![json!(1), most.clone()],
            vec![(
                json!(-1),
                "The HeartbeatSecondsPath must be between 1 and 99999999, but is -1",
            )],
        ),
        (
            "SecondsPath",
            &wait,
            long("SecondsPath"),
            vec![json!(0), json!("3"), most.clone()],
            vec![
                (
                    json!(-1),
                    "The SecondsPath parameter cannot be parsed as a long value: $.n == -1",
                ),
                (
                    above.clone(),
                    "The Seconds of a Wait must be between 0 and 99999999, but is 100000000",
                ),
            ],
        ),
        (
            "MaxConcurrencyPath",
            &inline,
            integer("MaxConcurrencyPath"),
            vec![json!(0), json!("3"), above.clone()],
            vec![(json!(-1), "MaxConcurrency must not be negative.")],
        ),
        (
            "ToleratedFailureCountPath",
            &distributed,
            integer("ToleratedFailureCountPath"),
            vec![json!(0), json!("3"), above],
            vec![(json!(-1), "ToleratedFailureCount must be positive.")],
        ),
    ] {
        let run = |value: &Value| {
            let mut state = state.clone();
            state[path] = json!("$.n");
            let found = outcome(&one("JSONPath", state), &json!({"n": value, "l": [1]}));
            found.map(|_| ()).map_err(|(error, cause)| {
                assert_eq!(error, "States.Runtime", "{path} {value}");
                let (_, words) = cause.split_once("(entered at the event id #2). ").unwrap();
                words.to_owned()
            })
        };
        for value in taken {
            assert_eq!(run(&value), Ok(()), "{path} {value}");
        }
        for (value, words) in outside {
            assert_eq!(run(&value), Err(words.to_owned()), "{path}");
        }
        for value in &no {
            let shown = value
                .as_str()
                .map_or_else(|| value.to_string(), str::to_owned);
            let words = format!("{}{shown}{}", unread.0, unread.1);
            assert_eq!(run(value), Err(words), "{path}");
        }
    }
}

#[test]
fn a_role_that_is_not_a_text_fails_the_task() {
    let role = |language: &str, credentials: Value| {
        let state =
            json!({"Type": "Task", "Resource": "f", "Credentials": credentials, "End": true});
        let input = json!({"n": 1, "text": "arn:aws:iam::000000000000:role/r"});
        outcome(&one(language, state), &input)
            .map(|_| ())
            .map_err(|(error, cause)| {
                let words = cause
                    .split_once("(entered at the event id #2). ")
                    .unwrap()
                    .1;
                format!("{error}: {words}")
            })
    };
    let refused = |shown: &str| {
        Err(format!(
            "States.Runtime: The RoleArn of Credentials must be a string, but was {shown}"
        ))
    };
    assert_eq!(role("JSONPath", json!({"RoleArn.$": "$.text"})), Ok(()));
    assert_eq!(
        role("JSONata", json!({"RoleArn": "{% $states.input.text %}"})),
        Ok(())
    );
    assert_eq!(role("JSONPath", json!({"RoleArn.$": "$.n"})), refused("1"));
    assert_eq!(
        role("JSONata", json!({"RoleArn": "{% $states.input.n %}"})),
        refused("1")
    );
    assert_eq!(
        role("JSONata", json!({"RoleArn": "{% null %}"})),
        refused("null")
    );
}

#[test]
fn a_map_iterates_over_the_pairs_of_an_object() {
    let inner = json!({"StartAt": "P", "States": {"P": {"Type": "Pass", "End": true}}});
    let distributed = json!({"ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"}, "StartAt": "P", "States": {"P": {"Type": "Pass", "End": true}}});
    let input = json!({"m": {"b": 2, "a": {"x": 1}}, "empty": {}});
    let pairs = json!([{"Key": "b", "Value": 2}, {"Key": "a", "Value": {"x": 1}}]);
    let items = json!("{% $states.input.m %}");
    let selector = json!({
        "k": "{% $states.context.Map.Item.Key %}",
        "v": "{% $states.context.Map.Item.Value %}",
        "i": "{% $states.context.Map.Item.Index %}"
    });
    let selected = json!([{"k": "b", "v": 2, "i": 0}, {"k": "a", "v": {"x": 1}, "i": 1}]);
    for (definition, want) in [
        (
            jsonata(json!({"Type": "Map", "Items": items, "ItemProcessor": inner, "End": true})),
            pairs.clone(),
        ),
        (
            jsonata(
                json!({"Type": "Map", "Items": items, "ItemSelector": selector, "ItemProcessor": inner, "End": true}),
            ),
            selected.clone(),
        ),
        (
            jsonata(
                json!({"Type": "Map", "Items": items, "ItemSelector": selector, "ItemProcessor": distributed, "End": true}),
            ),
            selected,
        ),
        (
            jsonata(
                json!({"Type": "Map", "Items": "{% $merge([$states.input.m]) %}", "ItemProcessor": distributed, "End": true}),
            ),
            pairs.clone(),
        ),
        (
            jsonata(
                json!({"Type": "Map", "Items": "{% $states.input.empty %}", "ItemProcessor": inner, "End": true}),
            ),
            json!([]),
        ),
        (
            one(
                "JSONPath",
                json!({"Type": "Map", "ItemsPath": "$.m", "ItemProcessor": inner, "End": true}),
            ),
            pairs.clone(),
        ),
        (
            one(
                "JSONPath",
                json!({"Type": "Map", "ItemsPath": "$.m", "ItemSelector": {"k.$": "$$.Map.Item.Key"}, "ItemProcessor": distributed, "End": true}),
            ),
            json!([{"k": "b"}, {"k": "a"}]),
        ),
        (
            jsonata(
                json!({"Type": "Map", "Items": items, "ItemBatcher": {"MaxItemsPerBatch": 2}, "ItemProcessor": distributed, "End": true}),
            ),
            json!([{"Items": pairs}]),
        ),
    ] {
        let found = outcome(&definition, &input).map(|text| serde_json::from_str(&text).unwrap());
        assert_eq!(found, Ok::<Value, _>(want), "{definition}");
    }
}

/// Number of random values, unless `JOBCAST_CASES` sets it.
const CASES: u64 = 40;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap())
}

/// Pseudorandom numbers (xorshift).
struct Random(u64);

impl Random {
    fn next(&mut self, below: u64) -> u64 {
        for (left, by) in [(true, 13), (false, 7), (true, 17)] {
            self.0 ^= if left { self.0 << by } else { self.0 >> by };
        }
        self.0 % below
    }

    /// A 64-bit integer, most often near the limit of a double or of a shorter integer.
    fn integer(&mut self) -> i64 {
        let edges = [
            0,
            1 << 31,
            1 << 32,
            1 << 53,
            1 << 62,
            i64::MAX,
            i64::MIN,
            -(1 << 53),
        ];
        match self.next(3) {
            0 => self.0 as i64,
            _ => edges[self.next(8) as usize].wrapping_add(self.next(5) as i64 - 2),
        }
    }

    fn value(&mut self, depth: u64) -> Value {
        match self.next(if depth == 0 { 4 } else { 7 }) {
            0 => self.integer().into(),
            1 => [json!(true), json!(false), json!(null)][self.next(3) as usize].clone(),
            2 => json!(format!("t{}\u{e9}\u{1f600}", self.next(9))),
            3 => json!(self.next(1 << 20) as f64 / 1024.0 + 0.5 / 1024.0),
            4 => (0..self.next(4) + 2)
                .map(|_| self.value(depth - 1))
                .collect(),
            _ => {
                let fields =
                    (0..self.next(4) + 1).map(|n| (format!("k{n}"), self.value(depth - 1)));
                Value::Object(fields.collect())
            }
        }
    }
}

/// A value that an expression passes on is unchanged to the last digit, and integers calculate as
/// integers.
#[test]
fn any_value_passes_through_an_expression() {
    let seed = number("JOBCAST_TEST_SEED").unwrap_or(1).max(1);
    let mut random = Random(seed);
    for case in 0..number("JOBCAST_CASES").unwrap_or(CASES) {
        let (value, a, b) = (random.value(3), random.integer(), random.integer());
        let input = json!({"v": value, "a": a, "b": b});
        let wide = i128::from(a);
        let exact = |n: i128| i64::try_from(n).map_or(json!(n as f64), Value::from);
        for (text, want) in [
            ("$states.input.v", value.clone()),
            ("[$states.input][0].v", value.clone()),
            ("{'x': $states.input.v}.x", value.clone()),
            ("$merge([{'y': 1}, $states.input]).v", value.clone()),
            (
                "($f := function($x) { $x }; $f($states.input.v))",
                value.clone(),
            ),
            ("$lookup($states.input, 'v')", value.clone()),
            ("($states.input ~> |$|{'z': 1}|).v", value.clone()),
            ("$states.input.v = $states.input.v", json!(true)),
            ("$parse($string($states.input)).v", value.clone()),
            ("$number($string($states.input.a))", json!(a)),
            (
                "$states.input.a + $states.input.b",
                exact(wide + i128::from(b)),
            ),
            (
                "$states.input.a - $states.input.b",
                exact(wide - i128::from(b)),
            ),
            (
                "$sum([$states.input.a, $states.input.b])",
                exact(wide + i128::from(b)),
            ),
            ("-$states.input.a", exact(-wide)),
            ("$states.input.a < $states.input.b", json!(a < b)),
            ("$states.input.a = $states.input.b", json!(a == b)),
            ("$max([$states.input.a, $states.input.b])", json!(a.max(b))),
            (
                "$sort([$states.input.a, $states.input.b])[0]",
                json!(a.min(b)),
            ),
        ] {
            let state = json!({"Type": "Pass", "Output": format!("{{% {text} %}}"), "End": true});
            let found = outcome(&jsonata(state), &input);
            let found = found.unwrap_or_else(|error| panic!("{text} of {input}: {error:?}"));
            let found: Value = serde_json::from_str(&found).unwrap();
            assert_eq!(found, want, "case {case} from {seed}: {text} of {input}");
        }
    }
}
