//! The language of comments, texts in the code, documents, the schema and the help: plain words,
//! and comments that fit into 100 columns.
//!
//! The test matches whole words in any case. It skips code spans, code blocks and the strings of
//! tests. It does not judge grammar: a text that passes may still need an edit.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::imports::literals;

/// Maximum length of a comment line, in characters.
const COLUMNS: usize = 100;

/// A phrase that is not used, and what to say instead.
const BANNED: &[(&str, &str)] = &[
    ("so many", "at most N; the number of"),
    ("so long", "the time allowed for; as long as"),
    ("so often", "every N seconds; N times"),
    ("is told", "receives; is notified"),
    ("are told", "receive; are notified"),
    ("who is told", "the receiver"),
    ("tell", "send; publish; notify (documents and errors say)"),
    ("tells", "sends; publishes; notifies; says"),
    ("told", "sent; published; notified"),
    ("telling", "update; sending"),
    ("nobody", "no caller; no client; no watcher"),
    ("somebody", "a caller; a client"),
    ("anybody", "a caller; any client"),
    ("everybody", "all callers; every watcher"),
    ("worth nothing", "invalid; stale"),
    ("as good as", "equal to; as valid as"),
    ("is good", "is valid"),
    ("are good", "are valid"),
    ("stands", "is; is written"),
    ("bears", "supports; tolerates; holds"),
    ("anew", "again; from the beginning"),
    ("of its own", "its own X; separate"),
    ("the one that", "the X that"),
    ("knows no", "does not depend on; has no"),
    ("for company", "for more requests"),
    ("whatever", "any; every; regardless of"),
    ("whoever", "a caller that; anyone who"),
    ("be it", "for example; either"),
    ("lest", "so that … not"),
    ("nothing but", "only"),
    ("the like", "similar ones"),
    ("and its like", "and similar ones"),
    ("may well", "may"),
    ("is no more", "has ended"),
    ("to no end", "without effect"),
    ("comes to nothing", "has no effect"),
    ("goes by", "uses; depends on"),
    ("draws lots", "chooses at random"),
];

/// A word that begins no sentence, and what to begin with instead. A question may begin with it.
const OPENINGS: &[(&str, &str)] = &[
    ("Who", "the caller; a client that"),
    ("Whose", "the X whose"),
];

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// The files below `folder`, without what is built, installed or hidden.
fn walk(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let skipped = ["target", "node_modules", "__pycache__"].contains(&name.as_ref())
            || (name.starts_with('.') && name != ".ci");
        if skipped {
            continue;
        }
        if path.is_dir() {
            walk(&path, files);
        } else {
            files.push(path);
        }
    }
}

/// The text files of the repository, by their paths from the root.
fn files() -> Vec<(String, String)> {
    let mut files = Vec::new();
    walk(&root(), &mut files);
    files
        .into_iter()
        .filter_map(|path| {
            let name = path
                .strip_prefix(root())
                .unwrap()
                .display()
                .to_string()
                .replace('\\', "/");
            Some((name, fs::read_to_string(&path).ok()?))
        })
        .collect()
}

/// What begins a comment in a file of this name.
fn markers(name: &str) -> &'static [&'static str] {
    let file = name.rsplit('/').next().unwrap_or(name);
    match file.rsplit_once('.').map(|(_, extension)| extension) {
        Some("rs") => &["//!", "///", "//", "--"],
        Some("js" | "mjs" | "ts" | "tsx") => &["//", "*", "/*"],
        Some("toml" | "py" | "sh" | "yml" | "yaml") | None => &["#"],
        Some("sql") => &["--"],
        _ => &[],
    }
}

/// The text of a comment line, if the line is one.
fn comment<'a>(name: &str, line: &'a str) -> Option<&'a str> {
    let line = line.trim_start();
    if line.starts_with("#!") || line.starts_with("-->") {
        return None;
    }
    markers(name)
        .iter()
        .find_map(|marker| line.strip_prefix(marker))
}

/// The prose of a file: runs of its comment lines, or all its lines, with the number of the first.
fn prose(name: &str, text: &str) -> Vec<(usize, String)> {
    let whole = name.ends_with(".md") || name.ends_with(".graphql");
    let mut runs: Vec<(usize, String)> = Vec::new();
    let mut open = false;
    let mut fenced = false;
    for (number, line) in (1..).zip(text.lines()) {
        let said = match whole {
            true => Some(line.trim()),
            false => comment(name, line).map(str::trim),
        };
        let Some(said) = said else {
            open = false;
            continue;
        };
        if said.starts_with("```") {
            fenced = !fenced;
            open = false;
            continue;
        }
        let paragraph_ends = said.is_empty() || said.starts_with(['|', '#', '*', '-', '"']);
        if fenced || said.is_empty() {
            open = false;
            continue;
        }
        match runs.last_mut() {
            Some((_, run)) if open && !paragraph_ends => {
                run.push(' ');
                run.push_str(said);
            }
            _ => runs.push((number, said.to_owned())),
        }
        open = true;
    }
    runs
}

/// The strings of Rust code that may be sentences, with their lines: errors, messages, lines of the
/// log. Those of tests are not among them.
fn strings(name: &str, text: &str) -> Vec<(usize, String)> {
    let is_test = |part: &str| part == "tests" || part == "suite" || part.ends_with("tests");
    let is_of_tests = name.trim_end_matches(".rs").split('/').any(is_test);
    if !name.ends_with(".rs") || is_of_tests {
        return Vec::new();
    }
    let is_module = |(at, _): &(usize, &str)| {
        let mut lines = text[*at..].lines().skip(1);
        let item = lines.find(|line| !line.starts_with("#["));
        item.is_some_and(|line| line.starts_with("mod ") && line.ends_with('{'))
    };
    let tests = text.match_indices("#[cfg(test)]\n").find(is_module);
    let code = &text[..tests.map_or(text.len(), |(at, _)| at)];
    let sentence = |(at, literal): (usize, &str)| {
        // A line that ends with a backslash goes on without the spaces of the next one.
        let parts = literal.split("\\\n").enumerate();
        let parts = parts.map(|(part, line)| if part == 0 { line } else { line.trim_start() });
        (code[..at].lines().count(), parts.collect())
    };
    literals(code)
        .into_iter()
        .filter(|(_, literal)| literal.contains(' '))
        .map(sentence)
        .collect()
}

/// A text without its code spans.
fn without_code(text: &str) -> String {
    text.split('`').step_by(2).collect::<Vec<_>>().join("`")
}

/// Every banned phrase and opening in a text, with what to say instead.
fn faults(text: &str) -> Vec<String> {
    let text = without_code(text);
    let lower = text.to_lowercase();
    let mut faults = Vec::new();
    for (phrase, instead) in BANNED {
        let found = lower.match_indices(phrase).any(|(at, _)| {
            let before = lower[..at].chars().next_back();
            let after = lower[at + phrase.len()..].chars().next();
            let is_inside = |next: Option<char>| next.is_some_and(|c| c.is_alphanumeric());
            !is_inside(before) && !is_inside(after)
        });
        if found {
            faults.push(format!("`{phrase}`: say {instead}"));
        }
    }
    for sentence in text.split_inclusive(['.', '?', '!', ':']) {
        let sentence = sentence.trim_start_matches(|c: char| !c.is_alphanumeric());
        for (word, instead) in OPENINGS {
            let rest = sentence.strip_prefix(word);
            if rest.is_some_and(|rest| rest.starts_with(' ')) && !sentence.ends_with('?') {
                faults.push(format!("`{word} …` at the beginning: say {instead}"));
            }
        }
    }
    faults
}

#[test]
fn comments_fit_into_their_columns() {
    let mut long = Vec::new();
    for (name, text) in files() {
        let mut fenced = false;
        for (number, line) in (1..).zip(text.lines()) {
            let Some(said) = comment(&name, line) else {
                continue;
            };
            fenced ^= said.trim_start().starts_with("```");
            // Code, an address and a row of a table cannot be wrapped.
            let is_one_piece = fenced || line.contains("://") || line.contains("| ");
            if line.chars().count() > COLUMNS && !is_one_piece {
                long.push(format!("{name}:{number}"));
            }
        }
    }
    assert!(
        long.is_empty(),
        "{} comment lines are longer than {COLUMNS} columns:\n{}",
        long.len(),
        long.join("\n")
    );
}

#[test]
fn prose_has_no_banned_phrase() {
    let mut found = Vec::new();
    for (name, text) in files() {
        // The table of this test holds the phrases.
        if name == "tests/it/words.rs" {
            continue;
        }
        let said = prose(&name, &text).into_iter();
        for (number, said) in said.chain(strings(&name, &text)) {
            // `everybody` is a key of the configuration.
            for fault in faults(&said.replace("everybody = ", "")) {
                found.push(format!("{name}:{number}: {fault}"));
            }
        }
    }
    assert!(
        found.is_empty(),
        "{} phrases:\n{}",
        found.len(),
        found.join("\n")
    );
}

/// The help of a command.
fn help(command: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_jobcast"))
        .args(command)
        .arg("--help")
        .output()
        .unwrap();
    assert!(output.status.success(), "{command:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// The names of the commands that a help lists.
fn commands(help: &str) -> BTreeSet<String> {
    let lists = help
        .split("\n\n")
        .filter(|part| part.contains("ommands:\n"));
    lists
        .flat_map(str::lines)
        .filter_map(|line| line.strip_prefix("  "))
        .filter(|line| line.starts_with(|c: char| c.is_ascii_lowercase()))
        .filter_map(|line| line.split_whitespace().next())
        .filter(|name| *name != "help")
        .map(str::to_owned)
        .collect()
}

#[test]
fn the_help_has_no_banned_phrase() {
    let first = help(&[]);
    let names = commands(&first);
    assert!(names.contains("serve"), "{first}");
    let mut found = Vec::new();
    // `everybody` is a key of the configuration.
    let mut read = |command: &[&str], help: &str| {
        for paragraph in help.split("\n\n") {
            let joined = paragraph.split_whitespace().collect::<Vec<_>>().join(" ");
            let joined = joined.replace("everybody = ", "");
            for fault in faults(&joined) {
                found.push(format!("jobcast {} --help: {fault}", command.join(" ")));
            }
        }
    };
    read(&[], &first);
    for name in &names {
        let text = help(&[name]);
        read(&[name], &text);
        for below in commands(&text) {
            read(&[name, &below], &help(&[name, &below]));
        }
    }
    assert!(
        found.is_empty(),
        "{} phrases:\n{}",
        found.len(),
        found.join("\n")
    );
}

#[test]
fn a_banned_phrase_is_found_as_whole_words_outside_code() {
    assert_eq!(faults("It waits So Long."), faults("so long"));
    assert_eq!(faults("so long").len(), 1);
    assert_eq!(faults("A foretold bestseller in `nobody`'s code"), [""; 0]);
    assert_eq!(faults("Who connects waits.").len(), 1);
    assert_eq!(faults("Who is the caller? A person."), [""; 0]);
}

#[test]
fn a_banned_phrase_is_found_in_strings_of_code_but_not_of_tests() {
    let text = "#[error(\"wait so \\\n    long\")]\nstruct E;\n#[cfg(test)]\nmod tests {\n    const T: &str = \"so many \";\n}\n";
    let expected = vec![(1, "\"wait so long\"".to_owned())];
    assert_eq!(strings("src/a.rs", text), expected);
    assert_eq!(strings("src/a_tests.rs", text), []);
}

#[test]
fn prose_joins_the_lines_of_one_comment() {
    let text = "/// It takes so\n/// many.\nfn f() {}\n// ```\n// so long\n// ```\n// Other.";
    let expected =
        [(1, "It takes so many."), (7, "Other.")].map(|(at, said)| (at, said.to_owned()));
    assert_eq!(prose("a.rs", text), expected);
}
