//! JSONPath as AWS reads it: parsed once. `read` walks a value, `filter` decides about elements. It does not build payloads.
mod filter;
mod parse;
mod read;

use filter::Filter;
use serde_json::{Map, Value};

/// Where a path begins.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Root {
    /// `$`: the state's input (or result).
    Input,
    /// `$$`: the context object.
    Context,
    /// `$name`: a variable.
    Variable(String),
}

/// Where a reference path may begin besides the input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Roots {
    /// Nowhere: `ResultPath` writes into the input.
    Input,
    /// At a variable.
    Variables,
    /// At a variable or in the context object.
    All,
}

/// One step of a path.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Part {
    Field(String),
    Index(i64),
    Fields(Vec<String>),
    Indexes(Vec<i64>),
    Slice(Option<i64>, Option<i64>),
    Wildcard,
    /// `..`: every value below, then the next part.
    Descent,
    Filter(Filter),
}

/// A function at a path's end, such as `.length()`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Function {
    Length,
    Min,
    Max,
    Average,
    Deviation,
    Sum,
    Keys,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Path {
    pub(crate) root: Root,
    parts: Vec<Part>,
    function: Option<Function>,
    pub(crate) text: String,
}

impl Path {
    /// `None` when the text is not a path; white space around it is no part of it.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        parse::path(text)
    }
    /// A path at the beginning of a text, and what follows it.
    pub(crate) fn parse_prefix(text: &str) -> Option<(Self, &str)> {
        parse::prefix(text)
    }
    /// A path that names one place; `Err` has AWS's words.
    pub(crate) fn reference(text: &str, roots: Roots) -> Result<Self, String> {
        let refused = |why: &str| Err(format!("Value is not a Reference Path: {why}"));
        if !text.starts_with('$') {
            return refused("Reference path didn't start with '$'");
        }
        match Self::parse(text) {
            None => refused(&format!("'{text}' is not a path")),
            Some(path) if !path.is_reference() => refused("it must name exactly one place"),
            Some(path) => match (&path.root, roots) {
                (Root::Input, _) | (_, Roots::All) | (Root::Variable(_), Roots::Variables) => {
                    Ok(path)
                }
                (Root::Context, _) => refused("it cannot begin in the context object here"),
                (Root::Variable(_), _) => refused("it cannot begin at a variable here"),
            },
        }
    }
    /// Whether every part names exactly one field or element.
    pub(crate) fn is_reference(&self) -> bool {
        self.function.is_none()
            && self
                .parts
                .iter()
                .all(|p| matches!(p, Part::Field(_) | Part::Index(_)))
    }
    /// Whether it is `$` itself.
    pub(crate) fn is_whole(&self) -> bool {
        self.root == Root::Input && self.parts.is_empty() && self.function.is_none()
    }
    /// Puts `value` into `input` where the path points, making objects on the way; `None` where it cannot go.
    pub(crate) fn write(&self, mut input: Value, value: Value) -> Option<Value> {
        let mut slot = &mut input;
        for part in &self.parts {
            slot = match part {
                Part::Field(name) => {
                    if slot.is_null() {
                        *slot = Value::Object(Map::new());
                    }
                    slot.as_object_mut()?
                        .entry(name.clone())
                        .or_insert(Value::Null)
                }
                Part::Index(index) => {
                    let list = slot.as_array_mut()?;
                    let index = read::position(*index, list.len())?;
                    list.get_mut(index)?
                }
                _ => return None,
            };
        }
        *slot = value;
        Some(input)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scope::tests::with_scope;
    use serde_json::json;

    fn read(path: &str, input: &Value) -> Result<Value, String> {
        let path = Path::parse(path).unwrap_or_else(|| panic!("{path}"));
        with_scope(input, |scope| path.read(scope).map(|v| v.into_owned()))
    }

    #[test]
    fn reads_every_kind_of_part() {
        let value = json!({"a": [{"b": 1, "c": "x"}, {"b": 5}, {"c": "y", "n": null}], "x y": 2, "o": {"p": [1, 2, 3, 4]}, "s": "text"});
        for (path, want) in [
            ("$.a[0].b", json!(1)),
            ("$['x y']", json!(2)),
            ("$[\"x y\"]", json!(2)),
            ("$.a[-1].c", json!("y")),
            ("$.a[*].b", json!([1, 5])),
            ("$.a.*.c", json!(["x", "y"])),
            ("$..b", json!([1, 5])),
            ("$.o.p[1:3]", json!([2, 3])),
            ("$.o.p[:2]", json!([1, 2])),
            ("$.o.p[-2:]", json!([3, 4])),
            ("$.o.p[0,2]", json!([1, 3])),
            ("$.a[0]['b','c']", json!({"b": 1, "c": "x"})),
            ("$.a[?(@.b)].b", json!([1, 5])),
            ("$.a[?(@.b > 1)].b", json!([5])),
            ("$.a[?(@.b==1 && @.c == 'x')].c", json!(["x"])),
            ("$.a[?(@.b > 9 || !(@.b))].c", json!(["y"])),
            ("$.a[?(@.c in ['y','z'])].c", json!(["y"])),
            ("$.a[?(@.c nin ['y'])].c", json!(["x"])),
            ("$.a[?(@.c =~ /X/i)].c", json!(["x"])),
            ("$.a[?(@.b == $.o.p[0])].b", json!([1])),
            ("$.o.p[?(@ >= 3)]", json!([3, 4])),
            ("$.a[?(@.zz)]", json!([])),
            ("$.a[?(@.c == y)].c", json!(["y"])),
            ("$.a[(@.length-1)].c", json!("y")),
            ("$.none[*].b", json!([])),
            ("$.none.deep[1:]", json!([])),
            ("$.o.p.length()", json!(4)),
            ("$.o.p.sum()", json!(10)),
            ("$.o.p.avg()", json!(2.5)),
            ("$.o.p.max()", json!(4)),
            ("$.a[2].n", Value::Null),
            ("$$.State.Name", json!("S")),
            ("$v.w", json!(7)),
        ] {
            assert_eq!(read(path, &value), Ok(want), "{path}");
        }
        for (path, why) in [
            ("$.z", "No results for path: $['z']"),
            ("$.z.y", "Missing property in path $['z']"),
            ("$.a[9]", "No results for path: $['a'][9]"),
            ("$nothing", "Variable $nothing is not defined"),
        ] {
            assert_eq!(read(path, &value), Err(why.to_owned()), "{path}");
        }
        assert!(read("$.s.t", &value).is_err() && read("$.s[0]", &value).is_err());
    }

    #[test]
    fn refuses_what_is_no_path_and_writes_where_it_can() {
        for bad in [
            "a",
            "$.",
            "$[",
            "$.a[",
            "$['a",
            "$.a..",
            "$[?(@.a]",
            "$[?(@.a==)]",
            "$.a b",
            "$[]",
            "$.a[1:2:3:4]",
            "",
            "$.a()",
            "$[?()]",
            "$.a[?(@.b == 'x)]",
        ] {
            assert_eq!(Path::parse(bad), None, "{bad}");
        }
        for (path, reference) in [
            ("$.a[0]['b']", true),
            ("$.a[*]", false),
            ("$..a", false),
            ("$$.a", false),
        ] {
            assert_eq!(
                Path::reference(path, Roots::Input).is_ok(),
                reference,
                "{path}"
            );
        }
        let write = |path: &str, into: Value| Path::parse(path).unwrap().write(into, json!(1));
        assert_eq!(write("$.c.d", json!({})), Some(json!({"c": {"d": 1}})));
        assert_eq!(
            write("$.c[0]", json!({"c": [5, 6]})),
            Some(json!({"c": [1, 6]}))
        );
        assert_eq!(write("$.c", json!([1])), None);
        assert_eq!(write("$.c[7]", json!({"c": []})), None);
    }

    #[test]
    fn filters_nest_and_paths_have_parts_within_their_bounds() {
        let nested = |depth: usize| "$".to_owned() + &"[?(@".repeat(depth) + &")]".repeat(depth);
        assert!(Path::parse(&nested(filter::MAX_NESTING + 1)).is_some());
        assert_eq!(Path::parse(&nested(filter::MAX_NESTING + 2)), None);
        for open in [
            "[?(@",
            "[?(",
            "[?(!",
            "[?((",
            "[?(@ == $",
            "[?(@.a in $",
            ".a",
            "[*]",
            "..[0]",
            "['a']",
        ] {
            assert_eq!(
                Path::parse(&("$".to_owned() + &open.repeat(100_000))),
                None,
                "{open}"
            );
        }
        for part in [".a", "[*]", "[?(@.a)]", "['a','b']"] {
            assert!(Path::parse(&("$".to_owned() + &part.repeat(parse::MAX_PARTS))).is_some());
            assert_eq!(
                Path::parse(&("$".to_owned() + &part.repeat(parse::MAX_PARTS + 1))),
                None
            );
        }
    }

    /// The longest paths over the deepest values, in the stack that an execution has.
    #[test]
    fn deep_walks_have_room() {
        let mut value = json!({"a": 1});
        for _ in 1..json::DEPTH {
            value = json!({"a": value});
        }
        let all = "[?(@.a)]".repeat(parse::MAX_PARTS);
        let inner = "[?($..a".repeat(30) + &")]".repeat(30);
        json::with_room(|| {
            for path in [
                "$..a".to_owned(),
                format!("${all}"),
                format!("$..a{inner}"),
                format!("${}", ".a".repeat(1_000)),
            ] {
                let _ = read(&path, &value);
            }
        });
    }

    #[test]
    fn a_walk_visits_values_up_to_its_bound() {
        // The list itself, and each item twice: found and copied.
        let most = (read::MAX_VISITS - 1) / 2;
        let list = |count: usize| Value::from(vec![1; count]);
        assert!(read("$[*]", &list(most)).is_ok());
        let over = read("$[*]", &list(most + 1));
        assert!(over.is_err_and(|error| error.contains("too many")));
    }

    #[test]
    fn a_walk_that_multiplies_ends() {
        let mut value = json!(1);
        for _ in 0..100 {
            value = json!({"a": value, "b": 2});
        }
        assert!(
            read(&format!("${}", "..*".repeat(12)), &value).is_err_and(|e| e.contains("too many"))
        );
    }
}
