//! Reads structs from JSON objects only. The code that serde derives for a struct also accepts an
//! array of its fields, and refuses a repeated name. Without this module, a caller would get
//! different verdicts at different doors.

use std::fmt;

use serde::de::{
    DeserializeOwned, DeserializeSeed, Deserializer, EnumAccess, Error, MapAccess, SeqAccess,
    Unexpected, VariantAccess, Visitor,
};
use serde_json::Value;

use crate::nesting::with_room;
use crate::read::read_made;

/// Reads a struct from the text of an object. The last of two equal names counts.
///
/// # Errors
/// The text is not JSON or not an object, or a field is missing or has another type. The same holds
/// for the structs within it.
pub fn object<T: DeserializeOwned>(text: &str) -> Result<T, serde_json::Error> {
    let mut reader = serde_json::Deserializer::from_str(text);
    let read = T::deserialize(Objects(&mut reader)).and_then(|found| reader.end().map(|()| found));
    read.or_else(|error| match read_made(text) {
        // Names are unique in the value.
        Ok(value) => object_of(value),
        Err(_) => Err(error),
    })
}

/// Reads a struct from an object.
///
/// # Errors
/// The value is not an object, or a field is missing or has another type. The same holds for the
/// structs within it.
pub fn object_of<T: DeserializeOwned>(value: Value) -> Result<T, serde_json::Error> {
    with_room(|| T::deserialize(Objects(value)))
}

/// A deserializer of any format that reads structs from objects only, at every depth.
#[derive(Debug)]
pub struct Objects<D>(pub D);

/// The first character of the struct names that formats use for their own types.
const OWN: char = '$';

macro_rules! forward {
    ($($method:ident)*) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
            self.0.$method(Within::any(visitor))
        })*
    };
}

impl<'de, D: Deserializer<'de>> Deserializer<'de> for Objects<D> {
    type Error = D::Error;

    forward! {
        deserialize_any deserialize_bool deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_i128
        deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64 deserialize_u128 deserialize_f32 deserialize_f64
        deserialize_char deserialize_str deserialize_string deserialize_bytes deserialize_byte_buf deserialize_option
        deserialize_unit deserialize_seq deserialize_map deserialize_identifier deserialize_ignored_any
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.0.deserialize_unit_struct(name, Within::any(visitor))
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.0
            .deserialize_newtype_struct(name, Within::any(visitor))
    }

    fn deserialize_tuple<V: Visitor<'de>>(
        self,
        len: usize,
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.0.deserialize_tuple(len, Within::any(visitor))
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        len: usize,
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.0
            .deserialize_tuple_struct(name, len, Within::any(visitor))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        if name.starts_with(OWN) {
            return self
                .0
                .deserialize_struct(name, fields, Within::any(visitor));
        }
        self.0.deserialize_map(Within::object(visitor))
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.0
            .deserialize_enum(name, variants, Within::any(visitor))
    }

    fn is_human_readable(&self) -> bool {
        self.0.is_human_readable()
    }
}

/// A visitor, seed or access that applies [`Objects`] to the values within.
struct Within<T> {
    inner: T,
    is_object: bool,
}

impl<T> Within<T> {
    fn any(inner: T) -> Self {
        Within {
            inner,
            is_object: false,
        }
    }

    fn object(inner: T) -> Self {
        Within {
            inner,
            is_object: true,
        }
    }
}

macro_rules! visit {
    ($($method:ident $value:ty),*) => {
        $(fn $method<E: Error>(self, value: $value) -> Result<V::Value, E> {
            self.inner.$method(value)
        })*
    };
}

impl<'de, V: Visitor<'de>> Visitor<'de> for Within<V> {
    type Value = V::Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_object {
            f.write_str("an object")
        } else {
            self.inner.expecting(f)
        }
    }
    visit! {
        visit_bool bool, visit_i64 i64, visit_i128 i128, visit_u64 u64, visit_u128 u128, visit_f64 f64, visit_char char,
        visit_str &str, visit_borrowed_str &'de str, visit_string String, visit_bytes &[u8], visit_borrowed_bytes &'de [u8],
        visit_byte_buf Vec<u8>
    }

    fn visit_none<E: Error>(self) -> Result<V::Value, E> {
        self.inner.visit_none()
    }

    fn visit_unit<E: Error>(self) -> Result<V::Value, E> {
        self.inner.visit_unit()
    }

    fn visit_some<D: Deserializer<'de>>(self, reader: D) -> Result<V::Value, D::Error> {
        self.inner.visit_some(Objects(reader))
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, reader: D) -> Result<V::Value, D::Error> {
        self.inner.visit_newtype_struct(Objects(reader))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, items: A) -> Result<V::Value, A::Error> {
        // TOML passes on any type that it finds.
        if self.is_object {
            return Err(A::Error::invalid_type(Unexpected::Seq, &self));
        }
        self.inner.visit_seq(Within::any(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, fields: A) -> Result<V::Value, A::Error> {
        self.inner.visit_map(Within::any(fields))
    }

    fn visit_enum<A: EnumAccess<'de>>(self, variant: A) -> Result<V::Value, A::Error> {
        self.inner.visit_enum(Within::any(variant))
    }
}

impl<'de, S: DeserializeSeed<'de>> DeserializeSeed<'de> for Within<S> {
    type Value = S::Value;

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<S::Value, D::Error> {
        self.inner.deserialize(Objects(reader))
    }
}

impl<'de, A: SeqAccess<'de>> SeqAccess<'de> for Within<A> {
    type Error = A::Error;

    fn next_element_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, A::Error> {
        self.inner.next_element_seed(Within::any(seed))
    }

    fn size_hint(&self) -> Option<usize> {
        self.inner.size_hint()
    }
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Within<A> {
    type Error = A::Error;

    fn next_key_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, A::Error> {
        self.inner.next_key_seed(Within::any(seed))
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, A::Error> {
        self.inner.next_value_seed(Within::any(seed))
    }

    fn size_hint(&self) -> Option<usize> {
        self.inner.size_hint()
    }
}

impl<'de, A: EnumAccess<'de>> EnumAccess<'de> for Within<A> {
    type Error = A::Error;
    type Variant = Within<A::Variant>;

    fn variant_seed<S: DeserializeSeed<'de>>(
        self,
        seed: S,
    ) -> Result<(S::Value, Self::Variant), A::Error> {
        let (name, variant) = self.inner.variant_seed(Within::any(seed))?;
        Ok((name, Within::any(variant)))
    }
}

impl<'de, A: VariantAccess<'de>> VariantAccess<'de> for Within<A> {
    type Error = A::Error;

    fn unit_variant(self) -> Result<(), A::Error> {
        self.inner.unit_variant()
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, A::Error> {
        self.inner.newtype_variant_seed(Within::any(seed))
    }

    fn tuple_variant<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, A::Error> {
        self.inner.tuple_variant(len, Within::any(visitor))
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, A::Error> {
        self.inner.newtype_variant_seed(Fields(visitor))
    }
}

/// The fields of a variant, as an object.
struct Fields<V>(V);

impl<'de, V: Visitor<'de>> DeserializeSeed<'de> for Fields<V> {
    type Value = V::Value;

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<V::Value, D::Error> {
        reader.deserialize_map(Within::object(self.0))
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use serde_json::value::RawValue;

    use super::*;

    #[derive(Debug, Deserialize, PartialEq)]
    struct Inner {
        a: u8,
    }

    #[derive(Debug, Deserialize, PartialEq)]
    enum Choice {
        Unit,
        One(Inner),
        Fields { a: u8 },
    }

    #[derive(Debug, Deserialize)]
    #[expect(dead_code, reason = "only whether it is read counts")]
    struct Outer {
        inner: Inner,
        #[serde(default)]
        list: Vec<Inner>,
        #[serde(default)]
        maybe: Option<Box<Inner>>,
        #[serde(default)]
        choice: Option<Choice>,
        #[serde(default)]
        raw: Option<Box<RawValue>>,
        #[serde(default)]
        any: Value,
        #[serde(default)]
        pair: (u8, u8),
    }

    #[test]
    fn structs_are_read_from_objects_only() {
        for (text, taken) in [
            (r#"{"inner": {"a": 1}}"#, true),
            (r#" {"inner": {"a": 1}, "other": [[]]}"#, true),
            (
                r#"{"inner": {"a": 1}, "list": [{"a": 1}], "maybe": {"a": 1}, "pair": [1, 2], "raw": [1], "any": [1]}"#,
                true,
            ),
            (
                r#"{"inner": {"a": 1}, "maybe": null, "choice": "Unit"}"#,
                true,
            ),
            (r#"{"inner": {"a": 1}, "choice": {"One": {"a": 1}}}"#, true),
            (
                r#"{"inner": {"a": 1}, "choice": {"Fields": {"a": 1}}}"#,
                true,
            ),
            (r#"[{"a": 1}, [], null, null, null, null, [1, 2]]"#, false),
            (r#"[{"a": 1}]"#, false),
            (r#"{"inner": [1]}"#, false),
            (r#"{"inner": {"a": 1}, "list": [[1]]}"#, false),
            (r#"{"inner": {"a": 1}, "maybe": [1]}"#, false),
            (r#"{"inner": {"a": 1}, "choice": {"One": [1]}}"#, false),
            (r#"{"inner": {"a": 1}, "choice": {"Fields": [1]}}"#, false),
            (r#"{"inner": {"a": 1}} x"#, false),
            (r#""text""#, false),
            ("null", false),
            ("1", false),
            ("", false),
        ] {
            assert_eq!(object::<Outer>(text).is_ok(), taken, "{text}");
            let Ok(value) = serde_json::from_str::<Value>(text) else {
                continue;
            };
            assert_eq!(object_of::<Outer>(value).is_ok(), taken, "{text}");
        }
        let refused = object::<Inner>("[1]").unwrap_err().to_string();
        assert!(refused.contains("expected an object"), "{refused}");
    }

    #[test]
    fn the_last_of_two_equal_names_counts() {
        let text =
            r#"{"inner": {"a": 300, "a": 2}, "inner": {"a": 3, "a": 4}, "raw": {"x": [1.50]}}"#;
        let found: Outer = object(text).unwrap();
        assert_eq!(found.inner, Inner { a: 4 });
        let once: Outer = object(r#"{"inner": {"a": 1}, "raw": {"x":  [1.50]}}"#).unwrap();
        assert_eq!(
            once.raw.unwrap().get(),
            r#"{"x":  [1.50]}"#,
            "as it is written"
        );
    }

    #[test]
    fn values_within_structs_may_nest_up_to_the_limit() {
        let deep = format!("{}{}", "[".repeat(900), "]".repeat(900));
        let found: Outer = object(&format!(r#"{{"inner": {{"a": 1}}, "any": {deep}}}"#)).unwrap();
        assert_eq!(crate::depth(&found.any, 2_000), 900);
    }
}
