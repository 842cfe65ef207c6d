//! The step in the Map: one picture at one width, stored as a file.

use functions::{Failure, Job};
use serde::{Deserialize, Serialize};

use super::picture::{Format, MAX_FILE_BYTES, Picture};
use crate::compute::compute;
use crate::job_file::open;

/// The event that the state machine passes.
#[derive(Debug, Deserialize)]
pub struct Resize {
    image: String,
    width: u32,
}

/// One thumbnail.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Thumbnail {
    /// In pixels.
    pub width: u32,
    /// In pixels.
    pub height: u32,
    /// The source's format.
    pub format: Format,
    /// The signed address to read it from.
    pub url: String,
    /// The file's size.
    pub bytes: u64,
}

/// Creates one thumbnail. It reports messages only: the Map itself counts its items.
///
/// # Errors
/// As [`inspect`](super::inspect()), and `Refused` if the file is refused.
pub async fn resize(event: Resize, job: Job) -> Result<Thumbnail, Failure> {
    let width = event.width;
    if width == 0 {
        return Err(Failure::new(
            "InvalidInput",
            "`width` is 0: a width is at least 1 pixel",
        ));
    }
    let file = open(&job, &event.image)
        .await?
        .bytes(MAX_FILE_BYTES)
        .await?;
    let (small, bytes) = compute(move || {
        let picture = Picture::decode(&file)?;
        // The result is never larger than the picture.
        let small = picture.resized(width.min(picture.size().0));
        let bytes = small.encode()?;
        Ok((small, bytes))
    })
    .await?;
    let (width, height) = small.size();
    let name = format!("thumbnail-{width}.{}", small.format.extension());
    let uploaded = job
        .upload(&name, small.format.content_type(), bytes)
        .await?;
    job.message(format!("{width} × {height} made"));
    Ok(Thumbnail {
        width,
        height,
        format: small.format,
        url: uploaded.get_url,
        bytes: uploaded.bytes,
    })
}
