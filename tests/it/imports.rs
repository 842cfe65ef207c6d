//! The graph of imports between the files of a room, read from the text of its files.
//!
//! An import counts for the file that defines the name: the graph follows `pub use`, so a re-export
//! by `lib.rs` or `mod.rs` makes no edge unless that file uses the name itself. Test modules are
//! not read. The reader does not understand macros and glob imports: a glob counts for the module
//! that it names.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// Maximum number of re-exports that are followed from a name to its definition.
const RE_EXPORTS: usize = 8;

/// A file: its module, its imports, and the paths that its code names.
struct Source {
    file: String,
    module: Vec<String>,
    imports: Vec<Import>,
    paths: Vec<Vec<String>>,
    /// How often each word is in the code.
    words: BTreeMap<String, usize>,
}

struct Import {
    name: String,
    path: Vec<String>,
    is_public: bool,
}

/// The files of a crate and their imports.
pub struct Graph {
    sources: BTreeMap<Vec<String>, Source>,
}

impl Graph {
    /// Reads the files below the folder of a crate's root module.
    pub fn read(folder: &Path) -> Self {
        let mut sources = BTreeMap::new();
        read(folder, folder, &mut sources);
        Self { sources }
    }

    /// The circles: sets of at least two files that import each other in a loop.
    pub fn circles(&self) -> Vec<BTreeSet<String>> {
        let edges = self.edges();
        let reached: BTreeMap<&String, BTreeSet<&String>> = edges
            .keys()
            .map(|file| (file, reachable(&edges, file)))
            .collect();
        let mut circles = BTreeSet::new();
        for (file, targets) in &reached {
            let circle: BTreeSet<String> = targets
                .iter()
                .filter(|target| reached[**target].contains(file))
                .map(|target| (*target).clone())
                .collect();
            if circle.len() > 1 {
                circles.insert(circle);
            }
        }
        circles.into_iter().collect()
    }

    /// The imports between the files of a circle, a line each.
    pub fn imports(&self, circle: &BTreeSet<String>) -> String {
        let edges = self.edges();
        let mut lines = String::new();
        for (file, targets) in edges.iter().filter(|(file, _)| circle.contains(*file)) {
            for target in targets.intersection(circle) {
                lines.push_str(&format!("  {file} imports from {target}\n"));
            }
        }
        lines
    }

    /// The files that each file imports from.
    fn edges(&self) -> BTreeMap<String, BTreeSet<String>> {
        let mut edges = BTreeMap::new();
        for source in self.sources.values() {
            let used = source
                .imports
                .iter()
                .filter(|import| !import.is_public || source.words[&import.name] > 1);
            let named = used.map(|import| &import.path).chain(&source.paths);
            let targets: BTreeSet<String> = named
                .filter_map(|path| definer(&self.sources, &source.module, path, RE_EXPORTS))
                .filter(|target| *target != source.file)
                .collect();
            edges.insert(source.file.clone(), targets);
        }
        edges
    }
}

fn reachable<'a>(
    edges: &'a BTreeMap<String, BTreeSet<String>>,
    file: &String,
) -> BTreeSet<&'a String> {
    let mut found = BTreeSet::new();
    let mut open: Vec<&String> = edges[file].iter().collect();
    while let Some(next) = open.pop() {
        if found.insert(next) {
            open.extend(&edges[next]);
        }
    }
    found
}

/// The file that defines the name of `path` in `module`; `None` for a name of another crate.
fn definer(
    sources: &BTreeMap<Vec<String>, Source>,
    module: &[String],
    path: &[String],
    steps: usize,
) -> Option<String> {
    let mut at = module.to_vec();
    let mut rest = path;
    match rest.first()?.as_str() {
        "crate" => {
            at.clear();
            rest = &rest[1..];
        }
        "self" => rest = &rest[1..],
        "super" => {
            while rest.first().is_some_and(|part| part == "super") {
                at.pop();
                rest = &rest[1..];
            }
        }
        child => {
            at.push(child.to_owned());
            sources.get(&at)?;
            rest = &rest[1..];
        }
    }
    while let Some(part) = rest.first() {
        at.push(part.clone());
        if !sources.contains_key(&at) {
            at.pop();
            break;
        }
        rest = &rest[1..];
    }
    let source = sources.get(&at)?;
    let import = rest
        .first()
        .and_then(|name| source.imports.iter().find(|import| import.name == *name));
    match import {
        Some(import) if steps > 0 => {
            let mut path = import.path.clone();
            path.extend(rest[1..].iter().cloned());
            definer(sources, &at, &path, steps - 1)
        }
        _ => Some(source.file.clone()),
    }
}

/// Reads the Rust files below a folder, without those of tests.
fn read(root: &Path, folder: &Path, sources: &mut BTreeMap<Vec<String>, Source>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            read(root, &path, sources);
            continue;
        }
        let file = path.strip_prefix(root).unwrap().display().to_string();
        let file = file.replace('\\', "/");
        let Some(stem) = file.strip_suffix(".rs") else {
            continue;
        };
        let parts: Vec<&str> = stem.split('/').collect();
        let last = parts[parts.len() - 1];
        if parts.iter().any(|part| ["tests", "suite"].contains(part)) {
            continue;
        }
        let is_root = ["lib", "main"].contains(&stem);
        let count = parts.len() - usize::from(is_root || last == "mod");
        let module = parts[..count]
            .iter()
            .map(|part| (*part).to_owned())
            .collect();
        let source = parse(file, module, &fs::read_to_string(&path).unwrap());
        sources.insert(source.module.clone(), source);
    }
}

/// The names and paths of a file's text.
fn parse(file: String, module: Vec<String>, text: &str) -> Source {
    let text = text.split("#[cfg(test)]\nmod ").next().unwrap();
    let tokens = tokens(text);
    let mut source = Source {
        file,
        module,
        imports: Vec::new(),
        paths: Vec::new(),
        words: BTreeMap::new(),
    };
    let mut at = 0;
    let mut is_public = false;
    while at < tokens.len() {
        let token = &tokens[at];
        *source.words.entry(token.clone()).or_default() += 1;
        at += 1;
        match token.as_str() {
            // A declaration is no use of the module.
            "mod" => at += 1,
            "use" => {
                let end = tokens[at..].iter().position(|token| token == ";");
                let end = at + end.expect("a `use` ends with a semicolon");
                for name in &tokens[at..end] {
                    *source.words.entry(name.clone()).or_default() += 1;
                }
                names(
                    &tokens[at..end],
                    &mut 0,
                    &[],
                    is_public,
                    &mut source.imports,
                );
                at = end;
            }
            "pub" => {
                if tokens.get(at).is_some_and(|token| token == "(") {
                    let end = tokens[at..].iter().position(|token| token == ")");
                    at += end.map_or(0, |end| end + 1);
                }
                is_public = true;
                continue;
            }
            word if is_word(word) => {
                let mut path = vec![word.to_owned()];
                while tokens.get(at).is_some_and(|token| token == "::")
                    && tokens.get(at + 1).is_some_and(|token| is_word(token))
                {
                    *source.words.entry(tokens[at + 1].clone()).or_default() += 1;
                    path.push(tokens[at + 1].clone());
                    at += 2;
                }
                if path.len() > 1 {
                    source.paths.push(path);
                }
            }
            _ => {}
        }
        is_public = false;
    }
    source
}

/// Adds the names that a tree of imports below `prefix` brings; ends behind the tree's group.
fn names(
    tokens: &[String],
    at: &mut usize,
    prefix: &[String],
    is_public: bool,
    imports: &mut Vec<Import>,
) {
    loop {
        let mut path = prefix.to_vec();
        let mut alias = None;
        let mut is_group = false;
        while let Some(token) = tokens
            .get(*at)
            .filter(|token| !matches!(token.as_str(), "," | "}"))
        {
            *at += 1;
            match token.as_str() {
                "::" => {}
                "as" => {
                    alias = tokens.get(*at).cloned();
                    *at += 1;
                }
                "{" => {
                    names(tokens, at, &path, is_public, imports);
                    is_group = true;
                }
                part => path.push(part.to_owned()),
            }
        }
        let is_self = path.len() > 1 && path.last().is_some_and(|last| last == "self");
        if is_self {
            path.pop();
        }
        // Nothing follows the last comma of a group.
        let is_empty = path.len() == prefix.len() && alias.is_none() && !is_self;
        if !is_group
            && !is_empty
            && let Some(last) = path.last()
        {
            imports.push(Import {
                name: alias.unwrap_or_else(|| last.clone()),
                path,
                is_public,
            });
        }
        let token = tokens.get(*at);
        *at += 1;
        if token.is_none_or(|token| token == "}") {
            return;
        }
    }
}

fn is_word(token: &str) -> bool {
    token.starts_with(|c: char| c.is_alphanumeric() || c == '_')
}

/// The words and signs of a text, without comments, strings and spaces.
fn tokens(text: &str) -> Vec<String> {
    let mut tokens = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let length = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if first == '"' {
            string(rest)
        } else if rest.starts_with("r\"") || rest.starts_with("r#\"") {
            let hash = if rest.starts_with("r#") { "\"#" } else { "\"" };
            let body = 1 + hash.len();
            body + rest[body..].find(hash).map_or(0, |end| end + hash.len())
        } else if first == '\'' {
            // A character, or a lifetime.
            let mut after = rest.char_indices().skip(2);
            match (rest.as_bytes().get(1), after.next()) {
                (Some(b'\\'), _) => 3 + rest[3..].find('\'').map_or(0, |end| end + 1),
                (_, Some((end, '\''))) => end + 1,
                _ => 1,
            }
        } else if is_word(rest) {
            let is_part = |c: char| c.is_alphanumeric() || c == '_';
            let end = rest.find(|c| !is_part(c)).unwrap_or(rest.len());
            tokens.push(rest[..end].to_owned());
            end
        } else if rest.starts_with("::") {
            tokens.push("::".to_owned());
            2
        } else {
            if !first.is_whitespace() {
                tokens.push(first.to_string());
            }
            first.len_utf8()
        };
        rest = &rest[length..];
    }
    tokens
}

/// Length of the string at the beginning of a text.
fn string(text: &str) -> usize {
    let mut is_escaped = false;
    for (at, byte) in text.bytes().enumerate().skip(1) {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = true,
            b'"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

fn graph(files: &[(&str, &str)]) -> Graph {
    let source = |(file, text): &(&str, &str)| {
        let module = file.trim_end_matches(".rs").to_owned();
        let module: Vec<String> = Some(module).filter(|m| m != "lib").into_iter().collect();
        (module.clone(), parse((*file).to_owned(), module, text))
    };
    Graph {
        sources: files.iter().map(source).collect(),
    }
}

#[test]
fn a_circle_is_found_through_a_re_export() {
    let files = [
        ("lib.rs", "mod a; mod b; mod c; pub use b::B;"),
        ("a.rs", "use crate::{B, c};\npub struct A(B);"),
        ("b.rs", "pub struct B(crate::c::C);"),
        (
            "c.rs",
            "// super::b::B\nuse super::{a::{self as other}, b};\npub struct C;",
        ),
    ];
    let graph = graph(&files);
    let circle: BTreeSet<String> = ["a.rs", "b.rs", "c.rs"].map(str::to_owned).into();
    assert_eq!(graph.circles(), std::slice::from_ref(&circle));
    let imports = graph.imports(&circle);
    assert_eq!(imports.lines().count(), 5, "{imports}");
    assert!(imports.contains("a.rs imports from b.rs"), "{imports}");
}

#[test]
fn a_re_export_and_a_comment_are_no_imports() {
    let files = [
        ("lib.rs", "mod a; mod b; pub use a::A; pub use b::B;"),
        ("a.rs", "use crate::B;\npub struct A(B);"),
        (
            "b.rs",
            "/// See [`crate::A`].\npub struct B;\nconst TEXT: &str = \"crate::A\";",
        ),
    ];
    let graph = graph(&files);
    assert!(graph.circles().is_empty());
}
