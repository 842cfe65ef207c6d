//! The internal listener (loopback only): the Lambda Runtime API for outside processes, the Lambda
//! Invoke API and the Step Functions API. A caller that is admitted may do everything. Web pages
//! are not admitted ([`guard`]): names other than loopback ones, `Origin`, `Sec-Fetch-Site` and the
//! content types that a page may send unasked are refused. Other users of the machine are not
//! admitted where the secret is required ([`Admission`]).

use std::convert::Infallible;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use http::header::CONTENT_TYPE;
use http::{Method, Request};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::Engine;
use crate::api::Api;
use crate::guard;
use crate::lambda::http::{Answer, attach, attached, denied, invoke, invoked, unknown_path};
use crate::runner::Runner;
use crate::secret::Admission;

/// How long requests may go on after the shutdown. Long polls are cut off at once.
pub const GRACE: Duration = Duration::from_secs(2);
/// Time allowed for a request's head, from the connection's begin or the last answer on. Longer
/// than the clients of AWS's SDKs keep an idle connection, so that none is closed as its next
/// request comes.
pub const HEAD: Duration = Duration::from_secs(75);
/// Maximum number of connections that are open at once; another one waits to be accepted.
pub const CONNECTIONS: usize = 4_096;
/// Maximum bytes of a request's head. Runtimes send the cause of an error in a header, with the
/// whole stack trace.
pub const HEAD_BYTES: usize = 408 * 1024;

/// The bounds of its connections, which tests make smaller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// See [`HEAD`].
    pub head: Duration,
    /// See [`CONNECTIONS`].
    pub connections: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            head: HEAD,
            connections: CONNECTIONS,
        }
    }
}

/// Content types of the Step Functions API. A page cannot send them without a preflight, which is
/// not answered.
const STATES_TYPES: &[&str] = &[
    "application/x-amz-json-1.0",
    "application/x-amz-json-1.1",
    "application/json",
];
/// Content types of an invocation; the SDKs send a payload as application/octet-stream, and `curl
/// -d`, with which Lambda's own documentation invokes a local function, as a form.
const INVOKE_TYPES: &[&str] = &[
    "application/json",
    "application/octet-stream",
    "application/x-www-form-urlencoded",
    "application/x-amz-json-1.0",
    "application/x-amz-json-1.1",
];

/// Serves the internal listener until `shutdown`.
///
/// # Errors
/// The listener's own.
pub async fn serve(
    listener: TcpListener,
    engine: Engine,
    runner: Runner,
    admission: Admission,
    shutdown: impl Future<Output = ()> + Send,
) -> std::io::Result<()> {
    serve_within(
        listener,
        engine,
        runner,
        admission,
        Limits::default(),
        shutdown,
    )
    .await
}

/// As [`serve`], with other bounds.
///
/// # Errors
/// The listener's own.
pub async fn serve_within(
    listener: TcpListener,
    engine: Engine,
    runner: Runner,
    admission: Admission,
    limits: Limits,
    shutdown: impl Future<Output = ()> + Send,
) -> std::io::Result<()> {
    let (api, admission) = (Arc::new(Api::new(engine, runner)), Arc::new(admission));
    let (connections, stop) = (TaskTracker::new(), CancellationToken::new());
    let places = Arc::new(Semaphore::new(limits.connections));
    tokio::pin!(shutdown);
    loop {
        let (stream, place) = tokio::select! {
            () = &mut shutdown => break,
            accepted = accept(&listener, &places) => match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    // Too many open files: it passes.
                    tracing::warn!(%error, "an internal connection was not accepted");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            },
        };
        let _ = stream.set_nodelay(true);
        let (api, admission, stop) = (api.clone(), admission.clone(), stop.clone());
        connections.spawn(async move {
            let service = service_fn(|request: Request<Incoming>| {
                let (api, admission) = (api.clone(), admission.clone());
                async move { Ok::<_, Infallible>(answer(&api, &admission, request).await) }
            });
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(limits.head)
                .max_buf_size(HEAD_BYTES)
                .serve_connection(TokioIo::new(stream), service);
            tokio::pin!(connection);
            tokio::select! {
                _ = connection.as_mut() => {}
                () = stop.cancelled() => {
                    connection.as_mut().graceful_shutdown();
                    let _ = tokio::time::timeout(GRACE, connection).await;
                }
            }
            drop(place);
        });
    }
    stop.cancel();
    connections.close();
    connections.wait().await;
    Ok(())
}

async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> std::io::Result<(TcpStream, OwnedSemaphorePermit)> {
    let place = Arc::clone(places).acquire_owned().await;
    let place = place.expect("the semaphore is never closed");
    Ok((listener.accept().await?.0, place))
}

/// What keeps a web page's request of this kind away.
fn refusal(request: &Request<Incoming>, path: &str) -> Result<(), guard::Refusal> {
    let headers = request.headers();
    if request.method() != Method::POST {
        return Ok(());
    }
    if path == "/" {
        let said = "application/x-amz-json-1.0";
        return guard::content_type(headers, STATES_TYPES, said);
    }
    // Without a type it is a program: a page's POST has an Origin, which was refused.
    if invoked(path).is_some() && headers.contains_key(CONTENT_TYPE) {
        let said = "application/json or application/octet-stream";
        return guard::content_type(headers, INVOKE_TYPES, said);
    }
    // Runtimes send what they like, curl's form type too. A page's POST has an Origin.
    Ok(())
}

async fn answer(api: &Arc<Api>, admission: &Admission, request: Request<Incoming>) -> Answer {
    let (headers, uri) = (request.headers(), request.uri().clone());
    let from = guard::check(request.version(), &uri, headers);
    let admitted = from.map(|()| admission.admit(uri.path(), headers));
    let judged = admitted.and_then(|path| match path {
        Some(path) => refusal(&request, path).map(|()| path),
        None => Err(guard::Refusal::NoSecret),
    });
    let path = match judged {
        Ok(path) => path,
        Err(refused) => return denied(refused),
    };
    if request.method() == Method::POST && path == "/" {
        return api.answer(request).await;
    }
    let host = &api.runner.lambda().shared;
    if let Some((function, route)) = attached(path) {
        let function = function.to_owned();
        return attach(host, &function, route, request).await;
    }
    if request.method() == Method::POST
        && let Some(function) = invoked(path)
    {
        return invoke(host, &function, request).await;
    }
    unknown_path(path)
}
