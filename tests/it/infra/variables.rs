//! The functions, their variables and those of the nodes.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use jobcast::config::{Config, Secret, ServeFlags, unknown_variables};
use serde_json::Value;

use super::root;
use super::template::{resources, template};

/// Variables that a function reads, and the template leaves out.
const LEFT_OUT: [(&str, &str); 2] = [
    ("JOBCAST_CONFIG", "the text of the file is set instead"),
    ("JOBCAST_DATA", "files are in the bucket"),
];

/// The names of the variables in the sources of a directory, outside of their tests.
fn named(directory: &Path, found: &mut BTreeSet<String>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            named(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
            let names = code.split('"').skip(1).step_by(2);
            found.extend(names.filter(|name| is_ours(name)).map(str::to_owned));
        }
    }
}

fn is_ours(name: &str) -> bool {
    let is_part = |byte: u8| byte.is_ascii_uppercase() || byte == b'_';
    name.starts_with("JOBCAST_") && name.bytes().all(is_part)
}

fn functions(template: &Value) -> Vec<(&str, &Value)> {
    resources(template, "AWS::Serverless::Function").collect()
}

/// The name of a function's program.
fn program(function: &Value) -> &str {
    let code = function["CodeUri"].as_str().unwrap();
    code.rsplit('/').next().unwrap()
}

#[test]
fn the_template_has_a_function_for_each_program() {
    let manifest = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let manifest: toml::Table = toml::from_str(&manifest).unwrap();
    let programs: BTreeSet<_> = manifest["bin"]
        .as_array()
        .unwrap()
        .iter()
        .map(|bin| bin["name"].as_str().unwrap())
        .filter(|name| name.starts_with("lambda-"))
        .collect();
    let template = template("serverless.yaml");
    let deployed: BTreeSet<_> = functions(&template)
        .into_iter()
        .map(|(_, function)| program(function))
        .collect();
    assert_eq!(deployed, programs);
}

#[test]
fn each_function_has_a_log_group_with_a_retention() {
    let template = template("serverless.yaml");
    for (name, function) in functions(&template) {
        let function_name = function["FunctionName"]["Fn::Sub"].as_str().unwrap();
        let group = function["LoggingConfig"]["LogGroup"]["Ref"]
            .as_str()
            .unwrap();
        let group = &template["Resources"][group]["Properties"];
        let named = format!("/aws/lambda/{function_name}");
        assert_eq!(group["LogGroupName"]["Fn::Sub"], named.as_str(), "{name}");
        assert!(group["RetentionInDays"].is_object(), "{name}");
    }
}

#[test]
fn the_functions_get_exactly_the_variables_that_they_read() {
    let mut read = BTreeSet::new();
    named(&root().join("src/lambda"), &mut read);
    for (name, why) in LEFT_OUT {
        assert!(read.remove(name), "{name} is not read, although {why}");
    }
    let template = template("serverless.yaml");
    let common = &template["Globals"]["Function"]["Environment"]["Variables"];
    let mut set: BTreeSet<_> = common.as_object().unwrap().keys().cloned().collect();
    for (_, function) in functions(&template) {
        if let Some(own) = function["Environment"]["Variables"].as_object() {
            set.extend(own.keys().cloned());
        }
    }
    assert_eq!(set, read);
}

#[test]
fn the_nodes_get_only_variables_that_exist() {
    let template = template("service.yaml");
    let container = &template["Resources"]["Task"]["Properties"]["ContainerDefinitions"][0];
    let names = ["Environment", "Secrets"].into_iter().flat_map(|list| {
        let list = container[list].as_array().unwrap().iter();
        list.map(|one| one["Name"].as_str().unwrap().to_owned())
    });
    let names: Vec<_> = names.collect();
    assert_eq!(unknown_variables(names.clone()), Vec::<String>::new());
    for required in ["JOBCAST_SECRET", "JOBCAST_BROKER_URL", "JOBCAST_PUBLIC_URL"] {
        assert!(names.iter().any(|name| name == required), "{required}");
    }
}

/// The text with a value for each `${…}`.
fn filled(text: &str) -> String {
    let mut parts = text.split("${");
    let mut filled = parts.next().unwrap().to_owned();
    for part in parts {
        let (name, rest) = part.split_once('}').unwrap();
        filled.push_str(match name {
            "StateMachineArnPrefix" => "arn:aws:states:eu-west-1:000000000000:stateMachine:live-",
            "Issuer" => "https://id.example",
            "AWS::Region" => "eu-west-1",
            _ => "value",
        });
        filled.push_str(rest);
    }
    filled
}

/// The configuration that a text of a template gives to a node.
fn config(text: &Value) -> Config {
    let flags = ServeFlags {
        config_text: Some(Secret(filled(text["Fn::Sub"].as_str().unwrap()))),
        public_url: Some("https://jobs.example.com".to_owned()),
        ..ServeFlags::default()
    };
    Config::load(flags).unwrap()
}

#[test]
fn the_configuration_of_the_nodes_is_valid() {
    let template = template("service.yaml");
    let container = &template["Resources"]["Task"]["Properties"]["ContainerDefinitions"][0];
    let environment = container["Environment"].as_array().unwrap();
    let text = environment
        .iter()
        .find(|one| one["Name"] == "JOBCAST_CONFIG_TEXT");
    let mut text = text.unwrap()["Value"].clone();
    let with_secret = text["Fn::Sub"].as_str().unwrap().replace(
        "[aws]\n",
        "[aws]\nsecret = \"a secret that is as long as it must be\"\n",
    );
    text["Fn::Sub"] = with_secret.into();
    let config = config(&text);
    let aws = config.aws.unwrap();
    // `lambda-publish` reads the stream.
    assert!(!aws.follow_stream);
    assert!(aws.bucket.is_some());
    assert_eq!(config.auth.oidc.len(), 1);
}

#[test]
fn the_configuration_of_the_http_function_is_that_of_the_nodes() {
    let serverless = template("serverless.yaml");
    let http = &serverless["Resources"]["Http"]["Properties"]["Environment"]["Variables"];
    let of_function = config(&http["JOBCAST_CONFIG_TEXT"]).auth.oidc;
    let [provider] = &of_function[..] else {
        panic!("{of_function:?}");
    };
    let groups: BTreeSet<_> = provider.groups.keys().cloned().collect();
    let pool = resources(&serverless, "AWS::Cognito::UserPoolGroup");
    let pool = pool.map(|(_, group)| group["GroupName"].as_str().unwrap().to_owned());
    assert_eq!(groups, pool.collect(), "each group of the pool has roles");

    let service = template("service.yaml");
    let text = service.to_string();
    for (group, roles) in &provider.groups {
        let role = serde_json::to_value(roles).unwrap_or_default();
        assert!(text.contains(&format!("{group} = ")), "{group} {role}");
    }
}

#[test]
fn what_happens_is_visible_in_time() {
    let serverless = template("serverless.yaml");
    let mut queues = 0;
    for (name, queue) in resources(&serverless, "AWS::SQS::Queue") {
        queues += 1;
        let is_last = name.ends_with("DeadLetters");
        assert_eq!(queue["RedrivePolicy"].is_null(), is_last, "{name}");
        let alarm = template("alarms.yaml")["Resources"][format!("{name}Alarm")].clone();
        assert_eq!(
            alarm.is_object(),
            is_last,
            "{name} has an alarm if it is the last one"
        );
    }
    assert!(queues > 0);
    let alarms = template("alarms.yaml");
    for (name, _) in functions(&serverless) {
        for kind in ["Errors", "Throttles"] {
            let alarm = &alarms["Resources"][format!("{name}{kind}Alarm")];
            assert!(alarm.is_object(), "{name} has no alarm for {kind}");
        }
    }
}
