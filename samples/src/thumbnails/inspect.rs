//! The first step: checks the picture and plans the widths. It reads every pixel, so that a damaged
//! file fails here, once, and not in each of the resizing steps.

use functions::{Failure, Job};
use serde::{Deserialize, Serialize};

use super::picture::{Format, MAX_FILE_BYTES, Picture};
use crate::compute::compute;
use crate::job_file::open;

/// The widths if the input names none.
pub const DEFAULT_WIDTHS: [u32; 4] = [160, 320, 640, 1024];
/// Maximum number of widths of one job.
pub const MAX_WIDTHS: usize = 16;
/// Maximum width in pixels.
pub const MAX_WIDTH: u32 = 4096;

/// The event that the state machine passes.
#[derive(Debug, Deserialize)]
pub struct Inspect {
    input: Input,
}

/// The job's input (`state-machines/thumbnails.input.schema.json`).
#[derive(Debug, Deserialize)]
struct Input {
    image: String,
    #[serde(default)]
    widths: Option<Vec<u32>>,
}

/// The properties of the picture.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Source {
    /// Its format.
    pub format: Format,
    /// Its upright width in pixels.
    pub width: u32,
    /// Its upright height in pixels.
    pub height: u32,
    /// Its EXIF orientation, 1 to 8.
    pub orientation: u8,
    /// The file's size.
    pub bytes: u64,
    /// The widths to create, ascending: the requested ones that are not larger than the picture.
    pub widths: Vec<u32>,
    /// The requested widths that would enlarge it.
    pub skipped: Vec<u32>,
}

/// Reads the picture and plans the widths.
///
/// # Errors
/// `InvalidInput` for widths out of range; `InvalidImage`, `UnsupportedFormat`, `ImageTooLarge`,
/// `FileTooLarge`, `FileNotAvailable` and `AddressNotAllowed` for the picture, which are not worth
/// a retry; `ServiceUnavailable`, which is.
pub async fn inspect(event: Inspect, job: Job) -> Result<Source, Failure> {
    let widths = checked_widths(event.input.widths)?;
    job.progress(5, "downloading the picture");
    let file = open(&job, &event.input.image)
        .await?
        .bytes(MAX_FILE_BYTES)
        .await?;
    job.progress(50, "looking at it");
    let bytes = file.len() as u64;
    let picture = compute(move || Picture::decode(&file)).await?;
    let (width, height) = picture.size();
    let (widths, skipped) = widths.into_iter().partition(|wanted| *wanted <= width);
    let source = Source {
        format: picture.format,
        width,
        height,
        orientation: picture.orientation,
        bytes,
        widths,
        skipped,
    };
    job.progress(
        100,
        format!("{width} × {height} {}", source.format.extension()),
    );
    Ok(source)
}

/// Sorts the widths, removes duplicates and checks the limits.
fn checked_widths(widths: Option<Vec<u32>>) -> Result<Vec<u32>, Failure> {
    let mut widths = widths.unwrap_or_else(|| DEFAULT_WIDTHS.to_vec());
    let invalid = |message: String| Err(Failure::new("InvalidInput", message));
    if widths.is_empty() {
        return invalid("`widths` is empty: give at least one width, or leave it out".into());
    }
    if widths.len() > MAX_WIDTHS {
        return invalid(format!(
            "`widths` has {} entries, at most {MAX_WIDTHS} are allowed",
            widths.len()
        ));
    }
    if let Some(width) = widths
        .iter()
        .find(|width| !(1..=MAX_WIDTH).contains(*width))
    {
        return invalid(format!(
            "`widths` contains {width}, a width is 1 to {MAX_WIDTH} pixels"
        ));
    }
    widths.sort_unstable();
    widths.dedup();
    Ok(widths)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn widths_are_sorted_and_bounded() {
        assert_eq!(checked_widths(None).unwrap(), DEFAULT_WIDTHS);
        assert_eq!(
            checked_widths(Some(vec![300, 100, 300])).unwrap(),
            [100, 300]
        );
        assert!(checked_widths(Some((1..=MAX_WIDTHS as u32).collect())).is_ok());
        assert!(checked_widths(Some(vec![1, MAX_WIDTH])).is_ok());
        for bad in [
            vec![],
            (1..=MAX_WIDTHS as u32 + 1).collect(),
            vec![0],
            vec![MAX_WIDTH + 1],
        ] {
            assert_eq!(
                checked_widths(Some(bad)).unwrap_err().name(),
                "InvalidInput"
            );
        }
    }
}
