//! Decodes a picture to upright pixels and encodes it, within limits for hostile files. It has no
//! notion of files, jobs or widths.

use std::io::Cursor;

use functions::Failure;
use image::codecs::jpeg::JpegEncoder;
use image::codecs::png::PngEncoder;
use image::codecs::webp::WebPEncoder;
use image::imageops::FilterType;
use image::metadata::Orientation;
use image::{
    DynamicImage, ImageDecoder, ImageEncoder, ImageError, ImageFormat, ImageReader, Limits,
};
use serde::{Deserialize, Serialize};

/// Maximum size of a file in bytes.
pub const MAX_FILE_BYTES: u64 = 32 * 1024 * 1024;
/// Maximum number of pixels of a picture. A small file can claim billions.
pub const MAX_PIXELS: u64 = 50_000_000;
/// Maximum memory for decoding, without the file, in bytes.
pub const MAX_DECODED_BYTES: u64 = 512 * 1024 * 1024;

const JPEG_QUALITY: u8 = 85;
/// Larger reductions are first averaged down to this multiple of the target, which gives the same
/// quality several times faster.
const PREREDUCE: u32 = 3;

/// The formats that are read and written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// JPEG, written with quality 85.
    Jpeg,
    /// PNG.
    Png,
    /// WebP; written without loss.
    Webp,
}

impl Format {
    /// The media type.
    #[must_use]
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Jpeg => "image/jpeg",
            Self::Png => "image/png",
            Self::Webp => "image/webp",
        }
    }

    /// The ending of a file's name, without the dot.
    #[must_use]
    pub fn extension(self) -> &'static str {
        match self {
            Self::Jpeg => "jpg",
            Self::Png => "png",
            Self::Webp => "webp",
        }
    }

    /// Detects the format from the first bytes.
    ///
    /// # Errors
    /// `UnsupportedFormat`, with the format's name if it is known; `InvalidImage` for an empty
    /// file.
    pub fn of(bytes: &[u8]) -> Result<Self, Failure> {
        if bytes.is_empty() {
            return Err(invalid("the file is empty"));
        }
        let unsupported = |what: String| {
            Failure::new(
                "UnsupportedFormat",
                format!("{what}; send a JPEG, PNG or WebP picture"),
            )
        };
        match image::guess_format(bytes) {
            Ok(ImageFormat::Jpeg) => Ok(Self::Jpeg),
            Ok(ImageFormat::Png) => Ok(Self::Png),
            Ok(ImageFormat::WebP) => Ok(Self::Webp),
            Ok(other) => Err(unsupported(format!("the file is {}", other.to_mime_type()))),
            Err(_) => Err(unsupported(
                "the file's first bytes are of no picture format known here".into(),
            )),
        }
    }

    fn of_library(self) -> ImageFormat {
        match self {
            Self::Jpeg => ImageFormat::Jpeg,
            Self::Png => ImageFormat::Png,
            Self::Webp => ImageFormat::WebP,
        }
    }
}

/// A decoded picture, upright.
#[derive(Debug, Clone)]
pub struct Picture {
    /// The format of the source and of the result.
    pub format: Format,
    /// The EXIF orientation it had, 1 to 8; 1 is upright.
    pub orientation: u8,
    /// The pixels, upright.
    pub pixels: DynamicImage,
    /// The colour profile, kept because a wide-gamut photograph without it turns pale.
    profile: Option<Vec<u8>>,
}

impl Picture {
    /// Decodes a whole file and turns it upright. This takes long: call it on a separate thread.
    ///
    /// # Errors
    /// `UnsupportedFormat`, `InvalidImage` for a damaged or truncated file, `ImageTooLarge` over
    /// [`MAX_PIXELS`] or [`MAX_DECODED_BYTES`].
    pub fn decode(bytes: &[u8]) -> Result<Self, Failure> {
        let format = Format::of(bytes)?;
        let mut limits = Limits::no_limits();
        limits.max_alloc = Some(MAX_DECODED_BYTES);
        let mut reader = ImageReader::with_format(Cursor::new(bytes), format.of_library());
        reader.limits(limits);
        let mut decoder = reader.into_decoder().map_err(refuse)?;
        let (width, height) = decoder.dimensions();
        checked_pixels(width, height)?;
        let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
        let profile = decoder.icc_profile().unwrap_or(None);
        if format == Format::Jpeg && !is_complete_jpeg(bytes) {
            return Err(invalid("the JPEG is cut off: its end is missing"));
        }
        let mut pixels = DynamicImage::from_decoder(decoder).map_err(refuse)?;
        pixels.apply_orientation(orientation);
        Ok(Self {
            format,
            orientation: orientation.to_exif(),
            pixels,
            profile,
        })
    }

    /// A picture that this program has drawn.
    pub(super) fn drawn(format: Format, pixels: DynamicImage) -> Self {
        Self {
            format,
            orientation: 1,
            pixels,
            profile: None,
        }
    }

    /// Width and height of the upright picture.
    #[must_use]
    pub fn size(&self) -> (u32, u32) {
        (self.pixels.width(), self.pixels.height())
    }

    /// The same picture `width` pixels wide, its proportions kept.
    #[must_use]
    pub fn resized(&self, width: u32) -> Self {
        let (full_width, full_height) = self.size();
        let height = proportional(full_width, full_height, width);
        let (near_width, near_height) = (
            width.saturating_mul(PREREDUCE),
            height.saturating_mul(PREREDUCE),
        );
        let pixels = if full_width > near_width && full_height > near_height {
            let near = self.pixels.thumbnail_exact(near_width, near_height);
            near.resize_exact(width, height, FilterType::Lanczos3)
        } else {
            self.pixels
                .resize_exact(width, height, FilterType::Lanczos3)
        };
        Self {
            pixels,
            profile: self.profile.clone(),
            ..*self
        }
    }

    /// Encodes the file: same format, upright pixels without an orientation; the colour profile is
    /// kept.
    ///
    /// # Errors
    /// `EncodingFailed` if the format cannot hold the picture.
    pub fn encode(&self) -> Result<Vec<u8>, Failure> {
        let mut file = Vec::new();
        match self.format {
            Format::Jpeg => self.write(JpegEncoder::new_with_quality(&mut file, JPEG_QUALITY)),
            Format::Png => self.write(PngEncoder::new(&mut file)),
            Format::Webp => self.write(WebPEncoder::new_lossless(&mut file)),
        }
        .map_err(|error| {
            Failure::new(
                "EncodingFailed",
                format!("the picture cannot be written: {error}"),
            )
        })?;
        Ok(file)
    }

    fn write<E: ImageEncoder>(&self, mut encoder: E) -> Result<(), ImageError> {
        if let Some(profile) = &self.profile {
            // An encoder without profiles writes the picture nevertheless.
            let _ = encoder.set_icc_profile(profile.clone());
        }
        self.pixels.write_with_encoder(encoder)
    }
}

/// The height that belongs to `width`, at least 1.
pub(super) fn proportional(full_width: u32, full_height: u32, width: u32) -> u32 {
    let exact = u64::from(full_height) * u64::from(width);
    let rounded = (exact + u64::from(full_width) / 2) / u64::from(full_width.max(1));
    u32::try_from(rounded).unwrap_or(u32::MAX).max(1)
}

fn checked_pixels(width: u32, height: u32) -> Result<(), Failure> {
    let pixels = u64::from(width) * u64::from(height);
    if pixels > MAX_PIXELS {
        return Err(Failure::new(
            "ImageTooLarge",
            format!(
                "the picture is {width} × {height}, {pixels} pixels; at most {MAX_PIXELS} are read"
            ),
        ));
    }
    if pixels == 0 {
        return Err(invalid("the picture has no pixels"));
    }
    Ok(())
}

/// Whether the end-of-image marker follows the first scan. The decoder fills up missing data, which
/// helps a viewer but would hide a truncated file here.
fn is_complete_jpeg(bytes: &[u8]) -> bool {
    let mut at = 2;
    while let Some(&[0xFF, marker, high, low]) = bytes.get(at..at + 4) {
        match marker {
            // Fill bytes may precede any marker.
            0xFF => at += 1,
            // Start of scan: from here on FF D9 is always the end, since FF is stuffed inside the
            // data.
            0xDA => return bytes[at..].windows(2).any(|pair| pair == [0xFF, 0xD9]),
            // Markers without a length.
            0x01 | 0xD0..=0xD8 => at += 2,
            _ => at += 2 + usize::from(u16::from_be_bytes([high, low])),
        }
    }
    false
}

fn invalid(message: &str) -> Failure {
    Failure::new("InvalidImage", message)
}

fn refuse(error: ImageError) -> Failure {
    match error {
        ImageError::Limits(error) => Failure::new(
            "ImageTooLarge",
            format!("decoding takes over {MAX_DECODED_BYTES} bytes: {error}"),
        ),
        ImageError::Unsupported(error) => Failure::new(
            "UnsupportedFormat",
            format!("this kind of picture is not read: {error}"),
        ),
        error => invalid(&format!("the picture is damaged: {error}")),
    }
}

#[cfg(test)]
#[path = "picture_tests.rs"]
mod tests;
