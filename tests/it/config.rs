//! `jobcast config`: the settings in force and their sources, as the built binary prints them.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use clap::Args;
use jobcast::config::ServeFlags;
use serde_json::Value;
use tempfile::TempDir;

use crate::cli::{PATIENCE, Ran, command, within};

const KEY: &str = "[[auth.api_keys]]\nsha256 = \"1111111111111111111111111111111111111111111111111111111111111111\"\nsubject = \"backend\"\nroles = [\"submitter\"]\n";
const AWS: &str = "[aws]\ntable = \"jobs\"\nstate_machine_arn_prefix = \"arn:aws:states:eu-west-1:123456789012:stateMachine:\"\n";

/// Runs a command in a directory, with variables.
fn run(directory: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> Ran {
    let mut command = command(arguments);
    command
        .current_dir(directory)
        .env_remove("AWS_ACCESS_KEY_ID")
        .env_remove("AWS_SECRET_ACCESS_KEY")
        .envs(variables.iter().copied());
    Ran::of(within(PATIENCE, command.spawn().unwrap()))
}

/// A directory with a configuration file.
fn directory(text: &str) -> TempDir {
    let directory = TempDir::new().unwrap();
    fs::write(directory.path().join("jobcast.toml"), text).unwrap();
    for name in ["one", "two", "three"] {
        fs::create_dir(directory.path().join(name)).unwrap();
    }
    directory
}

/// The settings that the command prints, by their names.
fn settings(
    directory: &Path,
    flags: &[&str],
    variables: &[(&str, &str)],
) -> BTreeMap<String, Value> {
    let ran = run(
        directory,
        &[&["config", "--json"], flags].concat(),
        variables,
    );
    assert_eq!(ran.status, 0, "{ran:?}");
    let [printed] = &ran.json()[..] else {
        panic!("one line: {ran:?}")
    };
    let settings = printed.as_array().unwrap().iter();
    settings
        .map(|setting| {
            (
                setting["setting"].as_str().unwrap().to_owned(),
                setting.clone(),
            )
        })
        .collect()
}

/// A setting, and its value in the file, in its variable and in its flag.
type Case = (&'static str, &'static str, &'static str, &'static str);

/// A value of each source for each setting that has a flag.
const CASES: &[Case] = &[
    ("listen", "127.0.0.1:1", "127.0.0.1:2", "127.0.0.1:3"),
    (
        "internal_listen",
        "127.0.0.1:4",
        "127.0.0.1:5",
        "127.0.0.1:6",
    ),
    (
        "operations_listen",
        "127.0.0.1:7",
        "127.0.0.1:8",
        "127.0.0.1:9",
    ),
    ("data", "a", "b", "c"),
    ("state_machines", "one", "two", "three"),
    (
        "public_url",
        "https://a.example",
        "https://b.example",
        "https://c.example",
    ),
    ("log", "debug", "warn", "error"),
    ("log_format", "json", "text", "json"),
    ("stop_delay", "1s", "2s", "3s"),
    ("broker.url", "redis://a", "redis://b", "redis://c"),
    (
        "chaos",
        "drop=0.1,seed=1",
        "drop=0.2,seed=1",
        "drop=0.3,seed=1",
    ),
];

/// The flag and the variable of each setting that has them.
fn flags() -> BTreeMap<String, (String, String)> {
    let command = ServeFlags::augment_args(clap::Command::new("serve"));
    let flags = command.get_arguments().map(|flag| {
        let names = (
            format!("--{}", flag.get_long().unwrap()),
            flag.get_env().unwrap().to_str().unwrap().to_owned(),
        );
        (flag.get_id().to_string(), names)
    });
    flags.collect()
}

/// A file with the cases of [`CASES`], one setting a line.
fn file_of_the_cases() -> String {
    let (top, broker): (Vec<_>, Vec<_>) = CASES.iter().partition(|(name, ..)| !name.contains('.'));
    let line = |(name, value, ..): &Case| {
        let key = name.rsplit('.').next().unwrap();
        format!("{key} = \"{value}\"\n")
    };
    let top: String = top.into_iter().map(line).collect();
    let broker: String = broker.into_iter().map(line).collect();
    format!("{top}[broker]\n{broker}{KEY}")
}

#[test]
fn a_file_gives_the_line_of_each_setting() {
    let text = file_of_the_cases();
    let directory = directory(&text);
    let settings = settings(directory.path(), &[], &[]);
    for (name, value, ..) in CASES {
        let found = &settings[*name];
        assert!(found["value"].as_str().unwrap().ends_with(value), "{found}");
        assert_eq!(
            (&found["source"], &found["file"]),
            (&"file".into(), &"jobcast.toml".into())
        );
        let line = usize::try_from(found["line"].as_u64().unwrap()).unwrap();
        let written = text.lines().nth(line - 1).unwrap();
        assert!(
            written.contains(&format!("= \"{value}\"")),
            "{name}: {written}"
        );
    }
}

#[test]
fn a_variable_wins_over_the_file() {
    let directory = directory(&file_of_the_cases());
    let flags = flags();
    let variables: Vec<_> = CASES
        .iter()
        .map(|(name, _, value, _)| (flags[*name].1.as_str(), *value))
        .collect();
    let settings = settings(directory.path(), &[], &variables);
    for (name, _, value, _) in CASES {
        let found = &settings[*name];
        assert_eq!(found["value"], *value, "{found}");
        assert_eq!(
            (&found["source"], &found["variable"]),
            (&"variable".into(), &flags[*name].1.as_str().into())
        );
        assert_eq!((found.get("line"), found.get("flag")), (None, None));
    }
}

#[test]
fn a_flag_wins_over_its_variable_and_the_file() {
    let directory = directory(&file_of_the_cases());
    let flags = flags();
    let variables: Vec<_> = CASES
        .iter()
        .map(|(name, _, value, _)| (flags[*name].1.as_str(), *value))
        .collect();
    let arguments: Vec<_> = CASES
        .iter()
        .flat_map(|(name, .., value)| [flags[*name].0.as_str(), *value])
        .collect();
    let settings = settings(directory.path(), &arguments, &variables);
    for (name, .., value) in CASES {
        let found = &settings[*name];
        assert_eq!(found["value"], *value, "{found}");
        assert_eq!(
            (&found["source"], &found["flag"]),
            (&"flag".into(), &flags[*name].0.as_str().into())
        );
        assert_eq!((found.get("line"), found.get("variable")), (None, None));
    }
}

#[test]
fn each_flag_has_a_case() {
    let named = flags()
        .into_keys()
        .filter(|name| !["config", "config_text", "aws.secret"].contains(&name.as_str()));
    let mut cases: Vec<_> = CASES.iter().map(|(name, ..)| (*name).to_owned()).collect();
    cases.sort();
    assert_eq!(named.collect::<Vec<_>>(), cases);
}

#[test]
fn a_setting_that_is_not_given_is_a_default() {
    let directory = TempDir::new().unwrap();
    let settings = settings(directory.path(), &[], &[]);
    for (name, ..) in CASES {
        let found = &settings[*name];
        assert_eq!(found["source"], "default", "{found}");
        for field in ["file", "line", "variable", "flag"] {
            assert_eq!(found.get(field), None, "{found}");
        }
    }
}

#[test]
fn the_file_itself_has_a_source() {
    let directory = directory("");
    fs::write(directory.path().join("other.toml"), "").unwrap();
    let config = |flags: &[&str], variables: &[(&str, &str)]| {
        settings(directory.path(), flags, variables)["config"].clone()
    };
    let default = config(&[], &[]);
    assert_eq!(
        (&default["value"], &default["source"]),
        (&"jobcast.toml".into(), &"default".into())
    );
    let variable = config(&[], &[("JOBCAST_CONFIG", "other.toml")]);
    assert_eq!(
        (&variable["value"], &variable["variable"]),
        (&"other.toml".into(), &"JOBCAST_CONFIG".into())
    );
    let flag = config(
        &["--config", "other.toml"],
        &[("JOBCAST_CONFIG", "nowhere.toml")],
    );
    assert_eq!(
        (&flag["value"], &flag["flag"]),
        (&"other.toml".into(), &"--config".into())
    );
}

#[test]
fn the_secret_of_aws_has_its_source_and_no_value() {
    let [file, variable, flag] = ["f", "v", "g"].map(|letter| letter.repeat(32));
    let directory = directory(&format!("{AWS}secret = \"{file}\"\n"));
    let secret = |flags: &[&str], variables: &[(&str, &str)]| {
        settings(directory.path(), flags, variables)["aws.secret"].clone()
    };
    let variables = [("JOBCAST_SECRET", variable.as_str())];
    let flags = ["--secret", flag.as_str()];
    for (found, source) in [
        (secret(&[], &[]), "file"),
        (secret(&[], &variables), "variable"),
        (secret(&flags, &variables), "flag"),
    ] {
        assert_eq!(
            (&found["value"], &found["source"]),
            (&"***".into(), &source.into())
        );
    }
}

#[test]
fn the_credentials_of_services_come_from_the_variables_of_aws() {
    let directory = directory("");
    let variables = [
        ("AWS_ACCESS_KEY_ID", "canary"),
        ("AWS_SECRET_ACCESS_KEY", "canary"),
    ];
    let settings = settings(directory.path(), &[], &variables);
    for (name, variable) in [
        ("services.access_key_id", "AWS_ACCESS_KEY_ID"),
        ("services.secret_access_key", "AWS_SECRET_ACCESS_KEY"),
    ] {
        let found = &settings[name];
        assert_eq!(
            (&found["value"], &found["variable"]),
            (&"***".into(), &variable.into())
        );
    }
}

#[test]
fn the_lines_are_aligned_and_name_their_sources() {
    let directory = directory(&format!("retention = \"2h\"\n{KEY}"));
    let ran = run(
        directory.path(),
        &["config", "--listen", "127.0.0.1:0"],
        &[("JOBCAST_LOG", "warn")],
    );
    assert_eq!(ran.status, 0, "{ran:?}");
    let line = |name: &str| {
        ran.out
            .lines()
            .find(|line| line.split(' ').next() == Some(name))
            .unwrap()
    };
    for (name, value, source) in [
        ("listen", "\"127.0.0.1:0\"", "flag --listen"),
        ("log", "\"warn\"", "variable JOBCAST_LOG"),
        ("retention", "\"2h\"", "file jobcast.toml:1"),
        (
            "auth.api_keys[0].subject",
            "\"backend\"",
            "file jobcast.toml:4",
        ),
        (
            "auth.api_keys[0].roles",
            "[\"submitter\"]",
            "file jobcast.toml:5",
        ),
        (
            "internal_secret_required",
            "true",
            "default (because [auth] is configured)",
        ),
        ("report_life", "\"7days\"", "default"),
        ("chaos", "-", "default"),
    ] {
        let columns: Vec<&str> = line(name)
            .split("  ")
            .filter(|part| !part.is_empty())
            .map(str::trim)
            .collect();
        assert_eq!(columns, [name, value, source]);
    }
    let starts = ["listen", "retention", "chaos"].map(|name| {
        let rest = line(name)[name.len()..].trim_start();
        line(name).len() - rest.len()
    });
    assert!(
        starts.iter().all(|start| *start == starts[0]),
        "{}",
        ran.out
    );
}

#[test]
fn print_is_what_the_command_does_anyway() {
    let directory = directory("retention = \"2h\"\n");
    let both = [&["config"][..], &["config", "--print"]]
        .map(|arguments| run(directory.path(), arguments, &[]).out);
    assert!(
        both[0] == both[1] && both[0].contains("retention"),
        "{both:?}"
    );
}

#[test]
fn an_invalid_configuration_is_the_error_of_serve() {
    for (text, flags, said) in [
        ("lisen = 1", &[][..], "Did you mean `listen`?"),
        ("retention = \"1s\"", &[], "retention is 1s"),
        (
            "listen = \"0.0.0.0:1\"",
            &[],
            "no authentication is configured",
        ),
        ("log = \"inof\"", &[], "did you mean `info`?"),
        ("", &["--log", "a=b=c"], "is not a valid filter"),
        ("", &["--secret", "x"], "JOBCAST_SECRET is set"),
        (
            "",
            &["--config", "nowhere.toml"],
            "nowhere.toml cannot be read",
        ),
    ] {
        let directory = directory(text);
        let [ours, of_serve] =
            ["config", "serve"].map(|name| run(directory.path(), &[&[name], flags].concat(), &[]));
        assert_eq!((ours.status, ours.out.as_str()), (2, ""), "{ours:?}");
        assert_eq!(ours.err, of_serve.err);
        assert_eq!(ours.status, of_serve.status);
        assert!(ours.err.contains(said), "{said}: {ours:?}");
    }
}

#[test]
fn a_warning_is_no_part_of_the_result() {
    let directory = directory("");
    let ran = run(
        directory.path(),
        &["config", "--json"],
        &[("JOBCAST_LISTNE", "x")],
    );
    assert_eq!((ran.status, ran.json().len()), (0, 1), "{ran:?}");
    assert!(
        ran.err
            .contains("warning: the variable JOBCAST_LISTNE is set"),
        "{ran:?}"
    );
}

#[test]
fn no_secret_is_printed() {
    let embedded = format!(
        "[broker]\nurl = \"redis://user:canary@host\"\n\
         [functions.f]\ncommand = [\"p\", \"https://user:canary@a.example/?k=canary\"]\nenvironment = {{ TOKEN = \"canary\" }}\n\
         [services]\naccess_key_id = \"canary\"\nsecret_access_key = \"canary\"\ndynamodb = \"http://user:canary@127.0.0.1:1\"\nsqs = \"http://127.0.0.1:1/?k=canary\"\n\
         [services.connections.c]\nallow = [\"https://user:canary@a.example/\"]\nheaders = {{ authorization = \"canary\" }}\nquery = {{ key = \"canary\" }}\n\
         [auth.oidc]\nissuer = \"https://i.example\"\naudience = \"a\"\neverybody = [\"viewer\"]\njwks_url = \"https://user:canary@i.example/?k=canary\"\n{KEY}"
    );
    let aws = format!(
        "{AWS}secret = \"{}\"\nendpoint_url = \"http://user:canary@127.0.0.1:1\"\n",
        "canary".repeat(6)
    );
    let long = "canary".repeat(6);
    let none: &[(&str, &str)] = &[];
    for (text, flags, variables) in [
        (embedded.as_str(), &[][..], none),
        ("", &["--broker-url", "redis://:canary@host"], none),
        (
            "",
            &[],
            &[
                ("JOBCAST_BROKER_URL", "redis://:canary@host"),
                ("AWS_ACCESS_KEY_ID", "canary"),
                ("AWS_SECRET_ACCESS_KEY", "canary"),
            ],
        ),
        (&aws, &[], none),
        (AWS, &["--secret", &long], none),
        (AWS, &[], &[("JOBCAST_SECRET", &long)]),
    ] {
        let directory = directory(text);
        for arguments in [&["config"][..], &["config", "--json"]] {
            let ran = run(directory.path(), &[arguments, flags].concat(), variables);
            assert_eq!(ran.status, 0, "{ran:?}");
            assert!(ran.out.contains("***"), "{ran:?}");
            for hidden in ["canary", "11111111"] {
                assert!(!format!("{ran:?}").contains(hidden), "{hidden}: {ran:?}");
            }
        }
    }
}
