//! The function `lambda-execution`: it applies what Step Functions reports about executions. See
//! [`jobcast::lambda::execution`].

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    jobcast::lambda::execution::main()
}
