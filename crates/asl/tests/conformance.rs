//! Runs the recorded cases of the directory `ASL_CASES` (JSON Lines, any depth) on the real engine,
//! with their mocks and a virtual clock, and checks the definitions there. It prints a score for
//! each group and level, and fails below the floors. `ASL_RESULTS` names a file for the results,
//! one JSON object a line; `ASL_VERBOSE` lists the cases that differ.
#![expect(clippy::unwrap_used, reason = "a test may panic")]
mod scoring;
mod simulation;

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;

use serde_json::{Value, json};

use asl::{Execution, ReadItems, Resource, Severity, StateMachine, Status, Task, WorkflowType};
use scoring::{LEVELS, matches, score};
use simulation::{Answer, run, start};

/// The minimum of cases that match, of the whole set: status, result, cause, types, history,
/// strict. Raise them with the engine.
const FLOOR_RECORDINGS: (usize, [usize; 6]) = (682, [682, 680, 73, 378, 376, 365]);
const FLOOR_THIRD_PARTY: (usize, usize) = (170, 169);
/// The minimum for definitions: valid ones accepted, invalid ones refused, invalid ones reported,
/// at the right location, real ones accepted.
const FLOOR_DEFINITIONS: [(usize, usize); 5] =
    [(111, 103), (140, 137), (140, 140), (14, 14), (224, 221)];

fn read(folder: &Path, cases: &mut Vec<Value>) {
    let mut entries: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|e| e.unwrap().path())
        .collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            read(&path, cases);
        } else if path.extension().is_some_and(|e| e == "jsonl") {
            let text = std::fs::read_to_string(&path).unwrap();
            cases.extend(
                text.lines()
                    .filter(|l| !l.trim().is_empty())
                    .map(|l| serde_json::from_str::<Value>(l).unwrap()),
            );
        }
    }
}

fn text(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}

fn kind(case: &Value) -> WorkflowType {
    if case["type"] == "EXPRESS" {
        WorkflowType::Express
    } else {
        WorkflowType::Standard
    }
}

/// The answer of a function of `mocks.functions`: `echo`, `return`, `raise`.
fn function(
    functions: &Value,
    name: &str,
    request: &Value,
) -> Option<Result<String, (String, String)>> {
    let (_, f) = functions
        .as_object()?
        .iter()
        .find(|(arn, _)| *arn == name || arn.rsplit(':').next() == Some(name))?;
    match f["kind"].as_str()? {
        "echo" => Some(Ok(request.to_string())),
        "return" => Some(Ok(text(&f["value"]))),
        "raise" => Some(Err((text(&f["error"]), text(&f["cause"])))),
        _ => None,
    }
}

/// The answer to a task: the first recorded one of its state with a matching request.
fn answer(task: &Task, mocks: &mut BTreeMap<String, VecDeque<Value>>, functions: &Value) -> Answer {
    let request: Value = serde_json::from_str(&task.payload).unwrap();
    let fits = |m: &Value| matches(&m["request"], &request) || m["request"] == *task.payload;
    let Some(queue) = mocks.get_mut(&task.state).filter(|q| !q.is_empty()) else {
        let (name, input, wrapped) = match &task.resource {
            Resource::Lambda { function } => (function.clone(), request.clone(), false),
            _ => (
                text(&request["FunctionName"]),
                request["Payload"].clone(),
                true,
            ),
        };
        let outcome = function(functions, &name, &input).map(|o| {
            o.map(|output| {
                if wrapped {
                    format!("{{\"Payload\":{output},\"StatusCode\":200}}")
                } else {
                    output
                }
            })
        });
        let missing = Err((
            "NoMock".to_owned(),
            format!("no answer is recorded for {}", task.state),
        ));
        return Answer {
            outcome: Some(outcome.unwrap_or(missing)),
            ..Answer::default()
        };
    };
    let Some(mock) = queue.iter().position(fits).and_then(|at| queue.remove(at)) else {
        let want = queue
            .pop_front()
            .map(|m| m["request"].to_string())
            .unwrap_or_default();
        let wrong = (
            "WrongRequest".to_owned(),
            format!("want {want}, got {request}"),
        );
        return Answer {
            outcome: Some(Err(wrong)),
            ..Answer::default()
        };
    };
    let part = |v: &Value, key: &str| v[key].as_str().unwrap_or_default().to_owned();
    Answer {
        worker: mock["worker_name"].as_str().map(str::to_owned),
        submitted: mock.get("submitted").map(text),
        outcome: match (
            mock["outcome"].get("success"),
            mock["outcome"].get("failure"),
        ) {
            (Some(success), _) => Some(Ok(text(success))),
            (None, Some(failure)) => Some(Err((part(failure, "error"), part(failure, "cause")))),
            _ => None,
        },
    }
}

fn file(request: &ReadItems, files: &Value) -> Result<String, String> {
    let want: Value = serde_json::from_str(&request.arguments).unwrap();
    let there = files
        .as_array()
        .into_iter()
        .flatten()
        .filter(|f| f["bucket"] == want["Bucket"]);
    if matches!(&request.resource, Resource::Service { action, .. } if action == "listObjectsV2") {
        let prefix = want["Prefix"].as_str().unwrap_or_default();
        let listed: Vec<Value> = there
            .filter(|f| f["key"].as_str().is_some_and(|k| k.starts_with(prefix)))
            .map(|f| json!({"Etag": "\"etag\"", "Key": f["key"], "LastModified": 1_767_225_600, "Size": text(&f["body"]).len(), "StorageClass": "STANDARD"}))
            .collect();
        return Ok(Value::Array(listed).to_string());
    }
    let found = there.into_iter().find(|f| f["key"] == want["Key"]);
    found
        .map(|f| text(&f["body"]))
        .ok_or_else(|| format!("no file is recorded for {want}"))
}

/// The result of a case in the format of the results file. A refused definition has the status
/// `REFUSED`.
fn play(case: &Value) -> Value {
    let machine = match StateMachine::parse_as(&text(&case["definition"]), kind(case)) {
        Ok(machine) => Arc::new(machine),
        Err(problems) => {
            return json!({"name": case["name"], "status": "REFUSED", "cause": problems[0].to_string(), "history": []});
        }
    };
    let env = |key: &str| case["env"][key].as_str().unwrap_or("x").to_owned();
    let mut begin = start(&text(&case["input"]));
    let (place, name) = (
        format!("arn:aws:states:{}:{}", env("region"), env("account")),
        env("state_machine_name"),
    );
    begin.execution_arn = format!("{place}:execution:{name}:{}", env("execution_name"));
    begin.state_machine_arn = format!("{place}:stateMachine:{name}");
    (
        begin.execution_name,
        begin.role_arn,
        begin.state_machine_name,
    ) = (env("execution_name"), env("role_arn"), name);
    begin.kind = kind(case);
    let mut mocks: BTreeMap<String, VecDeque<Value>> = BTreeMap::new();
    for mock in case["mocks"]["tasks"].as_array().into_iter().flatten() {
        mocks
            .entry(text(&mock["state"]))
            .or_default()
            .push_back(mock.clone());
    }
    let mocks = RefCell::new(mocks);
    let run = run(
        &machine,
        &begin,
        false,
        |task| answer(task, &mut mocks.borrow_mut(), &case["mocks"]["functions"]),
        |request| file(request, &case["mocks"]["s3"]),
    );
    assert!(
        run.journal.len() < simulation::MAX_EVENTS,
        "{} does not end",
        case["name"]
    );
    let mut replayed = Execution::new(machine, begin);
    let again: Vec<_> = run
        .journal
        .iter()
        .flat_map(|(event, at)| simulation::records(&replayed.handle(event.clone(), *at)))
        .collect();
    assert_eq!(again, run.history, "{} replays otherwise", case["name"]);
    let status = match run.execution.status() {
        Status::Succeeded => "SUCCEEDED",
        Status::Failed => "FAILED",
        Status::TimedOut => "TIMED_OUT",
        Status::Aborted => "ABORTED",
        _ => "RUNNING",
    };
    json!({"name": case["name"], "status": status, "output": run.execution.output(), "error": run.execution.error(), "cause": run.execution.cause(), "history": run.history})
}

type Row = [(usize, usize); 6];

fn print(scores: &BTreeMap<String, Row>) {
    println!(
        "{:26}{}",
        "group",
        LEVELS.map(|l| format!("{l:>14}")).concat()
    );
    for (group, row) in scores {
        let cells = row.map(|(good, all)| {
            if all == 0 {
                format!("{:>14}", "-")
            } else {
                format!("{good:>8}/{all:<5}")
            }
        });
        println!("{group:26}{}", cells.concat());
    }
}

#[test]
fn recorded_cases_match_at_least_the_floor() {
    let Some(folder) = std::env::var_os("ASL_CASES") else {
        return println!("ASL_CASES is not set: no recorded case was run");
    };
    let (mut all, mut out, mut scores) =
        (Vec::new(), String::new(), BTreeMap::<String, Row>::new());
    read(Path::new(&folder), &mut all);
    assert!(!all.is_empty(), "no case in {}", folder.display());
    let verbose = std::env::var_os("ASL_VERBOSE").is_some();
    for case in all
        .iter()
        .filter(|c| c["kind"] == "execution" && c["expect"]["status"].is_string())
    {
        let got = play(case);
        let total = if case.get("authority").is_some() {
            "ALL third-party"
        } else {
            "ALL recordings"
        };
        let levels = score(case, &got);
        for group in [case["group"].as_str().unwrap_or("?"), total] {
            let row = scores.entry(group.to_owned()).or_default();
            for (cell, level) in row.iter_mut().zip(levels) {
                cell.0 += usize::from(level == Some(true));
                cell.1 += usize::from(level.is_some());
            }
        }
        let differs: Vec<&str> = LEVELS
            .into_iter()
            .zip(levels)
            .filter(|l| l.1 == Some(false))
            .map(|l| l.0)
            .collect();
        if verbose && !differs.is_empty() {
            println!("{} {}: {}", case["group"], case["name"], differs.join(", "));
        }
        writeln!(out, "{got}").unwrap();
    }
    if let Some(path) = std::env::var_os("ASL_RESULTS") {
        std::fs::write(path, out).unwrap();
    }
    print(&scores);
    if let Some(row) = scores
        .get("ALL recordings")
        .filter(|r| r[0].1 >= FLOOR_RECORDINGS.0)
    {
        for ((level, (good, _)), floor) in LEVELS.iter().zip(row).zip(FLOOR_RECORDINGS.1) {
            assert!(*good >= floor, "{level}: {good} is below the floor {floor}");
        }
    }
    if let Some(row) = scores
        .get("ALL third-party")
        .filter(|r| r[0].1 >= FLOOR_THIRD_PARTY.0)
    {
        assert!(
            row[1].0 >= FLOOR_THIRD_PARTY.1,
            "third-party results: {} is below the floor {}",
            row[1].0,
            FLOOR_THIRD_PARTY.1
        );
    }
}

/// The locations that an authority names for the problems of a definition.
fn places(case: &Value) -> Vec<String> {
    let mut found: Vec<String> = case["aws"]["response"]["diagnostics"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|d| d["location"].as_str().map(str::to_owned))
        .collect();
    let messages = case["messages"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str);
    for message in messages.chain(case["aws"]["error"]["message"].as_str()) {
        if let Some((_, place)) = message.rsplit_once(" at /") {
            found.push(format!("/{}", place.trim_end_matches('\'')));
        }
    }
    found
        .into_iter()
        .map(|p| if p == "/" { String::new() } else { indexed(&p) })
        .collect()
}

/// A location with each index as AWS writes it, `/Choices[0]`. Other authorities write
/// `/Choices/0`.
fn indexed(place: &str) -> String {
    let mut out = String::new();
    for part in place.split('/').skip(1) {
        if !part.is_empty() && part.chars().all(|c| c.is_ascii_digit()) {
            write!(out, "[{part}]").unwrap();
        } else {
            write!(out, "/{part}").unwrap();
        }
    }
    out
}

#[test]
fn definitions() {
    let Some(folder) = std::env::var_os("ASL_CASES") else {
        return println!("ASL_CASES is not set: no definition was checked");
    };
    let mut all = Vec::new();
    read(Path::new(&folder), &mut all);
    let mut sums = [(0_usize, 0_usize); 5];
    let verbose = std::env::var_os("ASL_VERBOSE").is_some();
    for case in all.iter().filter(|c| c.get("asl_validator_ok").is_some()) {
        let definition = case.get("definition_text").unwrap_or(&case["definition"]);
        let found = asl::validate_as(&text(definition), kind(case));
        let refused = found.iter().any(|d| d.severity == Severity::Error);
        let first = found.first().map(ToString::to_string).unwrap_or_default();
        let mut count = |at: usize, good: bool| {
            sums[at].0 += usize::from(good);
            sums[at].1 += 1;
            if verbose && !good {
                println!(
                    "{} {}: {first}",
                    [
                        "valid",
                        "invalid, refused",
                        "invalid, reported",
                        "place",
                        "real-world"
                    ][at],
                    case["name"]
                );
            }
        };
        match case["expect"].as_str() {
            Some("valid") => count(0, !refused),
            Some(_) => {
                count(1, refused);
                count(2, !found.is_empty());
                for place in places(case) {
                    count(3, found.iter().any(|d| d.location == place));
                }
            }
            None => count(4, !refused),
        }
    }
    for (name, (good, all)) in [
        "valid accepted",
        "invalid refused",
        "invalid reported",
        "at the place",
        "real-world accepted",
    ]
    .iter()
    .zip(sums)
    {
        println!("{name:26}{good:>8}/{all}");
    }
    for ((good, all), (size, floor)) in sums.into_iter().zip(FLOOR_DEFINITIONS) {
        assert!(
            all < size || good >= floor,
            "{good} of {all} is below the floor {floor}"
        );
    }
}

#[test]
fn the_scorer_distinguishes_right_from_wrong() {
    for (want, got, same) in [
        (json!({"a": "«any»"}), json!({"a": 1}), true),
        (json!("x«any»z"), json!("xyz"), true),
        (json!("x«any»z"), json!("xy"), false),
        (json!("date"), json!("2026-01-01T00:00:00Z"), true),
        (json!("{\"a\":1}"), json!("{ \"a\": 1 }"), true),
        (json!([1]), json!([1, 2]), false),
        (json!(1), json!(true), false),
    ] {
        assert_eq!(matches(&want, &got), same, "{want} {got}");
    }
    let case = |output: i32, id: i32| {
        let types = [
            "ExecutionStarted",
            "PassStateEntered",
            "PassStateExited",
            "ExecutionSucceeded",
        ];
        let events: Vec<Value> = types
            .iter()
            .enumerate()
            .map(|(i, t)| json!({"type": t, "id": i + 1, "previousEventId": if i == 1 { 0 } else { i }}))
            .collect();
        let mut case = json!({"name": "own", "definition": {"StartAt": "A", "States": {"A": {"Type": "Pass", "Result": 1, "End": true}}}, "input": "{}",
            "expect": {"status": "SUCCEEDED", "output": output, "history_event_types": types, "history": events}});
        let got = play(&case);
        for (event, real) in case["expect"]["history"]
            .as_array_mut()
            .unwrap()
            .iter_mut()
            .zip(got["history"].as_array().unwrap())
        {
            for (key, value) in real
                .as_object()
                .unwrap()
                .iter()
                .filter(|(k, _)| k.ends_with("EventDetails"))
            {
                event[key] = value.clone();
            }
        }
        case["expect"]["history"][3]["id"] = json!(id);
        score(&case, &got)
    };
    let good = Some(true);
    assert_eq!(case(1, 4), [good, good, None, good, good, good]);
    assert_eq!(
        case(2, 9),
        [good, Some(false), None, good, Some(false), Some(false)]
    );
}
