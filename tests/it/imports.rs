//! The graph of imports between the files of a room, read from the text of its files.
//!
//! An import counts for the file that defines the name: the graph follows `pub use`, so a re-export
//! by `lib.rs` or `mod.rs` makes no edge unless that file uses the name itself. An import of a
//! module counts for the files that define what the code names through it. Code of tests is not
//! read. The reader does not understand macros and glob imports: a glob counts for the module that
//! it names.

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
        circles(&self.edges())
    }

    /// The circles of modules with a folder among them: modules of one folder that import from each
    /// other in a loop, with the imports between them.
    pub fn folder_circles(&self) -> Vec<String> {
        let edges = self.edges();
        let folders: BTreeSet<&str> = edges
            .keys()
            .flat_map(|file| file.match_indices('/').map(|(at, _)| &file[..=at]))
            .chain([""])
            .collect();
        folders
            .iter()
            .flat_map(|folder| folder_circles(&edges, folder))
            .collect()
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
    pub fn edges(&self) -> BTreeMap<String, BTreeSet<String>> {
        let mut edges = BTreeMap::new();
        for source in self.sources.values() {
            let used = source.imports.iter().filter(|import| {
                let is_named = |path: &Vec<String>| path.len() > 1 && path[0] == import.name;
                // The paths through the name count instead.
                let is_prefix = source.paths.iter().any(is_named);
                !is_prefix && (!import.is_public || source.words[&import.name] > 1)
            });
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

fn circles(edges: &BTreeMap<String, BTreeSet<String>>) -> Vec<BTreeSet<String>> {
    let reached: BTreeMap<&String, BTreeSet<&String>> = edges
        .keys()
        .map(|file| (file, reachable(edges, file)))
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

/// The circles of the modules right below a folder, without circles of files only.
fn folder_circles(edges: &BTreeMap<String, BTreeSet<String>>, folder: &str) -> Vec<String> {
    let module = |file: &str| -> Option<String> {
        let name = file.strip_prefix(folder)?;
        let name = name.split('/').next().unwrap_or(name);
        let is_parent = ["mod.rs", "lib.rs", "main.rs"].contains(&name);
        (!is_parent).then(|| name.trim_end_matches(".rs").to_owned())
    };
    let is_folder = |module: &String| {
        let start = format!("{folder}{module}/");
        edges.keys().any(|file| file.starts_with(&start))
    };
    let mut modules: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut imports: Vec<(String, String, String)> = Vec::new();
    for (file, targets) in edges {
        let Some(from) = module(file) else {
            continue;
        };
        let below = modules.entry(from.clone()).or_default();
        for target in targets {
            if let Some(to) = module(target).filter(|to| *to != from) {
                imports.push((
                    from.clone(),
                    to.clone(),
                    format!("{file} imports from {target}"),
                ));
                below.insert(to);
            }
        }
    }
    let circles = circles(&modules).into_iter();
    circles
        .filter(|circle| circle.iter().any(is_folder))
        .map(|circle| {
            let is_part = |module| circle.contains(module);
            let lines = imports
                .iter()
                .filter(|(from, to, _)| is_part(from) && is_part(to));
            let lines: String = lines.map(|(.., line)| format!("    {line}\n")).collect();
            format!("  {folder}: {circle:?}\n{lines}")
        })
        .collect()
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
            if !sources.contains_key(&at) {
                at.pop();
                let imports = &sources.get(&at)?.imports;
                let import = imports.iter().find(|import| import.name == child)?;
                // A crate's name is imported from no module.
                let is_here = import.path.first().is_some_and(|first| first != child);
                let path = [&import.path, &rest[1..]].concat();
                return (is_here && steps > 0)
                    .then(|| definer(sources, &at, &path, steps - 1))
                    .flatten();
            }
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
        let is_test = |part: &&str| part.ends_with("tests") || *part == "suite";
        // A program beside a library is another crate.
        let is_program = parts[0] == "bin" || (stem == "main" && root.join("lib.rs").exists());
        if is_program || parts.iter().any(is_test) {
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
    let tokens = without_tests(&tokens(text));
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

/// The tokens without the items that only tests have.
fn without_tests(tokens: &[String]) -> Vec<String> {
    const ONLY_IN_TESTS: [&str; 7] = ["#", "[", "cfg", "(", "test", ")", "]"];
    let mut kept = Vec::new();
    let mut rest = tokens;
    while let Some(token) = rest.first() {
        let is_attribute = rest.len() >= ONLY_IN_TESTS.len()
            && rest.iter().zip(ONLY_IN_TESTS).all(|(a, b)| a == b);
        if is_attribute {
            rest = &rest[ONLY_IN_TESTS.len()..];
            while rest.first().is_some_and(|token| token == "#") {
                rest = &rest[group(&rest[1..]) + 1..];
            }
            rest = &rest[item(rest)..];
        } else {
            kept.push(token.clone());
            rest = &rest[1..];
        }
    }
    kept
}

/// Number of tokens of the group that begins the tokens.
fn group(tokens: &[String]) -> usize {
    let mut depth = 0;
    for (at, token) in tokens.iter().enumerate() {
        match token.as_str() {
            "(" | "[" | "{" => depth += 1,
            ")" | "]" | "}" => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return at + 1;
        }
    }
    tokens.len()
}

/// Number of tokens of the item that begins the tokens: up to its semicolon or its braces.
fn item(tokens: &[String]) -> usize {
    let mut at = 0;
    while let Some(token) = tokens.get(at) {
        let length = group(&tokens[at..]);
        let is_end = token == ";" || (token == "{" && tokens[0] != "use");
        at += length;
        if is_end {
            break;
        }
    }
    at
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

/// A piece of Rust code.
enum Piece {
    /// A comment, a space, a character, or the sign of a lifetime.
    Skipped,
    Literal,
    Word,
    Sign,
}

/// The piece that begins a text, and its length.
fn piece(text: &str) -> (Piece, usize) {
    let first = text.chars().next().unwrap_or_default();
    if text.starts_with("//") {
        (Piece::Skipped, text.find('\n').unwrap_or(text.len()))
    } else if first == '"' {
        (Piece::Literal, string(text))
    } else if text.starts_with("r\"") || text.starts_with("r#\"") {
        let hash = if text.starts_with("r#") { "\"#" } else { "\"" };
        let body = 1 + hash.len();
        let end = text[body..].find(hash);
        (Piece::Literal, body + end.map_or(0, |end| end + hash.len()))
    } else if first == '\'' {
        // A character, or a lifetime.
        let mut after = text.char_indices().skip(2);
        let length = match (text.as_bytes().get(1), after.next()) {
            (Some(b'\\'), _) => 3 + text[3..].find('\'').map_or(0, |end| end + 1),
            (_, Some((end, '\''))) => end + 1,
            _ => 1,
        };
        (Piece::Skipped, length)
    } else if is_word(text) {
        let is_part = |c: char| c.is_alphanumeric() || c == '_';
        (
            Piece::Word,
            text.find(|c| !is_part(c)).unwrap_or(text.len()),
        )
    } else if text.starts_with("::") {
        (Piece::Sign, 2)
    } else if first.is_whitespace() {
        (Piece::Skipped, first.len_utf8())
    } else {
        (Piece::Sign, first.len_utf8())
    }
}

/// The words and signs of a text, without comments, strings and spaces.
fn tokens(text: &str) -> Vec<String> {
    let mut tokens = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let (piece, length) = piece(rest);
        if let Piece::Word | Piece::Sign = piece {
            tokens.push(rest[..length].to_owned());
        }
        rest = &rest[length..];
    }
    tokens
}

/// The string literals of a text, each with its place.
pub fn literals(text: &str) -> Vec<(usize, &str)> {
    let mut literals = Vec::new();
    let mut at = 0;
    while at < text.len() {
        let (piece, length) = piece(&text[at..]);
        if let Piece::Literal = piece {
            literals.push((at, &text[at..at + length]));
        }
        at += length;
    }
    literals
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
        let parts = file.trim_end_matches(".rs").split('/');
        let parts = parts.filter(|part| !["lib", "mod"].contains(part));
        let module: Vec<String> = parts.map(str::to_owned).collect();
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

#[test]
fn an_import_of_a_module_counts_for_the_file_that_defines_the_name() {
    let files = [
        ("lib.rs", "mod a; mod b;"),
        ("a.rs", "use crate::b;\nconst A: u8 = b::C;"),
        ("b/mod.rs", "mod c; pub use c::C;"),
        ("b/c.rs", "pub const C: u8 = 1;"),
    ];
    let expected = BTreeSet::from(["b/c.rs".to_owned()]);
    assert_eq!(graph(&files).edges()["a.rs"], expected);
}

#[test]
fn code_of_tests_is_skipped_and_code_after_it_is_read() {
    let files = [
        ("lib.rs", "mod a; mod b; mod c;"),
        (
            "a.rs",
            "#[cfg(test)]\n#[expect(x, reason = \"y\")]\nmod tests { use crate::b::B; fn f() {} }\n\
             #[cfg(test)]\nuse crate::{b::B};\nuse crate::c::C;",
        ),
        ("b.rs", "pub struct B;"),
        ("c.rs", "pub struct C;"),
    ];
    let expected = BTreeSet::from(["c.rs".to_owned()]);
    assert_eq!(graph(&files).edges()["a.rs"], expected);
}

#[test]
fn folders_that_import_from_each_other_by_different_files_are_a_circle() {
    let files = [
        ("lib.rs", "mod a; mod b;"),
        ("a/mod.rs", "pub mod x; pub mod y;"),
        ("a/x.rs", "use crate::b::v::V;"),
        ("a/y.rs", "pub struct Y;"),
        ("b/mod.rs", "pub mod v; pub mod w;"),
        ("b/v.rs", "pub struct V;"),
        ("b/w.rs", "use crate::a::y::Y;"),
    ];
    let graph = graph(&files);
    assert!(graph.circles().is_empty());
    let found = graph.folder_circles();
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].contains("b/w.rs imports from a/y.rs"), "{found:?}");
}
