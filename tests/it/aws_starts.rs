//! Starts of a node that cannot work: each says what is wrong and what to do.

use serde_json::{Value, json};

use crate::aws::{configured, home};
use crate::kit::aws::{DynamoDb, StepFunctions};
use crate::kit::proxy::{Fault, Proxy};
use crate::kit::s3::S3;
use crate::kit::{Home, soon};

/// A change of a response.
type Edit = fn(&mut Value);

/// A home behind a proxy before DynamoDB.
struct Behind {
    _dynamodb: DynamoDb,
    proxy: Proxy,
    home: Home,
}

impl Behind {
    async fn start() -> Behind {
        let dynamodb = DynamoDb::start().await;
        let proxy = Proxy::before(&dynamodb.endpoint).await;
        let home = configured(
            home(),
            DynamoDb::TABLE,
            &proxy.endpoint,
            "http://127.0.0.1:1",
        );
        Behind {
            _dynamodb: dynamodb,
            proxy,
            home,
        }
    }

    /// A start must fail, and its error contain these texts.
    async fn refuses(&self, texts: &[&str]) {
        let (status, said) = self.home.refuses(&[]).await;
        assert!(!status.success(), "{said}");
        for text in ["the table jobs of [aws] cannot be used"]
            .iter()
            .chain(texts)
        {
            assert!(said.contains(text), "{text}: {said}");
        }
        self.proxy.heal();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn credentials_that_aws_refuses_are_named() {
    let behind = Behind::start().await;
    let text = "The security token included in the request is invalid.";
    behind
        .proxy
        .rule(move |_| Some(Fault::error("UnrecognizedClientException", text)));
    behind
        .refuses(&[
            "dynamodb:DescribeTable",
            text,
            "give this node valid credentials",
        ])
        .await;
    behind.proxy.date("Sun, 06 Nov 1994 08:49:37 GMT");
    let text = "Signature expired: 20261201T000000Z is now earlier than 20261201T001500Z";
    behind
        .proxy
        .rule(move |_| Some(Fault::error("InvalidSignatureException", text)));
    behind
        .refuses(&[
            "set the clock of this machine, which is",
            "s ahead of AWS's",
        ])
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_missing_table_is_named_with_its_region() {
    let behind = Behind::start().await;
    let missing = || Fault::error("ResourceNotFoundException", "Requested resource not found");
    behind.proxy.every("DescribeTable", missing());
    behind
        .refuses(&[
            "there is no table jobs in the region us-east-1",
            "jobcast create-table",
            "the region and the account",
        ])
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_missing_permission_is_named() {
    let behind = Behind::start().await;
    for action in [
        "DescribeTable",
        "GetItem",
        "BatchGetItem",
        "PutItem",
        "UpdateItem",
        "DeleteItem",
        "Query",
    ] {
        let denied = Fault::error("AccessDeniedException", "User: x is not authorized");
        behind.proxy.every(action, denied);
        let named = format!("allow dynamodb:{action} on table jobs");
        behind.refuses(&[&named]).await;
    }
    for action in ["DescribeStream", "GetShardIterator"] {
        let denied = Fault::error("AccessDeniedException", "User: x is not authorized");
        behind.proxy.every(action, denied);
        let (status, said) = behind.home.refuses(&[]).await;
        assert!(!status.success(), "{said}");
        assert!(
            said.contains(&format!("allow dynamodb:{action} on arn:")),
            "{said}"
        );
        behind.proxy.heal();
    }
    let both = Fault::error("AccessDeniedException", "User: x is not authorized");
    behind.proxy.every("UpdateItem", both.clone());
    behind.proxy.every("Query", both);
    behind
        .refuses(&["allow dynamodb:UpdateItem", "allow dynamodb:Query"])
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_of_another_form_is_described_with_what_to_do() {
    let behind = Behind::start().await;
    let edits: [(Edit, &str); 5] = [
        (
            |answer| {
                drop(
                    answer["Table"]
                        .as_object_mut()
                        .unwrap()
                        .remove("StreamSpecification"),
                )
            },
            "it has no stream, or a disabled one: enable one with the view type NEW_AND_OLD_IMAGES",
        ),
        (
            |answer| answer["Table"]["StreamSpecification"]["StreamViewType"] = json!("KEYS_ONLY"),
            "the view type of its stream is KEYS_ONLY: disable the stream",
        ),
        (
            |answer| {
                let indexes = answer["Table"]["GlobalSecondaryIndexes"].as_array_mut();
                indexes
                    .unwrap()
                    .retain(|index| index["IndexName"] != "open");
            },
            "it has no index `open`: add a global secondary index with the keys `open` and `id`",
        ),
        (
            |answer| answer["Table"]["KeySchema"][0]["AttributeName"] = json!("id"),
            "its keys are not `pk` (partition) and `sk` (sort)",
        ),
        (
            |answer| answer["Table"]["TableStatus"] = json!("CREATING"),
            "it is CREATING: wait until it is ACTIVE",
        ),
    ];
    for (edit, said) in edits {
        behind.proxy.every("DescribeTable", Fault::Edit(edit));
        behind.refuses(&[said]).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_of_a_newer_version_are_refused() {
    let behind = Behind::start().await;
    let newer = |answer: &mut Value| {
        if answer["Item"]["sk"]["S"] == "SCHEMA" {
            answer["Item"]["version"] = json!({ "N": "2" });
        }
    };
    behind.proxy.every("GetItem", Fault::Edit(newer));
    behind
        .refuses(&["its rows are of version 2, and this program knows versions up to 1"])
        .await;
    assert!(
        behind.home.start().await.stop().await.success(),
        "its own version"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_that_differs_is_logged() {
    let behind = Behind::start().await;
    behind.proxy.date("Sun, 06 Nov 1994 08:49:37 GMT");
    let server = behind.home.start().await;
    let log = behind.home.log();
    assert!(
        log.contains("this machine's clock is") && log.contains("s ahead of AWS's"),
        "{log}"
    );
    drop(server);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn state_machines_that_are_missing_or_differ_are_named() {
    let dynamodb = DynamoDb::start().await;
    let deployed = home();
    let step_functions = StepFunctions::start(&deployed.path("state-machines")).await;
    let other =
        json!({ "StartAt": "First", "States": { "First": { "Type": "Pass", "End": true } } });
    let home = home().machine("new", &other).machine("two-steps", &other);
    let home = configured(
        home,
        DynamoDb::TABLE,
        &dynamodb.endpoint,
        &step_functions.endpoint,
    );
    let server = home.start().await;
    let log = home.log();
    for said in [
        "there is no state machine arn:aws:states:us-east-1:000000000000:stateMachine:new for new.asl.json",
        "stateMachine:two-steps differs from two-steps.asl.json at /States/First/",
    ] {
        assert!(log.contains(said), "{said}: {log}");
    }
    assert!(!log.contains("stateMachine:ask"), "it is deployed: {log}");
    drop(server);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bucket_that_cannot_be_used_is_named_and_uploads_say_so() {
    let behind = Behind::start().await;
    let s3 = S3::start().await;
    let home = behind.home.config(&format!(
        "bucket = \"no-such-bucket\"\ns3_endpoint_url = \"{}\"",
        s3.endpoint
    ));
    let server = home.start().await;
    let log = home.log();
    assert!(
        log.contains("the bucket of [aws] cannot be used") && log.contains("no-such-bucket"),
        "{log}"
    );
    let (status, _, said) = upload(&server.client()).await;
    assert_eq!(status, 502, "{said}");
    assert!(
        said.contains("the bucket of the files cannot be used"),
        "{said}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upload_to_a_busy_bucket_is_asked_to_come_again() {
    let behind = Behind::start().await;
    let s3 = S3::start().await;
    let home = behind.home.config(&format!(
        "bucket = \"{}\"\ns3_endpoint_url = \"{}\"",
        S3::BUCKET,
        s3.endpoint
    ));
    let server = home.start().await;
    assert!(
        !home.log().contains("the bucket of [aws] cannot be used"),
        "{}",
        home.log()
    );
    s3.slow_down();
    let (status, retry_after, said) = upload(&server.client()).await;
    assert_eq!(status, 503, "{said}");
    assert_eq!(retry_after.as_deref(), Some("5"));
    assert!(said.contains("send the file again later"), "{said}");
}

/// Uploads a file: status, `Retry-After` and text of the response.
async fn upload(client: &crate::kit::Client) -> (u16, Option<String>, String) {
    let document = "mutation { createUpload(name: \"a.txt\", contentType: \"text/plain\", size: 5) { putUrl } }";
    let upload = client.data(document, json!({})).await;
    let request = client.request(reqwest::Method::PUT, upload["putUrl"].as_str().unwrap());
    let request = request.header("content-type", "text/plain").body("12345");
    let answer = soon("an answer", request.send()).await.unwrap();
    let retry_after = answer.headers().get("retry-after");
    let retry_after = retry_after.map(|seconds| seconds.to_str().unwrap().to_owned());
    (
        answer.status().as_u16(),
        retry_after,
        answer.text().await.unwrap(),
    )
}
