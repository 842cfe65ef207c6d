use super::*;

/// Reads a configuration beside an empty directory `machines`.
pub(super) fn load(text: &str, flags: ServeFlags) -> Result<Config, String> {
    let directory = tempfile::tempdir().expect("a directory");
    std::fs::create_dir(directory.path().join("machines")).expect("a directory");
    let path = directory.path().join("jobcast.toml");
    std::fs::write(&path, text).expect("a file");
    Config::load(ServeFlags {
        config: Some(path),
        ..flags
    })
    .map_err(|error| error.to_string())
}

#[test]
fn a_flag_overrides_the_file() {
    let text = "listen = \"127.0.0.1:1\"\nlog = \"debug\"\nretention = \"2h\"\n[functions.resize]\ncommand = [\"python3\", \"resize.py\"]\nconcurrency = 4\ntimeout = \"30s\"\nenvironment = { A = \"b\" }\n";
    let config = load(
        text,
        ServeFlags {
            listen: Some("127.0.0.1:2".parse().expect("an address")),
            ..ServeFlags::default()
        },
    );
    let config = config.expect("a configuration");
    assert_eq!((config.listen.port(), config.log.as_str()), (2, "debug"));
    assert_eq!(config.retention, Duration::from_secs(7200));
    let resize = &config.functions["resize"];
    assert_eq!(
        (resize.concurrency, resize.timeout),
        (Some(4), Some(Duration::from_secs(30)))
    );
    assert_eq!(resize.command, ["python3", "resize.py"]);
}

#[test]
fn a_text_stands_for_the_file_and_its_error_names_the_variable() {
    let read = |text: &str| {
        Config::load(ServeFlags {
            config_text: Some(text.into()),
            ..ServeFlags::default()
        })
    };
    let config = read("log = \"debug\"\nretention = \"2h\"").expect("a configuration");
    assert_eq!(
        (config.log.as_str(), config.retention),
        ("debug", Duration::from_secs(7200))
    );
    let error = read("lisen = 1").expect_err("an unknown key").to_string();
    let named = "the configuration JOBCAST_CONFIG_TEXT is not valid";
    assert!(
        error.starts_with(named) && error.contains("lisen"),
        "{error}"
    );
}

#[test]
fn a_byte_order_mark_before_the_file_is_ignored() {
    let config = load("\u{feff}samples = false\n", ServeFlags::default());
    assert!(config.is_ok(), "{config:?}");
}

#[test]
fn an_error_names_its_key() {
    for (text, said) in [
        ("lisen = 1", "unknown field `lisen`"),
        ("[functions.x]\ncomand = []", "unknown field `comand`"),
        (
            "[functions.x]\nconcurrency = 0",
            "concurrency is 0, and it must be from 1 to 1000",
        ),
        (
            "[functions.x]\ntimeout = \"0s\"",
            "[functions.x]: timeout must be from 1ms to 15m",
        ),
        (
            "[functions.x]\ntimeout = \"901s\"",
            "[functions.x]: timeout must be from 1ms to 15m",
        ),
        (
            "[functions.x]\ninit_timeout = \"16m\"",
            "[functions.x]: init_timeout must be from 1ms to 15m",
        ),
        ("retention = \"soon\"", "`soon` is not a duration"),
        ("chaos = \"drop=2\"", "`drop=2` is not a part of a chaos"),
        (
            "repair_every = \"0s\"",
            "repair_every is 0s, and it must be from 100ms to 1day",
        ),
        ("[broker]\nurl = \"http://x\"", "not like redis://HOST:PORT"),
        ("[broker]\nurll = \"\"", "unknown field `urll`"),
        ("[limits]\nsockets = 1", "unknown field `sockets`"),
        ("listen = \"0.0.0.0:80\"", "no authentication is configured"),
        (
            "internal_listen = \"0.0.0.0:80\"",
            "must be a loopback address",
        ),
        ("state_machines = \"nowhere\"", "there is no such directory"),
        (
            "public_url = \"jobs.example.com\"",
            "must begin with http:// or https://",
        ),
        ("public_url = \"https://x/?a\"", "no query"),
        (
            "public_url = \"https://jobs.example.com\"",
            "public_url is https://jobs.example.com, which others can use, and no authentication",
        ),
        (
            "allowed_origins = [\"https://a.example/page\"]",
            "allowed_origins has `https://a.example/page`",
        ),
        (
            "allowed_origins = [\"localhost:3000\"]",
            "allowed_origins has `localhost:3000`",
        ),
        (
            "[[auth.api_keys]]\nsha256 = \"12\"\nsubject = \"a\"\nroles = []",
            "64 hexadecimal digits",
        ),
        ("[auth.oidc]\nisuer = \"x\"", "unknown field `isuer`"),
        ("[auth.oidc]\nissuer = \"x\"", "missing field `audience`"),
        (
            "[auth.oidc]\nissuer = \"x\"\naudience = []\njwks_file = \"k\"",
            "audience is empty",
        ),
        (
            "[auth.oidc]\nissuer = \"x\"\naudience = \"a\"",
            "exactly one of jwks_url and jwks_file",
        ),
        (
            "[auth.oidc]\nissuer = \"x\"\naudience = \"a\"\njwks_url = \"http://id.example/k\"",
            "jwks_url must begin with https://",
        ),
        (
            "[auth.oidc]\nissuer = \"x\"\naudience = \"a\"\njwks_url = \"https://id.example/k\"",
            "no token may do anything",
        ),
        (
            "[auth.oidc]\nissuer = \"x\"\naudience = \"a\"\njwks_file = \"k\"\neverybody = [\"king\"]",
            "unknown variant `king`",
        ),
    ] {
        let error = load(text, ServeFlags::default()).expect_err(text);
        assert!(error.contains(said), "{text}: {error}");
    }
}

#[test]
fn a_public_listener_needs_authentication() {
    let oidc = "[auth.oidc]\nissuer = \"https://id.example\"\naudience = \"app\"\njwks_file = \"keys.json\"\neverybody = [\"viewer\"]\n";
    let text = format!("listen = \"0.0.0.0:80\"\n{oidc}");
    let config = load(&text, ServeFlags::default()).expect("a configuration");
    let file = config.auth.oidc[0].jwks_file.clone().expect("a file");
    assert!(
        file.is_absolute() && file.ends_with("keys.json"),
        "{file:?}"
    );
    let two = format!("{oidc}{oidc}").replace("[auth.oidc]", "[[auth.oidc]]");
    assert_eq!(
        load(&two, ServeFlags::default())
            .expect("two")
            .auth
            .oidc
            .len(),
        2
    );
    let sha256 = "0".repeat(64);
    let text = format!(
        "listen = \"0.0.0.0:80\"\n[[auth.api_keys]]\nsha256 = \"{sha256}\"\nsubject = \"a\"\nroles = [\"viewer\"]"
    );
    assert!(load(&text, ServeFlags::default()).is_ok());
}

#[test]
fn a_public_address_of_this_machine_needs_no_authentication() {
    for url in ["http://localhost:9000/jobs/", "http://127.0.0.1:9000/jobs"] {
        let text = format!("public_url = \"{url}\"\n");
        let config = load(&text, ServeFlags::default()).expect(url);
        assert_eq!(config.public_url.expect("it was given").path(), "/jobs");
    }
    let key = format!(
        "[[auth.api_keys]]\nsha256 = \"{}\"\nsubject = \"a\"\nroles = [\"viewer\"]",
        "0".repeat(64)
    );
    let text = format!("public_url = \"https://jobs.example.com\"\n{key}");
    assert!(load(&text, ServeFlags::default()).is_ok());
}

#[test]
fn an_origin_is_read_as_browsers_send_it() {
    let text = "allowed_origins = [\"https://App.example.com:443/\", \"*\", \"null\"]";
    let config = load(text, ServeFlags::default()).expect("origins");
    let expected = ["https://app.example.com", "*", "null"].map(str::to_owned);
    assert_eq!(config.allowed_origins.as_deref(), Some(&expected[..]));
}

const AWS: &str = "[aws]\ntable = \"jobs\"\nstate_machine_arn_prefix = \"arn:aws:states:eu-west-1:123456789012:stateMachine:prod-\"\n";
const LONG: &str = "secret = \"0123456789abcdef0123456789abcdef\"\n";

#[test]
fn aws_replaces_the_services_in_the_server() {
    let text = format!("{AWS}{LONG}endpoint_url = \"http://127.0.0.1:1/\"\n");
    let config = load(&text, ServeFlags::default()).expect("a configuration");
    let aws = config.aws.expect("the section");
    assert_eq!((aws.region(), aws.follow_stream), ("eu-west-1", true));
    assert!(!config.samples, "they are no state machines at AWS");
    let endpoint = |address: Option<&Address>| address.map(|url| url.as_str().to_owned());
    assert_eq!(
        endpoint(aws.dynamodb_endpoint()).as_deref(),
        Some("http://127.0.0.1:1")
    );
    let text = format!(
        "samples = true\n{AWS}{LONG}region = \"us-east-1\"\nfollow_stream = false\nstep_functions_endpoint_url = \"https://sfn.example\"\n"
    );
    let flags = ServeFlags {
        secret: Some(Secret("another that is long enough to be one".to_owned())),
        ..ServeFlags::default()
    };
    let config = load(&text, flags.clone()).expect("a configuration");
    let aws = config.aws.expect("the section");
    assert_eq!((aws.region(), aws.follow_stream), ("us-east-1", false));
    assert_eq!(aws.secret, flags.secret, "the variable wins");
    assert!(config.samples && aws.dynamodb_endpoint().is_none());
    assert_eq!(
        endpoint(aws.step_functions_endpoint()).as_deref(),
        Some("https://sfn.example")
    );
    assert!(!format!("{aws:?}").contains("another"));
}

#[test]
fn an_error_of_aws_names_its_key() {
    let arn = |arn: &str| {
        format!("[aws]\ntable = \"jobs\"\n{LONG}state_machine_arn_prefix = \"{arn}\"\n")
    };
    for (text, said) in [
        (format!("{AWS}tabel = 1"), "unknown field `tabel`"),
        (format!("[aws]\n{LONG}"), "missing field `table`"),
        (
            format!("[aws]\ntable = \"jobs\"\n{LONG}"),
            "missing field `state_machine_arn_prefix`",
        ),
        (
            format!("{AWS}{LONG}bucket = \"\""),
            "must be the name of an S3 bucket",
        ),
        (
            arn("").replace("\"jobs\"", "\"\""),
            "must be the name of the DynamoDB table",
        ),
        (
            arn("jobs-"),
            "is `jobs-`, and it must be like arn:aws:states:",
        ),
        (
            arn("arn:aws:states::123456789012:stateMachine:"),
            "must be like arn:aws:states:",
        ),
        (
            arn("arn:aws:lambda:eu-west-1:123456789012:function:"),
            "must be like arn:aws:states:",
        ),
        (AWS.to_owned(), "set JOBCAST_SECRET"),
        (
            format!("{AWS}secret = \"0123456789abcdef0123456789abcde\""),
            "has 31 bytes, and it must have at least 32",
        ),
        (
            format!("{AWS}{LONG}endpoint_url = \"localhost\""),
            "`localhost` is not an address",
        ),
        (
            format!("{AWS}{LONG}[functions.x]"),
            "[functions] does not go with [aws]: AWS Lambda runs the functions",
        ),
        (
            format!("attach_any_function = true\n{AWS}{LONG}"),
            "attach_any_function does not go with [aws]",
        ),
        (
            format!("internal_listen = \"127.0.0.1:0\"\n{AWS}{LONG}"),
            "internal_listen does not go with [aws]",
        ),
        (
            format!("{AWS}{LONG}[services]\nregion = \"eu-west-1\""),
            "[services] does not go with [aws]",
        ),
    ] {
        let error = load(&text, ServeFlags::default()).expect_err(&text);
        assert!(error.contains(said), "{text}: {error}");
    }
    let flags = ServeFlags {
        secret: Some(Secret("x".repeat(32))),
        ..ServeFlags::default()
    };
    let error = load("", flags).expect_err("no setting uses it");
    assert!(error.contains("there is no [aws]"), "{error}");
}

#[test]
fn an_empty_authentication_is_refused() {
    for text in ["[auth]", "[auth]\napi_keys = []"] {
        let error = load(text, ServeFlags::default()).expect_err(text);
        assert!(
            error.contains("so every caller would be accepted"),
            "{error}"
        );
    }
}

#[test]
fn an_error_names_its_file_line_and_key() {
    for (text, said) in [
        (
            "listen = 8080",
            &["jobcast.toml", "line 1", "listen = 8080"][..],
        ),
        ("\n\nsamples = \"yes\"", &["line 3", "samples"]),
        ("[functions.a]\ntimeout = 30", &["line 2", "timeout = 30"]),
        ("[auth.oidc]\nissuer = 1", &["line 2", "issuer = 1"]),
        (
            "[[auth.oidc]]\nissuer = \"a\"\naudiense = \"b\"",
            &["line 3", "audiense", "Did you mean `audience`?"],
        ),
        (
            "[limits]\nconnections = -1",
            &["line 2", "connections = -1"],
        ),
        ("listen = \"127.0.0.1\"", &["line 1", "listen"]),
        ("[functions.a\n", &["line 1"]),
    ] {
        let error = load(text, ServeFlags::default()).expect_err(text);
        for said in said {
            assert!(error.contains(said), "{text}: {said} is missing: {error}");
        }
    }
}

#[test]
fn a_file_is_read_in_the_encodings_of_editors() {
    let read = |bytes: &[u8]| {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("jobcast.toml");
        std::fs::write(&path, bytes).expect("a file");
        let flags = ServeFlags {
            config: Some(path),
            ..ServeFlags::default()
        };
        Config::load(flags)
            .map(|config| config.log)
            .map_err(|error| error.to_string())
    };
    let text = "log = \"debug\"\r\nsamples = false\r\n";
    assert_eq!(read(text.as_bytes()).as_deref(), Ok("debug"));
    assert_eq!(
        read(format!("\u{feff}{text}").as_bytes()).as_deref(),
        Ok("debug")
    );
    let utf16: Vec<u8> = format!("\u{feff}{text}")
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    let error = read(&utf16).expect_err("UTF-16");
    assert!(
        error.contains("jobcast.toml cannot be read: it is UTF-16: save it as UTF-8"),
        "{error}"
    );
    let error = read(b"log = \"debug\"\n# caf\xe9\n").expect_err("Latin-1");
    assert!(error.contains("not UTF-8 in line 2"), "{error}");
}

#[test]
fn a_secret_that_others_can_read_gives_a_notice() {
    use std::os::unix::fs::PermissionsExt;
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("jobcast.toml");
    let notices = |text: &str, mode: u32| {
        std::fs::write(&path, text).expect("a file");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).expect("set");
        let flags = ServeFlags {
            config: Some(path.clone()),
            ..ServeFlags::default()
        };
        let notices = Config::load(flags).expect("a configuration").notices;
        notices
            .into_iter()
            .filter(|notice| notice.contains("holds a secret"))
            .count()
    };
    let secret = "[services]\naccess_key_id = \"a\"\nsecret_access_key = \"hush\"\n";
    let broker = "[broker]\nurl = \"redis://user:hush@127.0.0.1:1\"\n";
    for (text, mode, told) in [
        (secret, 0o644, 1),
        (secret, 0o640, 1),
        (secret, 0o600, 0),
        (broker, 0o604, 1),
        ("[broker]\nurl = \"redis://127.0.0.1:1\"\n", 0o644, 0),
        (
            "[functions.a]\ncommand = [\"x\"]\nenvironment = { DB_PASSWORD = \"hush\" }\n",
            0o644,
            1,
        ),
        ("", 0o644, 0),
    ] {
        assert_eq!(notices(text, mode), told, "{text} {mode:o}");
    }
}
