//! The function of the guide "A first job type in Rust". A Lambda host starts it: `jobcast serve`
//! or AWS Lambda.

use functions::{Failure, Job};
use serde_json::{Value, json};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), functions::lambda_runtime::Error> {
    functions::run(greet).await
}

async fn greet(event: Value, job: Job) -> Result<Value, Failure> {
    let Some(name) = event["name"].as_str() else {
        return Err(Failure::new("NoName", "the input needs a text `name`"));
    };
    job.progress(50, format!("thinking about {name}"));
    Ok(json!({ "greeting": format!("Hello, {name}") }))
}
