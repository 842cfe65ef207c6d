//! Every setting is listed, with its source, and without secrets.

use std::fs;
use std::ops::Range;

use clap::FromArgMatches;
use serde_json::json;
use toml::de::{DeTable, DeValue};

use super::super::SETTINGS;
use super::super::file::{SECTIONS, keys};
use super::super::settings::example;
use super::*;

/// The section that excludes others.
const AWS: &str = "[aws]";

/// The example of the help as two files that are valid: without `[aws]`, and only `[aws]`.
fn examples() -> [String; 2] {
    let example = example().replace('…', "x");
    let (before, aws) = example.split_once(AWS).expect("it has [aws]");
    let (aws, after) = aws.split_once("\n[").expect("a section follows");
    [format!("{before}\n[{after}"), format!("{AWS}{aws}\n")]
}

/// The settings of a file beside the directories that it names.
fn settings(text: &str, flags: &[&str]) -> Result<Vec<Setting>, ConfigError> {
    let directory = tempfile::tempdir().expect("a directory");
    fs::create_dir(directory.path().join("state-machines")).expect("a directory");
    let path = directory.path().join("jobcast.toml");
    fs::write(&path, text).expect("a file");
    let command = <ServeFlags as clap::Args>::augment_args(clap::Command::new("config"));
    let path = path.to_str().expect("a path of ASCII characters");
    let words = [&["config", "--config", path], flags].concat();
    let matches = command.get_matches_from(words);
    let given = Given::from_arg_matches(&matches).expect("it refuses nothing");
    let flags = ServeFlags::from_arg_matches(&matches).expect("valid flags");
    InForce::load(flags, &given).map(|in_force| in_force.settings)
}

fn find<'a>(settings: &'a [Setting], name: &str) -> &'a Setting {
    let found = settings.iter().find(|setting| setting.name == name);
    found.unwrap_or_else(|| panic!("{name} is not listed: {settings:#?}"))
}

/// The name of a key of a section as the example has it.
fn in_example(section: &str, key: &str) -> String {
    let section = section.trim_matches(['[', ']']);
    match section {
        "" => key.to_owned(),
        "functions.NAME" => format!("functions.resize.{key}"),
        "services.connections.NAME" => format!("services.connections.billing.{key}"),
        "auth.api_keys" | "auth.oidc" => format!("{section}[0].{key}"),
        section => format!("{section}.{key}"),
    }
}

fn is_listed(settings: &[Setting], name: &str) -> bool {
    settings.iter().any(|setting| {
        let rest = setting.name.strip_prefix(name);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
    })
}

#[test]
fn every_key_of_the_file_is_listed() {
    let [text, _] = examples();
    let settings = settings(&text, &[]).expect(&text);
    for section in SECTIONS {
        for key in keys(section) {
            let name = in_example(section, &key);
            assert!(is_listed(&settings, &name), "{name}");
        }
    }
}

#[test]
fn the_settings_have_the_order_of_the_reference() {
    let lines = Lines::read(&example());
    let settings = settings("", &[]).expect("an empty file");
    let mut written = Vec::new();
    for setting in settings
        .iter()
        .filter(|setting| !setting.name.starts_with("config"))
    {
        let first = setting.name.split('.').next().unwrap_or_default();
        let line = lines.of(&[Part::Key(first.to_owned())]);
        written.push((line.expect("the reference has each key"), first.to_owned()));
    }
    assert!(written.is_sorted_by_key(|(line, _)| *line), "{written:?}");
}

#[test]
fn every_flag_is_the_flag_of_a_listed_setting() {
    let settings = settings("", &[]).expect("an empty file");
    for flag in ServeFlags::arguments() {
        find(&settings, flag.get_id().as_str());
    }
}

#[test]
fn every_key_of_the_example_has_its_line_there() {
    for text in examples() {
        let settings = settings(&text, &[]).expect(&text);
        let in_file = settings.iter().filter_map(|setting| match &setting.source {
            Source::File { line, .. } => Some((&setting.name, *line)),
            _ => None,
        });
        let mut count = 0;
        for (name, line) in in_file {
            let key = name.rsplit('.').next().expect("a name has a part");
            let written = text.lines().nth(line - 1).expect("a line of the file");
            assert!(written.contains(&format!("{key} = ")), "{name}: {written}");
            count += 1;
        }
        let given = text.lines().filter(|line| line.contains(" = ")).count();
        assert!(count >= given, "{count} of {given} lines");
    }
}

#[test]
fn a_section_that_is_left_out_is_listed_as_empty() {
    let settings = settings("", &[]).expect("an empty file");
    for (name, value) in [
        ("functions", json!({})),
        ("auth.api_keys", json!([])),
        ("auth.oidc", json!([])),
        ("services.connections", json!({})),
        ("services.buckets", json!({})),
        ("aws.table", json!(null)),
    ] {
        assert_eq!(find(&settings, name).value, value, "{name}");
    }
}

#[test]
fn a_default_has_its_value_and_its_reason() {
    let auth = "[[auth.api_keys]]\nsha256 = \"0000000000000000000000000000000000000000000000000000000000000000\"\nsubject = \"a\"\nroles = [\"viewer\"]\n";
    let [_, aws] = examples();
    let aws = aws
        .replace("region = ", "# ")
        .replace("s3_endpoint_url = ", "# ");
    let aws = aws.as_str();
    for (text, name, value, reason) in [
        ("", "listen", json!("127.0.0.1:8080"), None),
        ("", "retention", json!("30days"), None),
        ("", "limits.connections", json!(100_000), None),
        ("", "repair_every", json!("30s"), None),
        (
            "",
            "internal_secret_required",
            json!(false),
            Some("[auth] is not configured"),
        ),
        (
            auth,
            "internal_secret_required",
            json!(true),
            Some("[auth] is configured"),
        ),
        (
            auth,
            "allowed_origins",
            json!([]),
            Some("[auth] is configured"),
        ),
        ("", "samples", json!(true), None),
        (aws, "samples", json!(false), Some("[aws] is configured")),
        (
            aws,
            "internal_listen",
            json!(null),
            Some("[aws] is configured"),
        ),
        (
            aws,
            "aws.region",
            json!("eu-west-1"),
            Some("it is the region of the ARN"),
        ),
        (
            aws,
            "aws.s3_endpoint_url",
            json!("http://127.0.0.1:4566"),
            Some("endpoint_url of [aws] is set"),
        ),
        (
            "chaos = \"drop=0.1\"",
            "repair_every",
            json!("1s"),
            Some("chaos is set"),
        ),
        (
            "",
            "public_url",
            json!("http://127.0.0.1:8080"),
            Some("it follows from listen"),
        ),
        (
            "listen = \"0.0.0.0:7\"\ninternal_listen = \"127.0.0.1:0\"\n[[auth.api_keys]]\nsha256 = \"0000000000000000000000000000000000000000000000000000000000000000\"\nsubject = \"a\"\nroles = [\"viewer\"]\n",
            "public_url",
            json!("http://127.0.0.1:7"),
            Some("it follows from listen"),
        ),
        (
            "listen = \"127.0.0.1:0\"",
            "public_url",
            json!(null),
            Some("listen takes a free port"),
        ),
        (
            "[functions.a]\ncommand = [\"b\"]",
            "functions.a.timeout",
            json!("15m"),
            None,
        ),
    ] {
        let settings = settings(text, &[]).expect(text);
        let found = find(&settings, name);
        assert_eq!(found.value, value, "{name} in {text}");
        assert_eq!(found.source, Source::Default(reason), "{name} in {text}");
    }
}

#[test]
fn a_value_of_the_file_has_no_reason_of_a_default() {
    let settings = settings("samples = false\nrepair_every = \"9s\"\n", &[]).expect("a file");
    for (name, value, line) in [
        ("samples", json!(false), 1),
        ("repair_every", json!("9s"), 2),
    ] {
        let found = find(&settings, name);
        assert_eq!(found.value, value);
        assert!(
            matches!(&found.source, Source::File { path, line: at } if *at == line && path.ends_with("jobcast.toml")),
            "{found:?}"
        );
    }
}

#[test]
fn a_flag_wins_over_the_file() {
    let text = "listen = \"127.0.0.1:1\"\n[broker]\nurl = \"redis://a\"\n";
    let flags = ["--listen", "127.0.0.1:2", "--broker-url", "redis://b"];
    let settings = settings(text, &flags).expect("a file");
    for (name, value, flag) in [
        ("listen", "127.0.0.1:2", "--listen"),
        ("broker.url", "redis://b", "--broker-url"),
    ] {
        let found = find(&settings, name);
        assert_eq!(found.value, value);
        assert_eq!(found.source, Source::Flag(flag.to_owned()));
    }
}

/// The texts of a file that are values, with the path of each.
fn texts(text: &str) -> Vec<(String, Range<usize>)> {
    fn walk(
        path: &[Part],
        value: &DeValue<'_>,
        span: Range<usize>,
        found: &mut Vec<(String, Range<usize>)>,
    ) {
        match value {
            DeValue::Table(table) => {
                for (key, value) in table {
                    let path = [path, &[Part::Key(key.get_ref().to_string())]].concat();
                    walk(&path, value.get_ref(), value.span(), found);
                }
            }
            DeValue::Array(entries) => {
                for entry in entries.iter() {
                    walk(path, entry.get_ref(), entry.span(), found);
                }
            }
            DeValue::String(_) => found.push((name(path), span)),
            _ => {}
        }
    }
    let table = DeTable::parse(text).expect("a valid file");
    let mut found = Vec::new();
    let (value, span) = (DeValue::Table(table.get_ref().clone()), table.span());
    walk(&[], &value, span, &mut found);
    found
}

/// The settings whose text is shown as it is configured. Any other text is masked.
const SHOWN: &[&str] = &[
    "auth.api_keys.subject",
    "auth.oidc.audience",
    "auth.oidc.groups_claim",
    "auth.oidc.issuer",
    "auth.oidc.owner_prefix",
    "auth.oidc.subject_claim",
    "aws.bucket",
    "aws.region",
    "aws.table",
    "broker.ca_file",
    "broker.prefix",
    "data",
    "functions.resize.command",
    "functions.resize.pass_environment",
    "intake.owner",
    "intake.queues.reports",
    "log",
    "services.buckets.reports",
    "services.region",
];

#[test]
fn a_text_is_masked_unless_its_setting_is_known_to_be_no_secret() {
    const CANARY: &str = "canary-of-thirty-two-characters-7";
    let (mut shown, mut hidden) = (Vec::new(), Vec::new());
    for text in examples() {
        for (name, span) in texts(&text) {
            let mut planted = text.clone();
            planted.replace_range(span, &format!("{CANARY:?}"));
            // A setting that takes no free text, such as an address, cannot hold a secret.
            let Ok(settings) = settings(&planted, &[]) else {
                continue;
            };
            let listed = settings.iter().map(|setting| setting.value.to_string());
            match listed.into_iter().any(|value| value.contains(CANARY)) {
                true => shown.push(name),
                false => hidden.push(name),
            }
        }
    }
    shown.sort();
    shown.dedup();
    assert_eq!(shown, SHOWN);
    for secret in [
        "aws.secret",
        "functions.resize.environment.LEVEL",
        "services.access_key_id",
        "services.connections.billing.headers.authorization",
        "services.connections.billing.query.version",
        "services.secret_access_key",
    ] {
        assert!(
            hidden.iter().any(|name| name == secret),
            "{secret}: {hidden:?}"
        );
    }
}

#[test]
fn the_credentials_and_the_query_of_an_address_are_masked_in_every_setting() {
    const CANARY: &str = "canary";
    let mut tried = Vec::new();
    for text in examples() {
        for (name, span) in texts(&text) {
            let written = &text[span.clone()];
            let (user, query) = (format!("://a:{CANARY}@"), format!("?b={CANARY}\""));
            let with_query = format!("{}{query}", written.trim_end_matches('"'));
            for address in [written.replace("://", &user), with_query] {
                if !written.contains("://") {
                    continue;
                }
                let mut planted = text.clone();
                planted.replace_range(span.clone(), &address);
                let Ok(settings) = settings(&planted, &[]) else {
                    continue;
                };
                let shown = format!("{settings:?}");
                assert!(!shown.contains(CANARY), "{name} = {address}: {shown}");
                tried.push(name.clone());
            }
        }
    }
    tried.dedup();
    for name in [
        "auth.oidc.jwks_url",
        "broker.url",
        "services.dynamodb",
        "aws.endpoint_url",
        "services.connections.billing.allow",
    ] {
        assert!(tried.iter().any(|tried| tried == name), "{name}: {tried:?}");
    }
}

#[test]
fn the_hash_of_a_key_is_masked() {
    let [text, _] = examples();
    let settings = settings(&text, &[]).expect("a file");
    assert_eq!(find(&settings, "auth.api_keys[0].sha256").value, "***");
    assert!(
        SETTINGS.contains("sha256 = \"0000") && !format!("{settings:?}").contains("0000000000")
    );
}
