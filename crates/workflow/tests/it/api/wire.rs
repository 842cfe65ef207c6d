//! Recorded calls of the API with AWS's answers, from the directory `wire` in `ASL_CASES`; without
//! it nothing is run. It prints how many cases have the right outcome, and how many have every
//! recorded field right, and fails below its floors.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::Door;

/// What the recordings show: the right success or error; every recorded field too.
const FLOORS: [(&str, f64); 2] = [("outcome", 0.98), ("subset", 0.85)];
/// A value that is different each time.
const ANY: &str = "«any»";
/// Checks of mocked results against the service models of all of AWS: not a goal.
const NOT_COUNTED: &str = "field_validation";

#[tokio::test]
async fn recorded_calls_are_answered_as_recorded() {
    let Ok(cases) = std::env::var("ASL_CASES") else {
        println!("skipped: ASL_CASES names no directory");
        return;
    };
    let door = Door::in_memory().await;
    let mut groups: BTreeMap<String, [usize; 3]> = BTreeMap::new();
    for file in files(Path::new(&cases)) {
        for line in std::fs::read_to_string(&file).unwrap().lines() {
            let case: Value = serde_json::from_str(line).unwrap();
            let name = case["name"].as_str().unwrap();
            if name.contains(NOT_COUNTED) || !case["functions"].is_null() {
                continue;
            }
            let right = run(&door, &case).await;
            if !right[1] && std::env::var_os("ASL_VERBOSE").is_some() {
                println!("{name}: outcome {}, subset {}", right[0], right[1]);
            }
            for group in [case["group"].as_str().unwrap_or("?"), "total"] {
                let counts = groups.entry(group.to_owned()).or_default();
                counts[0] += 1;
                counts[1] += usize::from(right[0]);
                counts[2] += usize::from(right[1]);
            }
        }
    }
    let total = groups.remove("total").expect("at least one case");
    groups.insert("total".to_owned(), total);
    for (group, [cases, outcome, subset]) in &groups {
        println!("| {group} | {cases} | {outcome} | {subset} |");
    }
    for (index, (level, floor)) in FLOORS.iter().enumerate() {
        let reached = total[index + 1] as f64 / total[0] as f64;
        assert!(
            reached >= *floor,
            "{level}: {reached:.3}, and the floor is {floor}"
        );
    }
}

fn files(cases: &Path) -> Vec<PathBuf> {
    let wire = cases.join("wire");
    let directory = if wire.is_dir() {
        wire
    } else {
        cases.to_owned()
    };
    let entries = std::fs::read_dir(&directory).expect("ASL_CASES is a directory");
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|end| end == "jsonl"));
    files.sort();
    files
}

/// Whether all answers of a case have the right outcome, and every recorded field.
async fn run(door: &Door, case: &Value) -> [bool; 2] {
    let operation = match case["kind"].as_str() {
        Some("test_state") => "TestState",
        Some("create_error") => "CreateStateMachine",
        Some("validate_definition") => "ValidateStateMachineDefinition",
        _ => return run_steps(door, case).await,
    };
    let got = ask(door, operation, case["params"].clone()).await;
    check(&case["expect"], &got, &mut HashMap::new())
}

async fn ask(door: &Door, operation: &str, parameters: Value) -> Result<Value, Value> {
    let asked = door.ask_as("111111111111", operation, parameters).await;
    asked.map_err(|(code, message)| json!({"code": code, "message": message}))
}

async fn run_steps(door: &Door, case: &Value) -> [bool; 2] {
    let (mut replies, mut bound) = (HashMap::new(), HashMap::new());
    let mut right = [true; 2];
    for step in case["steps"].as_array().unwrap() {
        if step["op"] == "await" {
            let arn = referred(&step["executionArn"], &replies);
            if step["until"] == "terminal" {
                door.ended(arn.as_str().unwrap()).await;
            }
            continue;
        }
        let parameters = referred(&step["params"], &replies);
        let got = ask(door, step["api"].as_str().unwrap(), parameters).await;
        if !step["expect"].is_null() {
            let found = check(&step["expect"], &got, &mut bound);
            right = [right[0] && found[0], right[1] && found[1]];
        }
        let reply = got.unwrap_or_else(|error| error);
        replies.insert(step["id"].as_str().unwrap().to_owned(), reply);
    }
    right
}

/// Puts earlier replies in the place of `${id.field}`.
fn referred(value: &Value, replies: &HashMap<String, Value>) -> Value {
    match value {
        Value::Object(fields) => fields
            .iter()
            .map(|(name, value)| (name.clone(), referred(value, replies)))
            .collect(),
        Value::Array(values) => values
            .iter()
            .map(|value| referred(value, replies))
            .collect(),
        Value::String(text) if text.starts_with("${s") && text.ends_with('}') => {
            let (id, path) = text[2..text.len() - 1].split_once('.').unwrap();
            let pointer = format!("/{}", path.replace('.', "/"));
            let found = replies.get(id).and_then(|reply| reply.pointer(&pointer));
            found.cloned().unwrap_or_else(|| json!("UNRESOLVED"))
        }
        other => other.clone(),
    }
}

type Bound = HashMap<String, String>;

fn check(expect: &Value, got: &Result<Value, Value>, bound: &mut Bound) -> [bool; 2] {
    if let Some(error) = expect.get("error") {
        let Err(got) = got else { return [false; 2] };
        let outcome = error.is_null() || matches(&error["code"], &got["code"], bound);
        let told = error.get("message");
        let words = told.is_none_or(|told| matches(told, &got["message"], bound));
        return [outcome, outcome && words];
    }
    let Ok(got) = got else { return [false; 2] };
    let recorded = expect["response"].as_object().unwrap();
    let fits = |(name, want): (&String, &Value)| {
        got.get(name).is_some_and(|got| matches(want, got, bound))
    };
    [true, recorded.iter().all(fits)]
}

/// Whether a value is as recorded. Texts that hold JSON are compared as JSON.
fn matches(want: &Value, got: &Value, bound: &mut Bound) -> bool {
    let parsed = |value: &Value| -> Option<Value> { serde_json::from_str(value.as_str()?).ok() };
    match (want, got) {
        (Value::String(want), _) if want == ANY => true,
        (Value::String(want), Value::String(got)) => {
            words(want, got, bound)
                || want.starts_with(['{', '[', '"'])
                    && match (serde_json::from_str(want), serde_json::from_str(got)) {
                        (Ok(want @ (Value::Object(_) | Value::Array(_))), Ok(got)) => {
                            matches(&want, &got, bound)
                        }
                        (Ok::<Value, _>(want), Ok::<Value, _>(got)) => want == got,
                        _ => false,
                    }
        }
        (Value::String(_), Value::Object(_) | Value::Array(_)) => {
            parsed(want).is_some_and(|want| matches(&want, got, bound))
        }
        (_, Value::String(_)) => {
            parsed(got).is_some_and(|got| !got.is_string() && matches(want, &got, bound))
        }
        (Value::Object(want), Value::Object(got)) => {
            want.len() == got.len()
                && want
                    .iter()
                    .all(|(name, want)| got.get(name).is_some_and(|got| matches(want, got, bound)))
        }
        (Value::Array(want), Value::Array(got)) => {
            want.len() == got.len()
                && want
                    .iter()
                    .zip(got)
                    .all(|(want, got)| matches(want, got, bound))
        }
        (Value::Number(want), Value::Number(got)) => want.as_f64() == got.as_f64(),
        _ => want == got,
    }
}

/// A text with wildcards; a bound one has one value in the whole case where it is alone.
fn words(want: &str, got: &str, bound: &mut Bound) -> bool {
    if let Some(name) = want
        .strip_prefix("«bind:")
        .and_then(|rest| rest.strip_suffix('»'))
        && !name.contains('«')
    {
        return *bound
            .entry(name.to_owned())
            .or_insert_with(|| got.to_owned())
            == got;
    }
    let mut rest = want;
    let mut parts = Vec::new();
    while let Some((before, after)) = rest.split_once('«') {
        parts.push(before);
        rest = after.split_once('»').map_or("", |(_, after)| after);
    }
    parts.push(rest);
    let [first, middle @ .., last] = parts.as_slice() else {
        return want == got;
    };
    let Some(mut left) = got.strip_prefix(first) else {
        return false;
    };
    for part in middle {
        let Some((_, after)) = left.split_once(part) else {
            return false;
        };
        left = after;
    }
    left.ends_with(last)
}
