//! Fields that occur twice in one object. JSON parsers keep the last one silently; AWS refuses the
//! definition.

use json::Step;

use crate::Diagnostic;

/// One diagnostic for each repeated field. The list is empty if the text is not JSON.
pub(super) fn find(text: &str) -> Vec<Diagnostic> {
    json::repeated_names(text)
        .into_iter()
        .map(|steps| {
            let (mut at, mut last) = (String::new(), "");
            for step in &steps {
                match step {
                    Step::Name(name) => {
                        at.push('/');
                        at.push_str(name);
                        last = name;
                    }
                    Step::Index(index) => at.push_str(&format!("[{index}]")),
                }
            }
            Diagnostic::error(
                "INVALID_JSON_DESCRIPTION",
                &at,
                format!("Duplicate field '{last}'"),
            )
            .with_hint("keep one of the two")
        })
        .collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn repeated_fields_are_reported_at_their_location() {
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
