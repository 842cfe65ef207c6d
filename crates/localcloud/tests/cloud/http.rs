//! A caller of the endpoint.

use std::io;

use http_body_util::{BodyExt as _, Full};
use hyper::Request;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use localcloud::Cloud;
use serde_json::Value;

/// A signature that is not verified.
const SIGNATURE: &str = "AWS4-HMAC-SHA256 \
    Credential=localcloud/20260101/us-east-1/dynamodb/aws4_request, \
    SignedHeaders=host;x-amz-date, Signature=0";

/// Calls an action by its target; the status and the body. An error is a connection that closed.
pub async fn call(cloud: &Cloud, target: &str, body: &Value) -> io::Result<(u16, Value)> {
    let client = Client::builder(TokioExecutor::new()).build_http();
    let request = Request::post(cloud.endpoint())
        .header("content-type", "application/x-amz-json-1.0")
        .header("x-amz-target", target)
        .header("x-amz-date", "20260101T000000Z")
        .header("authorization", SIGNATURE)
        .body(Full::new(bytes::Bytes::from(body.to_string())))
        .unwrap();
    let answer = client.request(request).await.map_err(io::Error::other)?;
    let status = answer.status().as_u16();
    let body = answer
        .into_body()
        .collect()
        .await
        .map_err(io::Error::other)?;
    let body = serde_json::from_slice(&body.to_bytes()).unwrap_or(Value::Null);
    Ok((status, body))
}

/// Reads a resource of the Lambda API.
pub async fn get(cloud: &Cloud, path: &str) -> Value {
    let client = Client::builder(TokioExecutor::new()).build_http();
    let request = Request::get(format!("{}{path}", cloud.endpoint()));
    let request = request.body(Full::new(bytes::Bytes::new())).unwrap();
    let body = client.request(request).await.unwrap().into_body();
    let body = body.collect().await.unwrap().to_bytes();
    serde_json::from_slice(&body).unwrap()
}
