//! Whether a document may be executed: the rules of GraphQL, section 5, over the served schema. It does not depend on what a
//! request brings beside the document, so a text that was found valid stays valid.
//!
//! Each recursion here goes down with the nesting of the document, which [`bounds`] ends.

mod fields;
mod operations;
mod overlapping;
mod suggestion;
#[cfg(test)]
mod tests;
mod values;
mod variables;

use async_graphql::parser::types::Type;
use async_graphql::{Name, Pos};

use crate::graphql::request::bounds;
use crate::graphql::request::syntax::{Document, Named};
use crate::graphql::schema::types::Types;

/// Declares the rules with their sections, and [`RULES`] of all of them.
macro_rules! rules {
    ($($(#[$doc:meta])* $rule:ident = $section:literal,)*) => {
        /// A rule.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub(in crate::graphql) enum Rule {
            $($(#[$doc])* $rule,)*
        }

        impl Rule {
            /// Its section of the specification (October 2021; directives on variables as drafted since).
            pub(in crate::graphql) fn section(self) -> &'static str {
                match self {
                    $(Rule::$rule => $section,)*
                }
            }
        }

        /// Every rule.
        #[cfg(test)]
        const RULES: &[Rule] = &[$(Rule::$rule,)*];
    };
}

rules! {
    /// Operations of one document have different names.
    UniqueOperationNames = "5.2.1.1",
    /// An operation without a name is alone.
    LoneAnonymousOperation = "5.2.2.1",
    /// A subscription has one root field, and none of introspection.
    SingleRootField = "5.2.3.1",
    /// A field is one of its type.
    FieldsOnCorrectType = "5.3.1",
    /// Fields of the same key are the same.
    OverlappingFields = "5.3.2",
    /// Objects have selections, leaves have none.
    LeafSelections = "5.3.3",
    /// An argument is one of its field or directive.
    KnownArgumentNames = "5.4.1",
    /// Each argument is there once.
    UniqueArgumentNames = "5.4.2",
    /// What must be there is there.
    RequiredArguments = "5.4.2.1",
    /// Fragments of one document have different names.
    UniqueFragmentNames = "5.5.1.1",
    /// A named type is one of the schema.
    KnownTypeNames = "5.5.1.2",
    /// A fragment is on an object type.
    FragmentsOnObjects = "5.5.1.3",
    /// A fragment is spread somewhere.
    FragmentsUsed = "5.5.1.4",
    /// A fragment that is spread is there.
    KnownFragmentNames = "5.5.2.1",
    /// A fragment applies where it is spread.
    PossibleSpreads = "5.5.2.3",
    /// A value is one of its type.
    ValuesOfCorrectType = "5.6.1",
    /// A field of an input object is one of its type.
    KnownInputFields = "5.6.2",
    /// A field of an input object is there once.
    UniqueInputFields = "5.6.3",
    /// What an input object must have is there.
    RequiredInputFields = "5.6.4",
    /// A directive is one of the schema.
    KnownDirectives = "5.7.1",
    /// A directive stands where it may.
    DirectivesInValidPlaces = "5.7.2",
    /// A directive stands once in a place.
    UniqueDirectives = "5.7.3",
    /// Variables of one operation have different names.
    UniqueVariables = "5.8.1",
    /// A variable's type is an input type.
    VariablesAreInputTypes = "5.8.2",
    /// A variable that is used is defined.
    VariablesDefined = "5.8.3",
    /// A variable that is defined is used.
    VariablesUsed = "5.8.4",
    /// A variable may stand where it is used.
    VariablesInAllowedPositions = "5.8.5",
}

/// What is wrong with a document.
#[derive(Clone, Debug)]
pub(in crate::graphql) struct Invalid {
    pub(in crate::graphql) rule: Rule,
    pub(in crate::graphql) message: String,
    pub(in crate::graphql) places: Vec<Pos>,
}

/// The errors of a document, at most [`bounds::ERRORS`].
#[derive(Debug, Default)]
pub(in crate::graphql) struct Errors {
    pub(in crate::graphql) first: Vec<Invalid>,
    /// Whether there are more.
    pub(in crate::graphql) more: bool,
}

/// Applies all rules. The document is within its bounds.
///
/// # Errors
/// What is wrong, in the order of the text.
pub(in crate::graphql) fn validate(document: &Document, types: &Types) -> Result<(), Errors> {
    let mut checking = Checking {
        document,
        types,
        errors: Errors::default(),
    };
    checking.document();
    let mut errors = checking.errors;
    if errors.first.is_empty() {
        return Ok(());
    }
    errors.first.sort_by_key(|error| {
        let place = error.places.first();
        place.map_or((0, 0), |place| (place.line, place.column))
    });
    Err(errors)
}

/// The rules at work.
struct Checking<'a> {
    document: &'a Document,
    types: &'a Types,
    errors: Errors,
}

/// What an operation or a fragment uses, without the fragments that it spreads.
#[derive(Default)]
struct Uses<'a> {
    variables: Vec<Use<'a>>,
    spreads: Vec<&'a Named>,
}

/// A variable where it stands.
struct Use<'a> {
    name: &'a Name,
    place: Pos,
    /// What is expected there; `None` where that is not known.
    kind: Option<&'a Type>,
    /// Whether the argument, or the field of an input object, has a default.
    has_default: bool,
}

impl<'a> Checking<'a> {
    fn report(&mut self, rule: Rule, places: &[Pos], message: impl FnOnce() -> String) {
        if self.errors.first.len() >= bounds::ERRORS {
            self.errors.more = true;
            return;
        }
        self.errors.first.push(Invalid {
            rule,
            message: message(),
            places: places.to_vec(),
        });
    }

    /// Reports each name that comes again.
    fn unique<'n>(
        &mut self,
        rule: Rule,
        names: impl Iterator<Item = (&'n str, Pos)>,
        what: impl Fn(&str) -> String,
    ) {
        let mut seen = std::collections::HashMap::new();
        for (name, place) in names {
            if let Some(first) = seen.get(name) {
                self.report(rule, &[*first, place], || what(name));
            } else {
                seen.insert(name, place);
            }
        }
    }

    fn document(&mut self) {
        let document = self.document;
        self.names();
        let mut uses = Vec::with_capacity(document.operations.len());
        for operation in &document.operations {
            uses.push(self.operation(operation));
        }
        let mut of_fragments = Vec::with_capacity(document.fragments.len());
        for fragment in &document.fragments {
            of_fragments.push(self.fragment(fragment));
        }
        self.variables(&uses, &of_fragments);
        self.fragments_used(&uses, &of_fragments);
        // What is compared here is known to be well-formed, and small for that.
        if self.errors.first.is_empty() {
            self.overlapping();
        }
        if self.errors.first.is_empty() {
            self.single_root_fields();
        }
    }
}
