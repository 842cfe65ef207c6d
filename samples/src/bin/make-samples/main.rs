//! Creates the sample inputs in `samples/files/`: pictures and a table. Deterministic: the same
//! program creates the same files. `cargo run -p samples --bin make-samples [FOLDER]`

mod aurora;
mod canvas;
mod city;
mod lake;
mod noise;
mod orders;
mod poppies;

use std::path::{Path, PathBuf};

use image::codecs::jpeg::JpegEncoder;
use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::codecs::webp::WebPEncoder;
use image::{DynamicImage, ImageEncoder, ImageError, ImageResult, RgbImage, imageops};

/// EXIF 2.3, tag 0x0112: the camera was held upright, its sensor lies on its side; turn clockwise
/// to look at it.
const TURN_CLOCKWISE: u8 = 6;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let given = std::env::args_os().nth(1).map(PathBuf::from);
    let folder = given.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("files"));
    std::fs::create_dir_all(&folder)?;
    let sunset = lake::paint(1500, 1000);
    let photograph = jpeg(&sunset, 84, None)?;
    // An interrupted transfer.
    let small = jpeg(&imageops::thumbnail(&sunset, 600, 400), 80, None)?;
    let cut_off = small[..small.len() * 3 / 5].to_vec();
    let on_its_side = imageops::rotate270(&poppies::paint(960, 1280));
    let files = [
        ("lake-sunset.jpg", photograph),
        (
            "poppies-rotated.jpg",
            jpeg(&on_its_side, 80, Some(TURN_CLOCKWISE))?,
        ),
        ("night-city.png", png(&city::paint(900, 600))?),
        ("aurora.webp", webp(&aurora::paint(780, 520))?),
        ("corrupt.jpg", cut_off),
        ("orders.csv", orders::write(orders::ROWS).into_bytes()),
    ];
    for (name, bytes) in files {
        std::fs::write(folder.join(name), &bytes)?;
        println!("{:>9} bytes  {name}", bytes.len());
    }
    Ok(())
}

fn jpeg(picture: &RgbImage, quality: u8, orientation: Option<u8>) -> ImageResult<Vec<u8>> {
    let mut file = Vec::new();
    let mut encoder = JpegEncoder::new_with_quality(&mut file, quality);
    if let Some(orientation) = orientation {
        encoder
            .set_exif_metadata(exif(orientation))
            .map_err(ImageError::Unsupported)?;
    }
    DynamicImage::from(picture.clone()).write_with_encoder(encoder)?;
    Ok(file)
}

fn png(picture: &RgbImage) -> ImageResult<Vec<u8>> {
    let mut file = Vec::new();
    let encoder =
        PngEncoder::new_with_quality(&mut file, CompressionType::Best, FilterType::Adaptive);
    DynamicImage::from(picture.clone()).write_with_encoder(encoder)?;
    Ok(file)
}

fn webp(picture: &RgbImage) -> ImageResult<Vec<u8>> {
    let mut file = Vec::new();
    DynamicImage::from(picture.clone()).write_with_encoder(WebPEncoder::new_lossless(&mut file))?;
    Ok(file)
}

/// Minimal EXIF: a TIFF header, big-endian, and one directory with only the orientation.
fn exif(orientation: u8) -> Vec<u8> {
    let mut chunk = b"MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0".to_vec();
    chunk.extend([orientation, 0, 0, 0, 0, 0, 0]);
    chunk
}
