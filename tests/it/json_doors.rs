//! JSON at its bounds through every door that takes it: each gives the same verdict at once, and
//! what was taken comes back as it was.
//!
//! The texts are a table and, beside it, texts put together at random of parts whose verdict is
//! known. `JOBCAST_CASES` says how many of those, `JOBCAST_TEST_SEED` which.

use std::fmt::Write as _;

use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use rand::{Rng as _, SeedableRng as _};
use reqwest::Method;
use serde_json::{Value, json};

use crate::kit::{Client, Home, Server, code_of, soon};

/// Random texts of a usual run.
const CASES: usize = 6;

/// A text, and what a refusal must say; without it, the text must be taken.
#[derive(Clone, Debug)]
struct Case {
    text: String,
    refused: Option<&'static str>,
}

const DEEP: &str = "nests deeper than 1000 levels";
const RANGE: &str = "is out of range";
const HALF: &str = "half of a pair of surrogates";
/// Refused in the words of each door.
const NOT_JSON: &str = "";

fn taken(text: impl Into<String>) -> Case {
    Case {
        text: text.into(),
        refused: None,
    }
}

fn refused(text: impl Into<String>, why: &'static str) -> Case {
    Case {
        text: text.into(),
        refused: Some(why),
    }
}

fn nested(open: &str, close: &str, depth: usize) -> String {
    open.repeat(depth) + "0" + &close.repeat(depth)
}

fn table() -> Vec<Case> {
    vec![
        taken(nested("[", "]", json::DEPTH)),
        refused(nested("[", "]", json::DEPTH + 1), DEEP),
        taken(nested("{\"a\":", "}", json::DEPTH)),
        refused(nested("{\"a\":", "}", json::DEPTH + 1), DEEP),
        taken(nested("[{\"a\":", "}]", 100)),
        refused("[".repeat(50_000), DEEP),
        taken("[9223372036854775807, -9223372036854775808, 18446744073709551615]"),
        taken("{\"n\": 18446744073709551616, \"m\": -9223372036854775809}"),
        taken("{\"n\": 1.7976931348623157e308, \"tiny\": 5e-324, \"zero\": 0e999}"),
        refused("{\"n\": 1e999}", RANGE),
        refused("[-1.8e308]", RANGE),
        refused("[1e-999]", RANGE),
        refused("9".repeat(400), RANGE),
        taken(r#"{"text": "\ud83d\ude00 \u0000 \u2028 \uffff é 😀", "\ud83d\ude00": 1}"#),
        refused(r#"{"text": "\ud800"}"#, HALF),
        refused(r#"["\udc00\ud800"]"#, HALF),
        refused(r#"{"\udbff": 1}"#, HALF),
        taken("\u{feff}{\"marked\": true}"),
        refused("{\"marked\": true}\u{feff}", NOT_JSON),
        taken("{\"twice\": 1, \"twice\": 2}"),
        taken(" \r\n\t{ } \n"),
        taken("null"),
        taken("\"text\""),
        refused(" ", NOT_JSON),
        refused("{\"a\": 1,}", NOT_JSON),
        refused("{'a': 1}", NOT_JSON),
        refused("[NaN]", NOT_JSON),
        refused("[01]", NOT_JSON),
        refused("[\"\u{1}\"]", NOT_JSON),
        refused(r#"["\x41"]"#, NOT_JSON),
        refused("{} {}", NOT_JSON),
    ]
}

/// A text of a few fields; at most one of its parts is to be refused.
fn random(random: &mut StdRng) -> Case {
    const GOOD: &[&str] = &[
        "0",
        "-0.0",
        "9007199254740993",
        "-9223372036854775808",
        "18446744073709551615",
        "1e308",
        "2.5E-7",
        "true",
        r#""\ud834\udd1e""#,
        r#""\\ud800""#,
        r#""\"\/\b\f\n\r\t""#,
        "\"\u{feff}\u{2029}\u{10ffff}\"",
        "[]",
        "{ }",
        r#"{"a": {"b": [1, "c"]}}"#,
    ];
    const BAD: &[(&str, &str)] = &[
        ("1e309", RANGE),
        ("-1E+400", RANGE),
        ("3e-400", RANGE),
        (r#""\ud800""#, HALF),
        (r#""x\udfffy""#, HALF),
        (r#""\ud800\u0041""#, HALF),
        ("-", NOT_JSON),
        ("tru", NOT_JSON),
        (".5", NOT_JSON),
        (r#""\u12g4""#, NOT_JSON),
        ("[1 2]", NOT_JSON),
    ];
    let (mut fields, mut why) = (Vec::new(), None);
    for _ in 0..random.random_range(1..6) {
        fields.push((*GOOD.choose(random).unwrap()).to_owned());
    }
    let inside = 2;
    let depth = json::DEPTH - inside - 1 + random.random_range(0..4);
    if random.random_bool(0.5) {
        fields.push(nested("[", "]", depth));
        why = (depth + inside - 1 > json::DEPTH).then_some(DEEP);
    }
    if why.is_none() && random.random_bool(0.4) {
        let (bad, reason) = BAD.choose(random).unwrap();
        // In front of what nests: there the reason does not depend on the order.
        fields.insert(0, (*bad).to_owned());
        why = Some(reason);
    }
    let space = *["", " ", "\n\t", "\r\n"].choose(random).unwrap();
    let mut text = if random.random_bool(0.2) {
        "\u{feff}"
    } else {
        ""
    }
    .to_owned();
    text.push('{');
    for (index, field) in fields.iter().enumerate() {
        let comma = if index == 0 { "" } else { "," };
        write!(text, "{comma}{space}\"f{index}\"{space}:{space}{field}").unwrap();
    }
    text.push_str(space);
    text.push('}');
    Case { text, refused: why }
}

fn cases() -> Vec<Case> {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse().unwrap());
    let seed = number("JOBCAST_TEST_SEED").unwrap_or_else(rand::random);
    let count = number("JOBCAST_CASES").map_or(CASES, |count| usize::try_from(count).unwrap());
    println!("JOBCAST_TEST_SEED={seed} JOBCAST_CASES={count}");
    let mut dice = StdRng::seed_from_u64(seed);
    let mut cases = table();
    cases.extend((0..count).map(|_| random(&mut dice)));
    cases
}

const SUBMIT: &str = "mutation($input: SubmitJobInput!) { submitJob(input: $input) { id } }";
const SUBMITS: &str = "mutation($inputs: [SubmitJobInput!]!) { submitJobs(inputs: $inputs) { job { id } error { code message } } }";
const RESUME: &str = "mutation($id: ID!, $output: AWSJSON) { resumeJob(id: $id, step: \"Only\", output: $output) { id } }";

/// What a door says: the value that it gives back, where it gives one, or why it refuses.
type Verdict = Result<Option<Value>, String>;

struct World {
    client: Client,
    internal: Client,
    /// A job that has ended.
    ended: String,
    /// An Express machine that gives its input back.
    express: String,
    /// What the function `answers` answers next.
    answers: tokio::sync::mpsc::UnboundedSender<String>,
}

impl World {
    /// A call of the Step Functions API.
    async fn call(&self, operation: &str, parameters: Value) -> Result<Value, String> {
        let request = self
            .internal
            .request(Method::POST, "/")
            .header("x-amz-target", format!("AWSStepFunctions.{operation}"))
            .header("content-type", "application/x-amz-json-1.0")
            .body(parameters.to_string());
        let answer = soon(operation, request.send()).await.unwrap();
        let well = answer.status().is_success();
        let answer: Value = answer.json().await.unwrap();
        match well {
            true => Ok(answer),
            false => Err(format!("{}: {}", answer["__type"], answer["message"])),
        }
    }

    /// The input of a job as its execution gave it back; a job that was taken must succeed.
    async fn given_back(&self, id: &Value) -> Value {
        let id = id.as_str().unwrap();
        self.client.until(id, ended).await;
        let job = self.client.job(id).await;
        assert_eq!(job["status"], "SUCCEEDED", "it was taken: {}", job["error"]);
        let mut result = json::read_made(job["result"].as_str().unwrap()).unwrap();
        let fields = result.as_object_mut().unwrap();
        assert!(fields.remove("job").unwrap()["reportToken"].is_string());
        match fields.remove("input") {
            Some(input) if fields.is_empty() => input,
            Some(input) => json!([input, fields]),
            None => result,
        }
    }

    async fn submit(&self, text: &str) -> Verdict {
        let input = json!({ "type": "pass", "input": text });
        let answer = self.client.ask(SUBMIT, json!({ "input": input })).await;
        match code_of(&answer) {
            Some((_, message)) => Err(message),
            None => Ok(Some(
                self.given_back(&answer["data"]["submitJob"]["id"]).await,
            )),
        }
    }

    /// The text within the document.
    async fn submit_literal(&self, text: &str) -> Verdict {
        let literal = Value::from(text);
        let document = format!(
            "mutation {{ submitJob(input: {{ type: \"pass\", input: {literal} }}) {{ id }} }}"
        );
        let answer = self.client.ask(&document, json!({})).await;
        match code_of(&answer) {
            Some((_, message)) => Err(message),
            None => Ok(Some(
                self.given_back(&answer["data"]["submitJob"]["id"]).await,
            )),
        }
    }

    async fn submit_many(&self, text: &str) -> Verdict {
        let inputs = json!([{ "type": "pass", "input": text }]);
        let answer = self.client.ask(SUBMITS, json!({ "inputs": inputs })).await;
        if let Some((_, message)) = code_of(&answer) {
            return Err(message);
        }
        let result = &answer["data"]["submitJobs"][0];
        match result["error"]["message"].as_str() {
            Some(message) => Err(message.to_owned()),
            None => Ok(Some(self.given_back(&result["job"]["id"]).await)),
        }
    }

    /// The text is looked at before the job is.
    async fn resume(&self, text: &str) -> Verdict {
        let variables = json!({ "id": self.ended, "output": text });
        let (code, message) = self.client.error(RESUME, variables).await;
        match code.as_str() {
            "NotWaiting" => Ok(None),
            _ => Err(message),
        }
    }

    async fn start_execution(&self, text: &str) -> Verdict {
        let machine = "arn:aws:states:us-east-1:123456789012:stateMachine:pass";
        let parameters = json!({ "stateMachineArn": machine, "input": text });
        self.call("StartExecution", parameters).await.map(|_| None)
    }

    async fn start_sync_execution(&self, text: &str) -> Verdict {
        let parameters = json!({ "stateMachineArn": self.express, "input": text });
        let answer = self.call("StartSyncExecution", parameters).await?;
        assert_eq!(answer["status"], "SUCCEEDED", "it was taken: {answer}");
        Ok(Some(
            json::read(answer["output"].as_str().unwrap()).unwrap(),
        ))
    }

    async fn test_state(&self, text: &str) -> Verdict {
        let definition = json!({ "Type": "Pass", "End": true }).to_string();
        let role = "arn:aws:iam::123456789012:role/any";
        let parameters = json!({ "definition": definition, "roleArn": role, "input": text });
        let answer = self.call("TestState", parameters).await?;
        assert_eq!(answer["status"], "SUCCEEDED", "it was taken: {answer}");
        Ok(Some(
            json::read(answer["output"].as_str().unwrap()).unwrap(),
        ))
    }

    /// The text is looked at before the token is.
    async fn send_task_success(&self, text: &str) -> Verdict {
        let parameters = json!({ "taskToken": "x".repeat(100), "output": text });
        match self.call("SendTaskSuccess", parameters).await {
            Err(told) if told.contains("InvalidOutput") => Err(told),
            Err(told) => {
                assert!(told.contains("InvalidToken"), "{told}");
                Ok(None)
            }
            Ok(_) => unreachable!("there is no such task"),
        }
    }

    async fn invoke(&self, text: &str) -> Verdict {
        let request = self
            .internal
            .request(Method::POST, "/2015-03-31/functions/answers/invocations")
            .header("x-amz-invocation-type", "DryRun")
            .header("content-type", "application/json")
            .body(text.to_owned());
        let answer = soon("an answer", request.send()).await.unwrap();
        match answer.status().as_u16() {
            204 => Ok(None),
            400 => Err(answer.text().await.unwrap()),
            other => panic!("{other}: {}", answer.text().await.unwrap()),
        }
    }

    /// The text as the answer of a function.
    async fn answer(&self, text: &str) -> Verdict {
        self.answers.send(text.to_owned()).unwrap();
        let id = self.client.submit("answers", &json!({})).await;
        let job = self.client.until(&id, ended).await;
        match job["status"].as_str() {
            Some("SUCCEEDED") => {
                let job = self.client.job(&id).await;
                Ok(Some(json::read(job["result"].as_str().unwrap()).unwrap()))
            }
            _ => Err(job["error"]["message"]
                .as_str()
                .unwrap_or_default()
                .to_owned()),
        }
    }
}

fn ended(job: &Value) -> bool {
    ["SUCCEEDED", "FAILED"].contains(&job["status"].as_str().unwrap_or_default())
}

/// A function that answers with the texts that it is given.
async fn serve(internal: Client, mut answers: tokio::sync::mpsc::UnboundedReceiver<String>) {
    let base = "/answers/2018-06-01/runtime/invocation";
    loop {
        let next = internal.request(Method::GET, &format!("{base}/next"));
        let next = next.send().await.unwrap();
        let id = next.headers()["lambda-runtime-aws-request-id"]
            .to_str()
            .unwrap();
        let response = internal.request(Method::POST, &format!("{base}/{id}/response"));
        let Some(answer) = answers.recv().await else {
            return;
        };
        response.body(answer).send().await.unwrap();
    }
}

async fn world(server: &Server) -> World {
    let (client, internal) = (server.client(), Client::new(server.internal()));
    let (answers, given) = tokio::sync::mpsc::unbounded_channel();
    tokio::spawn(serve(internal.clone(), given));
    let ended = client.submit("pass", &json!({})).await;
    client.until_status(&ended, "SUCCEEDED").await;
    let mut world = World {
        client,
        internal,
        ended,
        express: String::new(),
        answers,
    };
    let pass = json!({ "StartAt": "A", "States": { "A": { "Type": "Pass", "End": true } } });
    let parameters = json!({ "name": "express", "type": "EXPRESS", "definition": pass.to_string(), "roleArn": "arn:aws:iam::123456789012:role/any" });
    let made = world.call("CreateStateMachine", parameters).await.unwrap();
    world.express = made["stateMachineArn"].as_str().unwrap().to_owned();
    world
}

/// The verdict is as expected, and an accepted value is what was sent.
fn check(door: &str, case: &Case, verdict: Verdict) {
    let beginning: String = case.text.chars().take(60).collect();
    match (case.refused, verdict) {
        (None, Ok(None)) => {}
        (None, Ok(Some(back))) => {
            let sent = json::read(&case.text).unwrap();
            assert_eq!(back, sent, "{door}: {beginning}");
        }
        (Some(why), Err(said)) => {
            assert!(said.contains(why), "{door}: {beginning}: {said}");
        }
        (None, Err(said)) => panic!("{door} refuses {beginning}: {said}"),
        (Some(_), Ok(_)) => panic!("{door} takes {beginning}"),
    }
}

#[tokio::test]
async fn every_door_gives_the_same_verdict_at_once() {
    let definition = json!({ "StartAt": "Call", "States": { "Call": { "Type": "Task", "Resource": "answers", "End": true } } });
    let home = Home::simple()
        .config("attach_any_function = true")
        .machine("answers", &definition);
    let server = home.start().await;
    let world = world(&server).await;
    for case in cases() {
        let text = case.text.as_str();
        check("submitJob", &case, world.submit(text).await);
        check("a literal", &case, world.submit_literal(text).await);
        check("submitJobs", &case, world.submit_many(text).await);
        check("resumeJob", &case, world.resume(text).await);
        check("StartExecution", &case, world.start_execution(text).await);
        check(
            "StartSyncExecution",
            &case,
            world.start_sync_execution(text).await,
        );
        check("TestState", &case, world.test_state(text).await);
        check(
            "SendTaskSuccess",
            &case,
            world.send_task_success(text).await,
        );
        check("Invoke", &case, world.invoke(text).await);
        check("a function's answer", &case, world.answer(text).await);
    }
}

/// Files and the command line, which take a text as the doors do.
#[tokio::test]
async fn the_command_line_and_files_give_the_same_verdict() {
    let marked = |value: &Value| format!("\u{feff}{value}");
    let pass = json!({ "StartAt": "A", "States": { "A": { "Type": "Pass", "End": true } } });
    let home = Home::simple();
    let machines = home.path("state-machines");
    std::fs::write(machines.join("marked.asl.json"), marked(&pass)).unwrap();
    let schema = json!({ "type": "object", "properties": { "a": { "$ref": "#" } } });
    std::fs::write(machines.join("marked.input.schema.json"), marked(&schema)).unwrap();
    let server = home.start().await;
    let client = server.client();
    let submit = async |argument: &str| {
        let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_jobcast"));
        command
            .args([
                "submit",
                "marked",
                "--input",
                argument,
                "--watch",
                "--url",
                &server.url,
            ])
            .current_dir(home.path("."));
        let output = soon("the command's end", command.output()).await.unwrap();
        let [out, error] =
            [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap());
        (output.status.code(), out, error)
    };
    let within = |inner: &str, depth: usize| "{\"a\":".repeat(depth) + inner + &"}".repeat(depth);
    for text in [
        "\u{feff}{\"b\": 18446744073709551615}",
        &within("{}", json::DEPTH - 1),
    ] {
        std::fs::write(home.path("input.json"), text).unwrap();
        let (status, out, error) = submit("@input.json").await;
        assert_eq!(status, Some(0), "{out}{error}");
    }
    for (text, why) in [
        (nested("[", "]", json::DEPTH + 1).as_str(), DEEP),
        ("{\"n\": 1e999}", RANGE),
        ("{\"n\": \"\\ud800\"}", HALF),
        ("{\"job\": 1}", "the field `job` is reserved"),
        ("", "it is empty"),
    ] {
        std::fs::write(home.path("input.json"), text).unwrap();
        let (status, out, error) = submit("@input.json").await;
        assert_ne!(status, Some(0), "{out}");
        assert!(error.contains(why) || out.contains(why), "{out}{error}");
    }
    // A schema that follows the whole depth.
    let deep = json!({ "type": "marked", "input": nested("{\"a\":", "}", json::DEPTH) });
    let (code, message) = client.error(SUBMIT, json!({ "input": deep })).await;
    assert_eq!(
        code, "InvalidInput",
        "the innermost is no object: {message}"
    );
}
