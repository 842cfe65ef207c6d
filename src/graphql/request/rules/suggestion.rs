//! Suggestions for a wrong name, at a bounded cost.

use crate::nearest::did_you_mean;

/// Maximum length in bytes of a name for which similar names are looked up.
const NAME_BYTES: usize = 32;
/// Maximum number of names that are compared.
const NAMES: usize = 50;

/// `; did you mean …?`, or an empty text.
pub(super) fn similar<'n>(name: &str, known: impl Iterator<Item = &'n str>) -> String {
    if name.len() > NAME_BYTES {
        return String::new();
    }
    did_you_mean(
        name,
        known.take(NAMES).filter(|known| known.len() <= NAME_BYTES),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_similar_names_are_suggested() {
        let known = || ["getJob", "listJobs", "listJobTypes", "jobStats"].into_iter();
        for (name, expected) in [
            ("getJobs", "; did you mean `getJob`?"),
            ("listJob", "; did you mean `listJobs`?"),
            ("nothing", ""),
            ("", ""),
        ] {
            assert_eq!(similar(name, known()), expected, "{name}");
        }
        let long = "x".repeat(NAME_BYTES + 1);
        assert_eq!(similar(&long, [long.as_str()].into_iter()), "");
        let most = "x".repeat(NAME_BYTES);
        assert_ne!(similar(&most, [most.as_str()].into_iter()), "");
        let last = |count: usize| {
            let all: Vec<String> = (1..count).map(|at| at.to_string()).collect();
            similar("getJobs", all.iter().map(String::as_str).chain(["getJob"]))
        };
        assert_ne!(last(NAMES), "");
        assert_eq!(last(NAMES + 1), "");
    }
}
