//! Every definition is valid, names functions that exist, and has a schema that its examples fit.

use std::path::Path;

use serde_json::{Value, json};

use crate::machine::{definition, invoke};

const TYPES: [&str; 3] = ["approval", "csv-report", "thumbnails"];

fn read(path: impl AsRef<Path>) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    let text = std::fs::read_to_string(&path)
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Every function that a definition calls.
fn functions(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                match (name.as_str(), value.as_str()) {
                    ("Resource", Some(text)) if !text.contains(":states:::") => {
                        found.push(text.rsplit(':').next().unwrap().into());
                    }
                    ("FunctionName", Some(text)) => found.push(text.into()),
                    _ => functions(value, found),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| functions(item, found)),
        _ => {}
    }
}

#[test]
fn each_job_type_has_a_definition_and_a_schema() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../state-machines");
    let mut names: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .filter_map(|entry| {
            Some(
                entry
                    .unwrap()
                    .file_name()
                    .to_str()?
                    .strip_suffix(".asl.json")?
                    .to_owned(),
            )
        })
        .collect();
    names.sort();
    assert_eq!(names, TYPES);
    let mut called = Vec::new();
    for name in TYPES {
        let text = definition(name);
        assert_eq!(asl::validate(&text), [], "{name}");
        let definition: Value = serde_json::from_str(&text).unwrap();
        assert!(
            definition["Comment"]
                .as_str()
                .is_some_and(|comment| !comment.is_empty()),
            "{name}"
        );
        functions(&definition, &mut called);
    }
    let bench = read("bench/chain3.asl.json");
    assert_eq!(asl::validate(&bench.to_string()), []);
    functions(&bench, &mut called);
    called.sort();
    let noops = samples::NOOPS.iter().filter(|name| **name != "bare");
    let mut known: Vec<_> = samples::FUNCTIONS
        .iter()
        .chain(noops)
        .map(ToString::to_string)
        .collect();
    known.sort();
    assert_eq!(
        called, known,
        "each function is called, and each call has a function"
    );
}

#[test]
fn each_schema_accepts_its_examples_and_refuses_invalid_inputs() {
    let wrong = [
        ("approval", json!({"subject": " ", "approver": "a"})),
        ("approval", json!({"subject": "s"})),
        ("csv-report", json!({"csv": "file:///etc/passwd"})),
        (
            "csv-report",
            json!({"csv": "http://x/y", "delimiter": "\""}),
        ),
        (
            "csv-report",
            json!({"csv": "http://x/y", "delimiter": ";;"}),
        ),
        ("thumbnails", json!({"image": "http://x/y", "widths": []})),
        (
            "thumbnails",
            json!({"image": "http://x/y", "widths": [4097]}),
        ),
        ("thumbnails", json!({"image": "http://x/y", "width": 100})),
        ("thumbnails", json!("http://x/y")),
    ];
    for name in TYPES {
        let schema = read(format!("../state-machines/{name}.input.schema.json"));
        let validator = jsonschema::draft202012::new(&schema).unwrap();
        let examples = schema["examples"].as_array().unwrap();
        assert!(!examples.is_empty());
        for example in examples {
            assert!(validator.is_valid(example), "{name}: {example}");
        }
        for property in schema["properties"].as_object().unwrap().values() {
            assert!(property["description"].is_string(), "{name}: {property}");
        }
        for (_, input) in wrong.iter().filter(|(of, _)| *of == name) {
            assert!(!validator.is_valid(input), "{name}: {input}");
        }
    }
}

#[test]
fn the_limits_in_the_schemas_equal_those_in_the_code() {
    use samples::thumbnails::{DEFAULT_WIDTHS, MAX_WIDTH, MAX_WIDTHS};
    let widths = &read("../state-machines/thumbnails.input.schema.json")["properties"]["widths"];
    assert_eq!(widths["maxItems"], MAX_WIDTHS);
    assert_eq!(widths["items"]["maximum"], MAX_WIDTH);
    assert_eq!(widths["default"], json!(DEFAULT_WIDTHS));
    let subject = &read("../state-machines/approval.input.schema.json")["properties"]["subject"];
    assert_eq!(subject["maxLength"], samples::approval::MAX_SUBJECT_BYTES);
}

#[tokio::test]
async fn the_benchmarks_function_counts() {
    assert_eq!(
        invoke("noop1", json!({"n": 41, "job": null}))
            .await
            .unwrap(),
        json!({"n": 42})
    );
    assert_eq!(invoke("noop2", json!({})).await.unwrap(), json!({"n": 1}));
}
