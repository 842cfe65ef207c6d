//! The function `lambda-sweep`: it starts what was not started, and deletes what has expired. See
//! [`jobcast::lambda::sweep`].

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    jobcast::lambda::sweep::main()
}
