//! Fields that stand twice in one object: JSON parsers keep the last one in silence, AWS refuses the definition.
use crate::Diagnostic;
use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use std::{cell::RefCell, collections::HashSet, fmt};

/// One diagnostic for each repeated field; none when the text is not JSON.
pub(super) fn find(text: &str) -> Vec<Diagnostic> {
    let found = RefCell::new(Vec::new());
    let mut parser = serde_json::Deserializer::from_str(text);
    let seen = Seen {
        at: String::new(),
        found: &found,
    };
    if seen.deserialize(&mut parser).is_err() {
        return Vec::new();
    }
    found.into_inner()
}

struct Seen<'a> {
    at: String,
    found: &'a RefCell<Vec<Diagnostic>>,
}
impl<'de> DeserializeSeed<'de> for Seen<'_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}
impl<'de> Visitor<'de> for Seen<'_> {
    type Value = ();
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut names = HashSet::new();
        while let Some(name) = map.next_key::<String>()? {
            let at = format!("{}/{name}", self.at);
            if !names.insert(name.clone()) {
                self.found.borrow_mut().push(
                    Diagnostic::error(
                        "INVALID_JSON_DESCRIPTION",
                        &at,
                        format!("Duplicate field '{name}'"),
                    )
                    .with_hint("keep one of the two"),
                );
            }
            map.next_value_seed(Seen {
                at,
                found: self.found,
            })?;
        }
        Ok(())
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        let mut index = 0;
        while list
            .next_element_seed(Seen {
                at: format!("{}[{index}]", self.at),
                found: self.found,
            })?
            .is_some()
        {
            index += 1;
        }
        Ok(())
    }
    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }
    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }
    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }
    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }
    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }
    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn repeated_fields_have_a_place() {
        let places = |text: &str| -> Vec<String> {
            super::find(text).into_iter().map(|d| d.location).collect()
        };
        assert_eq!(
            places(r#"{"a":1,"b":[{"c":1,"c":2}],"a":{}}"#),
            ["/b[0]/c", "/a"]
        );
        assert!(places(r#"{"a":1,"b":{"a":2}}"#).is_empty() && places("{").is_empty());
    }
}
