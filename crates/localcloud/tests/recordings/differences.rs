//! The recordings that localcloud does not answer as recorded, with the reason.

/// File, beginning of the name after the last `::`, reason.
const DIFFERENCES: &[(&str, &str, &str)] = &[(
    "dynamodb-streams",
    "test_enable_kinesis_streaming_destination",
    "a table's changes go to its own stream only, not to a Kinesis stream",
)];

/// Why a recording may differ.
pub fn reason(file: &str, name: &str) -> Option<&'static str> {
    let name = name.rsplit("::").next().unwrap_or_default();
    let mut listed = DIFFERENCES.iter();
    let found = listed.find(|one| one.0 == file && name.starts_with(one.1));
    found.map(|one| one.2)
}
