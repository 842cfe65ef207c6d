//! The internal listener (loopback only): the Lambda Runtime API for outside processes, the Lambda Invoke API and the Step Functions API.
//! It checks no credentials: whoever reaches it may do everything.

use std::convert::Infallible;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use http::{Method, Request};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::Engine;
use crate::api::Api;
use crate::lambda::http::{Answer, attach, attached, invoke, invoked, unknown_path};
use crate::runner::Runner;

/// How long requests may go on after the shutdown. Long polls are cut off at once.
pub const GRACE: Duration = Duration::from_secs(2);

/// Serves the internal listener until `shutdown`.
///
/// # Errors
/// The listener's own.
pub async fn serve(
    listener: TcpListener,
    engine: Engine,
    runner: Runner,
    shutdown: impl Future<Output = ()> + Send,
) -> std::io::Result<()> {
    let api = Arc::new(Api::new(engine, runner));
    let (connections, stop) = (TaskTracker::new(), CancellationToken::new());
    tokio::pin!(shutdown);
    loop {
        let stream = tokio::select! {
            () = &mut shutdown => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    // Too many open files: it passes.
                    tracing::warn!(%error, "an internal connection was not accepted");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            },
        };
        let _ = stream.set_nodelay(true);
        let (api, stop) = (api.clone(), stop.clone());
        connections.spawn(async move {
            let service = service_fn(|request: Request<Incoming>| {
                let api = api.clone();
                async move { Ok::<_, Infallible>(answer(&api, request).await) }
            });
            let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
            tokio::pin!(connection);
            tokio::select! {
                _ = connection.as_mut() => {}
                () = stop.cancelled() => {
                    connection.as_mut().graceful_shutdown();
                    let _ = tokio::time::timeout(GRACE, connection).await;
                }
            }
        });
    }
    stop.cancel();
    connections.close();
    connections.wait().await;
    Ok(())
}

async fn answer(api: &Arc<Api>, request: Request<Incoming>) -> Answer {
    let path = request.uri().path();
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
