//! A Lambda function in a process of its own: this test binary again, with a variable set. Plain TCP, so that nothing of ours is on both
//! sides.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;

use serde_json::{Value, json};

/// Set in a function's process.
const MARK: &str = "TEST_FUNCTION";

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
    if mark == "broken" {
        std::process::exit(3);
    }
    let api = std::env::var("AWS_LAMBDA_RUNTIME_API").unwrap();
    let stream = TcpStream::connect(&api).unwrap();
    stream.set_nodelay(true).unwrap();
    let (mut reader, mut writer) = (BufReader::new(stream.try_clone().unwrap()), stream);
    loop {
        let request = "GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\nHost: x\r\n\r\n";
        // The end of the connection is the end of the server.
        if writer.write_all(request.as_bytes()).is_err() {
            std::process::exit(0);
        }
        let Some((headers, body)) = read(&mut reader) else {
            std::process::exit(0);
        };
        let header = |name: &str| {
            let line = headers.iter().find(|(key, _)| key == name);
            line.unwrap_or_else(|| panic!("no {name}")).1.clone()
        };
        let id = header("lambda-runtime-aws-request-id");
        for name in ["lambda-runtime-deadline-ms", "lambda-runtime-trace-id"] {
            assert!(!header(name).is_empty());
        }
        let input: Value = serde_json::from_slice(&body).unwrap();
        let (what, answer) = answer(&input);
        let answer = answer.to_string();
        let request = format!(
            "POST /2018-06-01/runtime/invocation/{id}/{what} HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n{answer}",
            answer.len()
        );
        writer.write_all(request.as_bytes()).unwrap();
        read(&mut reader).unwrap();
    }
}

fn answer(input: &Value) -> (&'static str, Value) {
    match input["do"].as_str() {
        Some("fail") => (
            "error",
            json!({"errorType": "Custom", "errorMessage": "no", "stackTrace": []}),
        ),
        Some("exit") => {
            println!("last words");
            std::process::exit(1);
        }
        Some("hang") => loop {
            std::thread::park();
        },
        Some("log") => {
            println!("{}", input["text"].as_str().unwrap());
            ("response", json!("logged"))
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
