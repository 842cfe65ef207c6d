//! The nodes over HTTP: one connection that is kept between invocations, a token for each batch,
//! and a bounded number of tries.

use std::time::Duration;

use bytes::Bytes;
use job::Time;
use reqwest::header::CONTENT_TYPE;
use reqwest::{StatusCode, Url};
use resolvers::jobs::now;
use resolvers::token::Signer;
use tokio::time::{Instant, sleep, timeout_at};

use super::answer::{self, Outcome};
use super::document::{self, Change};

/// Time for which a token is valid. Each batch gets its own.
const TOKEN_LIFE_MILLIS: i64 = 5 * 60 * 1_000;
/// Time allowed for connecting to a node.
const CONNECT_WITHIN: Duration = Duration::from_secs(2);
/// Time allowed for the answer to one request.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// Time for which an idle connection is kept: less than a load balancer keeps it.
const IDLE: Duration = Duration::from_secs(50);
/// Delays before the further tries of a request. After the last one AWS Lambda tries again.
const WAITS: [Duration; 3] = [
    Duration::from_millis(50),
    Duration::from_millis(250),
    Duration::from_secs(1),
];

/// The nodes behind one address.
#[derive(Clone, Debug)]
pub struct Nodes {
    http: reqwest::Client,
    url: Url,
    signer: Signer,
}

/// What is allowed for one invocation.
#[derive(Clone, Debug)]
pub struct Allowed {
    token: String,
    /// Nothing is sent after it.
    until: Instant,
}

/// Why a request has no answer.
enum NoAnswer {
    Again(String),
    /// The node does not accept the token.
    Unauthorized(String),
}

impl Nodes {
    /// The nodes at this GraphQL address. `signer` has their secret.
    #[must_use]
    pub fn new(url: Url, signer: Signer) -> Self {
        Self {
            http: client(&url),
            url,
            signer,
        }
    }

    /// The permission for one invocation, which must end by `until`.
    #[must_use]
    pub fn allow(&self, until: Instant) -> Allowed {
        self.allow_at(now(), until)
    }

    fn allow_at(&self, now: Time, until: Instant) -> Allowed {
        Allowed {
            token: self
                .signer
                .publisher_token(now.plus_millis(TOKEN_LIFE_MILLIS)),
            until,
        }
    }

    /// Publishes changes in their order, and says what became of each. After a failure nothing more
    /// is sent: the changes that follow it have failed too.
    pub async fn publish(&self, changes: &[Change<'_>], allowed: &Allowed) -> Vec<Outcome> {
        let mut outcomes = Vec::with_capacity(changes.len());
        let mut rest = changes;
        for records in document::parts(changes) {
            let (part, after) = rest.split_at(records);
            rest = after;
            let part = self.part(part, allowed).await;
            let failure = part.iter().find(|one| matches!(one, Outcome::Failed(_)));
            let failure = failure.cloned();
            outcomes.extend(part);
            if let Some(failure) = failure {
                outcomes.resize(changes.len(), failure);
                break;
            }
        }
        outcomes
    }

    /// Publishes the changes of one document.
    async fn part(&self, changes: &[Change<'_>], allowed: &Allowed) -> Vec<Outcome> {
        let mut outcomes = self.request(changes, allowed).await;
        if changes.len() == 1 {
            return outcomes;
        }
        let mut failure = None;
        for (outcome, change) in outcomes.iter_mut().zip(changes) {
            if *outcome == Outcome::Unknown {
                *outcome = match &failure {
                    None => self.request(&[*change], allowed).await.remove(0),
                    Some(failure) => Outcome::clone(failure),
                };
            }
            if matches!(outcome, Outcome::Failed(_)) {
                failure.get_or_insert_with(|| outcome.clone());
            }
        }
        outcomes
    }

    /// Sends one document, several times if the node does not answer.
    async fn request(&self, changes: &[Change<'_>], allowed: &Allowed) -> Vec<Outcome> {
        let body = Bytes::from(document::body(changes));
        let mut waits = WAITS.iter();
        loop {
            let why = match self.send(body.clone(), changes.len(), allowed).await {
                Ok(outcomes) => return outcomes,
                Err(NoAnswer::Unauthorized(why)) => {
                    tracing::error!(
                        why,
                        "the nodes do not accept this function: set JOBCAST_SECRET to the secret of the nodes, and compare the clocks"
                    );
                    return vec![Outcome::Failed(why); changes.len()];
                }
                Err(NoAnswer::Again(why)) => why,
            };
            match waits.next() {
                Some(wait) if Instant::now() + *wait < allowed.until => sleep(*wait).await,
                _ => return vec![Outcome::Failed(why); changes.len()],
            }
        }
    }

    async fn send(
        &self,
        body: Bytes,
        records: usize,
        allowed: &Allowed,
    ) -> Result<Vec<Outcome>, NoAnswer> {
        let until = allowed.until.min(Instant::now() + ANSWER_WITHIN);
        let sending = async {
            let sent = self
                .http
                .post(self.url.clone())
                .bearer_auth(&allowed.token)
                .header(CONTENT_TYPE, "application/json")
                .body(body)
                .send()
                .await?;
            let status = sent.status();
            Ok::<_, reqwest::Error>((status, sent.bytes().await?))
        };
        let answered = match timeout_at(until, sending).await {
            Ok(answered) => answered,
            Err(_) => {
                return Err(NoAnswer::Again(
                    "the node did not answer in time".to_owned(),
                ));
            }
        };
        let (status, text) = answered.map_err(|error| NoAnswer::Again(shown(&error)))?;
        if matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) {
            return Err(NoAnswer::Unauthorized(format!(
                "the node answered {status}"
            )));
        }
        let is_read = status.is_success() || status.is_client_error();
        let busy = matches!(
            status,
            StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT
        );
        if status == StatusCode::PAYLOAD_TOO_LARGE {
            let outcome = match records {
                1 => Outcome::Refused("the node answered that the record is too large".to_owned()),
                _ => Outcome::Unknown,
            };
            return Ok(vec![outcome; records]);
        }
        let outcomes = answer::read(&text, records).filter(|_| is_read && !busy);
        outcomes.ok_or_else(|| {
            NoAnswer::Again(format!(
                "the node answered {status}; is JOBCAST_PUBLISH_URL the address of /graphql?"
            ))
        })
    }
}

/// The error with its causes, without the address.
fn shown(error: &reqwest::Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(next) = cause {
        text = format!("{text}: {next}");
        cause = next.source();
    }
    text
}

fn client(url: &Url) -> reqwest::Client {
    let builder = || {
        outgoing::client()
            .connect_timeout(CONNECT_WITHIN)
            .pool_idle_timeout(IDLE)
            .tcp_nodelay(true)
            .redirect(reqwest::redirect::Policy::none())
    };
    // To read the machine's certificates takes longer than all else before the first event.
    let plain = url.scheme() == "http";
    let built = if plain {
        builder().tls_certs_only([]).build()
    } else {
        builder().build()
    };
    built.unwrap_or_else(|error| {
        tracing::warn!(%error, "no TLS roots found: https addresses will not be trusted");
        let built = builder().tls_certs_only([]).build();
        built.expect("a client without the system's certificates has no other source of failure")
    })
}
