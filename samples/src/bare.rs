//! A function without a library between it and the Lambda Runtime API: one blocking connection. The
//! benchmark uses it to measure the service's cost of a step. It also shows how small a runtime
//! client can be.

use std::convert::Infallible;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;

use functions::lambda_runtime::Error;

use crate::noop::Counter;

/// Maximum length of a line in a response's head, in bytes.
const HEAD_LINE_BYTES: u64 = 8 * 1024;
/// Maximum size of an event in bytes (AWS Lambda, "Quotas": invocation payload).
const EVENT_BYTES: usize = 6 * 1024 * 1024;

/// Answers `{"n": n}` with `{"n": n + 1}` until the host ends (AWS Lambda, "Using the Lambda
/// runtime API").
///
/// # Errors
/// A missing `AWS_LAMBDA_RUNTIME_API`, or the end of the Runtime API.
pub fn run() -> Result<Infallible, Error> {
    const VARIABLE: &str = "AWS_LAMBDA_RUNTIME_API";
    let address = std::env::var(VARIABLE).map_err(|error| format!("{VARIABLE}: {error}"))?;
    let address = address.strip_prefix("http://").unwrap_or(&address);
    // The address of a running service contains a path for each function.
    let (address, path) = match address.split_once('/') {
        Some((address, path)) => (address, format!("/{path}")),
        None => (address, String::new()),
    };
    let mut connection = Connection::open(address)?;
    let mut request = Vec::new();
    loop {
        write!(
            request,
            "GET {path}/2018-06-01/runtime/invocation/next HTTP/1.1\r\nhost: {address}\r\n\r\n"
        )?;
        let event = connection.exchange(&mut request)?;
        let id = event.id.ok_or("an event came without its request id")?;
        let (kind, answer) = match serde_json::from_slice::<Counter>(&event.body) {
            Ok(Counter { n }) => ("response", format!(r#"{{"n":{}}}"#, n.wrapping_add(1))),
            Err(error) => (
                "error",
                serde_json::json!({"errorType": "InvalidInput", "errorMessage": error.to_string()})
                    .to_string(),
            ),
        };
        write!(
            request,
            "POST {path}/2018-06-01/runtime/invocation/{id}/{kind} HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{answer}",
            answer.len()
        )?;
        connection.exchange(&mut request)?;
    }
}

struct Connection(BufReader<TcpStream>);

/// The parts of a response that the benchmark needs.
struct Response {
    id: Option<String>,
    body: Vec<u8>,
}

impl Connection {
    fn open(address: &str) -> Result<Connection, Error> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        Ok(Connection(BufReader::new(stream)))
    }

    /// Sends `request`, empties it, and waits for the response.
    fn exchange(&mut self, request: &mut Vec<u8>) -> Result<Response, Error> {
        self.0.get_mut().write_all(request)?;
        request.clear();
        let (mut id, mut length) = (None, 0);
        let status = self.line()?;
        if !status.starts_with("HTTP/1.1 2") {
            return Err(format!("the Runtime API answered {status:?}").into());
        }
        loop {
            let line = self.line()?;
            let Some((name, value)) = line.split_once(':') else {
                break;
            };
            let value = value.trim();
            if name.eq_ignore_ascii_case("content-length") {
                length = value.parse()?;
            } else if name.eq_ignore_ascii_case("lambda-runtime-aws-request-id") {
                id = Some(value.to_owned());
            }
        }
        if length > EVENT_BYTES {
            return Err(format!("an event of {length} bytes is over {EVENT_BYTES}").into());
        }
        let mut body = vec![0; length];
        self.0.read_exact(&mut body)?;
        Ok(Response { id, body })
    }

    /// A line of the head without its end; empty at the end of the head.
    fn line(&mut self) -> Result<String, Error> {
        let mut line = String::new();
        let read = (&mut self.0).take(HEAD_LINE_BYTES).read_line(&mut line)?;
        if read == 0 {
            return Err("the Runtime API has closed the connection".into());
        }
        line.truncate(line.trim_end().len());
        Ok(line)
    }
}
