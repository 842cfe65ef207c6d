//! `csv-report`: from a table's address to a report and a chart.

use serde_json::{Value, json};

use crate::machine::run;
use crate::server::{Fault, Server};

const TABLE: &str =
    "day,item,amount\n2026-01-01,apple,2.5\n2026-01-02,pear,\n2026-01-03,apple,7.5\n";

#[tokio::test]
async fn a_table_becomes_a_report_and_a_chart() {
    let server = Server::start().await;
    let csv = server.put("table.csv", TABLE);
    let result = run(&server, "csv-report", json!({ "csv": csv }))
        .await
        .unwrap();
    assert_eq!(
        (&result["rows"], &result["columns"], &result["bytes"]),
        (&json!(3), &json!(3), &json!(TABLE.len()))
    );
    assert_eq!(result["summary"][2]["mean"], 5.0);
    let (content_type, bytes) = server.file(result["report"]["url"].as_str().unwrap());
    assert_eq!(content_type, "application/json");
    let report: Value = serde_json::from_slice(&bytes).unwrap();
    let types: Vec<_> = report["columns"]
        .as_array()
        .unwrap()
        .iter()
        .map(|column| &column["type"])
        .collect();
    assert_eq!(types, ["date", "text", "number"]);
    assert_eq!(report["columns"][2]["numbers"]["p50"], 5.0);
    assert_eq!(
        (
            &report["columns"][2]["count"],
            &report["columns"][2]["empty"]
        ),
        (&json!(2), &json!(1))
    );
    assert_eq!(
        report["columns"][1]["top"][0],
        json!({"value": "apple", "count": 2, "error": 0})
    );
    let (content_type, svg) = server.file(result["chart"]["url"].as_str().unwrap());
    assert_eq!(content_type, "image/svg+xml");
    let svg = String::from_utf8(svg.to_vec()).unwrap();
    assert!(
        roxmltree::Document::parse(&svg)
            .unwrap()
            .root_element()
            .has_tag_name(("http://www.w3.org/2000/svg", "svg"))
    );
    assert!(svg.contains(">amount<"));
    assert!(!result.to_string().contains(crate::server::TOKEN));
    let last = server.last_report().unwrap();
    assert_eq!(
        (&last["step"], &last["progress"]),
        (&json!("Chart"), &json!(100))
    );
}

#[tokio::test]
async fn a_table_without_numbers_has_no_chart() {
    let server = Server::start().await;
    let csv = server.put("table.csv", "a\tb\nx\ty\n");
    let result = run(
        &server,
        "csv-report",
        json!({"csv": csv, "delimiter": "\t"}),
    )
    .await
    .unwrap();
    assert_eq!((&result["rows"], result.get("chart")), (&json!(1), None));
}

#[tokio::test]
async fn an_invalid_table_fails_with_its_line() {
    let server = Server::start().await;
    let csv = server.put("table.csv", "a,b\n1,2\n3\n");
    let (error, cause) = run(&server, "csv-report", json!({ "csv": csv }))
        .await
        .unwrap_err();
    assert_eq!(error, "InvalidCsv");
    assert!(cause.contains("line 3 has 1 fields"), "{cause}");
    let csv = server.put("table.csv", "");
    assert_eq!(
        run(&server, "csv-report", json!({ "csv": csv }))
            .await
            .unwrap_err()
            .0,
        "InvalidCsv"
    );
}

#[tokio::test]
async fn a_chart_that_cannot_be_stored_fails_by_name() {
    let server = Server::start().await;
    let csv = server.put("table.csv", TABLE);
    let input = server.event(json!({ "input": { "csv": csv } }));
    let analysis = crate::machine::invoke("csv-report-analyze", input)
        .await
        .unwrap();
    // Every GraphQL request from now on is refused, the chart's upload with them.
    server.refuse("Unauthorized", "the token has expired");
    let input = server.event(json!({"rows": 3, "histograms": analysis["histograms"]}));
    let failure = crate::machine::invoke("csv-report-chart", input)
        .await
        .unwrap_err();
    assert_eq!(failure.error_type, "Refused");
}

#[tokio::test]
async fn an_interrupted_download_starts_again() {
    let server = Server::start().await;
    let csv = server.put("table.csv", TABLE);
    server.fault(Fault::Status(502));
    let result = run(&server, "csv-report", json!({ "csv": csv }))
        .await
        .unwrap();
    assert_eq!(result["rows"], 3);
}

#[tokio::test]
async fn a_failed_chart_does_not_fail_the_report() {
    let server = Server::start().await;
    let csv = server.put("table.csv", TABLE);
    // The report is the first upload, the chart the second and last.
    server.refuse_uploads_after(1);
    let result = run(&server, "csv-report", json!({ "csv": csv }))
        .await
        .unwrap();
    assert_eq!((&result["rows"], result.get("chart")), (&json!(3), None));
    server.file(result["report"]["url"].as_str().unwrap());
}
