//! The permissions of the templates against the calls of the code.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use serde_json::Value;

use super::root;
use super::template::{TEMPLATES, resources, template};

/// The operations of DynamoDB and of its streams on rows and tables, as the SDK names their calls.
const DYNAMODB: &str = "batch_get_item batch_write_item delete_item get_item put_item query scan \
    update_item describe_table describe_time_to_live list_tables update_table create_table \
    delete_table update_time_to_live batch_execute_statement execute_statement \
    execute_transaction describe_stream get_shard_iterator get_records list_streams";
/// What a transaction needs permission for: the action of each part.
const TRANSACTION: [(&str, &str); 4] = [
    ("Put::builder()", "PutItem"),
    ("Update::builder()", "UpdateItem"),
    ("Delete::builder()", "DeleteItem"),
    ("ConditionCheck::builder()", "ConditionCheckItem"),
];
/// The operations of Step Functions on executions and tasks.
const STATES: &str = "start_execution start_sync_execution stop_execution redrive_execution \
    describe_execution get_execution_history list_executions describe_state_machine \
    list_state_machines send_task_success send_task_failure send_task_heartbeat describe_map_run \
    list_map_runs get_activity_task";
/// What `jobcast create-table` calls: the template creates the table instead.
const CREATE_TABLE: [&str; 2] = ["dynamodb:CreateTable", "dynamodb:UpdateTimeToLive"];
/// What a follower of the stream calls; no node of the template follows it.
const FOLLOW: [&str; 3] = [
    "dynamodb:DescribeStream",
    "dynamodb:GetShardIterator",
    "dynamodb:GetRecords",
];
/// Actions without a resource that a statement could name, with the reason.
const WITHOUT_RESOURCE: [(&str, &str); 3] = [
    ("xray:", "traces have no resource"),
    (
        "logs:",
        "the delivery of the logs of executions has no resource",
    ),
    ("ecr:GetAuthorizationToken", "the token is the account's"),
];

/// The sources below a directory, without those of tests.
fn sources(directory: &Path, found: &mut String) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() {
            sources(&path, found);
        } else if name.ends_with(".rs") && !name.ends_with("tests.rs") {
            let text = fs::read_to_string(&path).unwrap();
            found.push_str(text.split("#[cfg(test)]\nmod tests {").next().unwrap());
        }
    }
}

/// `get_item` → `GetItem`.
fn action(operation: &str) -> String {
    operation
        .split('_')
        .map(|word| word[..1].to_ascii_uppercase() + &word[1..])
        .collect()
}

/// The actions that the code calls.
fn called() -> BTreeSet<String> {
    let mut code = String::new();
    for directory in ["resolvers/src", "src/server", "src/http", "src/lambda"] {
        sources(&root().join(directory), &mut code);
    }
    let mut called = BTreeSet::new();
    for (service, operations) in [("dynamodb", DYNAMODB), ("states", STATES)] {
        for operation in operations.split_whitespace() {
            if code.contains(&format!(".{operation}()")) {
                called.insert(format!("{service}:{}", action(operation)));
            }
        }
    }
    for (part, action) in TRANSACTION {
        if code.contains(part) {
            called.insert(format!("dynamodb:{action}"));
        }
    }
    // A file is uploaded in parts, read, and deleted with its job.
    for (call, actions) in [
        (
            ".put_multipart_opts(",
            &["PutObject", "AbortMultipartUpload"][..],
        ),
        (".get_opts(", &["GetObject"]),
        (".objects.delete(", &["DeleteObject"]),
    ] {
        if code.contains(call) {
            called.extend(actions.iter().map(|action| format!("s3:{action}")));
        }
    }
    called
}

fn texts(value: &Value) -> Vec<String> {
    match value {
        Value::String(text) => vec![text.clone()],
        Value::Array(all) => all.iter().flat_map(texts).collect(),
        other => vec![other.to_string()],
    }
}

/// Every statement of a policy in a template that allows something to a role.
fn statements(template: &Value) -> Vec<(String, Value)> {
    let mut found = Vec::new();
    for (name, policy) in resources(template, "AWS::IAM::ManagedPolicy") {
        for statement in policy["PolicyDocument"]["Statement"].as_array().unwrap() {
            found.push((name.to_owned(), statement.clone()));
        }
    }
    for (name, role) in resources(template, "AWS::IAM::Role") {
        for policy in role["Policies"].as_array().into_iter().flatten() {
            for statement in policy["PolicyDocument"]["Statement"].as_array().unwrap() {
                found.push((name.to_owned(), statement.clone()));
            }
        }
    }
    found
}

fn allowed(policy: &str) -> BTreeSet<String> {
    let template = template("serverless.yaml");
    let statements = statements(&template).into_iter();
    let of_policy = statements.filter(|(name, _)| name == policy);
    of_policy
        .flat_map(|(_, statement)| texts(&statement["Action"]))
        .collect()
}

#[test]
fn a_node_may_call_exactly_what_the_code_calls() {
    let mut called = called();
    for action in CREATE_TABLE.into_iter().chain(FOLLOW) {
        assert!(called.remove(action), "{action} is called no more");
    }
    assert_eq!(allowed("NodePolicy"), called);
}

#[test]
fn the_publisher_may_read_the_stream_and_the_jobs_and_write_nothing() {
    let allowed = allowed("PublishRole");
    for action in FOLLOW {
        assert!(allowed.contains(action), "{action}");
    }
    let writes = ["PutItem", "UpdateItem", "DeleteItem", "BatchWriteItem"];
    for action in writes.map(|action| format!("dynamodb:{action}")) {
        assert!(!allowed.contains(&action), "{action}");
    }
}

#[test]
fn every_statement_names_its_actions_and_its_resources() {
    let mut checked = 0;
    for name in TEMPLATES {
        for (role, statement) in statements(&template(name)) {
            checked += 1;
            let actions = texts(&statement["Action"]);
            assert!(
                actions.iter().all(|action| !action.contains('*')),
                "{name} {role}: {actions:?}"
            );
            if statement["Resource"] == "*" {
                for action in actions {
                    let known = WITHOUT_RESOURCE
                        .iter()
                        .any(|(start, _)| action.starts_with(start));
                    assert!(known, "{name} {role}: {action} on every resource");
                }
            }
        }
    }
    assert!(checked > 10, "only {checked} statements were found");
}

#[test]
fn every_function_has_a_role_of_its_own() {
    let template = template("serverless.yaml");
    let mut roles = BTreeMap::new();
    for (name, function) in resources(&template, "AWS::Serverless::Function") {
        let role = function["Role"]["Fn::GetAtt"][0]
            .as_str()
            .unwrap()
            .to_owned();
        if let Some(other) = roles.insert(role.clone(), name) {
            panic!("{role} is the role of {other} and of {name}");
        }
    }
}
