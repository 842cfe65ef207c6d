//! The documentation is true: its snippets run, its links lead somewhere, its tables are those of
//! the code.
//!
//! CONTRIBUTING.md lists the words of a fence. `tests/docs/run` runs the snippets that need other
//! programs.

mod page;
mod runner;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use page::{Page, all, root};
use runner::run;

/// The pages with snippets that run; each has a test below.
const RUN: &[&str] = &[
    "README.md",
    "docs/guides/backend.md",
    "docs/guides/first-job-node.md",
    "docs/guides/first-job-python.md",
    "docs/guides/first-job-rust.md",
    "docs/guides/first-steps.md",
    "docs/guides/operating.md",
    "docs/guides/queues.md",
    "docs/guides/watch-from-the-web.md",
];

#[tokio::test]
async fn the_readme_runs() {
    run("README.md").await;
}

#[tokio::test]
async fn the_guide_for_a_backend_runs() {
    run("docs/guides/backend.md").await;
}

#[tokio::test]
async fn the_first_job_in_node_runs() {
    run("docs/guides/first-job-node.md").await;
}

#[tokio::test]
async fn the_first_job_in_python_runs() {
    run("docs/guides/first-job-python.md").await;
}

#[tokio::test]
async fn the_first_job_in_rust_runs() {
    run("docs/guides/first-job-rust.md").await;
}

#[tokio::test]
async fn the_first_steps_run() {
    run("docs/guides/first-steps.md").await;
}

#[tokio::test]
async fn the_guide_for_operators_runs() {
    run("docs/guides/operating.md").await;
}

#[tokio::test]
async fn the_guide_for_queues_runs() {
    run("docs/guides/queues.md").await;
}

#[tokio::test]
async fn the_guide_for_the_web_runs() {
    run("docs/guides/watch-from-the-web.md").await;
}

#[test]
fn each_page_with_snippets_that_run_has_a_test() {
    let mut found = BTreeSet::new();
    for path in all() {
        let page = Page::read(&path);
        let runs = page
            .fences
            .iter()
            .any(|fence| fence.is("run") || fence.is("tools"));
        found.extend(runs.then(|| path.display().to_string()));
    }
    let tested: BTreeSet<String> = RUN.iter().map(|path| (*path).to_owned()).collect();
    assert_eq!(found, tested);
}

/// Every fence of a language says what runs it.
#[test]
fn every_fence_has_a_known_marker() {
    for path in all() {
        let in_crate = path.starts_with("crates");
        for fence in Page::read(&path).fences {
            let words = fence.words.iter().map(String::as_str);
            let known = match fence.language.as_str() {
                // A drawing in characters, or a diagram.
                "" | "mermaid" => fence.words.is_empty(),
                // rustdoc compiles it, and runs it unless it is `no_run`.
                "rust" if in_crate => words.clone().all(|word| word == "no_run"),
                "sh" | "graphql" => {
                    let words: Vec<&str> = words.collect();
                    matches!(
                        words[..],
                        ["run" | "tools" | "serve" | "aws" | "linted" | "shown"]
                            | ["run" | "tools", "background"]
                    )
                }
                _ => fence.is("shown") || fence.value("file").is_some(),
            };
            let place = format!("{}:{}", path.display(), fence.line);
            assert!(known, "{place}: `{} {:?}`", fence.language, fence.words);
        }
    }
}

#[test]
fn shell_snippets_that_are_not_run_have_a_valid_syntax() {
    for path in all() {
        for fence in Page::read(&path).fences {
            if fence.language != "sh" {
                continue;
            }
            let output = Command::new("sh").args(["-nc", &fence.text]).output();
            let output = output.unwrap();
            let place = format!("{}:{}", path.display(), fence.line);
            assert!(
                output.status.success(),
                "{place}: {}",
                String::from_utf8_lossy(&output.stderr)
            );
        }
    }
}

#[test]
fn code_of_the_guides_is_that_of_the_examples() {
    let mut count = 0;
    for path in all() {
        for fence in Page::read(&path).fences {
            let Some(example) = fence.value("example") else {
                continue;
            };
            let text = fs::read_to_string(root().join(example)).unwrap();
            let code = text.lines().filter(|line| !line.starts_with("//!"));
            let code = code.collect::<Vec<_>>().join("\n");
            assert_eq!(fence.text.trim(), code.trim(), "{}", path.display());
            count += 1;
        }
    }
    assert!(count > 0, "no guide shows an example");
}

/// The address of the repository's files, which the book uses for pages outside of it.
const REPOSITORY: &str = "https://github.com/jobcast/jobcast/blob/main/";

#[test]
fn every_link_leads_to_a_page_and_a_heading() {
    let mut broken = Vec::new();
    for path in all() {
        let folder = path.parent().unwrap_or(Path::new(""));
        for (line, target) in Page::read(&path).links() {
            let (file, anchor) = target.split_once('#').unwrap_or((&target, ""));
            let file = match file.strip_prefix(REPOSITORY) {
                Some(file) => PathBuf::from(file),
                None if file.contains("://") || file.starts_with("mailto:") => continue,
                None if file.is_empty() => path.clone(),
                None => folder.join(file),
            };
            let place = format!("{}:{line}: {target}", path.display());
            if !root().join(&file).exists() {
                broken.push(place);
            } else if !anchor.is_empty() && !Page::read(&file).anchors().contains(&anchor.into()) {
                broken.push(format!("{place} (no such heading)"));
            } else if path.starts_with("docs") && !is_in_the_book(&path, &file, &target) {
                broken.push(format!("{place} (outside of the book: use {REPOSITORY}…)"));
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

/// Whether a link of the book stays in it, or names the repository.
fn is_in_the_book(page: &Path, file: &Path, target: &str) -> bool {
    let from = root().join(page).canonicalize().unwrap();
    let to = root().join(file).canonicalize().unwrap();
    let book = root().join("docs").canonicalize().unwrap();
    target.starts_with(REPOSITORY) || (from.starts_with(&book) && to.starts_with(&book))
}

#[test]
fn the_summary_has_every_page_of_the_book() {
    let summary = Page::read("docs/SUMMARY.md");
    let listed: BTreeSet<PathBuf> = summary
        .links()
        .into_iter()
        .map(|(_, target)| Path::new("docs").join(target))
        .collect();
    let mut pages: BTreeSet<PathBuf> = all().into_iter().collect();
    pages.retain(|path| path.starts_with("docs") && !path.ends_with("SUMMARY.md"));
    assert_eq!(listed, pages);
}

#[test]
fn the_decisions_are_numbered_and_listed() {
    let index = fs::read_to_string(root().join("docs/decisions/index.md")).unwrap();
    let mut names: Vec<PathBuf> = all();
    names.retain(|path| path.starts_with("docs/decisions") && !path.ends_with("index.md"));
    names.sort();
    for (number, path) in (1..).zip(&names) {
        let name = path.file_name().unwrap().to_str().unwrap();
        assert!(name.starts_with(&format!("{number:04}-")), "{name}");
        assert!(
            index.contains(&format!("]({name})")),
            "{name} is not listed"
        );
        let text = fs::read_to_string(root().join(path)).unwrap();
        assert!(text.starts_with(&format!("# {number}. ")), "{name}");
        for part in ["## Context", "## Decision", "## Consequence"] {
            assert!(text.contains(part), "{name} has no {part}");
        }
    }
    assert!(names.len() >= 30, "decisions are missing: {}", names.len());
}

/// The text of every Rust file below `src`, `resolvers/src` and `crates`.
fn code() -> Vec<String> {
    fn walk(folder: &Path, texts: &mut Vec<String>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, texts);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                texts.push(fs::read_to_string(path).unwrap());
            }
        }
    }
    let mut texts = Vec::new();
    for folder in ["src", "resolvers/src", "crates"] {
        walk(&root().join(folder), &mut texts);
    }
    texts
}

/// The texts between `` `…` `` in the first column of a section's tables.
fn first_column(page: &str, heading: &str) -> BTreeSet<String> {
    let text = fs::read_to_string(root().join(page)).unwrap();
    let section = text.split(&format!("{heading}\n")).nth(1).unwrap();
    let section = section.split("\n## ").next().unwrap();
    let rows = section.lines().filter_map(|line| line.strip_prefix("| `"));
    rows.filter_map(|row| row.split('`').next())
        .map(str::to_owned)
        .collect()
}

#[test]
fn the_metrics_of_the_guide_are_those_of_the_code() {
    let mut counted = BTreeSet::new();
    for text in code() {
        for kind in ["counter!(\"", "gauge!(\"", "histogram!(\""] {
            let names = text
                .split(kind)
                .skip(1)
                .filter_map(|rest| rest.split('"').next());
            counted.extend(names.map(str::to_owned));
        }
    }
    assert_eq!(
        first_column("docs/guides/operating.md", "## Metrics"),
        counted
    );
}

#[test]
fn the_reference_has_every_error_code_of_the_use_cases() {
    let listed = first_column("docs/reference/errors.md", "# Error codes");
    let text = fs::read_to_string(root().join("resolvers/src/error.rs")).unwrap();
    let codes = text
        .split("=> \"")
        .skip(1)
        .filter_map(|rest| rest.split('"').next());
    let mut count = 0;
    for code in codes {
        assert!(listed.contains(code), "errors.md does not list {code}");
        count += 1;
    }
    assert!(count >= 12, "the codes are missing: {count}");
}
