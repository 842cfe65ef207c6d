//! A Lambda function in a separate process: this test binary again, with a variable set. It speaks
//! plain TCP, so that no code of the host is on both sides.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use base64::Engine as _;
use rustix::process::{Signal, getpid, kill_process};
use serde_json::{Value, json};
use workflow::lambda::limits;

/// Set in a function's process: how it begins.
pub(crate) const MARK: &str = "TEST_FUNCTION";

/// The command that runs the function.
pub(crate) fn command() -> Vec<String> {
    let own = std::env::current_exe().unwrap();
    let own = own.to_str().unwrap();
    [own, "--exact", "function::process", "--nocapture"]
        .map(str::to_owned)
        .to_vec()
}

/// A configured function that runs it.
pub(crate) fn config(name: &str) -> workflow::lambda::FunctionConfig {
    let mut config = workflow::lambda::FunctionConfig::new(name, command());
    config.environment.insert(MARK.to_owned(), "1".to_owned());
    config
}

/// Not a test: what a function's process runs.
#[test]
fn process() {
    let Ok(mark) = std::env::var(MARK) else {
        return;
    };
    let api = std::env::var("AWS_LAMBDA_RUNTIME_API").unwrap();
    let connect = || {
        let stream = TcpStream::connect(&api).unwrap();
        stream.set_nodelay(true).unwrap();
        Connection {
            reader: BufReader::new(stream.try_clone().unwrap()),
            writer: stream,
        }
    };
    initialize(&mark, &connect);
    let mut connection = connect();
    loop {
        // The end of the connection is the end of the server.
        let Some(next) = connection.next() else {
            std::process::exit(0);
        };
        if next.status != 200 {
            std::process::exit(17);
        }
        let id = next.header("lambda-runtime-aws-request-id");
        for name in ["lambda-runtime-deadline-ms", "lambda-runtime-trace-id"] {
            assert!(!next.header(name).is_empty());
        }
        let input: Value = serde_json::from_slice(&next.body).unwrap();
        if !misbehave(&input, &mut connection, &id, &next) {
            let (what, answer) = answer(&input);
            connection.answer(&id, what, answer.to_string().as_bytes());
        }
    }
}

/// What happens before the first request for work.
fn initialize(mark: &str, connect: &dyn Fn() -> Connection) {
    let failed = || {
        let body =
            json!({"errorType": "Runtime.ImportModuleError", "errorMessage": "no such module"});
        let answer = connect().post("init/error", &[], body.to_string().as_bytes());
        assert_eq!(answer.unwrap().status, 202);
    };
    match mark {
        "broken" => {
            println!("no module named handler");
            std::process::exit(3)
        }
        "leaves" => std::process::exit(0),
        "hangs" => {
            println!("still thinking");
            hang()
        }
        "slow" => std::thread::sleep(Duration::from_millis(500)),
        "floods" => {
            flood();
            std::process::exit(4)
        }
        "fails" => {
            failed();
            std::process::exit(1)
        }
        "fails and stays" => {
            failed();
            hang()
        }
        _ => {}
    }
}

fn hang() -> ! {
    loop {
        std::thread::park();
    }
}

fn flood() {
    let line = "y".repeat(199);
    for _ in 0..20_000 {
        println!("{line}");
    }
}

/// Sends a signal to this process.
fn signal_self(signal: Signal) -> ! {
    kill_process(getpid(), signal).unwrap();
    hang()
}

#[expect(
    clippy::zombie_processes,
    reason = "a child that is left is what is tried"
)]
/// Handles everything but a plain answer; returns whether the invocation is done.
fn misbehave(input: &Value, connection: &mut Connection, id: &str, next: &Message) -> bool {
    let path = format!("invocation/{id}/response");
    let nobody = uuid::Uuid::from_u128(7);
    match input["do"].as_str().unwrap_or_default() {
        "exit" => {
            println!("last words");
            std::process::exit(input["code"].as_i64().unwrap_or(1) as i32)
        }
        "kill" => signal_self(Signal::KILL),
        "abort" => std::process::abort(),
        "stop" => signal_self(Signal::STOP),
        "hang" => hang(),
        "once" => {
            connection.answer(id, "response", b"\"once\"");
            std::process::exit(0)
        }
        "twice" => {
            connection.answer(id, "response", b"1");
            assert_eq!(connection.post(&path, &[], b"2").unwrap().status, 400);
        }
        "wrong id" => {
            let wrong = format!("invocation/{nobody}/response");
            assert_eq!(connection.post(&wrong, &[], b"1").unwrap().status, 400);
            let wrong = "invocation/none/response";
            assert_eq!(connection.post(wrong, &[], b"1").unwrap().status, 400);
            connection.answer(id, "response", b"1");
        }
        // The next request for work is refused, and that ends this process.
        "no answer" => {}
        "hang up" => {
            connection.writer.shutdown(Shutdown::Both).unwrap();
            hang()
        }
        "half" => {
            connection.begin(&path, &[("Content-Length", "100")], b"{\"a\":");
            if input["exits"] == true {
                std::process::exit(5);
            }
            hang()
        }
        "half head" => {
            connection
                .writer
                .write_all(b"POST /2018-06-01/runt")
                .unwrap();
            hang()
        }
        "garbage" => {
            connection
                .writer
                .write_all(b"\0\xff\r\n\r\nwhat\r\n\r\n")
                .unwrap();
            hang()
        }
        "raw" => connection.answer(id, "response", input["body"].as_str().unwrap().as_bytes()),
        "no text" => connection.answer(id, "response", b"\"\xff\""),
        "huge" => {
            let body = format!("\"{}\"", "x".repeat(limits::PAYLOAD_BYTES - 1));
            // It may be refused before all is sent.
            let _ = connection.post(&path, &[], body.as_bytes());
            std::process::exit(0)
        }
        "raw error" => {
            let path = format!("invocation/{id}/error");
            let kind = input["type"].as_str().map(|kind| (ERROR_TYPE, kind));
            let headers: Vec<_> = kind.into_iter().collect();
            let body = input["body"].as_str().unwrap();
            assert_eq!(
                connection
                    .post(&path, &headers, body.as_bytes())
                    .unwrap()
                    .status,
                202
            );
        }
        "flood" => {
            flood();
            connection.answer(id, "response", b"\"flooded\"");
        }
        "child" => {
            let child = std::process::Command::new("sleep")
                .arg("600")
                .spawn()
                .unwrap();
            if input["exits"] == true {
                std::process::exit(6);
            }
            connection.answer(id, "response", child.id().to_string().as_bytes());
        }
        "stream" => {
            let headers = [
                ("Transfer-Encoding", "chunked"),
                ("Lambda-Runtime-Function-Response-Mode", "streaming"),
                (
                    "Trailer",
                    "Lambda-Runtime-Function-Error-Type, Lambda-Runtime-Function-Error-Body",
                ),
            ];
            connection.begin(&path, &headers, b"3\r\n\"ab\r\n2\r\nc\"\r\n0\r\n");
            if let Some(error) = input["error"].as_str() {
                let body = json!({"errorType": error, "errorMessage": "broke"}).to_string();
                let body = base64::engine::general_purpose::STANDARD.encode(body);
                let trailers = format!(
                    "{ERROR_TYPE}: {error}\r\nLambda-Runtime-Function-Error-Body: {body}\r\n"
                );
                connection.writer.write_all(trailers.as_bytes()).unwrap();
            }
            connection.writer.write_all(b"\r\n").unwrap();
            assert_eq!(connection.read().unwrap().status, 202);
        }
        "page" => {
            let api = std::env::var("AWS_LAMBDA_RUNTIME_API").unwrap();
            let path = "/2018-06-01/runtime/invocation/next";
            let own = format!("Host: {api}");
            for (headers, status) in [
                ("Host: rebound.example.com".to_owned(), "421"),
                (format!("{own}\r\nOrigin: http://{api}"), "403"),
                (format!("{own}\r\nSec-Fetch-Site: cross-site"), "403"),
                (format!("{own}\r\n{own}"), "400"),
                // It has an invocation that it did not answer, but it may ask.
                (format!("{own}\r\nSec-Fetch-Site: none"), "403"),
            ] {
                let mut stream = TcpStream::connect(&api).unwrap();
                let request =
                    format!("GET {path} HTTP/1.1\r\n{headers}\r\nConnection: close\r\n\r\n");
                stream.write_all(request.as_bytes()).unwrap();
                let mut answer = String::new();
                stream.read_to_string(&mut answer).unwrap();
                assert!(
                    answer.starts_with(&format!("HTTP/1.1 {status}")),
                    "{headers}: {answer}"
                );
                let asked = answer.contains("InvalidStateTransition");
                assert_eq!(asked, headers.ends_with("none"), "{headers}: {answer}");
            }
            connection.answer(id, "response", b"\"kept away\"");
        }
        "headers" => {
            let headers: serde_json::Map<_, _> = next
                .headers
                .iter()
                .map(|(name, value)| (name.clone(), json!(value)))
                .collect();
            connection.answer(id, "response", json!(headers).to_string().as_bytes());
        }
        _ => return false,
    }
    true
}

fn answer(input: &Value) -> (&'static str, Value) {
    match input["do"].as_str() {
        Some("fail") => (
            "error",
            json!({"errorType": "Custom", "errorMessage": "no", "stackTrace": []}),
        ),
        Some("log") => {
            println!("{}", input["text"].as_str().unwrap());
            ("response", json!("logged"))
        }
        Some("sleep") => {
            std::thread::sleep(Duration::from_millis(input["millis"].as_u64().unwrap()));
            ("response", json!("slept"))
        }
        Some("pid") => ("response", json!(std::process::id())),
        Some("environment") => {
            let all: std::collections::BTreeMap<_, _> = std::env::vars().collect();
            ("response", json!(all))
        }
        _ => {
            let mut output = input.clone();
            if let Some(n) = input["n"].as_i64() {
                output["n"] = json!(n + 1);
            }
            ("response", output)
        }
    }
}

const ERROR_TYPE: &str = "Lambda-Runtime-Function-Error-Type";

/// A connection to the Runtime API.
struct Connection {
    reader: BufReader<TcpStream>,
    writer: TcpStream,
}

/// A response.
struct Message {
    status: u16,
    headers: Headers,
    body: Vec<u8>,
}

impl Message {
    fn header(&self, name: &str) -> String {
        let line = self.headers.iter().find(|(key, _)| key == name);
        line.unwrap_or_else(|| panic!("no {name}")).1.clone()
    }
}

impl Connection {
    fn next(&mut self) -> Option<Message> {
        let request = "GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n";
        self.writer.write_all(request.as_bytes()).ok()?;
        self.read()
    }

    /// Sends a request's head and the beginning of its body.
    fn begin(&mut self, path: &str, headers: &[(&str, &str)], body: &[u8]) {
        let mut request =
            format!("POST /2018-06-01/runtime/{path} HTTP/1.1\r\nHost: 127.0.0.1\r\n");
        for (name, value) in headers {
            request.push_str(&format!("{name}: {value}\r\n"));
        }
        request.push_str("\r\n");
        let mut request = request.into_bytes();
        request.extend_from_slice(body);
        let _ = self.writer.write_all(&request);
    }

    fn post(&mut self, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Option<Message> {
        let length = body.len().to_string();
        let headers = [headers, &[("Content-Length", &*length)]].concat();
        self.begin(path, &headers, body);
        self.read()
    }

    fn answer(&mut self, id: &str, what: &str, body: &[u8]) {
        let answer = self.post(&format!("invocation/{id}/{what}"), &[], body);
        assert_eq!(answer.unwrap().status, 202);
    }

    fn read(&mut self) -> Option<Message> {
        let mut line = String::new();
        self.reader.read_line(&mut line).ok()?;
        let status = line.split(' ').nth(1)?.parse().ok()?;
        let (headers, body) = read(&mut self.reader)?;
        Some(Message {
            status,
            headers,
            body,
        })
    }
}

type Headers = Vec<(String, String)>;

fn read(reader: &mut BufReader<TcpStream>) -> Option<(Headers, Vec<u8>)> {
    let (mut headers, mut line) = (Vec::new(), String::new());
    loop {
        line.clear();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        if line == "\r\n" {
            break;
        }
        if let Some((name, value)) = line.trim_end().split_once(": ") {
            headers.push((name.to_lowercase(), value.to_owned()));
        }
    }
    let length = headers.iter().find(|(name, _)| name == "content-length");
    let length = length.map_or(0, |(_, value)| value.parse().unwrap());
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some((headers, body))
}
