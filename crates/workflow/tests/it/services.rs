//! Services that Task states call: a real DynamoDB (`dynoxide`) in this process, an SQS and an HTTP
//! endpoint that this test is, buckets in directories.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use object_store::ObjectStore;
use object_store::local::LocalFileSystem;
use parking_lot::Mutex;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use workflow::lambda::{Host, HostSettings};
use workflow::runner::Runner;
use workflow::services::{ANSWER_BYTES, Connection, Credentials, ServiceSettings};
use workflow::{End, Machine, Status};

use crate::http::call;
use crate::world::{World, types};

/// One request that the server of this test got.
#[derive(Debug)]
struct Got {
    target: String,
    headers: HeaderMap,
    body: String,
}

impl Got {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |v| v.to_str().unwrap())
    }
}

type Responses = Box<dyn Fn(&Got) -> Option<Response<Full<Bytes>>> + Send + Sync>;

/// A server that gives the configured answer, or none.
struct Server {
    address: SocketAddr,
    got: Arc<Mutex<Vec<Got>>>,
    gone: mpsc::UnboundedReceiver<()>,
}

async fn serve(answer: Responses) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (got, answer) = (Arc::<Mutex<Vec<Got>>>::default(), Arc::new(answer));
    let (gone_sender, gone) = mpsc::unbounded_channel();
    let all = got.clone();
    // It ends with the test's runtime.
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (all, answer, gone) = (all.clone(), answer.clone(), gone_sender.clone());
            tokio::spawn(async move {
                let service = service_fn(|request: Request<Incoming>| {
                    let (all, answer) = (all.clone(), answer.clone());
                    async move {
                        let (head, body) = request.into_parts();
                        let body = body.collect().await.unwrap().to_bytes();
                        let got = Got {
                            target: format!("{} {}", head.method, head.uri),
                            headers: head.headers,
                            body: String::from_utf8(body.to_vec()).unwrap(),
                        };
                        let response = answer(&got);
                        all.lock().push(got);
                        match response {
                            Some(response) => Ok::<_, Infallible>(response),
                            None => std::future::pending().await,
                        }
                    }
                });
                let _ = http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service)
                    .await;
                let _ = gone.send(());
            });
        }
    });
    Server { address, got, gone }
}

fn response(status: u16, kind: &str, body: impl Into<Bytes>) -> Option<Response<Full<Bytes>>> {
    let response = Response::builder()
        .status(StatusCode::from_u16(status).unwrap())
        .header("content-type", kind)
        .header("x-amzn-requestid", "R1");
    Some(response.body(Full::new(body.into())).unwrap())
}

/// Runs a machine that is one Task or Map state.
async fn run(settings: &ServiceSettings, state: Value, input: &str) -> End {
    let (_, end, _) = run_in(settings, state, input).await;
    end
}

async fn run_in(
    settings: &ServiceSettings,
    mut state: Value,
    input: &str,
) -> (World, End, Vec<String>) {
    state["End"] = json!(true);
    let definition = json!({"StartAt": "S", "States": {"S": state}}).to_string();
    let world = World::new(&[("m", &definition)]);
    let host = Host::new(HostSettings::default());
    let runner = Runner::with_services(host, settings.clone());
    let engine = world.open(Arc::new(runner)).await;
    engine.start("m", "e", input.into()).await.unwrap();
    let end = world.ears.end_of("e").await;
    let kinds = types(&engine, "e").await;
    (world, end, kinds)
}

fn task(resource: &str, parameters: Value) -> Value {
    json!({"Type": "Task", "Resource": format!("arn:aws:states:::{resource}"), "Parameters": parameters})
}

fn output(end: &End) -> Value {
    assert_eq!(end.status, Status::Succeeded, "{end:?}");
    serde_json::from_str(end.output.as_deref().unwrap()).unwrap()
}

fn credentials() -> Option<Credentials> {
    Some(Credentials {
        access_key: "AKID".to_owned(),
        secret_key: "SECRET".to_owned(),
        session_token: Some("SESSION".to_owned()),
    })
}

#[tokio::test]
async fn dynamodb_items_are_put_updated_read_and_deleted() {
    let database = dynoxide::Database::memory().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(dynoxide::server::serve_on(listener, database));
    let settings = ServiceSettings {
        dynamodb: Some(format!("http://{address}").parse().unwrap()),
        credentials: credentials(),
        ..ServiceSettings::default()
    };
    let table = json!({"TableName": "things", "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}],
        "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}]});
    let headers = [
        ("x-amz-target", "DynamoDB_20120810.CreateTable"),
        ("content-type", "application/x-amz-json-1.0"),
        (
            "authorization",
            "AWS4-HMAC-SHA256 Credential=AKID/20260101/us-east-1/dynamodb/aws4_request, SignedHeaders=host, Signature=0",
        ),
        ("x-amz-date", "20260101T000000Z"),
    ];
    let made = call(address, "POST", "/", &headers, table.to_string()).await;
    assert_eq!(made.status, 200, "{}", made.text());

    let key = json!({"id": {"S.$": "$.id"}});
    let get = || {
        task(
            "dynamodb:getItem",
            json!({"TableName": "things", "Key": key}),
        )
    };
    let put = task(
        "dynamodb:putItem",
        json!({"TableName": "things", "Item": {"id": {"S.$": "$.id"}, "n": {"N": "1"}}, "ConditionExpression": "attribute_not_exists(id)"}),
    );
    let input = r#"{"id":"a"}"#;
    let (_, end, kinds) = run_in(&settings, put.clone(), input).await;
    let answer = output(&end);
    assert_eq!(answer["SdkHttpMetadata"]["HttpStatusCode"], 200);
    assert!(answer["SdkHttpMetadata"]["AllHttpHeaders"]["Content-Type"].is_array());
    assert!(answer["SdkResponseMetadata"]["RequestId"].is_string());
    assert_eq!(
        kinds[2..5],
        ["TaskScheduled", "TaskStarted", "TaskSucceeded"]
    );

    let again = run(&settings, put, input).await;
    assert_eq!(
        again.error.as_deref(),
        Some("DynamoDB.ConditionalCheckFailedException")
    );
    let cause = again.cause.unwrap();
    assert!(
        cause.contains("(Service: AmazonDynamoDBv2; Status Code: 400; Error Code: ConditionalCheckFailedException; Request ID: "),
        "{cause}"
    );

    let update = task(
        "dynamodb:updateItem",
        json!({"TableName": "things", "Key": key, "UpdateExpression": "SET n = n + :d", "ExpressionAttributeValues": {":d": {"N": "4"}}, "ReturnValues": "ALL_NEW"}),
    );
    let answer = output(&run(&settings, update, input).await);
    assert_eq!(answer["Attributes"]["n"]["N"], "5");
    let answer = output(&run(&settings, get(), input).await);
    assert_eq!(answer["Item"], json!({"id": {"S": "a"}, "n": {"N": "5"}}));
    let delete = task(
        "dynamodb:deleteItem",
        json!({"TableName": "things", "Key": key, "ReturnValues": "ALL_OLD"}),
    );
    let answer = output(&run(&settings, delete, input).await);
    assert_eq!(answer["Attributes"]["n"]["N"], "5");
    assert_eq!(
        output(&run(&settings, get(), input).await)["Item"],
        json!(null)
    );
    let missing = task(
        "dynamodb:getItem",
        json!({"TableName": "nothing", "Key": {"id": {"S": "a"}}}),
    );
    let end = run(&settings, missing, "{}").await;
    assert_eq!(
        end.error.as_deref(),
        Some("DynamoDB.ResourceNotFoundException")
    );
}

#[tokio::test]
async fn sqs_messages_are_sent_signed_and_answered_by_token() {
    let server = serve(Box::new(|got| {
        let body: Value = serde_json::from_str(&got.body).unwrap();
        if body["QueueUrl"] == "none" {
            let error = json!({"__type": "com.amazonaws.sqs#QueueDoesNotExist", "message": "The specified queue does not exist."});
            let mut refused = response(400, "application/x-amz-json-1.0", error.to_string())?;
            refused.headers_mut().insert(
                "x-amzn-query-error",
                "AWS.SimpleQueueService.NonExistentQueue;Sender".parse().unwrap(),
            );
            return Some(refused);
        }
        response(200, "application/x-amz-json-1.0", r#"{"MessageId":"1","MD5OfMessageBody":"2"}"#)
    }))
    .await;
    let settings = ServiceSettings {
        sqs: Some(format!("http://{}", server.address).parse().unwrap()),
        region: "eu-west-1".to_owned(),
        credentials: credentials(),
        ..ServiceSettings::default()
    };
    let send = |queue: &str, body: Value| {
        task(
            "sqs:sendMessage",
            json!({"QueueUrl": queue, "MessageBody": body}),
        )
    };
    let answer = output(&run(&settings, send("q", json!({"a": [1]})), "{}").await);
    assert_eq!(
        (
            &answer["MessageId"],
            &answer["SdkResponseMetadata"]["RequestId"]
        ),
        (&json!("1"), &json!("R1"))
    );
    let got = server.got.lock().pop().unwrap();
    assert_eq!(got.target, "POST /");
    assert_eq!(got.header("x-amz-target"), "AmazonSQS.SendMessage");
    assert_eq!(got.header("x-amz-security-token"), "SESSION");
    let signed = got.header("authorization");
    assert!(
        signed.starts_with("AWS4-HMAC-SHA256 Credential=AKID/")
            && signed.contains("/eu-west-1/sqs/aws4_request, SignedHeaders=host;x-amz-date;x-amz-security-token;x-amz-target, Signature="),
        "{signed}"
    );
    let body: Value = serde_json::from_str(&got.body).unwrap();
    assert_eq!(body["MessageBody"], r#"{"a":[1]}"#, "a queue takes text");

    let end = run(&settings, send("none", json!("x")), "{}").await;
    assert_eq!(end.error.as_deref(), Some("SQS.QueueDoesNotExistException"));
    assert_eq!(
        end.cause.as_deref(),
        Some(
            "The specified queue does not exist. (Service: AmazonSQS; Status Code: 400; Error Code: AWS.SimpleQueueService.NonExistentQueue; Request ID: R1; Proxy: null)"
        )
    );

    let definition = json!({"StartAt": "S", "States": {"S": {"Type": "Task", "Resource": "arn:aws:states:::sqs:sendMessage.waitForTaskToken",
        "Parameters": {"QueueUrl": "q", "MessageBody": {"token.$": "$$.Task.Token"}}, "End": true}}});
    let world = World::new(&[("m", &definition.to_string())]);
    let runner = Runner::with_services(Host::new(HostSettings::default()), settings);
    let engine = world.open(Arc::new(runner)).await;
    engine.start("m", "e", "{}".into()).await.unwrap();
    let waiting = |event: &workflow::ExecutionEvent| {
        event
            .steps
            .iter()
            .any(|step| matches!(step, asl::StepChange::Waiting { token: Some(_), .. }))
    };
    world.ears.wait(waiting).await;
    let submitted = async {
        while !types(&engine, "e")
            .await
            .contains(&"TaskSubmitted".to_owned())
        {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(crate::world::DEADLINE, submitted)
        .await
        .unwrap();
    let body: Value = serde_json::from_str(&server.got.lock().last().unwrap().body).unwrap();
    let message: Value = serde_json::from_str(body["MessageBody"].as_str().unwrap()).unwrap();
    engine
        .task_success(message["token"].as_str().unwrap(), "7".into())
        .await
        .unwrap();
    assert_eq!(world.ears.end_of("e").await.output.as_deref(), Some("7"));
}

fn endpoint(address: SocketAddr) -> ServiceSettings {
    let connection = Connection {
        allow: vec![format!("http://{address}/api").parse().unwrap()],
        headers: BTreeMap::from([("Authorization".to_owned(), "Bearer hush".to_owned())]),
        query: BTreeMap::from([("key".to_owned(), "k 1".to_owned())]),
    };
    ServiceSettings {
        connections: BTreeMap::from([("billing".to_owned(), connection)]),
        reveal_secrets: true,
        ..ServiceSettings::default()
    }
}

#[tokio::test]
async fn a_test_of_a_state_shows_the_exchange_with_an_http_endpoint() {
    let server = serve(Box::new(|got| {
        let status = if got.target.contains("/fail") {
            404
        } else {
            200
        };
        response(status, "application/json", r#"{"ok":1}"#)
    }))
    .await;
    let door = crate::api::Door::with_services(endpoint(server.address)).await;
    let tried = async |path: &str, level: &str, reveal: bool| {
        let mut state = invoke(
            server.address,
            path,
            json!({"RequestBody": {"n": 1}, "QueryParameters": {"b": 2}, "Headers": {"X-Mine": "yes"}}),
        );
        state["End"] = json!(true);
        let parameters = json!({"definition": state.to_string(), "roleArn": "arn:aws:iam::123456789012:role/r",
            "inspectionLevel": level, "revealSecrets": reveal});
        door.call("TestState", parameters).await
    };
    let well = tried("/api/pay", "TRACE", false).await;
    assert_eq!(well["status"], "SUCCEEDED");
    let address = server.address;
    assert_eq!(
        well["inspectionData"]["request"],
        json!({"protocol": "HTTP/1.1", "method": "POST", "url": format!("http://{address}/api/pay?b=2"),
            "headers": "[x-mine: yes, content-type: application/json]", "body": r#"{"n":1}"#})
    );
    let response = &well["inspectionData"]["response"];
    for (field, want) in [
        ("protocol", "HTTP/1.1"),
        ("statusCode", "200"),
        ("statusMessage", "OK"),
        ("body", r#"{"ok":1}"#),
    ] {
        assert_eq!(response[field], want, "{response}");
    }
    assert!(
        response["headers"]
            .as_str()
            .unwrap()
            .contains("content-type: application/json")
    );
    let failed = tried("/api/fail", "TRACE", true).await;
    assert_eq!(
        (&failed["status"], &failed["error"]),
        (&json!("FAILED"), &json!("States.Http.StatusCode.404"))
    );
    let request = &failed["inspectionData"]["request"];
    assert!(
        request["url"]
            .as_str()
            .unwrap()
            .ends_with("/api/fail?b=2&key=k+1"),
        "{request}"
    );
    assert!(
        request["headers"]
            .as_str()
            .unwrap()
            .contains("authorization: Bearer hush"),
        "{request}"
    );
    assert_eq!(failed["inspectionData"]["response"]["statusCode"], "404");
    let less = tried("/api/pay", "DEBUG", false).await;
    assert!(less["inspectionData"]["request"].is_null(), "{less}");
    assert_eq!(server.got.lock().len(), 3);
}

fn invoke(address: SocketAddr, path: &str, more: Value) -> Value {
    let mut parameters = json!({
        "ApiEndpoint": format!("http://{address}{path}"),
        "Method": "POST",
        "Authentication": {"ConnectionArn": "arn:aws:events:us-east-1:123456789012:connection/billing/0000"},
    });
    for (name, value) in more.as_object().unwrap() {
        parameters[name] = value.clone();
    }
    task("http:invoke", parameters)
}

#[tokio::test]
async fn an_http_endpoint_gets_the_request_and_its_response_is_the_result() {
    let server = serve(Box::new(|got| {
        let size: Option<usize> = got
            .target
            .split("size=")
            .nth(1)
            .and_then(|rest| rest.split('&').next()?.parse().ok());
        match (
            size,
            got.target.contains("/fail"),
            got.target.contains("/away"),
        ) {
            (Some(size), ..) => response(200, "text/plain", vec![b'x'; size]),
            (_, true, _) => response(404, "application/json", r#"{"why":"none"}"#),
            (_, _, true) => {
                let mut moved = response(302, "text/plain", "")?;
                moved
                    .headers_mut()
                    .insert("location", "http://127.0.0.1:1/api".parse().unwrap());
                Some(moved)
            }
            _ => response(200, "application/json", r#"{"ok":true}"#),
        }
    }))
    .await;
    let settings = endpoint(server.address);
    let send = async |path: &str, more: Value| {
        run(&settings, invoke(server.address, path, more), "{}").await
    };
    let end = send(
        "/api/pay?a=1",
        json!({"RequestBody": {"n": 1}, "QueryParameters": {"b": [2, "ä"]}, "Headers": {"X-Mine": "yes"}}),
    )
    .await;
    let answer = output(&end);
    assert_eq!(
        (
            &answer["StatusCode"],
            &answer["StatusText"],
            &answer["ResponseBody"]
        ),
        (&json!(200), &json!("OK"), &json!({"ok": true}))
    );
    assert_eq!(
        answer["Headers"]["content-type"],
        json!(["application/json"])
    );
    let got = server.got.lock().pop().unwrap();
    assert_eq!(got.target, "POST /api/pay?a=1&b=2&b=%C3%A4&key=k+1");
    assert_eq!(
        (
            got.body.as_str(),
            got.header("x-mine"),
            got.header("authorization")
        ),
        (r#"{"n":1}"#, "yes", "Bearer hush")
    );
    let form = json!({"RequestBody": {"n": [1, 2]}, "Transform": {"RequestBodyEncoding": "URL_ENCODED", "RequestEncodingOptions": {"ArrayFormat": "COMMAS"}}});
    output(&send("/api", form).await);
    let got = server.got.lock().pop().unwrap();
    assert_eq!(
        (got.body.as_str(), got.header("content-type")),
        ("n=1%2C2", "application/x-www-form-urlencoded")
    );

    let end = send("/api/fail", json!({})).await;
    assert_eq!(end.error.as_deref(), Some("States.Http.StatusCode.404"));
    assert!(end.cause.unwrap().contains(r#"{"why":"none"}"#));
    let end = send("/api/away", json!({})).await;
    assert_eq!(
        end.error.as_deref(),
        Some("States.Http.StatusCode.302"),
        "a redirect is not followed: the secrets stay where they are allowed"
    );
    for (path, more, error, cause) in [
        ("/other", json!({}), "States.Permissions", "allow"),
        (
            "/api",
            json!({"Method": "STEAL"}),
            "States.Runtime",
            "Method must be one of",
        ),
        (
            "/api",
            json!({"Headers": {"Host": "x"}}),
            "States.Runtime",
            "\"Host\" cannot be set here",
        ),
        (
            "/api",
            json!({"Headers": {"X-Amz-Date": "x"}}),
            "States.Runtime",
            "cannot be set",
        ),
        (
            "/api",
            json!({"Headers": {"a b": "x"}}),
            "States.Runtime",
            "not valid",
        ),
        (
            "/api",
            json!({"Authentication": {"ConnectionArn": "arn:aws:events:us-east-1:1:connection/none/0"}}),
            "States.Runtime",
            "no connection \"none\"",
        ),
        (
            "/api",
            json!({"Authentication": null}),
            "States.Runtime",
            "needs Authentication",
        ),
        (
            "/api",
            json!({"ApiEndpoint": "nowhere"}),
            "States.Runtime",
            "not an address",
        ),
    ] {
        let before = server.got.lock().len();
        let end = send(path, more.clone()).await;
        assert_eq!(end.error.as_deref(), Some(error), "{more}: {end:?}");
        let said = end.cause.unwrap();
        assert!(
            said.contains(cause) && !said.contains("hush"),
            "{more}: {said}"
        );
        assert_eq!(server.got.lock().len(), before, "nothing was sent: {more}");
    }
    // The engine's own bound comes first; the one here keeps a hostile answer out of memory.
    let most = output(&send("/api?size=200000", json!({})).await);
    assert_eq!(most["ResponseBody"].as_str().unwrap().len(), 200_000);
    for size in [ANSWER_BYTES, ANSWER_BYTES + 1] {
        let end = send(&format!("/api?size={size}"), json!({})).await;
        assert_eq!(
            end.error.as_deref(),
            Some("States.DataLimitExceeded"),
            "{size}"
        );
        let here = end.cause.unwrap().contains("is too large");
        assert_eq!(here, size > ANSWER_BYTES, "{size}");
    }
}

#[tokio::test]
async fn a_call_that_nobody_waits_for_is_let_go() {
    let mut server = serve(Box::new(|_| None)).await;
    let mut state = invoke(server.address, "/api", json!({}));
    state["TimeoutSeconds"] = json!(1);
    let end = run(&endpoint(server.address), state, "{}").await;
    assert_eq!(end.error.as_deref(), Some("States.Timeout"));
    tokio::time::timeout(crate::world::DEADLINE, server.gone.recv())
        .await
        .expect("the connection is closed")
        .unwrap();
}

#[tokio::test]
async fn a_service_that_is_not_configured_or_not_there_says_so() {
    let get = || {
        task(
            "dynamodb:getItem",
            json!({"TableName": "things", "Key": {}}),
        )
    };
    let end = run(&ServiceSettings::default(), get(), "{}").await;
    assert_eq!(end.error.as_deref(), Some("States.Runtime"));
    let cause = end.cause.unwrap();
    assert!(
        cause.contains("set `dynamodb` in the section [services]"),
        "{cause}"
    );
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let nobody = listener.local_addr().unwrap();
    drop(listener);
    let settings = ServiceSettings {
        dynamodb: Some(format!("http://{nobody}").parse().unwrap()),
        ..endpoint(nobody)
    };
    let end = run(&settings, get(), "{}").await;
    assert_eq!(end.error.as_deref(), Some("DynamoDB.SdkClientException"));
    let end = run(&settings, invoke(nobody, "/api", json!({})), "{}").await;
    assert_eq!(end.error.as_deref(), Some("States.Http.Socket"));
    assert!(!end.cause.unwrap().contains("k+1"), "no secret in a cause");
}

#[test]
fn a_service_that_is_not_here_is_refused_before_it_runs() {
    for (resource, supported) in [
        ("resize", true),
        ("arn:aws:states:us-east-1:123456789012:activity:a", true),
        ("arn:aws:states:::lambda:invoke", true),
        ("arn:aws:states:::lambda:invoke.waitForTaskToken", true),
        ("arn:aws:states:::states:startExecution", true),
        ("arn:aws:states:::states:startExecution.sync", true),
        ("arn:aws:states:::states:startExecution.sync:2", true),
        (
            "arn:aws:states:::states:startExecution.waitForTaskToken",
            true,
        ),
        ("arn:aws:states:::dynamodb:getItem", true),
        ("arn:aws:states:::dynamodb:putItem", true),
        ("arn:aws:states:::dynamodb:updateItem", true),
        ("arn:aws:states:::dynamodb:deleteItem", true),
        ("arn:aws:states:::sqs:sendMessage", true),
        ("arn:aws:states:::sqs:sendMessage.waitForTaskToken", true),
        ("arn:aws:states:::http:invoke", true),
        ("${FunctionArn}", true),
        ("arn:aws:states:::sns:publish", false),
        ("arn:aws:states:::ecs:runTask.sync", false),
        ("arn:aws:states:::aws-sdk:s3:getObject", false),
    ] {
        let request = json!({"FunctionName": "f", "StateMachineArn": "m", "TableName": "t", "Key": {}, "Item": {},
            "QueueUrl": "q", "MessageBody": "m", "Message": "m", "ApiEndpoint": "e", "Method": "GET", "TaskDefinition": "d"});
        let definition = json!({"StartAt": "S", "States": {"S": {"Type": "Task", "Resource": resource, "Parameters": request, "End": true}}});
        let parsed = Machine::parse("m", definition.to_string().into(), None);
        match parsed {
            Ok(_) => assert!(supported, "{resource}"),
            Err(problems) => {
                assert!(!supported, "{resource}: {problems:?}");
                assert_eq!(problems.len(), 1);
                let problem = &problems[0];
                assert_eq!(
                    (problem.code, problem.location.as_str()),
                    ("UNSUPPORTED_RESOURCE", "/States/S/Resource")
                );
                assert!(problem.hint.is_some());
            }
        }
    }
}

fn bucket(files: &[(&str, &str)]) -> (TempDir, ServiceSettings) {
    let directory = tempfile::tempdir().unwrap();
    for (key, text) in files {
        let path = directory.path().join(key);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    let store: Arc<dyn ObjectStore> =
        Arc::new(LocalFileSystem::new_with_prefix(directory.path()).unwrap());
    let settings = ServiceSettings {
        buckets: [("b".to_owned(), store)].into(),
        ..ServiceSettings::default()
    };
    (directory, settings)
}

fn map(reader: Value) -> Value {
    json!({"Type": "Map", "ItemReader": reader, "ItemProcessor": {
        "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"},
        "StartAt": "I", "States": {"I": {"Type": "Pass", "End": true}}}})
}

fn object(key: &str, config: Value) -> Value {
    map(
        json!({"Resource": "arn:aws:states:::s3:getObject", "ReaderConfig": config, "Parameters": {"Bucket": "b", "Key": key}}),
    )
}

#[tokio::test]
async fn a_map_reads_json_json_lines_csv_and_listings() {
    let (_directory, settings) = bucket(&[
        ("in/a.json", r#"[1, {"x": 2}]"#),
        ("in/b.jsonl", "{\"n\":1}\n{\"n\":2}\n"),
        ("in/c.csv", "\u{feff}id,name\n1,Ada\n2,\"Grace, H.\"\n"),
        ("in/d.csv", "1;x\n2;y\n"),
        ("index.json", "[]"),
    ]);
    for (state, want) in [
        (
            object("in/a.json", json!({"InputType": "JSON"})),
            json!([1, {"x": 2}]),
        ),
        (
            object("in/b.jsonl", json!({"InputType": "JSONL", "MaxItems": 1})),
            json!([{"n": 1}]),
        ),
        (
            object(
                "in/c.csv",
                json!({"InputType": "CSV", "CSVHeaderLocation": "FIRST_ROW"}),
            ),
            json!([{"id": "1", "name": "Ada"}, {"id": "2", "name": "Grace, H."}]),
        ),
        (
            object(
                "in/d.csv",
                json!({"InputType": "CSV", "CSVHeaderLocation": "GIVEN", "CSVHeaders": ["a", "b"], "CSVDelimiter": "SEMICOLON"}),
            ),
            json!([{"a": "1", "b": "x"}, {"a": "2", "b": "y"}]),
        ),
    ] {
        assert_eq!(
            output(&run(&settings, state.clone(), "{}").await),
            want,
            "{state}"
        );
    }
    let list = |prefix: &str| {
        map(
            json!({"Resource": "arn:aws:states:::s3:listObjectsV2", "Parameters": {"Bucket": "b", "Prefix": prefix}}),
        )
    };
    for (prefix, want) in [
        (
            "in/",
            vec!["in/a.json", "in/b.jsonl", "in/c.csv", "in/d.csv"],
        ),
        (
            "in",
            vec![
                "in/a.json",
                "in/b.jsonl",
                "in/c.csv",
                "in/d.csv",
                "index.json",
            ],
        ),
        ("in/c", vec!["in/c.csv"]),
        ("none", vec![]),
    ] {
        let listed = output(&run(&settings, list(prefix), "{}").await);
        let keys: Vec<&str> = listed
            .as_array()
            .unwrap()
            .iter()
            .map(|object| object["Key"].as_str().unwrap())
            .collect();
        assert_eq!(keys, want, "{prefix}");
    }
}

#[tokio::test]
async fn what_a_map_cannot_read_is_named() {
    let (directory, settings) = bucket(&[("bytes.json", ""), ("c.json", "{\"no\": 1}")]);
    std::fs::write(directory.path().join("bytes.json"), b"[\xff]").unwrap();
    // It has holes: it takes no room.
    let huge = std::fs::File::create(directory.path().join("huge.json")).unwrap();
    huge.set_len(asl::MAX_ITEMS_BYTES as u64 + 1).unwrap();
    let mut elsewhere = object("a.json", json!({}));
    elsewhere["ItemReader"]["Parameters"]["Bucket"] = json!("other");
    for (state, cause) in [
        (elsewhere, "no bucket \"other\""),
        (
            object("none.json", json!({})),
            "The specified key does not exist",
        ),
        (object("bytes.json", json!({})), "not UTF-8"),
        (object("huge.json", json!({})), "are allowed"),
        (object("../secret", json!({})), "cannot be used"),
        (object("c.json", json!({})), "non-iterable"),
    ] {
        let end = run(&settings, state, "{}").await;
        assert_eq!(end.error.as_deref(), Some("States.ItemReaderFailed"));
        let said = end.cause.unwrap();
        assert!(said.contains(cause), "{cause}: {said}");
    }
}

#[tokio::test]
async fn results_are_written_with_a_manifest() {
    let (directory, settings) = bucket(&[("a.json", "[1, 2, 3]")]);
    let mut state = object("a.json", json!({"InputType": "JSON"}));
    state["ResultWriter"] = json!({"Resource": "arn:aws:states:::s3:putObject", "Parameters": {"Bucket": "b", "Prefix": "out"}});
    state["ItemBatcher"] = json!({"MaxItemsPerBatch": 2});
    let answer = output(&run(&settings, state.clone(), "{}").await);
    let manifest = answer["ResultWriterDetails"]["Key"].as_str().unwrap();
    let read = |key: &str| -> Value {
        serde_json::from_str(&std::fs::read_to_string(directory.path().join(key)).unwrap()).unwrap()
    };
    let manifest = read(manifest);
    let files = manifest["ResultFiles"]["SUCCEEDED"].as_array().unwrap();
    let results = read(files[0]["Key"].as_str().unwrap());
    assert_eq!(results.as_array().unwrap().len(), 2);
    assert_eq!(results[0]["Output"], r#"{"Items":[1,2]}"#);
    state["ResultWriter"]["Parameters"]["Bucket"] = json!("none");
    let end = run(&settings, state, "{}").await;
    assert_eq!(end.error.as_deref(), Some("States.ResultWriterFailed"));
}
