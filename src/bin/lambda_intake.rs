//! The function `lambda-intake`: it makes messages of SQS jobs. See [`jobcast::lambda::intake`].

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    jobcast::lambda::intake::main()
}
