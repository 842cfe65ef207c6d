//! The absences of ARCHITECTURE.md, its code map, and the limits of `docs/reference/limits.md`.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::imports::Graph;

/// The folders of the crates' root modules.
const CRATES: &[&str] = &[
    "crates/asl/src",
    "crates/checker/src",
    "crates/functions/src",
    "crates/job/src",
    "crates/json/src",
    "crates/localcloud/src",
    "crates/outgoing/src",
    "crates/sqlite/src",
    "crates/wire/src",
    "crates/workflow/src",
    "resolvers/src",
    "src",
];

/// The rooms whose files import each other in no circle of more than two: folders or files.
const WITHOUT_CIRCLES: &[&str] = &[
    "crates/asl/",
    "crates/checker/",
    "crates/functions/",
    "crates/job/",
    "crates/json/",
    "crates/localcloud/src/mapping/",
    "crates/outgoing/",
    "crates/sqlite/",
    "crates/wire/",
    "crates/workflow/src/catalog/",
    "crates/workflow/src/engine/",
    "resolvers/src/files/",
    "resolvers/src/jobs/",
    "src/auth/",
    "src/graphql/",
    "src/log/",
    "src/realtime/",
];

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// The code of every Rust file below a folder, without comments and without what only tests have.
fn code(folder: &str) -> Vec<(String, String)> {
    let mut files = Vec::new();
    walk(&root().join(folder), &mut files);
    assert!(!files.is_empty(), "{folder} has no Rust files");
    files
        .into_iter()
        .filter(|path| {
            let tests = path.ends_with("tests.rs") || path.ends_with("suite.rs");
            !tests && !path.to_string_lossy().contains("/tests")
        })
        .map(|path| {
            let text = fs::read_to_string(&path).unwrap();
            let text = text
                .split("#[cfg(test)]\nmod tests {")
                .next()
                .unwrap()
                .to_owned();
            let code = text
                .lines()
                .filter(|line| !line.trim_start().starts_with("//"));
            let name = path.strip_prefix(root()).unwrap().display().to_string();
            (name, code.collect::<Vec<_>>().join("\n"))
        })
        .collect()
}

fn walk(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.ends_with("target") {
            walk(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

/// Asserts that no file below `folder` but the `allowed` ones holds one of the `words`.
fn nowhere(folder: &str, words: &[&str], allowed: &[&str]) {
    for (file, code) in code(folder) {
        if allowed.iter().any(|allowed| file.starts_with(allowed)) {
            continue;
        }
        for word in words {
            let found = code.lines().find(|line| line.contains(word));
            assert!(
                found.is_none(),
                "{file} must not have `{word}`: {}",
                found.unwrap_or_default().trim()
            );
        }
    }
}

fn dependencies(manifest: &str) -> String {
    let text = fs::read_to_string(root().join(manifest)).unwrap();
    let section = text.split("\n[dependencies]\n").nth(1).unwrap();
    section.split("\n[").next().unwrap().to_owned()
}

#[test]
fn pure_crates_stay_pure() {
    for name in ["json", "job", "wire", "asl", "checker"] {
        let folder = format!("crates/{name}/src");
        nowhere(
            &folder,
            &[
                "async fn",
                ".await;",
                ".await?",
                ".await)",
                "SystemTime",
                "Instant::now",
                "Timestamp::now",
                "std::net",
                "std::fs",
                "std::thread",
                "println!",
            ],
            &[],
        );
        let dependencies = dependencies(&format!("crates/{name}/Cargo.toml"));
        for heavy in [
            "tokio",
            "axum",
            "hyper",
            "rusqlite",
            "reqwest",
            "async-graphql",
        ] {
            assert!(
                !dependencies.contains(heavy),
                "crates/{name} must not depend on {heavy}"
            );
        }
    }
}

#[test]
fn imports_go_round_in_no_circle() {
    for room in WITHOUT_CIRCLES {
        assert!(root().join(room).exists(), "{room} is not there");
    }
    let mut found = String::new();
    for folder in CRATES {
        let graph = Graph::read(&root().join(folder));
        for circle in graph.circles() {
            let is_held = |file: &String| {
                let path = format!("{folder}/{file}");
                WITHOUT_CIRCLES.iter().any(|room| path.starts_with(room))
            };
            if circle.len() > 2 && circle.iter().any(is_held) {
                found.push_str(&format!("{folder}:\n{}", graph.imports(&circle)));
            }
        }
    }
    assert!(found.is_empty(), "circles of imports:\n{found}");
}

#[test]
fn the_use_cases_know_no_edge() {
    let dependencies = dependencies("resolvers/Cargo.toml");
    for edge in [
        "axum",
        "hyper",
        "async-graphql",
        "tungstenite",
        "lambda_runtime",
        "\nwire",
        "\njobcast",
    ] {
        assert!(
            !dependencies.contains(edge),
            "resolvers must not depend on {edge}"
        );
    }
}

#[test]
fn nothing_that_is_shipped_depends_on_the_local_cloud() {
    let crates = fs::read_dir(root().join("crates")).unwrap();
    let crates = crates.map(|entry| format!("crates/{}", entry.unwrap().file_name().display()));
    let rest = [".", "resolvers", "samples"].map(str::to_owned);
    for folder in crates.chain(rest) {
        let manifest = format!("{folder}/Cargo.toml");
        if root().join(&manifest).is_file() {
            let dependencies = dependencies(&manifest);
            assert!(
                !dependencies.contains("localcloud"),
                "{manifest} must not depend on localcloud: it is for tests and benchmarks"
            );
        }
    }
}

#[test]
fn databases_are_spoken_to_in_their_adapters_only() {
    nowhere(
        "resolvers/src",
        &["rusqlite", "SELECT "],
        &["resolvers/src/store/sqlite"],
    );
    nowhere(
        "resolvers/src",
        &["aws_sdk_dynamodb"],
        &["resolvers/src/store/dynamodb"],
    );
    // The filter of the log names what may log.
    nowhere("src", &["rusqlite", "aws_sdk"], &["src/log/filter.rs"]);
}

#[test]
fn only_the_use_cases_change_jobs() {
    nowhere("src", &[".apply(", "store.create("], &[]);
}

#[test]
fn only_the_publisher_feeds_the_hub() {
    nowhere(
        "src",
        &["hub.publish("],
        &["src/realtime/publisher.rs", "src/realtime/hub"],
    );
}

#[test]
fn nobody_asks_where_the_program_runs() {
    for folder in ["src", "resolvers/src"] {
        nowhere(
            folder,
            &["is_local", "is_aws", "is_embedded", "AWS_EXECUTION_ENV"],
            &[],
        );
    }
}

/// The value of a constant of a module: a number, or the number of a duration's constructor.
fn constant(module: &str, name: &str) -> usize {
    let mut files = Vec::new();
    let file = root().join(format!("{module}.rs"));
    if file.is_file() {
        files.push(file);
    }
    if root().join(module).is_dir() {
        walk(&root().join(module), &mut files);
    }
    let start = format!("const {name}: ");
    let found: BTreeSet<String> = files
        .iter()
        .flat_map(|file| {
            let text = fs::read_to_string(file).unwrap();
            let values = text.lines().filter(|line| line.contains(&start));
            let values = values.filter_map(|line| line.split_once(" = "));
            let values = values.map(|(_, value)| value.trim_end_matches(';').to_owned());
            values.collect::<Vec<_>>()
        })
        .collect();
    assert_eq!(found.len(), 1, "{name} in {module}: {found:?}");
    let value = found.first().unwrap();
    // A duration counts in the unit of its constructor.
    let number = value
        .trim_start_matches("Duration::from_secs(")
        .trim_start_matches("Duration::from_millis(")
        .trim_end_matches(')');
    let term = |text: &str| {
        let factor = |text: &str| text.trim().replace('_', "").parse::<usize>();
        text.split('*').map(factor).product::<Result<usize, _>>()
    };
    let sum: Result<usize, _> = number.split('+').map(term).sum();
    sum.unwrap_or_else(|_| panic!("{name} is not a number: {value}"))
}

#[test]
fn the_limits_of_the_reference_are_those_of_the_code() {
    let text = fs::read_to_string(root().join("docs/reference/limits.md")).unwrap();
    // A row of a constant begins with its place and its name.
    let rows = text
        .lines()
        .filter(|line| line.starts_with("| `") && line.matches('`').count() >= 4);
    let mut count = 0;
    for row in rows {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        let names: Vec<&str> = cells[1].split('`').collect();
        let limit: usize = cells[2].replace(',', "").parse().unwrap();
        assert_eq!(
            constant(names[1], names[3]),
            limit,
            "correct this row: {row}"
        );
        count += 1;
    }
    assert!(count >= 70, "the tables are missing: {count} rows");
}

#[test]
fn the_code_map_names_what_is_there() {
    let text = fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    let section = text.split("## Code map").nth(1).unwrap();
    let section = section.split("\n## ").next().unwrap();
    let mut count = 0;
    for row in section.lines().filter(|line| line.starts_with("| `")) {
        let path = row.split('`').nth(1).unwrap();
        assert!(
            root().join(path).exists(),
            "the code map names {path}, which is not there"
        );
        count += 1;
    }
    assert!(count >= 15, "the code map is missing: {count} rows");
}
