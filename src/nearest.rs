//! Suggestions for a name that is not known.

/// The known name that is most similar to `name`, if it is so similar that a typing error is
/// likely.
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let folded = |name: &str| name.to_lowercase().replace('-', "_");
    let name = folded(name);
    let distance = |known: &str| strsim::damerau_levenshtein(&name, &folded(known));
    // A longer form of a name, such as `warning` of `warn`, is near.
    let begins = |known: &str| known.len() > 3 && name.starts_with(&folded(known));
    let far = |known: &str| match distance(known) {
        0 => 0,
        _ if begins(known) => 1,
        distance => distance,
    };
    let nearest = known.into_iter().map(|known| (far(known), known)).min();
    // Up to a third of a name may differ, and two letters of a short one.
    let (distance, known) = nearest?;
    let most = (name.chars().count() / 3).max(if name.len() > 3 { 2 } else { 1 });
    Some(known).filter(|_| distance <= most)
}

/// `; did you mean …?`, or an empty text.
pub fn did_you_mean<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    nearest(name, known).map_or_else(String::new, |known| format!("; did you mean `{known}`?"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn typing_errors_are_recognized_and_other_words_are_not() {
        let known = [
            "listen",
            "internal_listen",
            "log",
            "log_format",
            "retention",
        ];
        for (name, meant) in [
            ("lisen", Some("listen")),
            ("Listen", Some("listen")),
            ("log-format", Some("log_format")),
            ("retenton", Some("retention")),
            ("lgo", Some("log")),
            ("listening", Some("listen")),
            ("port", None),
            ("x", None),
        ] {
            assert_eq!(nearest(name, known), meant, "{name}");
        }
        assert_eq!(nearest("x", []), None);
    }
}
