//! The validation of documents: the rules of GraphQL, section 5, over the served schema. They do
//! not depend on the rest of a request, so that a text that was found valid stays valid.
//!
//! Each recursion here follows the nesting of the document, which [`bounds`] ends.

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

use crate::graphql::limits;
use crate::graphql::schema::types::Types;
use crate::graphql::syntax::{Document, Named};

/// Declares the rules with their sections, and [`RULES`] of all of them.
macro_rules! rules {
    ($($(#[$doc:meta])* $rule:ident = $section:literal,)*) => {
        /// A rule.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub(in crate::graphql) enum Rule {
            $($(#[$doc])* $rule,)*
        }

        impl Rule {
            /// Its section of the specification (October 2021; directives on variables as drafted
            /// later).
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
    /// A subscription has one root field, which is not one of introspection.
    SingleRootField = "5.2.3.1",
    /// A field is defined by its type.
    FieldsOnCorrectType = "5.3.1",
    /// Fields of the same key are the same.
    OverlappingFields = "5.3.2",
    /// Objects have selections, and leaves have none.
    LeafSelections = "5.3.3",
    /// An argument is defined by its field or directive.
    KnownArgumentNames = "5.4.1",
    /// Each argument occurs once.
    UniqueArgumentNames = "5.4.2",
    /// A required argument is present.
    RequiredArguments = "5.4.2.1",
    /// Fragments of one document have different names.
    UniqueFragmentNames = "5.5.1.1",
    /// A named type is in the schema.
    KnownTypeNames = "5.5.1.2",
    /// A fragment is on an object type.
    FragmentsOnObjects = "5.5.1.3",
    /// A fragment is spread somewhere.
    FragmentsUsed = "5.5.1.4",
    /// A fragment that is spread is defined.
    KnownFragmentNames = "5.5.2.1",
    /// A fragment applies at the place of its spread.
    PossibleSpreads = "5.5.2.3",
    /// A value is valid for its type.
    ValuesOfCorrectType = "5.6.1",
    /// A field of an input object is defined by its type.
    KnownInputFields = "5.6.2",
    /// A field of an input object occurs once.
    UniqueInputFields = "5.6.3",
    /// A required field of an input object is present.
    RequiredInputFields = "5.6.4",
    /// A directive is in the schema.
    KnownDirectives = "5.7.1",
    /// A directive is at a location that it allows.
    DirectivesInValidPlaces = "5.7.2",
    /// A directive occurs once at a location.
    UniqueDirectives = "5.7.3",
    /// Variables of one operation have different names.
    UniqueVariables = "5.8.1",
    /// A variable's type is an input type.
    VariablesAreInputTypes = "5.8.2",
    /// A variable that is used is defined.
    VariablesDefined = "5.8.3",
    /// A variable that is defined is used.
    VariablesUsed = "5.8.4",
    /// A variable is allowed at the place of its use.
    VariablesInAllowedPositions = "5.8.5",
}

/// An error of a document.
#[derive(Clone, Debug)]
pub(in crate::graphql) struct Invalid {
    pub(in crate::graphql) rule: Rule,
    pub(in crate::graphql) message: String,
    pub(in crate::graphql) places: Vec<Pos>,
}

/// The errors of a document, at most [`limits::ERRORS`].
#[derive(Debug, Default)]
pub(in crate::graphql) struct Errors {
    pub(in crate::graphql) first: Vec<Invalid>,
    /// Whether there are more errors.
    pub(in crate::graphql) more: bool,
}

/// Applies all rules. The document is within its bounds.
///
/// # Errors
/// The errors, in the order of the text.
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

/// The state of a validation.
struct Checking<'a> {
    document: &'a Document,
    types: &'a Types,
    errors: Errors,
}

/// The uses of an operation or a fragment, without those of the fragments that it spreads.
#[derive(Default)]
struct Uses<'a> {
    variables: Vec<Use<'a>>,
    spreads: Vec<&'a Named>,
}

/// A use of a variable.
struct Use<'a> {
    name: &'a Name,
    place: Pos,
    /// The expected type; `None` if it is not known.
    kind: Option<&'a Type>,
    /// Whether the argument, or the field of an input object, has a default.
    has_default: bool,
}

impl<'a> Checking<'a> {
    fn report(&mut self, rule: Rule, places: &[Pos], message: impl FnOnce() -> String) {
        if self.errors.first.len() >= limits::ERRORS {
            self.errors.more = true;
            return;
        }
        self.errors.first.push(Invalid {
            rule,
            message: message(),
            places: places.to_vec(),
        });
    }

    /// Reports each repeated name.
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
        // These values are well-formed, and therefore small.
        if self.errors.first.is_empty() {
            self.overlapping();
        }
        if self.errors.first.is_empty() {
            self.single_root_fields();
        }
    }
}
