//! The plan of a valid document with its variables (GraphQL, sections 6.3.2 and 6.4.1): one tree of
//! fields, in their order and each key once, without fragments, directives and variables. The
//! library executes it, events are written from it, and responses are written along it.

use std::collections::{HashMap, HashSet};

use async_graphql::parser::types::{
    BaseType, DocumentOperations, ExecutableDocument, OperationDefinition, OperationType,
    SelectionSet, Type,
};
use async_graphql::{Name, Pos, Positioned, parser};
use async_graphql_value::{ConstValue, indexmap::IndexMap};

use crate::graphql::request::variables::Variables;
use crate::graphql::schema::scalar;
use crate::graphql::schema::types::{Inputs, Object, TypeDefinition, Types, base};
use crate::graphql::syntax::{Document, Field, Operation, Selection, Value, ValueKind};

/// The message about a subscription that selects more than one field.
pub(in crate::graphql) const ONE_FIELD: &str =
    "a subscription selects exactly one field (GraphQL, section 5.2.3.1); start one for each";
/// The message about a subscription that selects no field.
pub(in crate::graphql) const NO_FIELD: &str =
    "the subscription selects no field: @skip and @include left none";

/// The fields that an operation selects.
#[derive(Clone, Debug)]
pub(in crate::graphql) struct Plan {
    pub(in crate::graphql) kind: OperationType,
    pub(in crate::graphql) fields: Vec<Planned>,
    place: Pos,
}

/// A selected field.
#[derive(Clone, Debug)]
pub(in crate::graphql) struct Planned {
    pub(in crate::graphql) key: Name,
    pub(in crate::graphql) name: Name,
    /// The arguments that have a value.
    pub(in crate::graphql) arguments: Vec<(Name, ConstValue)>,
    /// Its type in the schema.
    pub(in crate::graphql) kind: &'static Type,
    /// The selected fields of an object, or of each object of a list; `None` for a leaf.
    pub(in crate::graphql) fields: Option<Vec<Planned>>,
    pub(in crate::graphql) place: Pos,
}

impl Planned {
    /// The value of an argument.
    pub(in crate::graphql) fn argument(&self, name: &str) -> Option<&ConstValue> {
        let mut arguments = self.arguments.iter();
        arguments
            .find(|(known, _)| known == name)
            .map(|(_, value)| value)
    }

    /// Number of fields, this one and its descendants.
    pub(in crate::graphql) fn count(&self) -> usize {
        let below = self.fields.iter().flatten();
        below.map(Self::count).sum::<usize>() + 1
    }
}

impl Plan {
    /// The plan of an operation of a valid document.
    ///
    /// # Errors
    /// The condition of a directive is null.
    pub(in crate::graphql) fn of(
        document: &Document,
        operation: &Operation,
        variables: &Variables,
        types: &'static Types,
    ) -> Result<Self, String> {
        let planning = Planning {
            document,
            variables,
            types,
        };
        let root = types.root(operation.kind);
        Ok(Self {
            kind: operation.kind,
            fields: planning.fields(root, &[&operation.selections])?,
            place: operation.place,
        })
    }

    /// The plan as a document for the library. The arguments are moved out of the plan.
    pub(in crate::graphql) fn take_document(&mut self) -> ExecutableDocument {
        let operation = OperationDefinition {
            ty: self.kind,
            variable_definitions: Vec::new(),
            directives: Vec::new(),
            selection_set: selection_set(&mut self.fields, self.place),
        };
        ExecutableDocument {
            operations: DocumentOperations::Single(Positioned::new(operation, self.place)),
            fragments: HashMap::new(),
        }
    }
}

fn selection_set(fields: &mut [Planned], place: Pos) -> Positioned<SelectionSet> {
    let mut items: Vec<_> = fields.iter_mut().map(selection).collect();
    if items.is_empty() {
        // The library makes null of an object without fields. With one field the response shows
        // whether there is an object.
        items.push(typename(place));
    }
    Positioned::new(SelectionSet { items }, place)
}

fn selection(planned: &mut Planned) -> Positioned<parser::types::Selection> {
    let place = planned.place;
    let arguments = std::mem::take(&mut planned.arguments);
    let arguments = arguments.into_iter().map(|(name, value)| {
        let value = Positioned::new(value.into_value(), place);
        (Positioned::new(name, place), value)
    });
    let has_alias = planned.key != planned.name;
    let field = parser::types::Field {
        alias: has_alias.then(|| Positioned::new(planned.key.clone(), place)),
        name: Positioned::new(planned.name.clone(), place),
        arguments: arguments.collect(),
        directives: Vec::new(),
        selection_set: match &mut planned.fields {
            Some(fields) => selection_set(fields, place),
            None => Positioned::new(SelectionSet::default(), place),
        },
    };
    let field = Positioned::new(field, place);
    Positioned::new(parser::types::Selection::Field(field), place)
}

fn typename(place: Pos) -> Positioned<parser::types::Selection> {
    let field = parser::types::Field {
        alias: None,
        name: Positioned::new(Name::new("__typename"), place),
        arguments: Vec::new(),
        directives: Vec::new(),
        selection_set: Positioned::new(SelectionSet::default(), place),
    };
    let field = Positioned::new(field, place);
    Positioned::new(parser::types::Selection::Field(field), place)
}

/// Number of fields in one place up to which they are compared one by one.
const FEW: usize = 16;

struct Planning<'a> {
    document: &'a Document,
    variables: &'a Variables,
    types: &'static Types,
}

/// Fields by their keys, in the order of the first of each.
#[derive(Default)]
struct Collected<'a> {
    fields: Vec<Vec<&'a Field>>,
    /// Filled once there are more than [`FEW`].
    places: HashMap<&'a Name, usize>,
    spread: HashSet<&'a Name>,
}

impl<'a> Collected<'a> {
    fn add(&mut self, field: &'a Field) {
        let key = field.key();
        let place = if self.fields.len() <= FEW {
            self.fields.iter().position(|known| known[0].key() == key)
        } else {
            if self.places.is_empty() {
                let known = self.fields.iter().enumerate();
                self.places = known.map(|(at, known)| (known[0].key(), at)).collect();
            }
            self.places.get(key).copied()
        };
        match place {
            Some(place) => self.fields[place].push(field),
            None => {
                if !self.places.is_empty() {
                    self.places.insert(key, self.fields.len());
                }
                self.fields.push(vec![field]);
            }
        }
    }
}

impl<'a> Planning<'a> {
    fn fields(
        &self,
        parent: &'static Object,
        sets: &[&'a [Selection]],
    ) -> Result<Vec<Planned>, String> {
        let mut collected = Collected::default();
        for set in sets {
            self.collect(set, &mut collected)?;
        }
        let planned = collected.fields.into_iter().map(|same| {
            let field = same[0];
            let definition = self.types.field(parent, &field.name.text);
            let definition = definition.ok_or_else(|| {
                format!(
                    "the type \"{}\" has no field \"{}\"",
                    parent.name, field.name.text
                )
            })?;
            let below = self.types.object(base(&definition.kind));
            let fields = below.map(|below| {
                let sets: Vec<&[Selection]> =
                    same.iter().map(|field| &field.selections[..]).collect();
                self.fields(below, &sets)
            });
            Ok(Planned {
                key: field.key().clone(),
                name: field.name.text.clone(),
                arguments: self.arguments(&definition.arguments, field),
                kind: &definition.kind,
                fields: fields.transpose()?,
                place: field.place,
            })
        });
        planned.collect()
    }

    /// The fields in their order, without those that a directive leaves out, and each fragment
    /// once.
    fn collect(&self, set: &'a [Selection], collected: &mut Collected<'a>) -> Result<(), String> {
        for selection in set {
            if !selection.directives().is_empty() && self.leaves_out(selection)? {
                continue;
            }
            match selection {
                Selection::Field(field) => collected.add(field),
                Selection::Inline(inline) => self.collect(&inline.selections, collected)?,
                Selection::Spread(spread) => {
                    let name = &spread.name.text;
                    if let Some(fragment) = self.document.fragment(name)
                        && collected.spread.insert(name)
                    {
                        self.collect(&fragment.selections, collected)?;
                    }
                }
            }
        }
        Ok(())
    }

    fn leaves_out(&self, selection: &Selection) -> Result<bool, String> {
        for directive in selection.directives() {
            let skips = match directive.name.as_str() {
                "skip" => true,
                "include" => false,
                _ => continue,
            };
            let value = directive
                .arguments
                .first()
                .map(|argument| &argument.value.kind);
            let condition = match value {
                Some(ValueKind::Boolean(condition)) => *condition,
                Some(ValueKind::Variable(name)) => match self.variables.get(name) {
                    Some(ConstValue::Boolean(condition)) => *condition,
                    _ => {
                        return Err(format!(
                            "the variable \"${name}\" is null, and a condition must not be"
                        ));
                    }
                },
                _ => return Err("a condition must be true or false".to_owned()),
            };
            if condition == skips {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn arguments(&self, defined: &Inputs, field: &Field) -> Vec<(Name, ConstValue)> {
        let given = field.arguments.iter();
        let values = given.filter_map(|argument| {
            let name = &argument.name.text;
            let input = defined.get(name)?;
            let value = constant(&argument.value, &input.kind, self.variables, self.types)?;
            Some((name.clone(), value))
        });
        values.collect()
    }
}

/// The value of a valid literal; `None` for a variable without a value. Such a variable leaves out
/// its argument or its field of an input object, and is null in a list.
pub(in crate::graphql) fn constant(
    value: &Value,
    kind: &Type,
    variables: &Variables,
    types: &Types,
) -> Option<ConstValue> {
    match &value.kind {
        ValueKind::Variable(name) => return variables.get(name).cloned(),
        ValueKind::Null => return Some(ConstValue::Null),
        _ => {}
    }
    Some(match (&kind.base, &value.kind) {
        (BaseType::List(item), ValueKind::List(values)) => {
            let values = values.iter();
            let values =
                values.map(|value| constant(value, item, variables, types).unwrap_or_default());
            ConstValue::List(values.collect())
        }
        (BaseType::List(item), _) => {
            ConstValue::List(vec![constant(value, item, variables, types)?])
        }
        (BaseType::Named(name), kind) => match (types.get(name), kind) {
            (Some(TypeDefinition::Input(defined)), ValueKind::Object(fields)) => {
                let mut values = IndexMap::with_capacity(fields.len());
                for (name, value) in fields {
                    let input = defined.get(&name.text)?;
                    if let Some(value) = constant(value, &input.kind, variables, types) {
                        values.insert(name.text.clone(), value);
                    }
                }
                ConstValue::Object(values)
            }
            (_, ValueKind::Enum(found)) => ConstValue::Enum(found.clone()),
            (_, kind) => scalar::constant(name, kind).ok()?,
        },
    })
}
