//! A server that cannot start says why and what to do, with exit status 1, and leaves everything as
//! it was.

use std::fs;

use serde_json::json;
use sqlite::{Database, Location};

use crate::kit::{Home, json_file};

/// The server refuses to start and says all of `said`.
async fn refuses(home: &Home, arguments: &[&str], said: &[&str]) {
    let (status, error) = home.refuses(arguments).await;
    assert!(!status.success(), "{error}");
    for said in said {
        assert!(error.contains(said), "`{said}` is missing:\n{error}");
    }
    assert!(!error.contains("panicked"), "{error}");
}

#[tokio::test]
async fn a_port_and_a_data_directory_that_are_in_use() {
    let (home, other) = (Home::simple(), Home::simple());
    let server = home.start().await;
    let said = [
        server.address(),
        "another program uses this port",
        "--listen",
    ];
    refuses(&other, &["--listen", server.address()], &said).await;
    let process = format!("(process {})", server.pid());
    let said = ["is used by another jobcast server", &process, "--data"];
    refuses(&home, &[], &said).await;
    // The first one did not notice.
    let client = server.client();
    let id = client.submit("pass", &json!({})).await;
    client.until_status(&id, "SUCCEEDED").await;
}

#[tokio::test]
async fn data_that_this_program_cannot_use() {
    let home = Home::simple();
    let server = home.start().await;
    let id = server.client().submit("pass", &json!({})).await;
    server.client().until_status(&id, "SUCCEEDED").await;
    assert!(server.stop().await.success());

    let path = home.path("data/jobcast.db");
    let set_version = async |version: u32| {
        let database = Database::open(&Location::File(path.clone())).unwrap();
        let write = database.write(move |write| {
            write.connection().execute(
                "UPDATE schema_versions SET version = version + ?1",
                [version],
            )?;
            Ok::<_, resolvers::store::StoreError>(())
        });
        write.await.unwrap();
    };
    set_version(7).await;
    let said = [
        "was written by a newer jobcast",
        "use a newer jobcast, or another --data directory",
    ];
    refuses(&home, &[], &said).await;

    let secret = home.path("data/secret.key");
    let kept = fs::read(&secret).unwrap();
    fs::write(&secret, "short").unwrap();
    refuses(
        &home,
        &[],
        &["secret.key must hold 32 bytes", "restore it from a backup"],
    )
    .await;
    fs::write(&secret, kept).unwrap();

    let whole = fs::read(&path).unwrap();
    fs::write(
        &path,
        "this is no database, and it is long enough to be read as one".repeat(100),
    )
    .unwrap();
    refuses(
        &home,
        &[],
        &[
            "jobcast.db is not a database that can be used",
            "restore it from a backup",
        ],
    )
    .await;
    fs::write(&path, whole).unwrap();
}

#[tokio::test]
async fn state_machines_that_are_not_valid_are_all_named() {
    let home = Home::simple()
        .machine("lost", &json!({ "StartAt": "A", "States": { "A": { "Type": "Pass", "Next": "Nowhere" } } }))
        .machine("typed", &json!({ "StartAt": "A", "States": { "A": { "Type": "Wait", "Seconds": "soon", "End": true } } }))
        .machine("unknown", &json!({ "StartAt": "A", "States": { "A": { "Type": "Sleep", "End": true } } }));
    fs::write(
        home.path("state-machines/torn.asl.json"),
        "{\n  \"StartAt\": \"A\",\n  \"States\": {",
    )
    .unwrap();
    let said = [
        "lost.asl.json: state `A`",
        "Next",
        "Nowhere",
        "typed.asl.json: state `A`",
        "Seconds",
        "unknown.asl.json: state `A`",
        "'Type' should have one of these values",
        "torn.asl.json",
        "line 3",
    ];
    refuses(&home, &[], &said).await;
    assert!(!home.path("data").exists(), "nothing was begun");
}

#[tokio::test]
async fn a_function_that_is_not_configured_is_a_warning() {
    let machine = json!({ "StartAt": "A", "States": { "A": { "Type": "Task", "Resource": "resize", "End": true } } });
    for (lines, warned) in [
        ("", true),
        ("attach_any_function = true", false),
        ("[functions.resize]\ncommand = [\"true\"]", false),
    ] {
        let home = Home::simple().machine("pictures", &machine).config(lines);
        home.start().await.stop().await;
        let said = "pictures.asl.json: /States/A/Resource: function `resize` is not configured";
        assert_eq!(home.log().contains(said), warned, "{lines}: {}", home.log());
    }
}

#[tokio::test]
async fn a_schema_that_is_none_is_named() {
    let home = Home::simple();
    fs::write(
        home.path("state-machines/pass.input.schema.json"),
        "{ \"type\": ",
    )
    .unwrap();
    refuses(&home, &[], &["pass.input.schema.json"]).await;
    json_file(
        &home.path("state-machines/pass.input.schema.json"),
        &json!({ "type": "nonsense" }),
    );
    refuses(&home, &[], &["pass.input.schema.json", "nonsense"]).await;
}

#[tokio::test]
async fn a_configuration_that_is_not_valid() {
    for (lines, said) in [
        ("lisen = \"127.0.0.1:0\"", "unknown field `lisen`"),
        ("retention = \"a while\"", "`a while` is not a duration"),
        ("state_machines = \"nowhere\"", "there is no such directory"),
        (
            "internal_listen = \"0.0.0.0:0\"",
            "must be a loopback address",
        ),
    ] {
        refuses(&Home::simple().config(lines), &[], &[said]).await;
    }
    let open = Home::simple();
    refuses(
        &open,
        &["--listen", "0.0.0.0:0"],
        &["no authentication is configured", "[[auth.api_keys]]"],
    )
    .await;
    assert!(!open.path("data").exists(), "nothing was begun");
}
