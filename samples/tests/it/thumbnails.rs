//! `thumbnails`: from a picture's address to its thumbnails' addresses.

use image::{DynamicImage, GenericImageView, Rgb, RgbImage};
use samples::thumbnails::{Format, MAX_FILE_BYTES, Picture};
use serde_json::{Value, json};

use crate::machine::run;
use crate::server::{Fault, Server};

/// Red above, blue below.
fn file(width: u32, height: u32, format: image::ImageFormat) -> Vec<u8> {
    let colour = |y| {
        if y < height / 2 {
            Rgb([220, 30, 30])
        } else {
            Rgb([30, 30, 220])
        }
    };
    let pixels = DynamicImage::from(RgbImage::from_fn(width, height, |_, y| colour(y)));
    let mut file = std::io::Cursor::new(Vec::new());
    pixels.write_to(&mut file, format).unwrap();
    file.into_inner()
}

async fn check(server: &Server, result: &Value, widths: &[u64], format: Format) {
    let made: Vec<_> = result["thumbnails"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["width"].as_u64().unwrap())
        .collect();
    assert_eq!(made, widths);
    for thumbnail in result["thumbnails"].as_array().unwrap() {
        let (content_type, bytes) = server.file(thumbnail["url"].as_str().unwrap());
        assert_eq!(content_type, format.content_type());
        assert_eq!(thumbnail["bytes"], bytes.len());
        let picture = Picture::decode(&bytes).unwrap();
        assert_eq!(picture.format, format);
        assert_eq!(
            (json!(picture.size().0), json!(picture.size().1)),
            (thumbnail["width"].clone(), thumbnail["height"].clone())
        );
        let (width, height) = picture.size();
        let (above, below) = (
            picture.pixels.get_pixel(width / 2, 1),
            picture.pixels.get_pixel(width / 2, height - 2),
        );
        assert!(
            above[0] > 150 && above[2] < 100 && below[2] > 150 && below[0] < 100,
            "{above:?} {below:?}"
        );
    }
    let sheet = &result["contactSheet"];
    let (_, bytes) = server.file(sheet["url"].as_str().unwrap());
    assert_eq!(
        json!(Picture::decode(&bytes).unwrap().size().0),
        sheet["width"]
    );
}

#[tokio::test]
async fn every_format_becomes_thumbnails() {
    let server = Server::start().await;
    let cases = [
        (image::ImageFormat::Jpeg, Format::Jpeg),
        (image::ImageFormat::Png, Format::Png),
        (image::ImageFormat::WebP, Format::Webp),
    ];
    for (written, format) in cases {
        let image = server.put("picture", file(400, 300, written));
        let result = run(
            &server,
            "thumbnails",
            json!({"image": image, "widths": [200, 100, 401]}),
        )
        .await
        .unwrap();
        check(&server, &result, &[100, 200], format).await;
        assert_eq!(result["source"]["skipped"], json!([401]));
        assert!(
            !result.to_string().contains(crate::server::TOKEN),
            "a result is for everybody's eyes"
        );
    }
}

#[tokio::test]
async fn the_widths_have_a_default() {
    let server = Server::start().await;
    let image = server.put("picture", file(700, 100, image::ImageFormat::Png));
    let result = run(&server, "thumbnails", json!({"image": image}))
        .await
        .unwrap();
    check(&server, &result, &[160, 320, 640], Format::Png).await;
}

#[tokio::test]
async fn a_picture_smaller_than_every_width_gives_no_thumbnail() {
    let server = Server::start().await;
    let image = server.put("picture", file(50, 40, image::ImageFormat::Jpeg));
    let result = run(&server, "thumbnails", json!({"image": image}))
        .await
        .unwrap();
    assert_eq!(
        (&result["thumbnails"], &result["contactSheet"]),
        (&json!([]), &Value::Null)
    );
    assert_eq!(result["source"]["skipped"], json!([160, 320, 640, 1024]));
}

#[tokio::test]
async fn an_invalid_picture_fails_by_name_without_a_retry() {
    let server = Server::start().await;
    let whole = file(400, 300, image::ImageFormat::Jpeg);
    let cases = [
        (whole[..whole.len() / 2].to_vec(), "InvalidImage"),
        (b"GIF89a\x01\0\x01\0".to_vec(), "UnsupportedFormat"),
        (Vec::new(), "InvalidImage"),
    ];
    for (bytes, name) in cases {
        let image = server.put("picture", bytes);
        let (error, cause) = run(&server, "thumbnails", json!({ "image": image }))
            .await
            .unwrap_err();
        assert_eq!(error, name, "{cause}");
    }
    let gone = format!("{}/files/none", server.url);
    assert_eq!(
        run(&server, "thumbnails", json!({ "image": gone }))
            .await
            .unwrap_err()
            .0,
        "FileNotAvailable"
    );
    let large = server.put_repeated(
        "large",
        vec![0; 1 << 20],
        (MAX_FILE_BYTES >> 20) as usize + 1,
    );
    assert_eq!(
        run(&server, "thumbnails", json!({ "image": large }))
            .await
            .unwrap_err()
            .0,
        "FileTooLarge"
    );
    let image = server.put("picture", whole);
    let wrong = run(
        &server,
        "thumbnails",
        json!({"image": image, "widths": [0]}),
    )
    .await;
    assert_eq!(wrong.unwrap_err().0, "InvalidInput");
}

#[tokio::test]
async fn a_temporary_error_of_the_service_is_retried() {
    let server = Server::start().await;
    let image = server.put("picture", file(200, 100, image::ImageFormat::Png));
    // One more than a function's own retries: the definition's Retry takes over.
    for _ in 0..functions::MAX_ATTEMPTS + 1 {
        server.fault(Fault::Status(503));
    }
    let result = run(
        &server,
        "thumbnails",
        json!({"image": image, "widths": [100]}),
    )
    .await
    .unwrap();
    check(&server, &result, &[100], Format::Png).await;
}

#[tokio::test]
async fn a_picture_at_a_foreign_address_is_refused() {
    let (server, other) = (Server::start().await, Server::start().await);
    let image = other.put("picture.png", file(8, 8, image::ImageFormat::Png));
    for (name, input) in [
        ("thumbnails", json!({ "image": image })),
        ("csv-report", json!({ "csv": image })),
    ] {
        let (error, cause) = run(&server, name, input).await.unwrap_err();
        assert_eq!(error, "AddressNotAllowed", "{cause}");
        assert!(cause.contains(&server.url), "{cause}");
    }
}
