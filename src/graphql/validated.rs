//! Operations that were found valid lately. Clients send the same few again and again, each time with an id of its own: after a restart
//! thousands of watchers at once. Validation is most of what GraphQL costs then. Only validation is remembered: arguments are read, and
//! complexity and depth are counted, anew for each request.

use std::fmt::Write as _;

use async_graphql::parser::types::{BaseType, ExecutableDocument};
use async_graphql::{Name, Variables};
use async_graphql_value::ConstValue;

use super::documents::{DOCUMENT_BYTES, Lately};

/// What was found valid.
#[derive(Debug, Default)]
pub(super) struct Validated(Lately<()>);

/// All that validation looks at: two requests of the same key are both valid, or neither is.
#[derive(Debug)]
pub(super) struct Key(String);

impl Key {
    /// The text of the request stands for its document. Of a variable that may hold any string only that it is one counts. `None` for what
    /// is not worth remembering: lists and objects, which seldom come again, and what is large.
    pub(super) fn new(
        request: &wire::Request,
        document: &ExecutableDocument,
        variables: &Variables,
    ) -> Option<Key> {
        if request.query.len() > DOCUMENT_BYTES {
            return None;
        }
        let operation = request.operation_name.as_deref().unwrap_or("");
        let mut key = String::with_capacity(request.query.len() + 64);
        key.extend([operation, "\0"]);
        for (name, value) in variables.iter() {
            let written = match value {
                ConstValue::String(_) if takes_any_string(document, name) => {
                    write!(key, "{name:?}\0")
                }
                ConstValue::List(_) | ConstValue::Object(_) | ConstValue::Binary(_) => return None,
                value => write!(key, "{name:?}={value}\0"),
            };
            written.expect("a string takes all");
        }
        key.push_str(&request.query);
        (key.len() <= DOCUMENT_BYTES).then_some(Key(key))
    }
}

/// Whether every string is a value of this variable, in each operation that has it. What stands in the string of an `AWSJSON` or an
/// `AWSDateTime` is looked at when the argument is read.
fn takes_any_string(document: &ExecutableDocument, variable: &Name) -> bool {
    let mut operations = document.operations.iter();
    operations.all(|(_, operation)| {
        let mut definitions = operation.node.variable_definitions.iter();
        let definition = definitions.find(|definition| definition.node.name.node == *variable);
        definition.is_some_and(|definition| match &definition.node.var_type.node.base {
            BaseType::Named(kind) => {
                matches!(kind.as_str(), "ID" | "String" | "AWSJSON" | "AWSDateTime")
            }
            BaseType::List(_) => false,
        })
    })
}

impl Validated {
    /// Whether a request of this key was found valid.
    pub(super) fn contains(&self, key: &Key) -> bool {
        self.0.get(&key.0).is_some()
    }

    /// Remembers it.
    pub(super) fn insert(&self, key: &Key) {
        self.0.keep(&key.0, ());
    }
}

#[cfg(test)]
mod tests {
    use super::super::documents::DOCUMENTS;
    use super::*;

    fn key(query: &str, operation: Option<&str>, variables: &str) -> Option<Key> {
        let request = wire::Request {
            query: query.to_owned(),
            operation_name: operation.map(str::to_owned),
            variables: None,
            extensions: None,
            authorization: None,
        };
        let document = async_graphql::parser::parse_query(query).expect("a document");
        let variables = serde_json::from_str(variables).expect("variables");
        Key::new(&request, &document, &variables)
    }

    const ONE: &str =
        "subscription A($id: ID!, $s: String, $j: AWSJSON, $l: [ID!], $e: Status) { a(id: $id) }";

    #[test]
    fn strings_that_are_as_good_as_others_and_all_else_that_counts() {
        let same = |left: (&str, &str), right: (&str, &str)| {
            let validated = Validated::default();
            validated.insert(&key(left.0, Some("A"), left.1).expect("a key"));
            validated.contains(&key(right.0, Some("A"), right.1).expect("a key"))
        };
        for (left, right, expected) in [
            (r#"{"id":"1"}"#, r#"{"id":"2"}"#, true),
            (r#"{"s":"1"}"#, r#"{"s":"a\u0000b"}"#, true),
            (r#"{"j":"{}"}"#, r#"{"j":"{"}"#, true),
            (r#"{"id":"1"}"#, r#"{"id":1}"#, false),
            (r#"{"id":"1"}"#, r#"{"id":null}"#, false),
            (r#"{"id":"1"}"#, r#"{"s":"1"}"#, false),
            (r#"{"id":"1"}"#, r#"{}"#, false),
            (r#"{"l":"1"}"#, r#"{"l":"2"}"#, false),
            (r#"{"e":"RUNNING"}"#, r#"{"e":"NONE"}"#, false),
            (r#"{"unknown":"1"}"#, r#"{"unknown":"2"}"#, false),
            (r#"{"id":"1","x":1}"#, r#"{"id\u0000x":1}"#, false),
        ] {
            assert_eq!(same((ONE, left), (ONE, right)), expected, "{left} {right}");
        }
        let other = ONE.replace("a(id: $id)", "b(id: $id)");
        assert!(!same((ONE, "{}"), (&other, "{}")));
        let two = format!("{ONE} query B($id: Int) {{ a }}");
        assert!(!same((&two, r#"{"id":"1"}"#), (&two, r#"{"id":"2"}"#)));
        let validated = Validated::default();
        validated.insert(&key(&two, Some("A"), "{}").expect("a key"));
        assert!(!validated.contains(&key(&two, Some("B"), "{}").expect("a key")));
    }

    #[test]
    fn keeps_no_more_and_nothing_larger_than_its_limits() {
        let validated = Validated::default();
        let of = |bytes: usize| Key("x".repeat(bytes));
        for bytes in 1..=DOCUMENTS {
            validated.insert(&of(bytes));
        }
        assert!(validated.contains(&of(1)));
        validated.insert(&of(DOCUMENTS + 1));
        assert!(!validated.contains(&of(1)) && validated.contains(&of(DOCUMENTS + 1)));
        let long = |bytes: usize| {
            let begin = "{ a } #";
            key(
                &format!("{begin}{}", "x".repeat(bytes - 1 - begin.len())),
                None,
                "{}",
            )
        };
        assert!(long(DOCUMENT_BYTES).is_some() && long(DOCUMENT_BYTES + 1).is_none());
        assert!(key(ONE, Some("A"), r#"{"l":["1"]}"#).is_none());
        assert!(key(ONE, Some("A"), r#"{"e":{}}"#).is_none());
    }
}
