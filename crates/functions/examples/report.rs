//! Tests a handler without a server: an event without the field `job` has no one to report to, and
//! the handler runs the same. Run it with `cargo run -p jobcast-functions --example report`.

use functions::lambda_runtime::{Context, Diagnostic, LambdaEvent, Service};
use functions::{Failure, Job, service};
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Deserialize)]
struct Order {
    lines: Vec<f64>,
}

/// Adds an order's lines, and reports each as an item.
async fn total(order: Order, job: Job) -> Result<Value, Failure> {
    let mut sum = 0.0;
    for (index, line) in order.lines.iter().enumerate() {
        if *line < 0.0 {
            return Err(Failure::new(
                "NegativeLine",
                format!("line {index} is {line}"),
            ));
        }
        sum += line;
        job.items(index as u64 + 1, order.lines.len() as u64);
    }
    Ok(json!({ "total": sum }))
}

async fn invoke(event: Value) -> Result<Value, Diagnostic> {
    let event = LambdaEvent::new(event, Context::default());
    service(total).call(event).await
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), String> {
    let result = invoke(json!({ "lines": [20.0, 22.0] })).await;
    let result = result.map_err(|diagnostic| diagnostic.error_message)?;
    println!("the handler answers {result}");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_handler_adds_an_order() {
        let result = invoke(json!({ "lines": [20.0, 22.0] })).await;
        assert_eq!(result.ok(), Some(json!({ "total": 42.0 })));
    }

    #[tokio::test]
    async fn the_handler_names_what_is_wrong_with_an_order() {
        let refused = invoke(json!({ "lines": [-1.0] })).await.err();
        let name = refused.map(|diagnostic| diagnostic.error_type);
        assert_eq!(name.as_deref(), Some("NegativeLine"));
    }
}
