//! Subscriptions that were found valid lately. After a restart thousands of watchers send the same document, each with an id of its own,
//! and validation is most of what GraphQL costs them. Only validation is remembered: arguments are read anew for each request.

use std::collections::HashSet;
use std::fmt::Write as _;

use async_graphql::Variables;
use async_graphql::parser::types::{BaseType, ExecutableDocument, OperationDefinition};
use async_graphql_value::ConstValue;
use parking_lot::Mutex;

use super::documents::{DOCUMENT_BYTES, DOCUMENTS};

/// What was found valid.
#[derive(Debug, Default)]
pub(super) struct Validated(Mutex<HashSet<Box<str>>>);

/// All that validation looks at: two requests of the same key are both valid, or neither is.
#[derive(Debug)]
pub(super) struct Key(String);

impl Key {
    /// The text of the request stands for its document. Of a variable that may hold any string only that it is one counts.
    pub(super) fn new(
        request: &wire::Request,
        document: &ExecutableDocument,
        variables: &Variables,
    ) -> Key {
        let operation = request.operation_name.as_deref();
        let mut key = String::with_capacity(request.query.len() + 64);
        key.extend([operation.unwrap_or(""), "\0"]);
        for (name, value) in variables.iter() {
            let any = matches!(value, ConstValue::String(_))
                && document
                    .operations
                    .iter()
                    .all(|(_, operation)| takes_any_string(&operation.node, name));
            let written = if any {
                write!(key, "{name:?}\0")
            } else {
                write!(key, "{name:?}={value}\0")
            };
            written.expect("a string takes all");
        }
        key.push_str(&request.query);
        Key(key)
    }
}

/// Whether every string is a value of this variable: it is an `ID` or a `String`.
fn takes_any_string(operation: &OperationDefinition, name: &str) -> bool {
    let mut definitions = operation.variable_definitions.iter();
    let definition = definitions.find(|definition| definition.node.name.node == name);
    definition.is_some_and(|definition| match &definition.node.var_type.node.base {
        BaseType::Named(kind) => kind == "ID" || kind == "String",
        BaseType::List(_) => false,
    })
}

impl Validated {
    /// Whether a request of this key was found valid.
    pub(super) fn contains(&self, key: &Key) -> bool {
        self.0.lock().contains(key.0.as_str())
    }

    /// Remembers it, unless it is large.
    pub(super) fn insert(&self, key: Key) {
        if key.0.len() > DOCUMENT_BYTES {
            return;
        }
        let mut kept = self.0.lock();
        if kept.len() >= DOCUMENTS {
            kept.clear();
        }
        kept.insert(key.0.into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(query: &str, operation: Option<&str>, variables: &str) -> Key {
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

    #[test]
    fn strings_that_are_as_good_as_others_and_all_else_that_counts() {
        const ONE: &str =
            "subscription A($id: ID!, $s: String, $l: [ID!], $e: Status) { a(id: $id) }";
        let same = |left: (&str, &str), right: (&str, &str)| {
            let validated = Validated::default();
            validated.insert(key(left.0, Some("A"), left.1));
            validated.contains(&key(right.0, Some("A"), right.1))
        };
        for (left, right, expected) in [
            (r#"{"id":"1"}"#, r#"{"id":"2"}"#, true),
            (r#"{"s":"1"}"#, r#"{"s":"a\u0000b"}"#, true),
            (r#"{"id":"1"}"#, r#"{"id":1}"#, false),
            (r#"{"id":"1"}"#, r#"{"id":null}"#, false),
            (r#"{"id":"1"}"#, r#"{"s":"1"}"#, false),
            (r#"{"id":"1"}"#, r#"{}"#, false),
            (r#"{"l":["1"]}"#, r#"{"l":["2"]}"#, false),
            (r#"{"l":"1"}"#, r#"{"l":"2"}"#, false),
            (r#"{"e":"RUNNING"}"#, r#"{"e":"NONE"}"#, false),
            (r#"{"unknown":"1"}"#, r#"{"unknown":"2"}"#, false),
        ] {
            assert_eq!(same((ONE, left), (ONE, right)), expected, "{left} {right}");
        }
        let other = ONE.replace("a(id: $id)", "b(id: $id)");
        assert!(!same((ONE, "{}"), (&other, "{}")));
        let two = format!("{ONE} query B($id: Int) {{ a }}");
        assert!(!same((&two, r#"{"id":"1"}"#), (&two, r#"{"id":"2"}"#)));
        let validated = Validated::default();
        validated.insert(key(&two, Some("A"), "{}"));
        assert!(!validated.contains(&key(&two, Some("B"), "{}")));
    }

    #[test]
    fn keeps_no_more_and_nothing_larger_than_its_limits() {
        let validated = Validated::default();
        let of = |bytes: usize| Key("x".repeat(bytes));
        for bytes in 1..=DOCUMENTS {
            validated.insert(of(bytes));
        }
        assert!(validated.contains(&of(1)));
        validated.insert(of(DOCUMENT_BYTES));
        assert!(!validated.contains(&of(1)) && validated.contains(&of(DOCUMENT_BYTES)));
        validated.insert(of(DOCUMENT_BYTES + 1));
        assert!(!validated.contains(&of(DOCUMENT_BYTES + 1)));
    }
}
