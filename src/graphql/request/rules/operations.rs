//! The rules of operations, fragments and directives as a whole (5.2, 5.5.1 and 5.7).

use std::collections::HashSet;

use async_graphql::Pos;
use async_graphql::parser::types::OperationType;

use super::suggestion::similar;
use super::{Checking, Rule, Uses};
use crate::graphql::schema::types::{Object, Place, TypeDefinition};
use crate::graphql::syntax::{Directive, Fragment, Named, Operation, Selection};

/// How an error names an operation.
pub(super) fn shown(operation: &Operation) -> String {
    match &operation.name {
        Some(name) => format!("operation \"{}\"", name.text),
        None => "the operation without a name".to_owned(),
    }
}

impl<'a> Checking<'a> {
    /// The names of operations and fragments.
    pub(super) fn names(&mut self) {
        let document = self.document;
        let names = document
            .operations
            .iter()
            .filter_map(|one| one.name.as_ref());
        let names = names.map(|name| (name.text.as_str(), name.place));
        self.unique(Rule::UniqueOperationNames, names, |name| {
            format!("two operations have the name \"{name}\"")
        });
        let names = document.fragments.iter();
        let names = names.map(|one| (one.name.text.as_str(), one.name.place));
        self.unique(Rule::UniqueFragmentNames, names, |name| {
            format!("two fragments have the name \"{name}\"")
        });
        if document.operations.len() > 1 {
            for operation in document.operations.iter().filter(|one| one.name.is_none()) {
                let rule = Rule::LoneAnonymousOperation;
                self.report(rule, &[operation.place], || {
                    "an operation without a name must be the only one of its document".to_owned()
                });
            }
        }
    }

    pub(super) fn operation(&mut self, operation: &'a Operation) -> Uses<'a> {
        let mut uses = Uses::default();
        let place = match operation.kind {
            OperationType::Query => Place::Query,
            OperationType::Mutation => Place::Mutation,
            OperationType::Subscription => Place::Subscription,
        };
        self.directives(&operation.directives, place, &mut uses);
        self.definitions(operation, &mut uses);
        let root = self.types.root(operation.kind);
        self.selections(Some(root), &operation.selections, &mut uses);
        uses
    }

    pub(super) fn fragment(&mut self, fragment: &'a Fragment) -> Uses<'a> {
        let mut uses = Uses::default();
        self.directives(&fragment.directives, Place::FragmentDefinition, &mut uses);
        let on = self.condition(&fragment.condition);
        self.selections(on, &fragment.selections, &mut uses);
        uses
    }

    /// The object type that a fragment is on.
    pub(super) fn condition(&mut self, condition: &'a Named) -> Option<&'a Object> {
        let name = condition.text.as_str();
        match self.types.get(name) {
            Some(TypeDefinition::Object(object)) => Some(object),
            Some(_) => {
                let rule = Rule::FragmentsOnObjects;
                self.report(rule, &[condition.place], || {
                    format!("a fragment cannot be on the type \"{name}\": it is no object type")
                });
                None
            }
            None => {
                self.unknown_type(name, condition.place);
                None
            }
        }
    }

    pub(super) fn unknown_type(&mut self, name: &'a str, place: Pos) {
        let types = self.types;
        self.report(Rule::KnownTypeNames, &[place], || {
            format!(
                "there is no type \"{name}\"{}",
                similar(name, types.names())
            )
        });
    }

    pub(super) fn directives(
        &mut self,
        directives: &'a [Directive],
        place: Place,
        uses: &mut Uses<'a>,
    ) {
        if directives.is_empty() {
            return;
        }
        let types = self.types;
        let names = directives.iter();
        let names = names.map(|one| (one.name.as_str(), one.place));
        self.unique(Rule::UniqueDirectives, names, |name| {
            format!("the directive \"@{name}\" is used twice in this place")
        });
        for directive in directives {
            let name = directive.name.as_str();
            let definition = types.directive(name);
            match definition {
                None => {
                    let known = types.directives.iter().map(|one| one.name);
                    self.report(Rule::KnownDirectives, &[directive.place], || {
                        format!("there is no directive \"@{name}\"{}", similar(name, known))
                    });
                }
                Some(definition) if !definition.places.contains(&place) => {
                    let rule = Rule::DirectivesInValidPlaces;
                    self.report(rule, &[directive.place], || {
                        format!("the directive \"@{name}\" may not stand here")
                    });
                }
                Some(_) => {}
            }
            let arguments = definition.map(|definition| &definition.arguments);
            let of = || format!("the directive \"@{name}\"");
            self.arguments(arguments, &directive.arguments, directive.place, of, uses);
        }
    }

    pub(super) fn fragments_used(&mut self, operations: &[Uses<'a>], fragments: &[Uses<'a>]) {
        let document = self.document;
        let mut used = HashSet::new();
        let mut open: Vec<&Named> = operations
            .iter()
            .flat_map(|uses| uses.spreads.iter().copied())
            .collect();
        while let Some(name) = open.pop() {
            if let Some(index) = document.fragment_index(&name.text)
                && used.insert(index)
            {
                open.extend(&fragments[index].spreads);
            }
        }
        for fragment in &document.fragments {
            let index = document.fragment_index(&fragment.name.text);
            if index.is_none_or(|index| !used.contains(&index)) {
                self.report(Rule::FragmentsUsed, &[fragment.place], || {
                    format!("the fragment \"{}\" is never used", fragment.name.text)
                });
            }
        }
    }

    /// Whether a subscription has one root field depends on its variables if a directive may leave
    /// a field out. This refuses a subscription that is wrong with all variables.
    pub(super) fn single_root_fields(&mut self) {
        let document = self.document;
        let subscriptions = document.operations.iter();
        for operation in subscriptions.filter(|one| one.kind == OperationType::Subscription) {
            let mut root = Root::default();
            self.root_fields(&operation.selections, &mut root);
            if root.is_conditional {
                continue;
            }
            for (name, place) in root.introspection {
                self.report(Rule::SingleRootField, &[place], || {
                    format!("a subscription cannot select \"{name}\" at its root")
                });
            }
            if root.keys.len() > 1 {
                let rule = Rule::SingleRootField;
                self.report(rule, &[operation.place], || {
                    crate::graphql::request::plan::ONE_FIELD.to_owned()
                });
            }
        }
    }

    fn root_fields(&self, selections: &'a [Selection], root: &mut Root<'a>) {
        for selection in selections {
            root.is_conditional |= !selection.directives().is_empty();
            match selection {
                Selection::Field(field) => {
                    root.keys.insert(field.key().as_str());
                    let name = field.name.text.as_str();
                    if name.starts_with("__") {
                        root.introspection.push((name, field.place));
                    }
                }
                Selection::Inline(inline) => self.root_fields(&inline.selections, root),
                Selection::Spread(spread) => {
                    let name = spread.name.text.as_str();
                    if let Some(fragment) = self.document.fragment(name)
                        && root.spread.insert(name)
                    {
                        self.root_fields(&fragment.selections, root);
                    }
                }
            }
        }
    }
}

#[derive(Default)]
struct Root<'a> {
    keys: HashSet<&'a str>,
    spread: HashSet<&'a str>,
    introspection: Vec<(&'a str, Pos)>,
    is_conditional: bool,
}
