//! The endpoint: it counts each request, lets it meet its fault, and hands it to its service.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response, Uri, header};
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpListener;

use super::action::{Action, Service, error, json_answer};
use super::inner::{Bytes, Inner};
use crate::faults::Fault;

/// Maximum bytes of a request: a payload of Lambda or a batch of DynamoDB, with room.
const REQUEST_BYTES: usize = 32 * 1024 * 1024;

/// The connection closes without an answer.
fn lost() -> io::Error {
    io::Error::other("the reply is lost")
}

pub(super) async fn serve(inner: Arc<Inner>, listener: TcpListener) {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        let _ = stream.set_nodelay(true);
        let served = Arc::clone(&inner);
        inner.spawn(async move {
            let service = service_fn(|request| {
                let inner = Arc::clone(&served);
                async move { answer(&inner, request).await }
            });
            let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
            let _ = connection.await;
        });
    }
}

async fn answer(
    inner: &Arc<Inner>,
    request: Request<Incoming>,
) -> Result<Response<Bytes>, io::Error> {
    let (parts, body) = request.into_parts();
    let body = Limited::new(body, REQUEST_BYTES).collect().await;
    let body = body.map_err(io::Error::other)?.to_bytes();
    let Some(action) = Action::of(&parts) else {
        let message = format!(
            "localcloud has no service for {} {}",
            parts.method, parts.uri
        );
        return Ok(error(
            Service::Lambda,
            404,
            "UnknownOperationException",
            &message,
        ));
    };
    inner.counts.called(&action.name);
    let fault = inner.faults.take(&action.name);
    match &fault {
        Some(Fault::NeverAnswer) => return std::future::pending().await,
        Some(Fault::Delay(delay)) => tokio::time::sleep(*delay).await,
        Some(fault) => {
            if let Some(refused) = action.refusal(fault) {
                return Ok(refused);
            }
        }
        None => {}
    }
    let request = Request::from_parts(parts, Bytes::from(body.clone()));
    let answer = inner.handle(&action, request, &body).await;
    match fault {
        Some(Fault::LoseReply) => Err(lost()),
        Some(Fault::NeverAnswerAfterEffect) => std::future::pending().await,
        _ => answer,
    }
}

impl Inner {
    async fn handle(
        self: &Arc<Self>,
        action: &Action,
        request: Request<Bytes>,
        body: &bytes::Bytes,
    ) -> Result<Response<Bytes>, io::Error> {
        match action.service {
            Service::DynamoDb | Service::Streams => self.handle_tables(action, request, body).await,
            Service::StepFunctions => {
                let answered = self.forward(self.internal, request).await?;
                self.handled_states(action, &answered.1);
                Ok(answered.0)
            }
            Service::Sqs => {
                let request = serde_json::from_slice(body).unwrap_or(Value::Null);
                Ok(self.handle_sqs(&action.operation, &request).await)
            }
            Service::Events if action.operation == "PutEvents" => {
                let asked = serde_json::from_slice(body).unwrap_or(Value::Null);
                Ok(json_answer(200, &self.put_events(&asked)))
            }
            Service::Events => {
                let message = format!("localcloud has no action {}", action.name);
                let code = "UnknownOperationException";
                Ok(error(action.service, 400, code, &message))
            }
            Service::Lambda if action.operation == "InvokeFunction" => {
                Ok(self.forward(self.internal, request).await?.0)
            }
            Service::Lambda => {
                let id = request.uri().path().rsplit('/').next().unwrap_or_default();
                let asked = serde_json::from_slice(body).unwrap_or(Value::Null);
                Ok(match self.handle_mappings(&action.operation, id, &asked) {
                    Ok((status, shown)) => json_answer(status, &shown),
                    Err(refused) => error(
                        action.service,
                        refused.status,
                        refused.code,
                        &refused.message,
                    ),
                })
            }
        }
    }

    /// Sends a request on to a listener behind the door; the answer with its body.
    pub(super) async fn forward(
        &self,
        to: std::net::SocketAddr,
        mut request: Request<Bytes>,
    ) -> Result<(Response<Bytes>, bytes::Bytes), io::Error> {
        let path = request
            .uri()
            .path_and_query()
            .map_or("/", |path| path.as_str());
        let uri = format!("http://{to}{path}").parse::<Uri>();
        *request.uri_mut() = uri.map_err(io::Error::other)?;
        for name in [header::HOST, header::CONNECTION, header::CONTENT_LENGTH] {
            request.headers_mut().remove(name);
        }
        let answer = self
            .client
            .request(request)
            .await
            .map_err(io::Error::other)?;
        let (mut parts, body) = answer.into_parts();
        let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
        for name in [
            header::CONTENT_LENGTH,
            header::TRANSFER_ENCODING,
            header::CONNECTION,
        ] {
            parts.headers.remove(name);
        }
        let whole = Response::from_parts(parts, Bytes::from(body.clone()));
        Ok((whole, body))
    }
}
