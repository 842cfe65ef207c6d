//! The files that `demo` uses. They are part of the binary, so that it works wherever it is
//! installed.

/// A photograph or a table, with the job type that processes it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample {
    pub(crate) job_type: &'static str,
    /// The input's field for the file.
    pub(crate) field: &'static str,
    pub(crate) name: &'static str,
    pub(crate) bytes: &'static [u8],
    /// The error with which the job is expected to end.
    pub(crate) error: Option<&'static str>,
}

macro_rules! photo {
    ($name:literal, $error:expr) => {
        Sample {
            job_type: "thumbnails",
            field: "image",
            name: $name,
            bytes: include_bytes!(concat!("../../../samples/files/", $name)),
            error: $error,
        }
    };
}

pub(crate) const SAMPLES: &[Sample] = &[
    photo!("lake-sunset.jpg", None),
    photo!("night-city.png", None),
    photo!("aurora.webp", None),
    photo!("poppies-rotated.jpg", None),
    photo!("corrupt.jpg", Some("InvalidImage")),
    Sample {
        job_type: "csv-report",
        field: "csv",
        name: "orders.csv",
        bytes: include_bytes!("../../../samples/files/orders.csv"),
        error: None,
    },
];
