//! The schema as a contract.

use crate::graphql::schema::sdl::sdl;

#[test]
fn schema_graphql_equals_the_served_schema() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/schema.graphql");
    let text = std::fs::read_to_string(path).unwrap_or_default();
    if std::env::var_os("UPDATE_SCHEMA").is_some() {
        std::fs::write(path, sdl()).expect("schema.graphql can be written");
        return;
    }
    assert!(
        text == sdl(),
        "schema.graphql is not what is served: run `cargo xtask schema`"
    );
}
