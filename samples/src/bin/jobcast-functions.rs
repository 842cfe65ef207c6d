//! One sample function as a Lambda binary: `jobcast-functions NAME`. On AWS, `_HANDLER` may give
//! the name instead. `jobcast function NAME` does the same from the server's binary.

fn main() -> Result<(), functions::lambda_runtime::Error> {
    let name = std::env::args()
        .nth(1)
        .or_else(|| std::env::var("_HANDLER").ok());
    let name =
        name.ok_or_else(|| format!("give a function's name: {}", samples::FUNCTIONS.join(", ")))?;
    // A function has one invocation at a time, so one thread is enough; blocking work gets its own
    // threads.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(samples::run(&name))
}
