//! The `jobcast` binary: it runs the command line of [`jobcast::cli`].

use std::process::ExitCode;

/// A job needs hundreds of small allocations and some of a few KiB, for which the system's
/// allocator takes a seventh of its CPU time.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    jobcast::cli::main()
}
