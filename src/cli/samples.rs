//! The files that `demo` runs on, inside the binary: it works wherever it is installed.

/// A photograph or a table, and the job type that takes it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sample {
    pub(super) job_type: &'static str,
    /// The field of the input that takes the file.
    pub(super) field: &'static str,
    pub(super) name: &'static str,
    pub(super) bytes: &'static [u8],
    /// The error that the job is expected to end with.
    pub(super) error: Option<&'static str>,
}

macro_rules! photo {
    ($name:literal, $error:expr) => {
        Sample {
            job_type: "thumbnails",
            field: "image",
            name: $name,
            bytes: include_bytes!(concat!("../../examples/samples/", $name)),
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
        bytes: include_bytes!("../../examples/samples/orders.csv"),
        error: None,
    },
];
