//! JSONata's published test suite, run with the limits of this engine. It is not part of this
//! repository: `JSONATA_SUITE` names its folder (`test/test-suite` of jsonata-js/jsonata).
//! `JSONATA_VERBOSE` lists the cases that differ.

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::rc::Rc;

use serde_json::Value;

use super::function::Frame;
use super::machine::{Machine, MachineInput};
use super::value::Value as Ours;
use super::wrong::Wrong;
use super::{content, parse};
use crate::scope::Dice;

/// Number of steps for a millisecond of a case's own limit.
const STEPS_A_MILLISECOND: usize = 20_000;

/// The minimum for the suite as of July 2026: readable cases, and cases with the published result
/// or that of AWS, which has no `$eval` (12 cases) and lower limits (6 cases).
const FLOOR: (usize, usize) = (1_684, 1_684);

/// The JSON files of a folder, by name. Files that are not JSON here (a lone surrogate) are left
/// out.
fn read(folder: &Path) -> Vec<(String, Value)> {
    let mut files: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|end| end == "json"))
        .collect();
    files.sort();
    let name = |path: &Path| path.file_stem().unwrap().to_string_lossy().into_owned();
    files
        .iter()
        .filter_map(|path| {
            let text = fs::read_to_string(path).unwrap();
            Some((name(path), serde_json::from_str(&text).ok()?))
        })
        .collect()
}

/// Whether two values are equal. Numbers may differ in their last bit, which reading the case may
/// cost; lists may be in any order if the case says so.
fn same(want: &Value, got: &Value, any_order: bool) -> bool {
    match (want, got) {
        (Value::Number(a), Value::Number(b)) => {
            let (a, b) = (a.as_f64().unwrap(), b.as_f64().unwrap());
            (a - b).abs() <= a.abs() * 2.0 * f64::EPSILON
        }
        (Value::Array(a), Value::Array(b)) if any_order => {
            let mut rest: Vec<&Value> = b.iter().collect();
            a.len() == b.len()
                && a.iter().all(|item| {
                    let at = rest.iter().position(|other| same(item, other, true));
                    at.map(|at| rest.remove(at)).is_some()
                })
        }
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b, false))
        }
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len()
                && a.iter()
                    .all(|(key, a)| b.get(key).is_some_and(|b| same(a, b, any_order)))
        }
        _ => want == got,
    }
}

fn play(case: &Value, text: &str, datasets: &HashMap<String, Value>) -> Result<(), String> {
    let outcome = outcome(case, text, datasets);
    let code = case["code"].as_str().or(case["error"]["code"].as_str());
    match (outcome, code) {
        (Err(wrong), Some(code)) if wrong.to_string().starts_with(code) => Ok(()),
        // AWS's limits have no code.
        (Err(wrong), _) if !wrong.has_code() => Ok(()),
        (Err(wrong), _) if text.contains("$eval(") && wrong.to_string().starts_with("T1006") => {
            Ok(())
        }
        (Err(wrong), _) => Err(wrong.to_string()),
        (Ok(None), None) if case.get("undefinedResult").is_some() => Ok(()),
        (Ok(Some(got)), None) if same(&case["result"], &got, case["unordered"] == true) => Ok(()),
        (Ok(got), _) => Err(format!("{got:?}")),
    }
}

/// The value of a case; `None` for undefined.
fn outcome(
    case: &Value,
    text: &str,
    datasets: &HashMap<String, Value>,
) -> Result<Option<Value>, Box<Wrong>> {
    let program = parse::parse(text)?;
    let root = program
        .root
        .as_ref()
        .ok_or_else(|| Wrong::bound("too deep"))?;
    let data = case
        .get("data")
        .or_else(|| datasets.get(case["dataset"].as_str()?))
        .map_or(Ours::Undefined, Ours::from_json);
    let mut machine = Machine::new(MachineInput {
        labels: &program.labels,
        root: match data.is_array() {
            true => Ours::outer(data)?,
            false => data,
        },
        states: Ours::Undefined,
        variables: None,
        now: jiff::Timestamp::now(),
        random: Dice::new(1),
        ids: Dice::new(2),
    });
    // The suite's own limits are in milliseconds. Few of its cases are meant to reach them.
    let limit = case["timelimit"].as_u64().unwrap_or(60_000);
    machine.allow(
        usize::try_from(limit)
            .unwrap_or(usize::MAX)
            .saturating_mul(STEPS_A_MILLISECOND),
    );
    let frame = Rc::new(Frame::default());
    for (name, bound) in case["bindings"].as_object().into_iter().flatten() {
        frame.bind(name, Ours::from_json(bound));
    }
    let found = machine.run(root, &frame)?;
    if found.is_undefined() {
        return Ok(None);
    }
    let json = content::to_json(&machine, &found)?;
    Ok(Some(json.unwrap_or(Value::from("a function"))))
}

#[test]
fn the_published_suite_passes() {
    let Some(folder) = std::env::var_os("JSONATA_SUITE") else {
        return println!("JSONATA_SUITE is not set: the published suite was not run");
    };
    let folder = Path::new(&folder);
    let datasets: HashMap<String, Value> = read(&folder.join("datasets")).into_iter().collect();
    let mut groups: Vec<_> = fs::read_dir(folder.join("groups"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_dir())
        .collect();
    groups.sort();
    let (mut all, mut good) = (0, 0);
    for group in groups {
        for (file, cases) in read(&group) {
            let cases = match cases {
                Value::Array(cases) => cases,
                one => vec![one],
            };
            for case in cases {
                let text = match case["expr-file"].as_str() {
                    Some(name) => fs::read_to_string(group.join(name)).unwrap(),
                    None => case["expr"].as_str().unwrap().to_owned(),
                };
                all += 1;
                match play(&case, &text, &datasets) {
                    Ok(()) => good += 1,
                    Err(got) if std::env::var_os("JSONATA_VERBOSE").is_some() => {
                        let group = group.file_name().unwrap_or_default().to_string_lossy();
                        println!("{group} {file}: {text}\n  {got}");
                    }
                    Err(_) => {}
                }
            }
        }
    }
    println!("JSONata's published suite: {good} of {all}");
    assert!(all < FLOOR.0 || good >= FLOOR.1, "below {FLOOR:?}");
}
