use super::*;

fn load(text: &str, flags: ServeFlags) -> Result<Config, String> {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("jobcast.toml");
    std::fs::write(&path, text).expect("a file");
    Config::load(ServeFlags {
        config: Some(path),
        ..flags
    })
    .map_err(|error| error.to_string())
}

#[test]
fn flags_win_over_the_file() {
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
fn mistakes_are_named() {
    for (text, said) in [
        ("lisen = 1", "unknown field `lisen`"),
        ("[functions.x]\ncomand = []", "unknown field `comand`"),
        ("retention = \"soon\"", "`soon` is not a duration"),
        ("chaos = \"drop=2\"", "`drop=2` is not a part of a chaos"),
        ("repair_every = \"0s\"", "must be longer than nothing"),
        ("[broker]\nurl = \"http://x\"", "not like redis://HOST:PORT"),
        ("[broker]\nurll = \"\"", "unknown field `urll`"),
        ("[limits]\nsockets = 1", "unknown field `sockets`"),
        ("listen = \"0.0.0.0:80\"", "no authentication is configured"),
        (
            "internal_listen = \"0.0.0.0:80\"",
            "must be a loopback address",
        ),
        ("state_machines = \"nowhere\"", "does not exist"),
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
fn authentication_opens_the_listener() {
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
