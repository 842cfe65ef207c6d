//! The schema for the rules and the plan: types, fields, arguments and directives by their names.
//! It is read once from the served text, with the types of introspection. The schema has no
//! interfaces and no unions; a test keeps that so.

use std::collections::HashMap;
use std::sync::LazyLock;

use async_graphql::Name;
use async_graphql::Positioned;
use async_graphql::parser::parse_schema;
use async_graphql::parser::types::{
    BaseType, InputValueDefinition, OperationType, Type, TypeKind, TypeSystemDefinition,
};
use async_graphql_value::ConstValue;

use super::bare_schema;

/// The types of introspection as the library serves them (GraphQL, section 4.2).
const INTROSPECTION: &str = "
type __Schema { description: String types: [__Type!]! queryType: __Type! mutationType: __Type subscriptionType: __Type directives: [__Directive!]! }
type __Type {
  kind: __TypeKind! name: String description: String specifiedByURL: String isOneOf: Boolean
  fields(includeDeprecated: Boolean! = false): [__Field!] interfaces: [__Type!] possibleTypes: [__Type!]
  enumValues(includeDeprecated: Boolean! = false): [__EnumValue!] inputFields(includeDeprecated: Boolean! = false): [__InputValue!]
  ofType: __Type
}
type __Field { name: String! description: String args(includeDeprecated: Boolean! = false): [__InputValue!]! type: __Type! isDeprecated: Boolean! deprecationReason: String }
type __InputValue { name: String! description: String type: __Type! defaultValue: String isDeprecated: Boolean! deprecationReason: String }
type __EnumValue { name: String! description: String isDeprecated: Boolean! deprecationReason: String }
type __Directive { name: String! description: String isRepeatable: Boolean! locations: [__DirectiveLocation!]! args(includeDeprecated: Boolean! = false): [__InputValue!]! }
enum __TypeKind { SCALAR OBJECT INTERFACE UNION ENUM INPUT_OBJECT LIST NON_NULL }
enum __DirectiveLocation {
  QUERY MUTATION SUBSCRIPTION FIELD FRAGMENT_DEFINITION FRAGMENT_SPREAD INLINE_FRAGMENT VARIABLE_DEFINITION SCHEMA SCALAR OBJECT
  FIELD_DEFINITION ARGUMENT_DEFINITION INTERFACE UNION ENUM ENUM_VALUE INPUT_OBJECT INPUT_FIELD_DEFINITION
}
scalar String scalar Int scalar Boolean scalar ID scalar Float
type Meta { __schema: __Schema! __type(name: String!): __Type __typename: String! }
";

/// The schema that is served.
pub(in crate::graphql) static TYPES: LazyLock<Types> = LazyLock::new(Types::served);

/// The types of a schema.
#[derive(Debug)]
pub(in crate::graphql) struct Types {
    types: HashMap<Name, TypeDefinition>,
    /// `__schema`, `__type` and `__typename`.
    meta: Object,
    pub(in crate::graphql) directives: Vec<DirectiveDefinition>,
}

/// A type by its kind.
#[derive(Debug)]
pub(in crate::graphql) enum TypeDefinition {
    Scalar,
    Enum(Vec<Name>),
    Input(Inputs),
    Object(Object),
}

/// An object type.
#[derive(Debug)]
pub(in crate::graphql) struct Object {
    pub(in crate::graphql) name: Name,
    fields: HashMap<Name, FieldDefinition>,
}

/// A field.
#[derive(Debug)]
pub(in crate::graphql) struct FieldDefinition {
    pub(in crate::graphql) kind: Type,
    pub(in crate::graphql) arguments: Inputs,
}

/// Arguments, or the fields of an input object, in their order.
#[derive(Debug)]
pub(in crate::graphql) struct Inputs(Vec<Input>);

/// An argument, or a field of an input object.
#[derive(Debug)]
pub(in crate::graphql) struct Input {
    pub(in crate::graphql) name: Name,
    pub(in crate::graphql) kind: Type,
    pub(in crate::graphql) default: Option<ConstValue>,
}

impl Input {
    /// Whether the argument or field is required.
    pub(in crate::graphql) fn is_required(&self) -> bool {
        !self.kind.nullable && self.default.is_none()
    }
}

/// A directive.
#[derive(Debug)]
pub(in crate::graphql) struct DirectiveDefinition {
    pub(in crate::graphql) name: &'static str,
    /// Locations in a document where it is allowed.
    pub(in crate::graphql) places: &'static [Place],
    pub(in crate::graphql) arguments: Inputs,
}

/// Location of a directive in a document (GraphQL, section 3.13).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::graphql) enum Place {
    Query,
    Mutation,
    Subscription,
    Field,
    FragmentDefinition,
    FragmentSpread,
    InlineFragment,
    VariableDefinition,
}

/// The type's name, without lists and non-nulls.
pub(in crate::graphql) fn base(kind: &Type) -> &Name {
    let mut kind = kind;
    loop {
        match &kind.base {
            BaseType::Named(name) => return name,
            BaseType::List(item) => kind = item,
        }
    }
}

impl Inputs {
    pub(in crate::graphql) fn get(&self, name: &str) -> Option<&Input> {
        self.0.iter().find(|input| input.name == name)
    }

    pub(in crate::graphql) fn iter(&self) -> impl Iterator<Item = &Input> {
        self.0.iter()
    }

    fn of(definitions: Vec<Positioned<InputValueDefinition>>) -> Self {
        let input = |definition: Positioned<InputValueDefinition>| Input {
            name: definition.node.name.node,
            kind: definition.node.ty.node,
            default: definition.node.default_value.map(|value| value.node),
        };
        Self(definitions.into_iter().map(input).collect())
    }
}

impl Object {
    pub(in crate::graphql) fn field(&self, name: &str) -> Option<&FieldDefinition> {
        self.fields.get(name)
    }

    pub(in crate::graphql) fn field_names(&self) -> impl Iterator<Item = &str> {
        self.fields.keys().map(Name::as_str)
    }
}

impl Types {
    fn served() -> Self {
        let mut types = HashMap::new();
        for text in [INTROSPECTION, &bare_schema().sdl()] {
            let document = parse_schema(text).expect("the served schema is one");
            for definition in document.definitions {
                if let TypeSystemDefinition::Type(definition) = definition {
                    let name = definition.node.name.node;
                    if let Some(kind) = TypeDefinition::of(&name, definition.node.kind) {
                        types.insert(name, kind);
                    }
                }
            }
        }
        let Some(TypeDefinition::Object(meta)) = types.remove("Meta") else {
            unreachable!("it is in the text above")
        };
        Self {
            types,
            meta,
            directives: directives(),
        }
    }

    pub(in crate::graphql) fn get(&self, name: &str) -> Option<&TypeDefinition> {
        self.types.get(name)
    }

    pub(in crate::graphql) fn names(&self) -> impl Iterator<Item = &str> {
        self.types.keys().map(Name::as_str)
    }

    /// The object type of this name.
    pub(in crate::graphql) fn object(&self, name: &str) -> Option<&Object> {
        match self.get(name)? {
            TypeDefinition::Object(object) => Some(object),
            _ => None,
        }
    }

    pub(in crate::graphql) fn root(&self, kind: OperationType) -> &Object {
        let name = match kind {
            OperationType::Query => "Query",
            OperationType::Mutation => "Mutation",
            OperationType::Subscription => "Subscription",
        };
        self.object(name).expect("the schema has all three")
    }

    /// A field of an object type, including those of introspection.
    pub(in crate::graphql) fn field<'t>(
        &'t self,
        of: &'t Object,
        name: &str,
    ) -> Option<&'t FieldDefinition> {
        of.field(name).or_else(|| {
            let here = name == "__typename" || of.name == "Query";
            here.then(|| self.meta.field(name)).flatten()
        })
    }

    pub(in crate::graphql) fn directive(&self, name: &str) -> Option<&DirectiveDefinition> {
        self.directives.iter().find(|one| one.name == name)
    }

    /// Whether a variable may have this type.
    pub(in crate::graphql) fn is_input(&self, kind: &Type) -> bool {
        let object = |kind: &TypeDefinition| matches!(kind, TypeDefinition::Object(_));
        self.get(base(kind)).is_some_and(|kind| !object(kind))
    }
}

fn directives() -> Vec<DirectiveDefinition> {
    let input = |name: &str, kind: &str| {
        Inputs(vec![Input {
            name: Name::new(name),
            kind: Type::new(kind).expect("a type"),
            default: None,
        }])
    };
    let selections: &[Place] = &[Place::Field, Place::FragmentSpread, Place::InlineFragment];
    let directive = |name, places, arguments| DirectiveDefinition {
        name,
        places,
        arguments,
    };
    vec![
        directive("skip", selections, input("if", "Boolean!")),
        directive("include", selections, input("if", "Boolean!")),
        // These locations occur in schemas only.
        directive("deprecated", &[], input("reason", "String")),
        directive("specifiedBy", &[], input("url", "String!")),
        directive("oneOf", &[], Inputs(Vec::new())),
    ]
}

impl TypeDefinition {
    fn of(name: &Name, kind: TypeKind) -> Option<Self> {
        Some(match kind {
            TypeKind::Scalar => Self::Scalar,
            TypeKind::Enum(all) => Self::Enum(
                all.values
                    .into_iter()
                    .map(|one| one.node.value.node)
                    .collect(),
            ),
            TypeKind::InputObject(input) => Self::Input(Inputs::of(input.fields)),
            TypeKind::Object(object) => {
                let field = |field: Positioned<async_graphql::parser::types::FieldDefinition>| {
                    let definition = FieldDefinition {
                        kind: field.node.ty.node,
                        arguments: Inputs::of(field.node.arguments),
                    };
                    (field.node.name.node, definition)
                };
                Self::Object(Object {
                    name: name.clone(),
                    fields: object.fields.into_iter().map(field).collect(),
                })
            }
            TypeKind::Interface(_) | TypeKind::Union(_) => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_named_type_of_the_schema_is_defined() {
        let known = |kind: &Type| assert!(TYPES.get(base(kind)).is_some(), "{kind}");
        for definition in TYPES.types.values() {
            match definition {
                TypeDefinition::Object(object) => {
                    for field in object.fields.values() {
                        known(&field.kind);
                        field.arguments.iter().for_each(|input| known(&input.kind));
                    }
                }
                TypeDefinition::Input(fields) => fields.iter().for_each(|input| known(&input.kind)),
                TypeDefinition::Scalar | TypeDefinition::Enum(_) => {}
            }
        }
        assert!(
            TYPES
                .field(TYPES.root(OperationType::Query), "__schema")
                .is_some()
        );
        assert!(
            TYPES
                .field(TYPES.root(OperationType::Mutation), "__schema")
                .is_none()
        );
        let text = bare_schema().sdl();
        let abstracts = text
            .lines()
            .filter(|line| line.starts_with("interface ") || line.starts_with("union "));
        assert_eq!(
            abstracts.count(),
            0,
            "the rules, the plan and the writer know no abstract types"
        );
    }

    #[test]
    fn the_types_of_introspection_equal_the_librarys() {
        use futures_util::FutureExt as _;
        let field = "name isDeprecated args { name defaultValue type { ...T } } type { ...T }";
        let fragment = "fragment T on __Type { kind name ofType { kind name ofType { kind name ofType { kind name } } } }";
        for name in [
            "__Schema",
            "__Type",
            "__Field",
            "__InputValue",
            "__EnumValue",
            "__Directive",
        ] {
            let query =
                format!("{{ __type(name: \"{name}\") {{ fields {{ {field} }} }} }} {fragment}");
            let answer = bare_schema()
                .execute(query)
                .now_or_never()
                .expect("nothing waits");
            let data = answer.data.into_json().expect("JSON");
            let fields = data["__type"]["fields"].as_array().expect("fields");
            let object = TYPES.object(name).expect("known");
            let theirs: Vec<&str> = fields
                .iter()
                .filter_map(|field| field["name"].as_str())
                .collect();
            for name in &theirs {
                assert!(object.field(name).is_some(), "{name}");
            }
            assert_eq!(
                object.field_names().count(),
                theirs.len(),
                "{name}: {theirs:?}"
            );
        }
    }
}
