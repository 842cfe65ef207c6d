//! The sample inputs that a newcomer sees first: each behaves as its name says, through its whole
//! job type.

use std::path::PathBuf;

use serde_json::{Value, json};

use crate::machine::{Outcome, run};
use crate::server::Server;

/// The size limit of the folder, which is part of every clone.
const MAX_FOLDER_BYTES: u64 = 1_500_000;

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("files")
}

async fn thumbnails(name: &str) -> Outcome {
    let server = Server::start().await;
    let image = server.put(name, std::fs::read(folder().join(name)).unwrap());
    run(
        &server,
        "thumbnails",
        json!({"image": image, "widths": [320]}),
    )
    .await
}

fn size(of: &Value) -> (u64, u64) {
    (
        of["width"].as_u64().unwrap(),
        of["height"].as_u64().unwrap(),
    )
}

#[test]
fn the_folder_is_small_and_every_file_is_tested() {
    let entries: Vec<_> = std::fs::read_dir(folder())
        .unwrap()
        .map(Result::unwrap)
        .collect();
    let bytes: u64 = entries
        .iter()
        .map(|entry| entry.metadata().unwrap().len())
        .sum();
    assert!(bytes < MAX_FOLDER_BYTES, "{bytes}");
    let mut names: Vec<_> = entries
        .iter()
        .map(|entry| entry.file_name().into_string().unwrap())
        .collect();
    names.sort();
    let expected = [
        "aurora.webp",
        "corrupt.jpg",
        "lake-sunset.jpg",
        "night-city.png",
        "orders.csv",
        "poppies-rotated.jpg",
    ];
    assert_eq!(names, expected);
}

#[tokio::test]
async fn a_sample_picture_becomes_thumbnails() {
    let cases = [
        ("lake-sunset.jpg", "jpeg", 1, (1500, 1000), (320, 213)),
        ("night-city.png", "png", 1, (900, 600), (320, 213)),
        ("aurora.webp", "webp", 1, (780, 520), (320, 213)),
        // Stored on its side: its EXIF data turns it upright.
        ("poppies-rotated.jpg", "jpeg", 6, (960, 1280), (320, 427)),
    ];
    for (name, format, orientation, whole, small) in cases {
        let result = thumbnails(name).await.unwrap();
        let source = &result["source"];
        assert_eq!(
            (&source["format"], &source["orientation"]),
            (&json!(format), &json!(orientation)),
            "{name}"
        );
        assert_eq!(size(source), whole, "{name}");
        assert_eq!(size(&result["thumbnails"][0]), small, "{name}");
    }
}

#[tokio::test]
async fn the_corrupt_picture_fails_by_name() {
    let (error, cause) = thumbnails("corrupt.jpg").await.unwrap_err();
    assert_eq!(error, "InvalidImage");
    assert!(cause.contains("cut off"), "{cause}");
}

#[tokio::test]
async fn the_orders_become_a_report() {
    let server = Server::start().await;
    let csv = server.put(
        "orders.csv",
        std::fs::read(folder().join("orders.csv")).unwrap(),
    );
    let result = run(&server, "csv-report", json!({ "csv": csv }))
        .await
        .unwrap();
    assert_eq!(
        (&result["rows"], &result["columns"]),
        (&json!(5000), &json!(12))
    );
    let (_, report) = server.file(result["report"]["url"].as_str().unwrap());
    let report: Value = serde_json::from_slice(&report).unwrap();
    let columns: Vec<_> = report["columns"].as_array().unwrap().iter().collect();
    let of = |name: &str| {
        *columns
            .iter()
            .find(|column| column["name"] == name)
            .unwrap()
    };
    assert_eq!(
        of("ordered_on")["dates"],
        json!({"min": "2024-01-01", "max": "2025-12-31"})
    );
    assert_eq!(
        (
            &of("country")["distinct"],
            &of("country")["top"][0]["value"]
        ),
        (&json!(7), &json!("DE"))
    );
    assert!(of("rating")["empty"].as_u64().unwrap() > 1000);
    assert!(
        of("total")["numbers"]["mean"].as_f64().unwrap()
            > of("total")["numbers"]["p50"].as_f64().unwrap()
    );
    // order_id, quantity, unit_price, discount, total, delivery_days, rating.
    assert_eq!(result["chart"]["charts"], 7);
}
