//! What a document may ask for, before it is executed. What its fields mean is the schema's.
//!
//! This comes before the library sees the document: its own checks of depth and complexity visit a fragment as often as it is spread, and
//! fragments that spread others twice make that exponential.

use std::collections::HashMap;

use async_graphql::parser::types::{ExecutableDocument, Selection, SelectionSet};

/// How many selections a document may have, fragments counted wherever they are spread.
pub const SELECTIONS: usize = 10_000;
/// How many of them may have an alias: with aliases one document asks for the same again and again.
pub const ALIASES: usize = 100;

/// A document asks for too much: what is wrong, and the code.
pub(super) type OverBound = (String, &'static str);

/// Refuses a document that is over a bound, or whose fragments go in a circle.
///
/// # Errors
/// [`OverBound`].
pub(super) fn check(document: &ExecutableDocument) -> Result<(), OverBound> {
    Counting {
        document,
        fragments: HashMap::new(),
    }
    .count()
}

/// Selections, and aliases among them.
#[derive(Clone, Copy, Default)]
struct Count {
    selections: usize,
    aliases: usize,
}

struct Counting<'a> {
    document: &'a ExecutableDocument,
    /// What each fragment counts; `None` while it is being counted.
    fragments: HashMap<&'a str, Option<Count>>,
}

impl<'a> Counting<'a> {
    fn count(mut self) -> Result<(), OverBound> {
        let mut count = Count::default();
        for (_, operation) in self.document.operations.iter() {
            self.add(&operation.node.selection_set.node, &mut count)?;
        }
        // A fragment that nothing spreads is checked by the library as well.
        for name in self.document.fragments.keys() {
            self.fragment(name)?;
        }
        Ok(())
    }

    fn add(&mut self, set: &'a SelectionSet, count: &mut Count) -> Result<(), OverBound> {
        for selection in &set.items {
            count.selections = count.selections.saturating_add(1);
            match &selection.node {
                Selection::Field(field) => {
                    count.aliases += usize::from(field.node.alias.is_some());
                    self.add(&field.node.selection_set.node, count)?;
                }
                Selection::InlineFragment(fragment) => {
                    self.add(&fragment.node.selection_set.node, count)?;
                }
                Selection::FragmentSpread(spread) => {
                    let fragment = self.fragment(&spread.node.fragment_name.node)?;
                    count.selections = count.selections.saturating_add(fragment.selections);
                    count.aliases = count.aliases.saturating_add(fragment.aliases);
                }
            }
            within(*count)?;
        }
        Ok(())
    }

    /// Each fragment is walked once, however often it is spread.
    fn fragment(&mut self, name: &'a str) -> Result<Count, OverBound> {
        match self.fragments.get(name) {
            Some(Some(count)) => return Ok(*count),
            Some(None) => {
                let text = format!("the fragment {name} spreads itself");
                return Err((text, "ValidationError"));
            }
            None => {}
        }
        // An unknown one is the library's to refuse.
        let Some(fragment) = self.document.fragments.get(name) else {
            return Ok(Count::default());
        };
        self.fragments.insert(name, None);
        let mut count = Count::default();
        self.add(&fragment.node.selection_set.node, &mut count)?;
        self.fragments.insert(name, Some(count));
        Ok(count)
    }
}

fn within(count: Count) -> Result<(), OverBound> {
    let over = |what: &str, limit: usize| {
        let text = format!(
            "the document has more than {limit} {what}, fragments counted wherever they are spread: split it"
        );
        Err((text, "ResolverExecutionLimitReached"))
    };
    if count.selections > SELECTIONS {
        return over("selections", SELECTIONS);
    }
    if count.aliases > ALIASES {
        return over("aliases", ALIASES);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(query: String) -> Result<(), String> {
        let document = async_graphql::parser::parse_query(query).expect("a document");
        check(&document).map_err(|(message, code)| format!("{code}: {message}"))
    }

    #[test]
    fn selections_up_to_their_limit() {
        let fields = |count| format!("{{ {} }}", "a ".repeat(count));
        assert_eq!(parsed(fields(SELECTIONS)), Ok(()));
        let error = parsed(fields(SELECTIONS + 1)).expect_err("over the limit");
        assert!(error.contains("more than 10000 selections"), "{error}");
        // Spread 99 times: 1 field and 99 spreads of 100 fields each.
        let spread = |fields| {
            let spreads = "...F ".repeat(99);
            format!(
                "{{ a {spreads} }} fragment F on Query {{ {} }}",
                "b ".repeat(fields)
            )
        };
        assert_eq!(parsed(spread(100)), Ok(()));
        let error = parsed(spread(101)).expect_err("over the limit");
        assert!(error.contains("ResolverExecutionLimitReached"), "{error}");
    }

    #[test]
    fn aliases_up_to_their_limit() {
        let aliased = |count| {
            let fields: String = (0..count).map(|at| format!("a{at}: b ")).collect();
            format!("{{ {fields} }}")
        };
        assert_eq!(parsed(aliased(ALIASES)), Ok(()));
        let error = parsed(aliased(ALIASES + 1)).expect_err("over the limit");
        assert!(error.contains("more than 100 aliases"), "{error}");
        let spread = |times| {
            let fields = "c { ...F } ".repeat(times);
            format!("{{ {fields} }} fragment F on C {{ a: b }}")
        };
        assert_eq!(parsed(spread(ALIASES)), Ok(()));
        assert!(parsed(spread(ALIASES + 1)).is_err());
    }

    #[test]
    fn fragments_that_spread_others_twice() {
        // 2^60 selections in a kilobyte: this ends at once, or the test never does.
        let fragments: String = (0..60)
            .map(|at| format!("fragment F{at} on Job {{ ...F{} ...F{} }} ", at + 1, at + 1))
            .collect();
        let query = format!("{{ a {{ ...F0 }} }} {fragments} fragment F60 on Job {{ id }}");
        let error = parsed(query).expect_err("over the limit");
        assert!(error.contains("selections"), "{error}");
        let around = "{ ...A } fragment A on Query { ...B } fragment B on Query { ...A }";
        let error = parsed(around.to_owned()).expect_err("a circle");
        assert!(error.contains("spreads itself"), "{error}");
        // Even where no operation uses it.
        let unused = "{ a } fragment A on Query { b { ...A } }";
        assert!(parsed(unused.to_owned()).is_err());
    }
}
