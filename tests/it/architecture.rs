//! The absences of ARCHITECTURE.md, its code map, and the limits of `docs/reference/limits.md`.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::imports::Graph;

/// Our crates by the folders of their root modules, in the order of their dependencies: a crate
/// depends only on crates before it.
const CRATES: &[&str] = &[
    "crates/json/src",
    "crates/job/src",
    "crates/wire/src",
    "crates/asl/src",
    "crates/outgoing/src",
    "crates/sqlite/src",
    "crates/checker/src",
    "crates/functions/src",
    "samples/src",
    "crates/workflow/src",
    "crates/localcloud/src",
    "resolvers/src",
    "src",
    "bench/src",
    "xtask/src",
];

/// The programs beside a library, which are crates too.
const PROGRAMS: &[&str] = &["samples/src/bin/make-samples"];

/// The modules of a folder, in the order of their imports: a module imports only from neighbours
/// that are before it. The folder's root module may import from all.
///
/// In `src`, `graphql` is after `session`, whose port it implements, and `config` is after the
/// modules whose settings it reads. In `resolvers`, `workflow` is after `store`, because a
/// submitted job and its execution are one commit.
const ORDERS: &[(&str, &[&str])] = &[
    (
        "src",
        &[
            "chaos",
            "colour",
            "data",
            "masked",
            "nearest",
            "peers",
            "printable",
            "intake",
            "auth",
            "realtime",
            "session",
            "graphql",
            "http",
            "config",
            "log",
            "server",
            "lambda",
            "cli",
        ],
    ),
    (
        "src/cli",
        &["error", "outcome", "show", "signals", "client", "commands"],
    ),
    (
        "src/graphql",
        &[
            "limits", "rate", "error", "held", "syntax", "schema", "request", "response",
            "shortcut", "executor", "batch", "session", "watch",
        ],
    ),
    ("src/realtime", &["hub", "broker", "publisher"]),
    (
        "resolvers/src",
        &[
            "percent",
            "two_generation_cache",
            "read_budget",
            "aws",
            "caller",
            "token",
            "store",
            "queues",
            "workflow",
            "error",
            "files",
            "jobs",
        ],
    ),
    (
        "crates/workflow/src",
        &[
            "arn",
            "catalog",
            "guard",
            "ids",
            "json_error",
            "secret",
            "task",
            "timers",
            "activity",
            "lambda",
            "services",
            "supported",
            "machines",
            "engine",
            "target",
            "start",
            "nested",
            "runner",
            "api",
            "internal",
        ],
    ),
];

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// The code of a file, or of every Rust file below a folder, without comments and without what only
/// tests have.
fn code(folder: &str) -> Vec<(String, String)> {
    let mut files = Vec::new();
    walk(&root().join(folder), &mut files);
    assert!(!files.is_empty(), "{folder} has no Rust files");
    files
        .into_iter()
        .filter(|path| {
            let path = path.to_string_lossy();
            let is_test = path.ends_with("tests.rs") || path.ends_with("suite.rs");
            !is_test && !path.contains("/tests")
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

/// Adds the Rust files of a folder, or one file.
fn walk(folder: &Path, files: &mut Vec<PathBuf>) {
    if folder.is_file() {
        files.push(folder.to_path_buf());
        return;
    }
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
    let mut found = String::new();
    for folder in CRATES.iter().chain(PROGRAMS) {
        let graph = Graph::read(&root().join(folder));
        for circle in graph.circles().iter().filter(|circle| circle.len() > 2) {
            found.push_str(&format!("{folder}:\n{}", graph.imports(circle)));
        }
    }
    assert!(found.is_empty(), "circles of imports:\n{found}");
}

#[test]
fn folders_import_from_each_other_in_no_circle() {
    let mut found = String::new();
    for folder in CRATES.iter().chain(PROGRAMS) {
        for circle in Graph::read(&root().join(folder)).folder_circles() {
            found.push_str(&format!("{folder}:\n{circle}"));
        }
    }
    assert!(found.is_empty(), "circles of modules:\n{found}");
}

#[test]
fn a_module_imports_only_from_modules_before_it() {
    let mut found = String::new();
    for (folder, order) in ORDERS {
        let root_folder = CRATES.iter().filter(|root| folder.starts_with(*root));
        let root_folder = root_folder.max_by_key(|root| root.len()).unwrap();
        let below = format!("{folder}/");
        let place = |file: &str| {
            let path = format!("{root_folder}/{file}");
            let name = path.strip_prefix(&below)?.split('/').next()?;
            let name = name.trim_end_matches(".rs");
            let place = order.iter().position(|module| *module == name);
            let is_root = ["lib", "mod"].contains(&name);
            assert!(place.is_some() || is_root, "add {path} to ORDERS");
            place
        };
        for (file, targets) in Graph::read(&root().join(root_folder)).edges() {
            let Some(from) = place(&file) else { continue };
            let is_wrong = |target: &&String| place(target).is_some_and(|to| to > from);
            let wrong = targets.iter().filter(is_wrong);
            found.extend(wrong.map(|target| {
                format!("{root_folder}/{file} imports from {root_folder}/{target}\n")
            }));
        }
    }
    assert!(
        found.is_empty(),
        "imports against the order of ORDERS:\n{found}"
    );
}

#[test]
fn a_crate_depends_only_on_crates_before_it() {
    let manifest = |folder: &str| match folder.trim_end_matches("src") {
        "" => "Cargo.toml".to_owned(),
        folder => format!("{folder}Cargo.toml"),
    };
    let name = |folder: &&str| match folder.trim_end_matches("/src") {
        "src" => "jobcast".to_owned(),
        folder => folder.rsplit('/').next().unwrap().to_owned(),
    };
    let names: Vec<String> = CRATES.iter().map(name).collect();
    for (at, folder) in CRATES.iter().enumerate() {
        let dependencies = dependencies(&manifest(folder));
        for line in dependencies.lines() {
            let dependency = line.split(['.', ' ', '=']).next().unwrap();
            let place = names.iter().position(|name| name == dependency);
            assert!(
                place.is_none_or(|place| place < at),
                "{folder} depends on {dependency}, which is not before it in CRATES"
            );
        }
    }
}

#[test]
fn parts_with_one_purpose_stay_pure() {
    for file in [
        "src/session/operations.rs",
        "resolvers/src/workflow/change.rs",
    ] {
        nowhere(file, &["async ", ".await", "tokio", "::now()"], &[]);
    }
}

#[test]
fn sessions_know_no_graphql() {
    nowhere("src/session", &["async_graphql", "crate::graphql"], &[]);
}

#[test]
fn a_node_is_assembled_in_one_place() {
    for folder in ["src", "bench/src"] {
        nowhere(
            folder,
            &["Sessions::new(", "Publisher::new(", "Hub::default("],
            &["src/server/node.rs", "src/realtime/mod.rs"],
        );
    }
}

#[test]
fn arns_are_written_in_one_place() {
    nowhere(
        "crates/workflow/src",
        &["format!(\"arn:"],
        &["crates/workflow/src/arn.rs"],
    );
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
            assert!(
                !dependencies(&manifest).contains("localcloud"),
                "{manifest} must not depend on localcloud: it is for tests and benchmarks"
            );
        }
    }
}

#[test]
fn databases_are_spoken_to_in_their_adapters_only() {
    nowhere(
        "resolvers/src",
        &["SELECT "],
        &["resolvers/src/store/sqlite", "resolvers/src/queues"],
    );
    // The recorder takes part in the transaction of the journal.
    nowhere(
        "resolvers/src",
        &["rusqlite"],
        &[
            "resolvers/src/queues/local.rs",
            "resolvers/src/store/sqlite",
            "resolvers/src/workflow/recorder.rs",
        ],
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
