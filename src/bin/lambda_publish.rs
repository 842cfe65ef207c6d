//! The function `lambda-publish`: it publishes the changes of the job table to the nodes. See
//! [`jobcast::lambda::publish`].

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    jobcast::lambda::publish::main()
}
