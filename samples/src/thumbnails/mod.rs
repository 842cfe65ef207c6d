//! `thumbnails`: turns one picture into several smaller ones, each in its own file, and a contact
//! sheet. Pictures are never enlarged, and keep their format.
//!
//! The state machine passes the job's input as `input`, and calls [`inspect`] once, [`resize`] once
//! per width, and [`assemble`] at the end. Each may run twice: a second run creates new files and
//! returns the same answer.

mod assemble;
mod inspect;
mod picture;
mod resize;
mod sheet;

pub use assemble::{Assemble, Assembled, ContactSheet, assemble};
pub use inspect::{DEFAULT_WIDTHS, Inspect, MAX_WIDTH, MAX_WIDTHS, Source, inspect};
pub use picture::{Format, MAX_DECODED_BYTES, MAX_FILE_BYTES, MAX_PIXELS, Picture};
pub use resize::{Resize, Thumbnail, resize};
pub use sheet::{MAX_SHEET_THUMBNAILS, SHEET_WIDTH};
