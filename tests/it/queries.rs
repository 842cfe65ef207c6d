//! The queries and mutations over the real server, and that none of the schema is forgotten here.

use serde_json::{Value, json};

use crate::kit::{Client, Home, JOB};

/// The names of all fields of `Query`, `Mutation` and `Subscription` stand in a test of this
/// folder.
#[test]
fn every_root_field_is_tested() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let schema = std::fs::read_to_string(root.join("schema.graphql")).unwrap();
    let tests: String = std::fs::read_dir(root.join("tests/it"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_file())
        .map(|path| std::fs::read_to_string(path).unwrap())
        .collect();
    let mut fields = 0;
    for kind in ["Query", "Mutation", "Subscription"] {
        let body = schema.split(&format!("\ntype {kind} {{\n")).nth(1).unwrap();
        for line in body.split("\n}").next().unwrap().lines() {
            let name: String = line
                .trim()
                .chars()
                .take_while(char::is_ascii_alphanumeric)
                .collect();
            let field = line.starts_with("  ")
                && line.contains(": ")
                && line.trim()[name.len()..].starts_with(['(', ':']);
            if field && !name.is_empty() {
                assert!(
                    tests.contains(&format!("{name}(")) || tests.contains(&format!("{name} {{")),
                    "{name} is not tested"
                );
                fields += 1;
            }
        }
    }
    assert_eq!(fields, 15, "all fields were found");
}

async fn list(client: &Client, arguments: Value) -> (Vec<String>, Option<String>) {
    let document = "query($filter: JobFilter, $sort: JobSort, $limit: Int! = 20, $next: String) {
        listJobs(filter: $filter, sort: $sort, limit: $limit, nextToken: $next) { items { id } nextToken } }";
    let page = client.data(document, arguments).await;
    let ids = page["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|job| job["id"].as_str().unwrap().to_owned());
    (ids.collect(), page["nextToken"].as_str().map(str::to_owned))
}

#[tokio::test]
async fn lists_in_order_in_pages_and_by_filter() {
    let home = Home::simple();
    let server = home.start().await;
    let client = server.client();
    let mut ids = Vec::new();
    for number in 0..7 {
        let job_type = if number % 2 == 0 { "pass" } else { "wait" };
        let job = client
            .submit_with(json!({ "type": job_type, "tags": [format!("n{number}"), "all"] }))
            .await;
        ids.push(job["id"].as_str().unwrap().to_owned());
    }
    for id in ids.iter().step_by(2) {
        client.until_status(id, "SUCCEEDED").await;
    }
    for id in ids.iter().skip(1).step_by(2) {
        client.until_status(id, "WAITING").await;
    }
    let newest: Vec<String> = ids.iter().rev().cloned().collect();
    assert_eq!(list(&client, json!({})).await, (newest.clone(), None));
    assert_eq!(list(&client, json!({ "sort": "OLDEST" })).await.0, ids);
    for (sort, all) in [("NEWEST", &newest), ("OLDEST", &ids)] {
        let (mut seen, mut next) = (Vec::new(), None);
        loop {
            let (page, more) =
                list(&client, json!({ "sort": sort, "limit": 3, "next": next })).await;
            assert!(page.len() <= 3);
            seen.extend(page);
            next = more;
            if next.is_none() {
                break;
            }
        }
        assert_eq!(&seen, all, "{sort}");
    }
    let pick = |places: &[usize]| {
        places
            .iter()
            .map(|place| ids[*place].clone())
            .collect::<Vec<_>>()
    };
    for (filter, places) in [
        (json!({ "type": { "eq": "wait" } }), &[5, 3, 1][..]),
        (json!({ "type": { "ne": "wait" } }), &[6, 4, 2, 0]),
        (
            json!({ "status": { "in": ["WAITING"] }, "tags": { "containsAny": ["n1", "n2"] } }),
            &[1],
        ),
        (
            json!({ "status": { "notIn": ["WAITING"] }, "tags": { "contains": "n4" } }),
            &[4],
        ),
        (json!({ "tags": { "beginsWith": "n6" } }), &[6]),
        (json!({ "tags": { "notContains": "all" } }), &[]),
        (json!({ "id": { "gt": ids[4] } }), &[6, 5]),
        (json!({ "id": { "between": [ids[1], ids[2]] } }), &[2, 1]),
        (
            json!({ "owner": { "beginsWith": "de" }, "id": { "le": ids[0] } }),
            &[0],
        ),
        (json!({ "owner": { "eq": "nobody" } }), &[]),
        (json!({ "finishedAt": { "eq": null } }), &[5, 3, 1]),
        (json!({ "finishedAt": { "ne": null } }), &[6, 4, 2, 0]),
        (
            json!({ "progress": { "ge": 100 }, "attempt": { "lt": 2 } }),
            &[6, 4, 2, 0],
        ),
        (
            json!({ "createdAt": { "lt": "2000-01-01T00:00:00Z" } }),
            &[],
        ),
        (
            json!({ "updatedAt": { "gt": "2000-01-01T00:00:00Z" }, "type": { "contains": "ai" } }),
            &[5, 3, 1],
        ),
    ] {
        assert_eq!(
            list(&client, json!({ "filter": filter })).await.0,
            pick(places),
            "{filter}"
        );
    }
    // A variable that is not supplied counts as omitted; null is a value.
    let document = "query($end: AWSDateTime) { listJobs(filter: { finishedAt: { eq: $end } }) { items { id } } }";
    let size = |page: Value| page["items"].as_array().unwrap().len();
    assert_eq!(size(client.data(document, json!({})).await), 7);
    assert_eq!(size(client.data(document, json!({ "end": null })).await), 3);

    let stats = client.data("{ jobStats { total truncated byStatus { status count } durations { type count p50Millis p95Millis } } }", json!({})).await;
    assert_eq!(
        (&stats["total"], &stats["truncated"]),
        (&json!(7), &json!(false))
    );
    assert!(
        stats["byStatus"]
            .as_array()
            .unwrap()
            .contains(&json!({ "status": "WAITING", "count": 3 })),
        "{stats}"
    );
    assert_eq!(stats["durations"][0]["type"], "pass");
    assert_eq!(stats["durations"][0]["count"], 4);
    let none = client
        .data(
            "{ jobStats(since: \"2999-01-01T00:00:00Z\") { total } }",
            json!({}),
        )
        .await;
    assert_eq!(none["total"], 0);
}

#[tokio::test]
async fn job_types_with_their_definition_and_schema() {
    let schema = json!({ "type": "object" });
    let definition = json!({ "Comment": "Says hello", "StartAt": "A", "States": {
        "A": { "Type": "Wait", "Seconds": 0, "Next": "B" }, "B": { "Type": "Pass", "End": true } } });
    let home = Home::simple()
        .machine("hello", &definition)
        .schema("hello", &schema);
    let server = home.start().await;
    let types = server
        .client()
        .data(
            "{ listJobTypes { name description inputSchema definition steps } }",
            json!({}),
        )
        .await;
    let names: Vec<&str> = types
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["hello", "pass", "wait"]);
    let hello = &types[0];
    let text = |field: &str| serde_json::from_str::<Value>(hello[field].as_str().unwrap()).unwrap();
    assert_eq!(
        (&hello["description"], &hello["steps"]),
        (&json!("Says hello"), &json!(["A"]))
    );
    assert_eq!(
        (text("definition"), text("inputSchema")),
        (definition, schema)
    );
}

#[tokio::test]
async fn a_retry_goes_on_from_the_step_that_failed() {
    let definition = json!({ "StartAt": "First", "States": {
        "First": { "Type": "Task", "Resource": "noop2", "ResultPath": "$.first", "Next": "Ask" },
        "Ask": { "Type": "Task", "Resource": "arn:aws:states:::lambda:invoke.waitForTaskToken",
            "Parameters": { "FunctionName": "noop1", "Payload": { "job.$": "$.job" } }, "ResultPath": "$.answer", "Next": "Last" },
        "Last": { "Type": "Pass", "InputPath": "$.answer", "End": true },
    } });
    let home = Home::simple().machine("steps", &definition);
    let server = home.start().await;
    let client = server.client();
    let id = client.submit("steps", &json!({})).await;
    client.until_status(&id, "WAITING").await;
    let resume = "mutation($id: ID!, $output: AWSJSON, $error: String) { resumeJob(id: $id, step: \"Ask\", output: $output, error: $error) { status } }";
    client
        .data(resume, json!({ "id": id, "error": "NotNow" }))
        .await;
    let failed = client.until_status(&id, "FAILED").await;
    assert_eq!(
        (&failed["error"]["name"], &failed["error"]["step"]),
        (&json!("NotNow"), &json!("Ask"))
    );
    let states = |job: &Value| {
        let steps = job["steps"].as_array().unwrap().iter();
        steps
            .map(|step| step["status"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(states(&failed), ["SUCCEEDED", "FAILED"]);
    let retry = format!("mutation($id: ID!) {{ retryJob(id: $id) {{ {JOB} }} }}");
    let retried = client.data(&retry, json!({ "id": id })).await;
    assert_eq!(retried["attempt"], 2);
    let waiting = client.until_status(&id, "WAITING").await;
    assert_eq!(states(&waiting), ["SUCCEEDED", "WAITING"]);
    assert!(waiting["error"].is_null(), "{waiting}");
    client
        .data(resume, json!({ "id": id, "output": "{\"ok\":true}" }))
        .await;
    let done = client.until_status(&id, "SUCCEEDED").await;
    assert_eq!(
        (&done["attempt"], &done["progress"]),
        (&json!(2), &json!(100))
    );
    assert_eq!(client.job(&id).await["result"], "{\"ok\":true}");
    // In one execution: the first step ran once.
    let document = "query($id: ID!) { getJob(id: $id) { input history { events } } }";
    let job = client.data(document, json!({ "id": id })).await;
    assert_eq!(job["input"], "{}");
    let events: Vec<Value> = job["history"]["events"]
        .as_array()
        .unwrap()
        .iter()
        .map(|event| serde_json::from_str(event.as_str().unwrap()).unwrap())
        .collect();
    let entered = |state: &str| {
        events
            .iter()
            .filter(|event| event["stateEnteredEventDetails"]["name"] == state)
            .count()
    };
    assert_eq!((entered("First"), entered("Last")), (1, 1), "{events:#?}");
    assert!(
        events
            .iter()
            .any(|event| event["type"] == "ExecutionRedriven"),
        "{events:#?}"
    );
}

#[tokio::test]
async fn a_batch_is_answered_in_its_order() {
    let home = Home::simple();
    let server = home.start().await;
    let client = server.client();
    let document = "mutation($inputs: [SubmitJobInput!]!) { submitJobs(inputs: $inputs) { job { id input tags } error { code } } }";
    let inputs: Vec<Value> = (0..20).map(|number| json!({ "type": "pass", "input": format!("{number}"), "tags": [format!("{number}")] })).collect();
    let jobs = client.data(document, json!({ "inputs": inputs })).await;
    for (number, one) in jobs.as_array().unwrap().iter().enumerate() {
        assert_eq!(one["job"]["input"], number.to_string().as_str());
        let id = one["job"]["id"].as_str().unwrap();
        client.until_status(id, "SUCCEEDED").await;
    }
}
