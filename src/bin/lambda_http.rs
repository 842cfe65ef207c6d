//! The function `lambda-http`: it answers queries and mutations without a server. See
//! [`jobcast::lambda::http`].

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    jobcast::lambda::http::main()
}
