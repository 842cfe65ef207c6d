//! The command line through a proxy: a watch asks it for a tunnel (`CONNECT`), and says what a
//! proxy answers that gives none.

use std::process::Stdio;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::process::Command;
use tokio::task::JoinHandle;

use crate::kit::soon;

/// A server that no test reaches but through its proxy.
const ELSEWHERE: &str = "http://jobs.test";

/// Maximum size of a proxy's answer that the command line reads, in bytes.
const ANSWER_BYTES: usize = 8 * 1024;

/// A proxy that answers a request for a tunnel with this text. Returns its address, and the head
/// that it got once that is awaited.
async fn proxy(answer: String) -> (String, JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let serving = tokio::spawn(async move {
        let (mut client, _) = listener.accept().await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(client.read_u8().await.unwrap());
        }
        client.write_all(answer.as_bytes()).await.unwrap();
        String::from_utf8(head).unwrap()
    });
    (address, serving)
}

/// Watches a job through a proxy: exit status, what was printed, what was complained of.
async fn watch(id: &str, proxy: &str) -> (i32, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_jobcast"));
    for name in [
        "NO_PROXY",
        "no_proxy",
        "ALL_PROXY",
        "all_proxy",
        "http_proxy",
        "REQUEST_METHOD",
    ] {
        command.env_remove(name);
    }
    let output = command
        .args(["watch", id, "--url", ELSEWHERE])
        .env("JOBCAST_API_KEY", "ann-key")
        .env("HTTP_PROXY", proxy)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = soon("the end of a watch", output).await.unwrap();
    let [out, error] = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap());
    (output.status.code().unwrap(), out, error)
}

#[tokio::test]
async fn a_proxy_without_a_tunnel_is_named_with_what_it_says() {
    let id = "019ab0c4-7e2f-7c31-9d5e-6a1b2c3d4e5f";
    let padded = |bytes: usize| {
        let (begin, end) = ("HTTP/1.1 407 No\r\nX: ", "\r\n\r\n");
        let between = "x".repeat(bytes - begin.len() - end.len());
        format!("{begin}{between}{end}")
    };
    for (answer, said) in [
        (
            "HTTP/1.1 407 Proxy Authentication Required\r\n\r\n".to_owned(),
            "says HTTP/1.1 407 Proxy Authentication Required",
        ),
        (
            "HTTP/1.1 502 Bad Gateway\r\n\r\n".to_owned(),
            "says HTTP/1.1 502 Bad Gateway",
        ),
        (padded(ANSWER_BYTES), "says HTTP/1.1 407 No"),
        (padded(ANSWER_BYTES + 1), "its answer has over 8192 bytes"),
        ("HTTP/1.1 200 OK\r\n".to_owned(), "end of file"),
        (String::new(), "end of file"),
        ("no HTTP at all\r\n\r\n".to_owned(), "says no HTTP at all"),
    ] {
        let (at, serving) = proxy(answer).await;
        let (status, out, error) = watch(id, &format!("http://ann:s3cret@{at}")).await;
        assert_eq!(status, 1, "{out}{error}");
        for part in [
            "no server answers at http://jobs.test",
            &format!("the proxy {at}"),
            said,
        ] {
            assert!(error.contains(part), "{said}: {error}");
        }
        assert!(!error.contains("s3cret"), "{error}");
        let head = soon("the proxy's end", serving).await.unwrap();
        for part in [
            "CONNECT jobs.test:80 HTTP/1.1\r\n",
            "\r\nhost: jobs.test:80\r\n",
            "\r\nproxy-authorization: Basic YW5uOnMzY3JldA==\r\n",
        ] {
            assert!(head.contains(part), "{head}");
        }
        assert!(!head.contains("ann-key"), "the proxy gets no key: {head}");
    }
}
