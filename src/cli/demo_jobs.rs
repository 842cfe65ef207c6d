//! The files that `demo` uses. They are part of the binary, so that it works wherever it is
//! installed.

/// A photograph or a table, with the job type that processes it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sample {
    pub(super) job_type: &'static str,
    /// The input's field for the file.
    pub(super) field: &'static str,
    pub(super) name: &'static str,
    pub(super) bytes: &'static [u8],
    /// The error with which the job is expected to end.
    pub(super) error: Option<&'static str>,
}

macro_rules! photo {
    ($name:literal, $error:expr) => {
        Sample {
            job_type: "thumbnails",
            field: "image",
            name: $name,
            bytes: include_bytes!(concat!("../../samples/files/", $name)),
            error: $error,
        }
    };
}

pub(super) const SAMPLES: &[Sample] = &[
    photo!("lake-sunset.jpg", None),
    photo!("night-city.png", None),
    photo!("aurora.webp", None),
    photo!("poppies-rotated.jpg", None),
    photo!("corrupt.jpg", Some("InvalidImage")),
    Sample {
        job_type: "csv-report",
        field: "csv",
        name: "orders.csv",
        bytes: include_bytes!("../../samples/files/orders.csv"),
        error: None,
    },
];
