//! The load client's HTTP: a few persistent connections, one request at a time on each. It supports
//! only the HTTP/1.1 that our own server writes, so that the load costs little compared with the
//! server.

use std::sync::Mutex;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;

use crate::error::Result;

/// Connections to one server.
#[derive(Debug)]
pub(crate) struct Client {
    address: String,
    permits: Semaphore,
    free: Mutex<Vec<Connection>>,
}

#[derive(Debug)]
struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Client {
    /// At most `connections` connections, opened on demand.
    pub(crate) fn new(address: &str, connections: usize) -> Client {
        Client {
            address: address.to_owned(),
            permits: Semaphore::new(connections),
            free: Mutex::default(),
        }
    }

    /// Sends a GraphQL request and returns the body of the response.
    pub(crate) async fn graphql(
        &self,
        query: &str,
        variables: &serde_json::Value,
    ) -> Result<String> {
        let body = serde_json::json!({"query": query, "variables": variables}).to_string();
        self.request("POST", "/graphql", None, &body).await
    }

    /// The body of an answer, which must be 200.
    pub(crate) async fn request(
        &self,
        method: &str,
        path: &str,
        token: Option<&str>,
        body: &str,
    ) -> Result<String> {
        match self.answer(method, path, token, body).await? {
            (200, answer) => Ok(answer),
            (status, answer) => Err(format!("the server answered {status}: {answer}").into()),
        }
    }

    /// The status and the body of any answer.
    pub(crate) async fn answer(
        &self,
        method: &str,
        path: &str,
        token: Option<&str>,
        body: &str,
    ) -> Result<(u16, String)> {
        let _permit = self.permits.acquire().await?;
        let free = self
            .free
            .lock()
            .map_err(|_| "another request panicked")?
            .pop();
        let mut connection = match free {
            Some(connection) => connection,
            None => {
                let stream = TcpStream::connect(&self.address).await?;
                stream.set_nodelay(true)?;
                Connection {
                    stream,
                    buffer: Vec::with_capacity(4_096),
                }
            }
        };
        let token = token.map_or_else(String::new, |token| {
            format!("authorization: Bearer {token}\r\n")
        });
        let request = format!(
            "{method} {path} HTTP/1.1\r\nhost: {}\r\ncontent-type: application/json\r\naccept: application/json\r\n{token}content-length: {}\r\n\r\n{body}",
            self.address,
            body.len()
        );
        connection.stream.write_all(request.as_bytes()).await?;
        let answer = connection.answer().await?;
        self.free
            .lock()
            .map_err(|_| "another request panicked")?
            .push(connection);
        Ok(answer)
    }
}

impl Connection {
    async fn answer(&mut self) -> Result<(u16, String)> {
        self.buffer.clear();
        let (head, length) = loop {
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                return Err("the server closed the connection".into());
            }
            let end = self.buffer.windows(4).position(|four| four == b"\r\n\r\n");
            if let Some(end) = end {
                break (end + 4, length(&self.buffer[..end])?);
            }
        };
        while self.buffer.len() < head + length {
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                return Err("the server closed the connection".into());
            }
        }
        let body = String::from_utf8(self.buffer[head..head + length].to_vec())?;
        let status = self.buffer.get(9..12).unwrap_or_default();
        let status = std::str::from_utf8(status)?.parse()?;
        Ok((status, body))
    }
}

fn length(head: &[u8]) -> Result<usize> {
    let head = std::str::from_utf8(head)?;
    let value = head
        .split("\r\n")
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .ok_or("an answer without a length")?;
    Ok(value.1.trim().parse()?)
}
