//! JSONPath as AWS reads it: `parse` and `parse_filter` read its text once, `read` walks a value
//! along it, and `filter` decides about elements. It does not build payloads.

mod filter;
mod model;
mod parse;
mod parse_filter;
mod read;

pub(crate) use model::{Path, Root, Roots};

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{Path, Roots, parse, parse_filter, read as reading};
    use crate::scope::tests::with_scope;

    fn read(path: &str, input: &Value) -> Result<Value, String> {
        let path = Path::parse(path).unwrap_or_else(|| panic!("{path}"));
        with_scope(input, |scope| path.read(scope).map(|v| v.into_owned()))
    }

    #[test]
    fn every_kind_of_part_is_read() {
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
    fn invalid_paths_are_refused_and_valid_ones_write() {
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
    fn filters_and_parts_beyond_the_limits_are_refused() {
        let nested = |depth: usize| "$".to_owned() + &"[?(@".repeat(depth) + &")]".repeat(depth);
        assert!(Path::parse(&nested(parse_filter::MAX_NESTING + 1)).is_some());
        assert_eq!(Path::parse(&nested(parse_filter::MAX_NESTING + 2)), None);
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

    /// The longest paths over the deepest values, with the stack of an execution.
    #[test]
    fn the_longest_paths_fit_the_stack() {
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
    fn a_walk_beyond_the_limit_of_visits_fails() {
        // The list itself, and each item twice: found and copied.
        let most = (reading::MAX_VISITS - 1) / 2;
        let list = |count: usize| Value::from(vec![1; count]);
        assert!(read("$[*]", &list(most)).is_ok());
        let over = read("$[*]", &list(most + 1));
        assert!(over.is_err_and(|error| error.contains("too many")));
    }

    #[test]
    fn a_walk_that_multiplies_fails() {
        let mut value = json!(1);
        for _ in 0..100 {
            value = json!({"a": value, "b": 2});
        }
        assert!(
            read(&format!("${}", "..*".repeat(12)), &value).is_err_and(|e| e.contains("too many"))
        );
    }
}
