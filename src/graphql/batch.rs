//! Batches: a list of requests in one HTTP request.

use std::sync::Arc;

use resolvers::Caller;

use super::error::errors_text;
use super::executor::Executor;
use super::limits::{BATCH, COMPLEXITY, TOKENS, TOO_MUCH};
use super::request::prepare::{self, Changes, Prepared, Refused, Supported};
use super::response::http::{HttpReply, Outcome};

impl Executor {
    /// Executes requests one after the other, and replies with a list of their responses. The
    /// bounds of one request hold for the batch as a whole: a batch over a bound is refused before
    /// any of its requests is executed.
    pub async fn execute_batch(&self, caller: Caller, requests: Vec<wire::Request>) -> HttpReply {
        if requests.is_empty() || requests.len() > BATCH {
            let text = format!(
                "a batch has from 1 to {BATCH} requests, and this one has {}",
                requests.len()
            );
            return refuse(&text, "BadRequest");
        }
        let supported = Supported {
            changes: Changes::Allowed,
            subscriptions: false,
        };
        let mut all = Vec::with_capacity(requests.len());
        for request in requests {
            all.push(prepare::prepare(&self.documents, request, supported).await);
        }
        if let Err(text) = within_bounds(&all) {
            return refuse(&text, TOO_MUCH);
        }
        let allowance = Arc::default();
        let mut body = b"[".to_vec();
        for (at, prepared) in all.into_iter().enumerate() {
            if at > 0 {
                body.push(b',');
            }
            let response = match prepared {
                Ok(prepared) => self.run(prepared, caller.clone(), &allowance).await,
                Err(refused) => HttpReply::from(refused).body,
            };
            body.extend_from_slice(&response);
        }
        body.push(b']');
        HttpReply::executed(body.into())
    }
}

fn within_bounds(all: &[Result<Prepared, Refused>]) -> Result<(), String> {
    let valid = || all.iter().flatten();
    let cost = valid().fold(0_usize, |sum, prepared| sum.saturating_add(prepared.cost));
    if cost > COMPLEXITY {
        let text = prepare::too_complex();
        return Err(format!("the requests of the batch together: {text}"));
    }
    let tokens: usize = valid().map(|prepared| prepared.document.tokens).sum();
    if tokens > TOKENS {
        return Err(format!(
            "the documents of the batch have more than {TOKENS} tokens: split it"
        ));
    }
    Ok(())
}

fn refuse(message: &str, code: &str) -> HttpReply {
    HttpReply::refused(Outcome::Refused, &errors_text(message, code))
}
