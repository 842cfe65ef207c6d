//! The body of a request: one GraphQL request, or a batch of them.

use std::fmt;

use bytes::Bytes;
use serde::de::{Deserialize, Deserializer, Error as _, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::graphql::limits::BATCH;

/// The content of a body.
#[derive(Debug)]
pub(super) enum Incoming {
    /// An object.
    One(Box<wire::Request>),
    /// A list of objects.
    Batch(Vec<wire::Request>),
}

/// Minimum size in bytes of a body that is parsed outside of the worker threads.
const LARGE_BYTES: usize = 256 * 1024;

/// Reads a body.
///
/// # Errors
/// The error says what is wrong with the body.
pub(super) async fn read(body: Bytes) -> Result<Incoming, String> {
    if body.len() < LARGE_BYTES {
        return incoming(&body);
    }
    // It takes milliseconds, too long for a thread that other tasks wait for.
    let large = tokio::task::spawn_blocking(move || incoming(&body));
    large
        .await
        .expect("it does not panic, and nothing aborts it")
}

/// A request is an object, a batch is a list of objects. A list of an object's fields by their
/// position is neither.
fn incoming(body: &[u8]) -> Result<Incoming, String> {
    let refused = |error: &dyn fmt::Display| {
        format!(
            "Unable to parse GraphQL query: the body must be {{\"query\": \"…\", \"variables\": {{…}}}}: {error}"
        )
    };
    let malformed = |error: serde_json::Error| refused(&error);
    let text = json::text(body).map_err(|wrong| refused(&format_args!("it is {wrong}")))?;
    let body = text.as_bytes();
    let first = body.iter().find(|byte| !byte.is_ascii_whitespace());
    if first != Some(&b'[') {
        // A struct would be read from a list as well; the first byte shows that this is an object.
        let request = serde_json::from_slice(body).map_err(malformed)?;
        return Ok(Incoming::One(Box::new(objects(request)?)));
    }
    let Several(all) = serde_json::from_slice(body).map_err(malformed)?;
    let one = |text: &RawValue| {
        if !text.get().starts_with('{') {
            return Err(
                "each request of a batch must be an object: [{\"query\": \"…\"}]".to_owned(),
            );
        }
        objects(serde_json::from_str(text.get()).map_err(malformed)?)
    };
    all.into_iter()
        .map(one)
        .collect::<Result<_, _>>()
        .map(Incoming::Batch)
}

/// The items of a list, at most [`BATCH`]. A longer list is not read to its end.
struct Several<'b>(Vec<&'b RawValue>);

impl<'de> Deserialize<'de> for Several<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Items;

        impl<'de> Visitor<'de> for Items {
            type Value = Several<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "a list of at most {BATCH} requests")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Several<'de>, A::Error> {
                let mut all = Vec::new();
                while let Some(item) = items.next_element()? {
                    if all.len() == BATCH {
                        let text =
                            format!("a batch has at most {BATCH} requests, and this one has more");
                        return Err(A::Error::custom(text));
                    }
                    all.push(item);
                }
                Ok(Several(all))
            }
        }

        deserializer.deserialize_seq(Items)
    }
}

/// `variables` and `extensions` are maps (GraphQL over HTTP, "Request Parameters").
pub(super) fn objects(request: wire::Request) -> Result<wire::Request, String> {
    for (name, value) in [
        ("variables", &request.variables),
        ("extensions", &request.extensions),
    ] {
        if value
            .as_ref()
            .is_some_and(|value| !value.get().starts_with('{'))
        {
            return Err(format!("{name} must be an object: {{\"name\": value}}"));
        }
    }
    Ok(request)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_an_object_or_a_list_of_objects() {
        let read = |body: &str| {
            incoming(body.as_bytes()).map(|incoming| match incoming {
                Incoming::One(_) => 0,
                Incoming::Batch(all) => all.len(),
            })
        };
        let many = |count: usize| format!("[{}]", vec![r#"{"query":"{ a }"}"#; count].join(","));
        assert_eq!(read(r#" {"query":"{ a }"}"#), Ok(0));
        assert_eq!(read(&many(1)), Ok(1));
        assert_eq!(read(&many(BATCH)), Ok(BATCH));
        for bad in [
            r#"["{__typename}",null,null,null]"#,
            r#"[["{__typename}",null,null,null]]"#,
            r#"[{"query":"{ a }"},null]"#,
            r#"[{"query":"{ a }","variables":[]}]"#,
            r#"{"query":["a"]}"#,
            "\"{ a }\"",
            "null",
            "7",
            &many(BATCH + 1),
        ] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }
}
