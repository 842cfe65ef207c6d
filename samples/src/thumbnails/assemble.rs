//! The last step: the summary, which becomes the job's result, and the contact sheet.

use functions::{Failure, Job};
use image::DynamicImage;
use serde::{Deserialize, Serialize};

use super::inspect::Source;
use super::picture::{Format, MAX_FILE_BYTES, Picture};
use super::resize::Thumbnail;
use super::sheet::{MAX_SHEET_THUMBNAILS, draw};
use crate::compute::compute;
use crate::job_file::open;

/// The event that the state machine passes.
#[derive(Debug, Deserialize)]
pub struct Assemble {
    source: Source,
    thumbnails: Vec<Thumbnail>,
}

/// The sheet of all thumbnails.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ContactSheet {
    /// In pixels.
    pub width: u32,
    /// In pixels.
    pub height: u32,
    /// JPEG for a JPEG source, otherwise PNG.
    pub format: Format,
    /// The signed address to read it from.
    pub url: String,
    /// The file's size.
    pub bytes: u64,
}

/// The job's result.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Assembled {
    /// The source picture.
    pub source: Source,
    /// The thumbnails, smallest first; empty if every width was larger than the picture.
    pub thumbnails: Vec<Thumbnail>,
    /// All thumbnails on one sheet; absent if there are none.
    pub contact_sheet: Option<ContactSheet>,
}

/// Draws the sheet and summarizes the job.
///
/// # Errors
/// As [`resize`](super::resize()).
pub async fn assemble(event: Assemble, job: Job) -> Result<Assembled, Failure> {
    let Assemble {
        source,
        mut thumbnails,
    } = event;
    thumbnails.sort_by_key(|thumbnail| thumbnail.width);
    let shown = &thumbnails[..thumbnails.len().min(MAX_SHEET_THUMBNAILS)];
    if shown.is_empty() {
        job.progress(
            100,
            "the picture is smaller than every width: nothing to make",
        );
        return Ok(Assembled {
            source,
            thumbnails,
            contact_sheet: None,
        });
    }
    let mut pictures = Vec::with_capacity(shown.len());
    for (index, thumbnail) in shown.iter().enumerate() {
        job.progress(
            (index * 80 / shown.len()) as u8,
            "laying out the contact sheet",
        );
        let file = open(&job, &thumbnail.url)
            .await?
            .bytes(MAX_FILE_BYTES)
            .await?;
        pictures.push(compute(move || Picture::decode(&file)).await?.pixels);
    }
    let format = if source.format == Format::Jpeg {
        Format::Jpeg
    } else {
        Format::Png
    };
    let (width, height, file) = compute(move || {
        let sheet = Picture::drawn(format, DynamicImage::from(draw(&pictures)));
        let (width, height) = sheet.size();
        Ok((width, height, sheet.encode()?))
    })
    .await?;
    let name = format!("contact-sheet.{}", format.extension());
    let uploaded = job.upload(&name, format.content_type(), file).await?;
    job.progress(
        100,
        format!("{} thumbnails and a contact sheet", thumbnails.len()),
    );
    let sheet = ContactSheet {
        width,
        height,
        format,
        url: uploaded.get_url,
        bytes: uploaded.bytes,
    };
    Ok(Assembled {
        source,
        thumbnails,
        contact_sheet: Some(sheet),
    })
}
