//! A proxy before the Step Functions API that counts calls, refuses some and never answers others.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;

/// What happens to a call.
#[derive(Clone, Debug)]
pub(crate) enum Fate {
    Forward,
    /// An error of this name.
    Refuse(&'static str),
    /// It is never answered.
    Hang,
}

type Decide = Box<dyn Fn(&str, &str) -> Fate + Send + Sync>;

/// The calls so far, and the fate of the next ones.
pub(crate) struct Proxy {
    pub(crate) endpoint: String,
    calls: Mutex<Vec<(String, Instant)>>,
    decide: Mutex<Decide>,
}

impl Proxy {
    pub(crate) async fn start(upstream: String) -> Arc<Proxy> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let proxy = Arc::new(Proxy {
            endpoint: format!("http://{}", listener.local_addr().unwrap()),
            calls: Mutex::default(),
            decide: Mutex::new(Box::new(|_, _| Fate::Forward)),
        });
        let serving = Arc::clone(&proxy);
        // It ends with the test's runtime.
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (proxy, upstream) = (Arc::clone(&serving), upstream.clone());
                tokio::spawn(async move { proxy.serve(stream, &upstream).await });
            }
        });
        proxy
    }

    /// Decides by the action and the body of a call.
    pub(crate) fn decide(&self, decide: impl Fn(&str, &str) -> Fate + Send + Sync + 'static) {
        *self.decide.lock() = Box::new(decide);
    }

    /// The times of the calls of these actions.
    pub(crate) fn calls(&self, actions: &[&str]) -> Vec<Instant> {
        let calls = self.calls.lock();
        let of = calls
            .iter()
            .filter(|(action, _)| actions.contains(&action.as_str()));
        of.map(|(_, at)| *at).collect()
    }

    async fn serve(&self, stream: TcpStream, upstream: &str) -> Option<()> {
        let mut client = BufReader::new(stream);
        let mut server = BufReader::new(TcpStream::connect(upstream).await.ok()?);
        loop {
            let (head, body) = message(&mut client).await?;
            let headers = headers(&head);
            let action = headers.get("x-amz-target")?.rsplit('.').next()?.to_owned();
            let text = String::from_utf8_lossy(&body).into_owned();
            let fate = (self.decide.lock())(&action, &text);
            self.calls.lock().push((action, Instant::now()));
            match fate {
                Fate::Forward => {
                    server
                        .get_mut()
                        .write_all(&[head, body].concat())
                        .await
                        .ok()?;
                    let (head, body) = message(&mut server).await?;
                    client
                        .get_mut()
                        .write_all(&[head, body].concat())
                        .await
                        .ok()?;
                }
                Fate::Refuse(error) => {
                    let body = format!(r#"{{"__type":"{error}","message":"refused by the test"}}"#);
                    let answer = format!(
                        "HTTP/1.1 400 Bad Request\r\ncontent-type: application/x-amz-json-1.0\r\ncontent-length: {}\r\n\r\n{body}",
                        body.len()
                    );
                    client.get_mut().write_all(answer.as_bytes()).await.ok()?;
                }
                Fate::Hang => std::future::pending().await,
            }
        }
    }
}

/// The head and the body of the next message.
async fn message(from: &mut BufReader<TcpStream>) -> Option<(Vec<u8>, Vec<u8>)> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(from.read_u8().await.ok()?);
    }
    let length = headers(&head)
        .get("content-length")
        .and_then(|length| length.parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    from.read_exact(&mut body).await.ok()?;
    Some((head, body))
}

fn headers(head: &[u8]) -> HashMap<String, String> {
    let text = String::from_utf8_lossy(head).into_owned();
    let lines = text.lines().filter_map(|line| line.split_once(':'));
    lines
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect()
}
