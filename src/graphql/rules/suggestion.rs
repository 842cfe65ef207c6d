//! What a wrong name may have meant.

/// Maximum length in bytes of a name for which similar ones are looked for.
const NAME_BYTES: usize = 64;
/// Maximum number of names that are looked at.
const NAMES: usize = 200;

/// `: did you mean "…"?`, or nothing.
pub(super) fn similar<'n>(name: &str, known: impl Iterator<Item = &'n str>) -> String {
    if name.len() > NAME_BYTES {
        return String::new();
    }
    let near = known
        .take(NAMES)
        .map(|known| (distance(name, known), known))
        .filter(|(distance, known)| *distance <= name.len().max(known.len()) / 3)
        .min();
    near.map_or_else(String::new, |(_, known)| {
        format!(": did you mean \"{known}\"?")
    })
}

/// How many letters have to be put in, taken out or replaced; letter case counts little.
fn distance(one: &str, other: &str) -> usize {
    if one.eq_ignore_ascii_case(other) {
        return usize::from(one != other);
    }
    let (one, other) = (one.as_bytes(), other.as_bytes());
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (at, left) in one.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = at + 1;
        for (column, right) in other.iter().enumerate() {
            let replaced = diagonal + usize::from(left != right);
            diagonal = row[column + 1];
            row[column + 1] = replaced.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row[other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_names_and_none() {
        let known = || ["getJob", "listJobs", "listJobTypes", "jobStats"].into_iter();
        for (name, expected) in [
            ("getJobs", ": did you mean \"getJob\"?"),
            ("GETJOB", ": did you mean \"getJob\"?"),
            ("listJob", ": did you mean \"listJobs\"?"),
            ("nothing", ""),
            ("", ""),
        ] {
            assert_eq!(similar(name, known()), expected, "{name}");
        }
        let long = "x".repeat(NAME_BYTES + 1);
        assert_eq!(similar(&long, [long.as_str()].into_iter()), "");
        let most = "x".repeat(NAME_BYTES);
        assert_ne!(similar(&most, [most.as_str()].into_iter()), "");
    }
}
