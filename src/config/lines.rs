//! The lines of the keys in the text of a configuration file.

use std::collections::BTreeMap;
use std::ops::Range;

use toml::de::{DeTable, DeValue};

use super::rules::key;

/// A part of a setting's path: a key, or the number of an entry of a list, from 0.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Part {
    Key(String),
    Entry(usize),
}

/// The path as a dotted key, in which an entry is written `[0]`.
pub(super) fn name(path: &[Part]) -> String {
    let mut name = String::new();
    for part in path {
        match part {
            Part::Key(part) if name.is_empty() => name = key(part),
            Part::Key(part) => name = format!("{name}.{}", key(part)),
            Part::Entry(number) => name = format!("{name}[{number}]"),
        }
    }
    name
}

/// The line of each key of a file, from 1.
#[derive(Debug, Default)]
pub(super) struct Lines(BTreeMap<Vec<Part>, usize>);

impl Lines {
    /// Reads a text that is valid TOML; another text has no keys.
    pub(super) fn read(text: &str) -> Self {
        let mut reader = Reader {
            ends: text.match_indices('\n').map(|(at, _)| at).collect(),
            lines: Self::default(),
        };
        if let Ok(table) = DeTable::parse(text) {
            reader.table(&[], table.get_ref());
        }
        reader.lines
    }

    /// The line of a key. The only table of a list may be written without the list.
    pub(super) fn of(&self, path: &[Part]) -> Option<usize> {
        let alone = || {
            let parts = path.iter().filter(|part| **part != Part::Entry(0));
            self.0.get(&parts.cloned().collect::<Vec<_>>())
        };
        self.0.get(path).or_else(alone).copied()
    }
}

struct Reader {
    /// Where the lines end.
    ends: Vec<usize>,
    lines: Lines,
}

impl Reader {
    fn table(&mut self, path: &[Part], table: &DeTable<'_>) {
        for (key, value) in table {
            let path = [path, &[Part::Key(key.get_ref().to_string())]].concat();
            self.insert(path.clone(), key.span());
            self.value(&path, value.get_ref());
        }
    }

    fn value(&mut self, path: &[Part], value: &DeValue<'_>) {
        match value {
            DeValue::Table(table) => self.table(path, table),
            DeValue::Array(entries) => {
                for (number, entry) in entries.iter().enumerate() {
                    let path = [path, &[Part::Entry(number)]].concat();
                    self.insert(path.clone(), entry.span());
                    self.value(&path, entry.get_ref());
                }
            }
            _ => {}
        }
    }

    fn insert(&mut self, path: Vec<Part>, span: Range<usize>) {
        let line = self.ends.partition_point(|end| *end < span.start) + 1;
        self.lines.0.insert(path, line);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_form_of_a_key_has_its_line() {
        let text = "# 1\na = 1\nb.c = [1,\n2]\n[d]\ne = { f = 1, g.h = 2 }\n\n[[i]]\nj = \"\"\"\n\n\"\"\"\n[[i]]\nj = 2\n[k.l]\nm = [{ n = 1 },\n{ n = 2 }]\n[\"o p\"]\nq = 1\n";
        let lines = Lines::read(text);
        let found: Vec<(String, usize)> = lines
            .0
            .iter()
            .map(|(path, line)| (name(path), *line))
            .collect();
        for (name, line) in [
            ("a", 2),
            ("b.c", 3),
            ("d.e", 6),
            ("d.e.f", 6),
            ("d.e.g.h", 6),
            ("i[0].j", 9),
            ("i[1].j", 13),
            ("k.l", 14),
            ("k.l.m", 15),
            ("k.l.m[0].n", 15),
            ("k.l.m[1].n", 16),
            ("\"o p\".q", 18),
        ] {
            assert!(
                found.contains(&(name.to_owned(), line)),
                "{name} {line}: {found:?}"
            );
        }
    }

    #[test]
    fn a_table_alone_is_the_first_entry_of_its_list() {
        let lines = Lines::read("[auth.oidc]\nissuer = \"x\"\n");
        let path = |number| {
            let key = |key: &str| Part::Key(key.to_owned());
            vec![key("auth"), key("oidc"), Part::Entry(number), key("issuer")]
        };
        assert_eq!((lines.of(&path(0)), lines.of(&path(1))), (Some(2), None));
    }
}
