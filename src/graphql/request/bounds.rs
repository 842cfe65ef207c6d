//! Every bound of a document, of its variables and of its response. Each recursion over a caller's
//! text ends at one of these on its way down. The meaning of fields belongs to the schema.

use crate::graphql::limits::{
    ALIASES, DEPTH, OverBound, RECURSION, SELECTIONS, TOO_MUCH, VARIABLE_DEPTH, VARIABLE_VALUES,
};
use crate::graphql::syntax::{Document, Selection, SyntaxError};

/// Refuses a document that is over a bound, or whose fragments form a cycle.
///
/// # Errors
/// What is wrong, where, and the code.
pub(in crate::graphql) fn check(document: &Document) -> Result<(), Box<SyntaxError>> {
    let mut counting = Counting {
        document,
        fragments: vec![State::New; document.fragments.len()],
    };
    let mut count = Count::default();
    for operation in &document.operations {
        let within = counting.set(&operation.selections, 1)?;
        count.add(within);
        count.within()?;
    }
    // A fragment that is not spread is walked too, because the rules check it.
    for index in 0..document.fragments.len() {
        counting.fragment(index, 0)?;
    }
    Ok(())
}

/// The size of a selection set. A fragment counts at each place where it is spread.
#[derive(Clone, Copy, Debug, Default)]
struct Count {
    selections: usize,
    aliases: usize,
    /// Depth of nested selection sets, including this one.
    height: usize,
    /// Depth of nested fields.
    depth: usize,
}

impl Count {
    /// Adds the size of a neighbour.
    fn add(&mut self, other: Count) {
        self.selections = self.selections.saturating_add(other.selections);
        self.aliases = self.aliases.saturating_add(other.aliases);
        self.height = self.height.max(other.height);
        self.depth = self.depth.max(other.depth);
    }

    fn within(self) -> Result<(), Box<SyntaxError>> {
        let over = |what: &str, limit: usize| {
            Box::new(SyntaxError {
                message: format!(
                    "the document has more than {limit} {what}, fragments counted wherever they are spread: split it"
                ),
                place: None,
                code: TOO_MUCH,
            })
        };
        if self.selections > SELECTIONS {
            return Err(over("selections", SELECTIONS));
        }
        if self.aliases > ALIASES {
            return Err(over("aliases", ALIASES));
        }
        if self.depth > DEPTH {
            return Err(too_deep(format!(
                "the selections are nested too deep: the limit is {DEPTH}"
            )));
        }
        Ok(())
    }
}

fn too_deep(message: String) -> Box<SyntaxError> {
    Box::new(SyntaxError {
        message,
        place: None,
        code: "QueryDepthLimitReached",
    })
}

#[derive(Clone, Copy)]
enum State {
    New,
    /// Its walk has begun: to reach it again is a cycle.
    Open,
    Counted(Count),
}

struct Counting<'a> {
    document: &'a Document,
    fragments: Vec<State>,
}

impl<'a> Counting<'a> {
    /// `level` is the number of selection sets around and including this one.
    fn set(
        &mut self,
        selections: &'a [Selection],
        level: usize,
    ) -> Result<Count, Box<SyntaxError>> {
        let mut count = Count::default();
        if selections.is_empty() {
            return Ok(count);
        }
        reaches(level)?;
        for selection in selections {
            count.selections = count.selections.saturating_add(1);
            match selection {
                Selection::Field(field) => {
                    count.aliases += usize::from(field.alias.is_some());
                    let mut below = self.set(&field.selections, level + 1)?;
                    below.depth += 1;
                    count.add(below);
                }
                Selection::Inline(inline) => count.add(self.set(&inline.selections, level + 1)?),
                Selection::Spread(spread) => {
                    // The rules refuse an unknown fragment.
                    if let Some(index) = self.document.fragment_index(&spread.name.text) {
                        count.add(self.fragment(index, level)?);
                    }
                }
            }
            count.within()?;
        }
        count.height += 1;
        Ok(count)
    }

    /// Each fragment is walked once, however often it is spread. The depth of each spread is
    /// checked.
    fn fragment(&mut self, index: usize, level: usize) -> Result<Count, Box<SyntaxError>> {
        let fragment = &self.document.fragments[index];
        match self.fragments[index] {
            State::Counted(count) => {
                reaches(level + count.height)?;
                Ok(count)
            }
            State::Open => Err(Box::new(SyntaxError {
                message: format!("the fragment {} spreads itself", fragment.name.text),
                place: Some(fragment.place),
                code: "ValidationError",
            })),
            State::New => {
                self.fragments[index] = State::Open;
                let count = self.set(&fragment.selections, level + 1)?;
                self.fragments[index] = State::Counted(count);
                Ok(count)
            }
        }
    }
}

fn reaches(level: usize) -> Result<(), Box<SyntaxError>> {
    if level <= RECURSION {
        return Ok(());
    }
    Err(too_deep(format!(
        "the document is nested too deep, through its fragments: the limit is {RECURSION}"
    )))
}

/// Refuses variables that no argument can hold. The check reads their text only.
///
/// # Errors
/// [`OverBound`].
pub(in crate::graphql) fn check_variables(json: &str) -> Result<(), OverBound> {
    let (mut values, mut depth) = (1_usize, 0_usize);
    let mut in_string = false;
    let mut bytes = json.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => in_string = !in_string,
            b'\\' if in_string => {
                bytes.next();
            }
            _ if in_string => {}
            b',' => values += 1,
            b'{' | b'[' => {
                values += 1;
                depth += 1;
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if values > VARIABLE_VALUES {
            let text = format!("the variables have more than {VARIABLE_VALUES} values: split them");
            return Err((text, TOO_MUCH));
        }
        if depth > VARIABLE_DEPTH {
            let text = format!("the variables are nested too deep: the limit is {VARIABLE_DEPTH}");
            return Err((text, TOO_MUCH));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graphql::limits::{
        DIRECTIVES, DOCUMENT_BYTES, FRAGMENTS, OPERATIONS, TOKENS, VARIABLES,
    };
    use crate::graphql::syntax::parse;

    fn parsed(query: String) -> Result<(), String> {
        let document = parse(&query).and_then(|document| check(&document));
        document.map_err(|error| format!("{}: {}", error.code, error.message))
    }

    /// The largest document is accepted, and a larger one is refused for the given reason.
    fn both_sides(limit: usize, of: impl Fn(usize) -> String, said: &str) {
        assert_eq!(parsed(of(limit)), Ok(()), "{said}");
        let error = parsed(of(limit + 1)).expect_err("over the limit");
        assert!(error.contains(said), "{error}");
    }

    #[test]
    fn a_document_at_each_bound_is_accepted_and_one_over_it_refused() {
        let bytes = |count: usize| format!("{{ a }}#{}", "x".repeat(count - 6));
        both_sides(DOCUMENT_BYTES, bytes, "bytes, and the limit is 65536");
        let list = |count: usize| format!("{{ a(b: [{}]) }}", "1 ".repeat(count - 9));
        both_sides(TOKENS, list, "more than 15000 tokens");
        let operations = |count: usize| {
            (0..count)
                .map(|at| format!("query Q{at} {{ a }} "))
                .collect()
        };
        both_sides(OPERATIONS, operations, "more than 100 operations");
        let fragments = |count: usize| {
            let all = (0..count).map(|at| format!("fragment F{at} on T {{ a }} "));
            format!("{{ a }} {}", all.collect::<String>())
        };
        both_sides(FRAGMENTS, fragments, "more than 1000 fragments");
        let variables = |count: usize| {
            let all = (0..count).map(|at| format!("$v{at}: Int "));
            format!("query ({}) {{ a }}", all.collect::<String>())
        };
        both_sides(VARIABLES, variables, "more than 500 variables");
        let directives = |count: usize| format!("{{ a {} }}", "@d ".repeat(count));
        both_sides(DIRECTIVES, directives, "more than 500 directives");
        let fields = |count: usize| format!("{{ {} }}", "a ".repeat(count));
        both_sides(SELECTIONS, fields, "more than 10000 selections");
        let aliases = |count: usize| {
            let all = (0..count).map(|at| format!("a{at}: b "));
            format!("{{ {} }}", all.collect::<String>())
        };
        both_sides(ALIASES, aliases, "more than 100 aliases");
        let deep = |levels: usize| {
            format!(
                "{{ {} a {} }}",
                "a {".repeat(levels - 1),
                "}".repeat(levels - 1)
            )
        };
        both_sides(DEPTH, deep, "nested too deep: the limit is 32");
    }

    #[test]
    fn every_kind_of_nesting_is_bounded() {
        let inline = |levels: usize| {
            format!(
                "{} a {}",
                "{ ... ".repeat(levels - 1) + "{",
                "}".repeat(levels)
            )
        };
        both_sides(RECURSION, inline, "nested too deep: the limit is 64");
        // The selection set and the arguments are open as well.
        let value = |open: &str, close: &str, levels: usize| {
            format!(
                "{{ a(b: {}1{}) }}",
                open.repeat(levels - 2),
                close.repeat(levels - 2)
            )
        };
        both_sides(
            RECURSION,
            |levels| value("[", "]", levels),
            "nested too deep",
        );
        both_sides(
            RECURSION,
            |levels| value("{a:", "}", levels),
            "nested too deep",
        );
        // In each place that takes a list, with the number of levels that are open around it.
        for (before, around, item, after) in [
            ("{ a @d(b: ", 2, "1", ") }"),
            ("query ($a: ", 1, "I", ") { a }"),
            ("query ($a: I = ", 1, "1", ") { a }"),
        ] {
            let list = |levels: usize| {
                let (open, close) = ("[".repeat(levels - around), "]".repeat(levels - around));
                format!("{before}{open}{item}{close}{after}")
            };
            both_sides(RECURSION, list, "nested too deep");
        }
        let chain = |links: usize| {
            let all = (1..links - 1).map(|at| format!("fragment F{at} on T {{ ...F{} }} ", at + 1));
            let last = links - 1;
            format!(
                "{{ ...F1 }} {} fragment F{last} on T {{ a }}",
                all.collect::<String>()
            )
        };
        both_sides(RECURSION, chain, "nested too deep, through its fragments");
        // The same in reverse order: each fragment is counted before it is reached at the end of
        // the chain.
        let backwards = |links: usize| {
            let all = (1..links).rev().map(|at| {
                let next = if at == links - 1 {
                    "a".to_owned()
                } else {
                    format!("...F{}", at + 1)
                };
                format!("fragment F{at} on T {{ {next} }} ")
            });
            format!("{} {{ ...F1 }}", all.collect::<String>())
        };
        both_sides(
            RECURSION,
            backwards,
            "nested too deep, through its fragments",
        );
        let fields = |levels: usize| {
            let all = (1..levels).map(|at| {
                let next = if at == levels - 1 {
                    String::new()
                } else {
                    format!("...F{}", at + 1)
                };
                format!("fragment F{at} on T {{ a {{ a {next} }} }} ")
            });
            format!("{{ ...F1 }} {}", all.collect::<String>())
        };
        both_sides(DEPTH, fields, "nested too deep");
    }

    #[test]
    fn a_fragment_counts_at_each_place_where_it_is_spread() {
        // Spread 99 times: 1 field and 99 spreads of 100 fields each.
        let spread = |fields: usize| {
            let (spreads, fields) = ("...F ".repeat(99), "b ".repeat(fields));
            format!("{{ a {spreads} }} fragment F on Query {{ {fields} }}")
        };
        both_sides(100, spread, "selections");
        let aliases = |times: usize| {
            let fields = "c { ...F } ".repeat(times);
            format!("{{ {fields} }} fragment F on C {{ a: b }}")
        };
        both_sides(ALIASES, aliases, "aliases");
        // 2^60 selections in a kilobyte: this ends at once, or the test never does.
        let fragments: String = (0..60)
            .map(|at| format!("fragment F{at} on Job {{ ...F{} ...F{} }} ", at + 1, at + 1))
            .collect();
        let query = format!("{{ a {{ ...F0 }} }} {fragments} fragment F60 on Job {{ id }}");
        let error = parsed(query).expect_err("over the limit");
        assert!(error.contains("selections"), "{error}");
    }

    #[test]
    fn a_cycle_of_fragments_of_any_length_is_refused() {
        for links in [1, 2, 10, 60] {
            let all = (0..links).map(|at| {
                format!(
                    "fragment F{at} on Query {{ a {{ ...F{} }} }} ",
                    (at + 1) % links
                )
            });
            let fragments = all.collect::<String>();
            for operation in ["{ ...F0 }", "{ a }"] {
                let error = parsed(format!("{operation} {fragments}")).expect_err("a circle");
                let said = error.contains("spreads itself") || error.contains("nested too deep");
                assert!(said, "{error}");
            }
        }
    }

    #[test]
    fn variables_at_each_bound_are_accepted_and_those_over_it_refused() {
        let check = |json: String| check_variables(&json).map_err(|(message, _)| message);
        let list = |count: usize| format!("{{\"a\":[{}0]}}", "0,".repeat(count - 3));
        assert_eq!(check(list(VARIABLE_VALUES)), Ok(()));
        assert!(check(list(VARIABLE_VALUES + 1)).is_err());
        let deep = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        assert_eq!(check(deep(VARIABLE_DEPTH)), Ok(()));
        assert!(check(deep(VARIABLE_DEPTH + 1)).is_err());
        // The content of a string is not a value.
        let text = format!(r#"{{"a":"\\\"{}\\"}}"#, "[,{".repeat(20_000));
        assert_eq!(check(text), Ok(()));
    }
}
