//! The rules of fields, their arguments, and spreads (5.3.1, 5.3.3, 5.4 and 5.5.2).

use async_graphql::Pos;

use super::suggestion::similar;
use super::{Checking, Rule, Uses};
use crate::graphql::schema::types::{Inputs, Object, Place, base};
use crate::graphql::syntax::{Argument, Field, Inline, Selection, Spread};

impl<'a> Checking<'a> {
    /// `parent` is the type around them, if it is known.
    pub(super) fn selections(
        &mut self,
        parent: Option<&'a Object>,
        selections: &'a [Selection],
        uses: &mut Uses<'a>,
    ) {
        for selection in selections {
            match selection {
                Selection::Field(field) => self.field(parent, field, uses),
                Selection::Spread(spread) => self.spread(parent, spread, uses),
                Selection::Inline(inline) => self.inline(parent, inline, uses),
            }
        }
    }

    fn field(&mut self, parent: Option<&'a Object>, field: &'a Field, uses: &mut Uses<'a>) {
        let types = self.types;
        let name = field.name.text.as_str();
        let definition = parent.and_then(|parent| types.field(parent, name));
        if let Some(parent) = parent
            && definition.is_none()
        {
            self.report(Rule::FieldsOnCorrectType, &[field.place], || {
                let similar = similar(name, parent.field_names());
                format!(
                    "the type \"{}\" has no field \"{name}\"{similar}",
                    parent.name
                )
            });
        }
        let arguments = definition.map(|definition| &definition.arguments);
        let of = || match parent {
            Some(parent) => format!("the field \"{}.{name}\"", parent.name),
            None => format!("the field \"{name}\""),
        };
        self.arguments(arguments, &field.arguments, field.place, of, uses);
        self.directives(&field.directives, Place::Field, uses);
        let below = definition.and_then(|definition| {
            let kind = &definition.kind;
            let object = types.object(base(kind));
            if object.is_none() && !field.selections.is_empty() {
                let place = field.place;
                self.report(Rule::LeafSelections, &[place], || {
                    format!("the field \"{name}\" of type \"{kind}\" has no fields to select")
                });
            }
            if object.is_some() && field.selections.is_empty() {
                self.report(Rule::LeafSelections, &[field.place], || {
                    format!("the field \"{name}\" of type \"{kind}\" must select some of its fields: {name} {{ … }}")
                });
            }
            object
        });
        self.selections(below, &field.selections, uses);
    }

    fn spread(&mut self, parent: Option<&'a Object>, spread: &'a Spread, uses: &mut Uses<'a>) {
        self.directives(&spread.directives, Place::FragmentSpread, uses);
        uses.spreads.push(&spread.name);
        let name = spread.name.text.as_str();
        let document = self.document;
        match document.fragment(name) {
            Some(fragment) => {
                let on = self.types.object(&fragment.condition.text);
                self.applies(parent, on, spread.place);
            }
            None => self.report(Rule::KnownFragmentNames, &[spread.name.place], || {
                let known = document.fragments.iter().map(|one| one.name.text.as_str());
                format!("there is no fragment \"{name}\"{}", similar(name, known))
            }),
        }
    }

    fn inline(&mut self, parent: Option<&'a Object>, inline: &'a Inline, uses: &mut Uses<'a>) {
        self.directives(&inline.directives, Place::InlineFragment, uses);
        let on = match &inline.condition {
            Some(condition) => {
                let on = self.condition(condition);
                self.applies(parent, on, inline.place);
                on
            }
            None => parent,
        };
        self.selections(on, &inline.selections, uses);
    }

    /// The schema has object types only: a fragment applies to its own type.
    fn applies(&mut self, parent: Option<&Object>, on: Option<&Object>, place: Pos) {
        if let (Some(parent), Some(on)) = (parent, on)
            && parent.name != on.name
        {
            let (parent, on) = (parent.name.clone(), on.name.clone());
            self.report(Rule::PossibleSpreads, &[place], || {
                format!("a fragment on \"{on}\" never applies to a \"{parent}\"")
            });
        }
    }

    pub(super) fn arguments(
        &mut self,
        defined: Option<&'a Inputs>,
        given: &'a [Argument],
        place: Pos,
        of: impl Fn() -> String,
        uses: &mut Uses<'a>,
    ) {
        if given.len() > 1 {
            let names = given.iter();
            let names = names.map(|one| (one.name.text.as_str(), one.name.place));
            self.unique(Rule::UniqueArgumentNames, names, |name| {
                format!("the argument \"{name}\" is given twice")
            });
        }
        for argument in given {
            let name = argument.name.text.as_str();
            let input = defined.and_then(|defined| defined.get(name));
            if let Some(defined) = defined
                && input.is_none()
            {
                let rule = Rule::KnownArgumentNames;
                self.report(rule, &[argument.name.place], || {
                    let known = defined.iter().map(|input| input.name.as_str());
                    format!(
                        "{} has no argument \"{name}\"{}",
                        of(),
                        similar(name, known)
                    )
                });
            }
            self.value(&argument.value, input.map(Into::into), uses);
        }
        for input in defined.into_iter().flat_map(Inputs::iter) {
            let is_given = || given.iter().any(|one| one.name.text == input.name);
            if input.is_required() && !is_given() {
                self.report(Rule::RequiredArguments, &[place], || {
                    format!(
                        "{} needs its argument \"{}\" of type \"{}\"",
                        of(),
                        input.name,
                        input.kind
                    )
                });
            }
        }
    }
}
