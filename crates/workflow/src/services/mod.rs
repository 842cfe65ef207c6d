//! Services that Task states call besides functions and nested executions: DynamoDB and SQS over
//! their JSON protocols, HTTP endpoints, and the buckets of distributed Maps. Each is available
//! when it is configured. Nothing is kept and nothing is retried here: `Retry` does that.
//!
//! | module | what |
//! |---|---|
//! | `aws_json` | one call of a service that speaks AWS JSON 1.0 |
//! | `http_endpoint` | `http:invoke` |
//! | `buckets` | items read from objects, results written to them |
//! | `response` | reading a response, and its failures |
//! | `sigv4` | the signature of a request |
//!
//! A call whose answer was lost in a crash is made again: a put or an update should carry a
//! condition, a message may come twice.

mod aws_json;
mod buckets;
mod http_endpoint;
mod response;
mod settings;
mod sigv4;

use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use asl::{Pattern, ReadItems, Resource, WriteResults};
use parking_lot::Mutex;
use serde_json::{Map, Value};
use tokio::sync::Semaphore;
use tokio::task::AbortHandle;

pub(crate) use http_endpoint::Exchange;
pub use response::ANSWER_BYTES;
use response::Failure;
pub use settings::{Connection, Credentials, ServiceSettings};

use crate::task::{Responder, TaskKey, TaskRequest};

/// Maximum number of concurrent calls; more wait for their turn.
pub const CONCURRENT_CALLS: usize = 64;
/// Time allowed for one call (Step Functions' bound for HTTP endpoints).
pub const CALL_TIMEOUT: Duration = Duration::from_secs(60);

/// The services, and the calls that are under way.
#[derive(Clone, Debug)]
pub(crate) struct Services {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    settings: ServiceSettings,
    client: OnceLock<reqwest::Client>,
    turns: Arc<Semaphore>,
    calls: Arc<Mutex<HashMap<TaskKey, AbortHandle>>>,
}

impl Drop for Shared {
    fn drop(&mut self) {
        for (_, call) in self.calls.lock().drain() {
            call.abort();
        }
    }
}

/// Which service a resource is, when it is one of those here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Service {
    DynamoDb,
    Sqs,
    HttpEndpoint,
}

fn service(resource: &Resource) -> Option<(Service, &str, Pattern)> {
    let Resource::Service {
        service,
        action,
        pattern,
    } = resource
    else {
        return None;
    };
    let found = match (service.as_str(), action.as_str(), pattern) {
        (
            "dynamodb",
            "getItem" | "putItem" | "updateItem" | "deleteItem",
            Pattern::RequestResponse,
        ) => Service::DynamoDb,
        ("sqs", "sendMessage", Pattern::RequestResponse | Pattern::WaitForTaskToken) => {
            Service::Sqs
        }
        ("http", "invoke", Pattern::RequestResponse) => Service::HttpEndpoint,
        _ => return None,
    };
    Some((found, action, *pattern))
}

fn arguments(resource: &Resource, payload: &str) -> Result<Map<String, Value>, Failure> {
    match json::read_made(payload) {
        Ok(Value::Object(arguments)) => Ok(arguments),
        Ok(Value::Null) => Ok(Map::new()),
        _ => Err((
            "States.Runtime".to_owned(),
            format!("the parameters of {resource} must be an object"),
        )),
    }
}

/// Whether the resource is one of these services; it may still want configuration.
pub(crate) fn knows(resource: &Resource) -> bool {
    service(resource).is_some()
}

impl Services {
    pub(crate) fn new(settings: ServiceSettings) -> Services {
        Services {
            shared: Arc::new(Shared {
                settings,
                client: OnceLock::new(),
                turns: Arc::new(Semaphore::new(CONCURRENT_CALLS)),
                calls: Arc::default(),
            }),
        }
    }

    /// Whether the secrets of the connection that this resource uses must stay hidden.
    pub(crate) fn hides(&self, resource: &Resource) -> bool {
        let calls = matches!(service(resource), Some((Service::HttpEndpoint, ..)));
        calls && !self.shared.settings.reveal_secrets
    }

    /// Calls an HTTP endpoint, and shows what was sent and what came back. `None`: the resource is
    /// none.
    pub(crate) async fn exchange(
        &self,
        resource: &Resource,
        payload: &str,
        reveal: bool,
    ) -> Option<(Result<Value, Failure>, Exchange)> {
        let (called @ Service::HttpEndpoint, action, _) = service(resource)? else {
            return None;
        };
        let mut exchange = Some(Exchange {
            reveal,
            ..Exchange::default()
        });
        let result = match arguments(resource, payload) {
            Ok(arguments) => self.call(called, action, arguments, &mut exchange).await,
            Err(failure) => Err(failure),
        };
        Some((result, exchange.unwrap_or_default()))
    }

    /// Calls the service of a task. The caller knows that it is one of these.
    pub(crate) fn run(&self, request: &TaskRequest, responder: Responder) {
        let Some((service, action, pattern)) = service(&request.task.resource) else {
            return responder.failed(
                "States.Runtime",
                format!("there is no integration {}", request.task.resource),
            );
        };
        let arguments = match arguments(&request.task.resource, &request.task.payload) {
            Ok(arguments) => arguments,
            Err((error, cause)) => return responder.failed(error, cause),
        };
        let (services, action) = (self.clone(), action.to_owned());
        let task = async move {
            let answered = services.call(service, &action, arguments, &mut None).await;
            match answered {
                Ok(result) if pattern == Pattern::WaitForTaskToken => {
                    responder.started(None);
                    responder.submitted(json::write(&result).into());
                }
                Ok(result) => {
                    responder.started(None);
                    responder.succeeded(json::write(&result).into());
                }
                Err((error, cause)) => {
                    responder.started(None);
                    responder.failed(error, cause);
                }
            }
        };
        self.spawn(request.key, task);
    }

    async fn call(
        &self,
        service: Service,
        action: &str,
        arguments: Map<String, Value>,
        exchange: &mut Option<Exchange>,
    ) -> Result<Value, Failure> {
        let shared = &self.shared;
        let call = async {
            match service {
                Service::DynamoDb => {
                    aws_json::DYNAMODB
                        .call(shared.client(), &shared.settings, action, arguments)
                        .await
                }
                Service::Sqs => {
                    aws_json::SQS
                        .call(shared.client(), &shared.settings, action, arguments)
                        .await
                }
                Service::HttpEndpoint => {
                    http_endpoint::invoke(shared.client(), &shared.settings, arguments, exchange)
                        .await
                }
            }
        };
        tokio::time::timeout(CALL_TIMEOUT, call)
            .await
            .unwrap_or_else(|_| {
                let error = match service {
                    Service::DynamoDb => "DynamoDB.SdkClientException",
                    Service::Sqs => "SQS.SdkClientException",
                    Service::HttpEndpoint => "States.Http.Socket",
                };
                Err((
                    error.to_owned(),
                    format!("no answer came within {} seconds", CALL_TIMEOUT.as_secs()),
                ))
            })
    }

    /// Reads the items of a distributed Map.
    pub(crate) fn read_items(&self, request: ReadItems, responder: Responder) {
        let (key, services) = (responder.key(), self.clone());
        self.spawn(key, async move {
            match buckets::read(&services.shared.settings, &request).await {
                Ok(body) => responder.items_read(body.into()),
                Err(cause) => responder.failed("States.ItemReaderFailed", cause),
            }
        });
    }

    /// Stores the results of a distributed Map.
    pub(crate) fn write_results(&self, request: WriteResults, responder: Responder) {
        let (key, services) = (responder.key(), self.clone());
        self.spawn(key, async move {
            match buckets::write(&services.shared.settings, &request).await {
                Ok(()) => responder.results_written(),
                Err(cause) => responder.failed("States.ResultWriterFailed", cause),
            }
        });
    }

    fn spawn(&self, key: TaskKey, task: impl Future<Output = ()> + Send + 'static) {
        let (turns, calls) = (
            self.shared.turns.clone(),
            Arc::downgrade(&self.shared.calls),
        );
        // Held while the call is entered: it must not leave the table before it is in it.
        let mut entered = self.shared.calls.lock();
        let call = tokio::spawn(async move {
            let turn = turns.acquire().await;
            task.await;
            drop(turn);
            if let Some(calls) = calls.upgrade() {
                calls.lock().remove(&key);
            }
        });
        entered.insert(key, call.abort_handle());
    }

    /// Abandons a call whose task is no longer waited for. The service may have done it.
    pub(crate) fn cancel(&self, key: TaskKey) {
        if let Some(call) = self.shared.calls.lock().remove(&key) {
            call.abort();
        }
    }
}

impl Shared {
    /// Made when it is first needed: most servers call no service.
    fn client(&self) -> &reqwest::Client {
        self.client.get_or_init(|| {
            // A second installation fails, and then the first one is as good.
            let _ = rustls::crypto::ring::default_provider().install_default();
            let builder = || {
                outgoing::client()
                    .redirect(reqwest::redirect::Policy::none())
                    .user_agent(concat!("jobcast/", env!("CARGO_PKG_VERSION")))
            };
            builder().build().unwrap_or_else(|error| {
                tracing::warn!(%error, "no TLS roots found: https addresses will not be trusted");
                builder().tls_certs_only([]).build().expect(
                    "a client without the system's certificates has no other source of failure",
                )
            })
        })
    }
}
