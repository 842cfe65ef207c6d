//! What clients send, read from JSON: the messages of the sub-protocols, and the request within them.
//!
//! Both are JSON objects and nothing else: serde also takes an array for a struct, by position. A name that is not known here is
//! ignored, of a name that stands in an object twice the last one counts, and a byte order mark before the text is ignored.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::session::Request;

/// U+FEFF before a JSON text: a reader may ignore it (RFC 8259, section 8.1).
const BYTE_ORDER_MARK: char = '\u{feff}';

/// The wanted fields of an object, each as it was sent; `None` for those that it does not have.
pub(crate) fn fields<'a, const N: usize>(
    text: &'a str,
    names: [&'static str; N],
) -> Result<[Option<&'a RawValue>; N], serde_json::Error> {
    let text = text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text);
    let mut reader = serde_json::Deserializer::from_str(text);
    let found = Wanted(names).deserialize(&mut reader)?;
    reader.end()?;
    Ok(found)
}

/// Whether a value is an object; `null` and nothing count as one that is left out.
pub(crate) fn is_object_or_nothing(value: Option<&RawValue>) -> bool {
    value.is_none_or(|value| value.get().starts_with('{') || value.get() == "null")
}

/// Borrowed where nothing in it is escaped.
#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

struct Wanted<const N: usize>([&'static str; N]);

impl<'de, const N: usize> DeserializeSeed<'de> for Wanted<N> {
    type Value = [Option<&'de RawValue>; N];

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<Self::Value, D::Error> {
        reader.deserialize_map(self)
    }
}

impl<'de, const N: usize> Visitor<'de> for Wanted<N> {
    type Value = [Option<&'de RawValue>; N];

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut found = [None; N];
        while let Some(Text(name)) = map.next_key()? {
            match self.0.iter().position(|wanted| **wanted == *name) {
                Some(place) => found[place] = Some(map.next_value()?),
                None => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(found)
    }
}

/// The fields that any message of the sub-protocols has.
#[derive(Debug)]
pub(crate) struct Message<'a> {
    pub(crate) kind: Cow<'a, str>,
    id: Option<&'a RawValue>,
    pub(crate) payload: Option<&'a RawValue>,
}

impl<'a> Message<'a> {
    pub(crate) fn read(text: &'a str) -> Result<Self, serde_json::Error> {
        let [kind, id, payload] = fields(text, ["type", "id", "payload"])?;
        let kind = kind.ok_or_else(|| serde_json::Error::missing_field("type"))?;
        let Text(kind) = serde_json::from_str(kind.get())?;
        Ok(Self { kind, id, payload })
    }

    /// The operation that it is about; `None` when it has no id, or one that is no text.
    pub(crate) fn id(&self) -> Option<String> {
        serde_json::from_str(self.id?.get()).ok()
    }
}

impl Request {
    /// Reads a request from JSON text, with or without a byte order mark.
    ///
    /// # Errors
    /// It is no JSON object, or a field of it has another type.
    pub fn read(text: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text))
    }
}

impl<'de> Deserialize<'de> for Request {
    fn deserialize<D: Deserializer<'de>>(reader: D) -> Result<Self, D::Error> {
        reader.deserialize_map(RequestVisitor)
    }
}

#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "camelCase")]
enum RequestField {
    Query,
    OperationName,
    Variables,
    Extensions,
    #[serde(other)]
    Other,
}

struct RequestVisitor;

impl<'de> Visitor<'de> for RequestVisitor {
    type Value = Request;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Request, A::Error> {
        let mut query = None;
        let mut request = Request {
            query: String::new(),
            operation_name: None,
            variables: None,
            extensions: None,
            authorization: None,
        };
        while let Some(field) = map.next_key()? {
            match field {
                RequestField::Query => query = Some(map.next_value()?),
                RequestField::OperationName => request.operation_name = map.next_value()?,
                RequestField::Variables => request.variables = map.next_value()?,
                RequestField::Extensions => request.extensions = map.next_value()?,
                RequestField::Other => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        request.query = query.ok_or_else(|| A::Error::missing_field("query"))?;
        Ok(request)
    }
}

#[cfg(test)]
mod tests {
    use super::{Message, Request};

    #[test]
    fn only_an_object_is_a_message_or_a_request() {
        let kind = |text: &str| Message::read(text).map(|message| message.kind.into_owned());
        for text in [
            r#"["ping",null,null]"#,
            r#"[]"#,
            r#""ping""#,
            "null",
            "1",
            "",
            "{}",
            r#"{"type":null}"#,
            r#"{"type":1}"#,
            r#"{"type":["ping"]}"#,
            r#"{"type":"ping"} {}"#,
            r#"{"type":"\ud800"}"#,
        ] {
            assert!(kind(text).is_err(), "{text}");
        }
        for text in [
            r#"["{a}",null,null,null]"#,
            "null",
            "{}",
            r#"{"query":null}"#,
            r#"{"query":["{a}"]}"#,
            r#"{"query":"{a}","operationName":1}"#,
        ] {
            assert!(Request::read(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_mark_and_repeats_are_taken() {
        let text = "\u{feff} {\"type\":\"pong\",\"\\u0074ype\":\"ping\",\"more\":[{}],\"id\":7}";
        let message = Message::read(text).unwrap();
        assert_eq!((&*message.kind, message.id()), ("ping", None));
        let text =
            "\u{feff}{\"query\":\"{a}\",\"query\":\"{b}\",\"variables\":{\"n\": 1e999},\"x\":1}";
        let request = Request::read(text).unwrap();
        assert_eq!(request.query, "{b}");
        assert_eq!(request.variables.unwrap().get(), "{\"n\": 1e999}");
    }

    #[test]
    fn an_error_says_what_is_wrong() {
        for (text, said) in [
            (
                "[1]",
                "invalid type: sequence, expected a JSON object at line 1 column 0",
            ),
            (
                r#"{"query":1}"#,
                "invalid type: integer `1`, expected a string at line 1 column 10",
            ),
            (
                r#"{"variables":{}}"#,
                "missing field `query` at line 1 column 16",
            ),
        ] {
            assert_eq!(Request::read(text).unwrap_err().to_string(), said);
        }
    }
}
