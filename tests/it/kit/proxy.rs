//! A proxy before a service of AWS that breaks calls by rules, and counts them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use axum::Router;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio_util::task::AbortOnDropHandle;

/// What happens to a call.
#[derive(Clone)]
pub enum Fault {
    /// It is never answered.
    Hang,
    /// It is refused with this status and body, without reaching the service.
    Refuse(u16, Value),
    /// The service's response is changed.
    Edit(fn(&mut Value)),
}

impl Fault {
    /// An error as AWS writes it.
    pub fn error(kind: &str, message: &str) -> Fault {
        Fault::Refuse(
            400,
            json!({ "__type": format!("com.amazonaws#{kind}"), "message": message }),
        )
    }
}

/// A call that arrived.
#[derive(Clone, Debug)]
pub struct Call {
    pub operation: String,
    pub body: Value,
}

type Rule = Box<dyn Fn(&Call) -> Option<Fault> + Send + Sync>;

struct Rules {
    target: String,
    http: reqwest::Client,
    /// The `Date` of its responses.
    date: Mutex<Option<String>>,
    rules: Mutex<Vec<Rule>>,
    calls: Mutex<Vec<Call>>,
}

/// The proxy.
pub struct Proxy {
    /// `http://127.0.0.1:PORT`.
    pub endpoint: String,
    shared: Arc<Rules>,
    _serving: AbortOnDropHandle<()>,
}

impl Proxy {
    /// A proxy without rules before a service.
    pub async fn before(target: &str) -> Proxy {
        // A second installation fails, which is right: the first one is the same.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let shared = Arc::new(Rules {
            target: target.to_owned(),
            http: reqwest::Client::builder().no_proxy().build().unwrap(),
            date: Mutex::default(),
            rules: Mutex::default(),
            calls: Mutex::default(),
        });
        let app = Router::new()
            .fallback(answer)
            .with_state(Arc::clone(&shared));
        let (listener, endpoint) = super::aws::listen().await;
        let serving = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Proxy {
            endpoint,
            shared,
            _serving: AbortOnDropHandle::new(serving),
        }
    }

    /// Adds a rule. The first that answers decides.
    pub fn rule(&self, rule: impl Fn(&Call) -> Option<Fault> + Send + Sync + 'static) {
        self.shared.rules.lock().push(Box::new(rule));
    }

    /// The next calls of an operation, as many as `times`.
    pub fn next(&self, operation: &'static str, times: u32, fault: Fault) {
        let left = AtomicU32::new(times);
        self.rule(move |call| {
            let one_less = |left: u32| left.checked_sub(1);
            (call.operation == operation
                && left
                    .fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_less)
                    .is_ok())
            .then(|| fault.clone())
        });
    }

    /// Every call of an operation.
    pub fn every(&self, operation: &'static str, fault: Fault) {
        self.rule(move |call| (call.operation == operation).then(|| fault.clone()));
    }

    /// The `Date` of its responses from now on.
    pub fn date(&self, date: &str) {
        *self.shared.date.lock() = Some(date.to_owned());
    }

    /// Removes the rules.
    pub fn heal(&self) {
        self.shared.rules.lock().clear();
    }

    /// The calls since the last look.
    pub fn take_calls(&self) -> Vec<Call> {
        std::mem::take(&mut *self.shared.calls.lock())
    }
}

async fn answer(State(shared): State<Arc<Rules>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
    let target = parts.headers.get("x-amz-target");
    let target = target.map_or("", |target| target.to_str().unwrap());
    let operation = target.rsplit('.').next().unwrap().to_owned();
    let call = Call {
        operation,
        body: serde_json::from_slice(&body).unwrap_or_default(),
    };
    let fault = shared.rules.lock().iter().find_map(|rule| rule(&call));
    shared.calls.lock().push(call);
    let mut response = match fault {
        Some(Fault::Hang) => std::future::pending().await,
        Some(Fault::Refuse(status, body)) => reply(status, body.to_string().into()),
        edit => {
            let address = format!("{}{}", shared.target, parts.uri);
            let request = shared
                .http
                .request(parts.method, address)
                .headers(parts.headers);
            let Ok(got) = request.body(body).send().await else {
                return StatusCode::BAD_GATEWAY.into_response();
            };
            let status = got.status().as_u16();
            let mut body = got.bytes().await.unwrap().to_vec();
            if let Some(Fault::Edit(edit)) = edit {
                let mut value = serde_json::from_slice(&body).unwrap();
                edit(&mut value);
                body = value.to_string().into_bytes();
            }
            reply(status, body)
        }
    };
    if let Some(date) = &*shared.date.lock() {
        response.headers_mut().insert("date", date.parse().unwrap());
    }
    response
}

fn reply(status: u16, body: Vec<u8>) -> Response {
    let kind = [("content-type", "application/x-amz-json-1.0")];
    (StatusCode::from_u16(status).unwrap(), kind, body).into_response()
}
