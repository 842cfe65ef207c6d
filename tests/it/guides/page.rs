//! A page of the documentation as its fences, headings and links. Markdown as these pages use it,
//! not all of it.

use std::fs;
use std::path::{Path, PathBuf};

/// The root of the repository.
pub fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// A block between two lines of three backticks.
#[derive(Clone, Debug)]
pub struct Fence {
    /// The line number of its first line, from 1.
    pub line: usize,
    /// The language; empty where none is given.
    pub language: String,
    /// The words after the language.
    pub words: Vec<String>,
    /// The text.
    pub text: String,
}

impl Fence {
    /// Whether it has this word.
    pub fn is(&self, word: &str) -> bool {
        self.words.iter().any(|own| own == word)
    }

    /// The value of a word `name=value`.
    pub fn value(&self, name: &str) -> Option<&str> {
        self.words
            .iter()
            .find_map(|word| word.strip_prefix(name)?.strip_prefix('='))
    }
}

/// A page.
#[derive(Debug)]
pub struct Page {
    /// Its path from the root.
    pub path: PathBuf,
    /// Its fences.
    pub fences: Vec<Fence>,
    /// Its lines outside fences, with their numbers.
    pub prose: Vec<(usize, String)>,
}

impl Page {
    /// Reads a page; `path` begins at the root.
    pub fn read(path: impl AsRef<Path>) -> Page {
        let path = path.as_ref().to_path_buf();
        let text = fs::read_to_string(root().join(&path))
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let mut page = Page {
            path,
            fences: Vec::new(),
            prose: Vec::new(),
        };
        let mut open: Option<Fence> = None;
        for (number, line) in (1..).zip(text.lines()) {
            match (&mut open, line.strip_prefix("```")) {
                (Some(_), Some(_)) => page.fences.extend(open.take()),
                (Some(fence), None) => {
                    fence.text.push_str(line);
                    fence.text.push('\n');
                }
                (None, Some(info)) => {
                    let mut words = info.split_whitespace().map(str::to_owned);
                    open = Some(Fence {
                        line: number,
                        language: words.next().unwrap_or_default(),
                        words: words.collect(),
                        text: String::new(),
                    });
                }
                (None, None) => page.prose.push((number, line.to_owned())),
            }
        }
        assert!(
            open.is_none(),
            "{}: a fence is not closed",
            page.path.display()
        );
        page
    }

    /// The anchors of its headings, as GitHub and mdBook name them.
    pub fn anchors(&self) -> Vec<String> {
        let mut anchors: Vec<String> = Vec::new();
        let headings = self.prose.iter().filter(|(_, line)| line.starts_with('#'));
        for (_, heading) in headings {
            let text = heading.trim_start_matches('#').trim().to_lowercase();
            let anchor: String = text
                .chars()
                .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'))
                .map(|c| if c == ' ' { '-' } else { c })
                .collect();
            let repeats = anchors.iter().filter(|own| **own == anchor).count();
            let suffix = if repeats == 0 {
                String::new()
            } else {
                format!("-{repeats}")
            };
            anchors.push(anchor + &suffix);
        }
        anchors
    }

    /// The targets of its links and pictures, with their lines.
    pub fn links(&self) -> Vec<(usize, String)> {
        let mut links = Vec::new();
        for (number, line) in &self.prose {
            // Code between backticks has no links.
            let text: String = line.split('`').step_by(2).collect::<Vec<_>>().join("`");
            let targets = text
                .split("](")
                .skip(1)
                .filter_map(|rest| rest.split([')', ' ']).next());
            links.extend(targets.map(|target| (*number, target.to_owned())));
            let reference = line
                .strip_prefix('[')
                .and_then(|rest| rest.split_once("]: "));
            links.extend(reference.map(|(_, target)| (*number, target.to_owned())));
        }
        links
    }
}

/// Every page of the repository, by its path from the root.
pub fn all() -> Vec<PathBuf> {
    let mut pages = Vec::new();
    for folder in ["", "crates/functions", "crates/checker", "fuzz"] {
        markdown(Path::new(folder), false, &mut pages);
    }
    markdown(Path::new("docs"), true, &mut pages);
    assert!(pages.len() > 40, "pages are missing: {pages:?}");
    pages
}

fn markdown(folder: &Path, below: bool, pages: &mut Vec<PathBuf>) {
    let entries = fs::read_dir(root().join(folder)).unwrap();
    for entry in entries.map(Result::unwrap) {
        let path = folder.join(entry.file_name());
        if below && root().join(&path).is_dir() {
            markdown(&path, below, pages);
        } else if path.extension().is_some_and(|extension| extension == "md") {
            pages.push(path);
        }
    }
}
