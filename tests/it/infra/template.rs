//! A template as JSON: `!Sub x` is `{"Fn::Sub": "x"}`, as CloudFormation reads it.

use saphyr::{LoadableYamlNode, Scalar, Tag, Yaml};
use serde_json::{Map, Value, json};

use super::root;

/// The templates of the deployment.
pub const TEMPLATES: [&str; 6] = [
    "template.yaml",
    "network.yaml",
    "edge.yaml",
    "serverless.yaml",
    "alarms.yaml",
    "service.yaml",
];

/// A template of `infra/`.
pub fn template(name: &str) -> Value {
    let path = root().join("infra").join(name);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path:?}: {error}"));
    let documents = Yaml::load_from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
    let [document] = &documents[..] else {
        panic!("{name} has {} documents", documents.len());
    };
    json_of(document)
}

/// The resources of a type, with their names.
pub fn resources<'a>(
    template: &'a Value,
    kind: &'a str,
) -> impl Iterator<Item = (&'a str, &'a Value)> {
    let all = template["Resources"].as_object().unwrap().iter();
    all.filter(move |(_, resource)| resource["Type"] == kind)
        .map(|(name, resource)| (name.as_str(), &resource["Properties"]))
}

fn json_of(node: &Yaml<'_>) -> Value {
    match node {
        Yaml::Value(Scalar::Null) => Value::Null,
        Yaml::Value(Scalar::Boolean(value)) => json!(value),
        Yaml::Value(Scalar::Integer(value)) => json!(value),
        Yaml::Value(Scalar::FloatingPoint(value)) => json!(value.into_inner()),
        Yaml::Value(Scalar::String(text)) => json!(text),
        Yaml::Sequence(values) => values.iter().map(json_of).collect(),
        Yaml::Mapping(fields) => {
            let fields = fields
                .iter()
                .map(|(key, value)| (text(key), json_of(value)));
            Value::Object(fields.collect::<Map<_, _>>())
        }
        Yaml::Tagged(tag, inner) => function(tag, json_of(inner)),
        // A template has neither; CloudFormation refuses aliases.
        other => panic!("{other:?}"),
    }
}

fn text(key: &Yaml<'_>) -> String {
    match json_of(key) {
        Value::String(text) => text,
        other => other.to_string(),
    }
}

/// A short form of an intrinsic function.
fn function(tag: &Tag, argument: Value) -> Value {
    let name = match tag.suffix.as_str() {
        name @ ("Ref" | "Condition") => name.to_owned(),
        name => format!("Fn::{name}"),
    };
    let argument = match argument {
        Value::String(text) if name == "Fn::GetAtt" => {
            let (resource, attribute) = text.split_once('.').unwrap();
            json!([resource, attribute])
        }
        other => other,
    };
    json!({ name: argument })
}

#[test]
fn every_template_is_read_and_names_what_it_is() {
    let directory = root().join("infra");
    let mut found: Vec<_> = std::fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(".yaml"))
        .collect();
    found.sort();
    let mut known = TEMPLATES;
    known.sort_unstable();
    assert_eq!(found, known);
    for name in TEMPLATES {
        let template = template(name);
        assert!(template["Description"].is_string(), "{name}");
        assert!(template["Resources"].is_object(), "{name}");
    }
}
