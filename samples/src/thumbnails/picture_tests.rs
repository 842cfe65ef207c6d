//! Every format, every orientation, and every kind of damage.

use image::{GenericImageView, Rgb, RgbImage, Rgba, RgbaImage};

use super::*;

const FORMATS: [Format; 3] = [Format::Jpeg, Format::Png, Format::Webp];

/// Four corners of four colours, 48 × 32: every turn and flip of it is different.
fn corners() -> RgbImage {
    RgbImage::from_fn(48, 32, |x, y| match (x < 24, y < 16) {
        (true, true) => Rgb([255, 0, 0]),
        (false, true) => Rgb([0, 255, 0]),
        (true, false) => Rgb([0, 0, 255]),
        (false, false) => Rgb([255, 255, 255]),
    })
}

fn upright(format: Format, pixels: impl Into<DynamicImage>) -> Picture {
    Picture::drawn(format, pixels.into())
}

/// Minimal EXIF with an orientation (TIFF 6.0, big-endian, one entry).
fn exif(orientation: u8) -> Vec<u8> {
    let mut chunk = b"MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0".to_vec();
    chunk.extend([orientation, 0, 0, 0, 0, 0, 0]);
    chunk
}

fn with_exif(format: Format, pixels: &RgbImage, orientation: u8) -> Vec<u8> {
    fn write(mut encoder: impl ImageEncoder, pixels: &RgbImage, orientation: u8) {
        encoder.set_exif_metadata(exif(orientation)).unwrap();
        DynamicImage::from(pixels.clone())
            .write_with_encoder(encoder)
            .unwrap();
    }
    let mut file = Vec::new();
    match format {
        Format::Jpeg => write(
            JpegEncoder::new_with_quality(&mut file, 95),
            pixels,
            orientation,
        ),
        Format::Png => write(PngEncoder::new(&mut file), pixels, orientation),
        Format::Webp => write(WebPEncoder::new_lossless(&mut file), pixels, orientation),
    }
    file
}

/// How the upright picture must be stored for a viewer to turn it upright again: the inverse of
/// EXIF's table.
fn stored(upright: &RgbImage, orientation: u8) -> RgbImage {
    let (width, height) = upright.dimensions();
    let (right, bottom) = (width - 1, height - 1);
    let turned = orientation >= 5;
    let (stored_width, stored_height) = if turned {
        (height, width)
    } else {
        (width, height)
    };
    RgbImage::from_fn(stored_width, stored_height, |x, y| {
        // EXIF 2.3, tag 0x0112: where the stored row 0 and column 0 are in the upright picture.
        let (at_x, at_y) = match orientation {
            1 => (x, y),
            2 => (right - x, y),
            3 => (right - x, bottom - y),
            4 => (x, bottom - y),
            5 => (y, x),
            6 => (right - y, x),
            7 => (right - y, bottom - x),
            8 => (y, bottom - x),
            _ => unreachable!("EXIF has eight orientations"),
        };
        *upright.get_pixel(at_x, at_y)
    })
}

#[track_caller]
fn check_corners(picture: &Picture) {
    let (width, height) = picture.size();
    let corner = |x, y| {
        let Rgba([red, green, blue, _]) = picture.pixels.get_pixel(x, y);
        [red, green, blue].map(|channel| channel > 128)
    };
    let seen = [
        corner(2, 2),
        corner(width - 3, 2),
        corner(2, height - 3),
        corner(width - 3, height - 3),
    ];
    let expected = [
        [true, false, false],
        [false, true, false],
        [false, false, true],
        [true, true, true],
    ];
    assert_eq!(
        seen, expected,
        "{:?}, orientation {}",
        picture.format, picture.orientation
    );
}

#[test]
fn every_orientation_becomes_upright_in_every_format() {
    for format in FORMATS {
        for orientation in 1..=8 {
            let file = with_exif(format, &stored(&corners(), orientation), orientation);
            let picture = Picture::decode(&file).unwrap();
            assert_eq!(
                (picture.orientation, picture.size()),
                (orientation, (48, 32))
            );
            check_corners(&picture);
            let small = picture.resized(24);
            assert_eq!(small.size(), (24, 16));
            let again = Picture::decode(&small.encode().unwrap()).unwrap();
            assert_eq!(
                again.orientation, 1,
                "the turn is done, so it must not be done again"
            );
            check_corners(&again);
        }
    }
}

#[test]
fn an_invalid_orientation_counts_as_upright() {
    let picture = Picture::decode(&with_exif(Format::Jpeg, &corners(), 9)).unwrap();
    assert_eq!(picture.orientation, 1);
    check_corners(&picture);
}

#[test]
fn a_picture_keeps_its_format() {
    for format in FORMATS {
        let file = upright(format, corners()).resized(20).encode().unwrap();
        assert_eq!(Format::of(&file).unwrap(), format);
        assert_eq!(Picture::decode(&file).unwrap().size(), (20, 13));
    }
}

#[test]
fn png_and_webp_keep_transparency_and_jpeg_does_without() {
    let glass = RgbaImage::from_pixel(16, 16, Rgba([200, 100, 50, 128]));
    for format in [Format::Png, Format::Webp] {
        let picture =
            Picture::decode(&upright(format, glass.clone()).resized(8).encode().unwrap()).unwrap();
        assert_eq!(picture.pixels.get_pixel(4, 4), Rgba([200, 100, 50, 128]));
    }
    assert!(upright(Format::Jpeg, glass).encode().is_ok());
}

#[test]
fn a_picture_with_sixteen_bits_or_greys_is_written() {
    let deep = DynamicImage::ImageRgb16(DynamicImage::from(corners()).into_rgb16());
    let grey = DynamicImage::ImageLumaA16(DynamicImage::from(corners()).into_luma_alpha16());
    for format in FORMATS {
        for pixels in [deep.clone(), grey.clone()] {
            assert!(
                Picture::decode(&upright(format, pixels).encode().unwrap()).is_ok(),
                "{format:?}"
            );
        }
    }
}

#[test]
fn the_colour_profile_is_kept() {
    for format in FORMATS {
        let mut picture = upright(format, corners());
        picture.profile = Some(vec![42; 200]);
        let file = picture.resized(16).encode().unwrap();
        assert_eq!(
            Picture::decode(&file).unwrap().profile,
            Some(vec![42; 200]),
            "{format:?}"
        );
    }
}

#[test]
fn a_file_cut_off_in_its_pixels_is_an_invalid_image() {
    for format in FORMATS {
        let file = upright(format, corners()).encode().unwrap();
        for length in [file.len() / 4, file.len() / 2, file.len() - 20] {
            let failure = Picture::decode(&file[..length])
                .map(|picture| picture.size())
                .unwrap_err();
            assert_eq!(
                failure.name(),
                "InvalidImage",
                "{format:?} of {length} bytes: {failure}"
            );
        }
    }
    assert_eq!(Picture::decode(&[]).unwrap_err().name(), "InvalidImage");
}

#[test]
fn the_end_of_a_preview_does_not_end_the_picture() {
    let preview = [0xFF, 0xE1, 0x00, 0x06, 0xFF, 0xD9, 0xFF, 0xD9];
    let file = upright(Format::Jpeg, corners()).encode().unwrap();
    let mut with_preview = file[..2].to_vec();
    with_preview.extend(preview);
    with_preview.extend(&file[2..]);
    assert!(Picture::decode(&with_preview).is_ok());
    with_preview.truncate(with_preview.len() - 2);
    assert_eq!(
        Picture::decode(&with_preview).unwrap_err().name(),
        "InvalidImage"
    );
}

#[test]
fn an_unsupported_format_is_named() {
    let cases: [(&[u8], &str); 4] = [
        (b"GIF89a\x01\0\x01\0", "image/gif"),
        (b"BM\0\0\0\0\0\0\0\0\0\0\0\0", "image/bmp"),
        (b"<html><body>Not found</body></html>", "no picture format"),
        (b"\0\0\0\x1cftypheic\0\0\0\0", "no picture format"),
    ];
    for (bytes, part) in cases {
        let failure = Picture::decode(bytes).unwrap_err();
        assert_eq!(failure.name(), "UnsupportedFormat");
        assert!(failure.message().contains(part), "{failure}");
    }
}

#[test]
fn a_picture_over_the_limit_of_pixels_is_refused() {
    assert!(checked_pixels(10_000, 5_000).is_ok());
    assert_eq!(
        checked_pixels(10_000, 5_001).unwrap_err().name(),
        "ImageTooLarge"
    );
    assert_eq!(
        checked_pixels(u32::MAX, u32::MAX).unwrap_err().name(),
        "ImageTooLarge"
    );
}

#[test]
fn a_file_that_claims_billions_of_pixels_is_refused_before_it_is_decoded() {
    let mut file = upright(Format::Png, corners()).encode().unwrap();
    // The header chunk: 8 bytes signature, 4 length, then "IHDR", width, height, 5 more, checksum.
    file[16..24].copy_from_slice(&[0, 1, 0x86, 0xA0, 0, 1, 0x86, 0xA0]);
    let checksum = crc32(&file[12..29]);
    file[29..33].copy_from_slice(&checksum.to_be_bytes());
    let failure = Picture::decode(&file).unwrap_err();
    assert_eq!(failure.name(), "ImageTooLarge", "{failure}");
}

#[test]
fn a_resized_picture_keeps_its_proportions() {
    assert_eq!(proportional(1600, 1067, 320), 213);
    assert_eq!(proportional(10_000, 3, 100), 1);
    assert_eq!(proportional(1, u32::MAX, u32::MAX), u32::MAX);
}

/// PNG's checksum (ISO 3309), bit by bit.
fn crc32(bytes: &[u8]) -> u32 {
    let step = |crc: u32| {
        if crc & 1 == 1 {
            0xEDB8_8320 ^ (crc >> 1)
        } else {
            crc >> 1
        }
    };
    !bytes.iter().fold(!0, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| step(crc))
    })
}
