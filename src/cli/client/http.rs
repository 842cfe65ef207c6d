//! GraphQL over HTTP to a Jobcast server. A request is repeated only if a repeat is safe.

use std::time::Duration;

use clap::Args;
use http::Method;
use http::header::{AUTHORIZATION, HeaderName, HeaderValue};
use reqwest::{RequestBuilder, StatusCode, Url};
use resolvers::token::PREFIX;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::cli::error::CliError;
use crate::http::intake::TOKEN_HEADER;

/// Time allowed for the server to accept a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Time after which a response without any progress fails.
const STALL_TIMEOUT: Duration = Duration::from_secs(60);
/// Maximum number of times that one request is sent.
const TRIES: u32 = 5;
/// Delay after the first try. It doubles for each further try.
const FIRST_WAIT: Duration = Duration::from_millis(200);
/// Maximum number of characters that are shown of a response that is not Jobcast's.
const SHOWN_CHARACTERS: usize = 120;

/// The server's address and the caller's credentials.
#[derive(Clone, Args)]
#[command(next_help_heading = "Server")]
pub(crate) struct Server {
    /// Address of the server
    #[arg(
        long,
        env = "JOBCAST_URL",
        value_name = "URL",
        default_value = "http://127.0.0.1:8080",
        hide_env_values = true
    )]
    url: String,
    /// API key, or a watch token. The variable is safer: other users of the machine cannot see it
    #[arg(
        long,
        env = "JOBCAST_API_KEY",
        value_name = "KEY",
        hide_env_values = true
    )]
    api_key: Option<String>,
    /// Prints JSON for scripts: one document per line
    #[arg(long, help_heading = None)]
    pub(crate) json: bool,
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The key is left out.
        f.debug_struct("Server")
            .field("url", &self.url)
            .field("json", &self.json)
            .finish_non_exhaustive()
    }
}

impl Server {
    /// A server that requires no key.
    pub(crate) fn at(url: String, json: bool) -> Server {
        Server {
            url,
            api_key: None,
            json,
        }
    }

    /// A client for it. Nothing is sent yet.
    pub(crate) fn client(&self) -> Result<Client, CliError> {
        Client::new(&self.url, self.api_key.clone())
    }
}

/// A client of one server.
#[derive(Clone)]
pub(crate) struct Client {
    http: reqwest::Client,
    base: Url,
    key: Option<String>,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client")
            .field("base", &self.base.as_str())
            .finish_non_exhaustive()
    }
}

#[derive(Deserialize)]
struct GraphqlResponse {
    data: Option<Value>,
    #[serde(default)]
    errors: Vec<Problem>,
}

/// One GraphQL error.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Problem {
    message: String,
    #[serde(default)]
    error_type: String,
}

impl From<Problem> for CliError {
    fn from(problem: Problem) -> CliError {
        CliError::Refused {
            code: problem.error_type,
            message: problem.message,
        }
    }
}

/// A request to another path than GraphQL's.
pub(crate) struct Rest<'a> {
    /// The method.
    pub(crate) method: Method,
    /// The segments of the path, which are not encoded.
    pub(crate) path: &'a [&'a str],
    /// The parameters.
    pub(crate) query: &'a [(&'a str, String)],
    /// The request token of a message.
    pub(crate) token: Option<&'a str>,
    /// The body, as JSON text.
    pub(crate) body: String,
}

/// The outcome of one try.
enum Try {
    /// The request did not arrive, or no response did: it may or may not have been executed.
    Again(CliError),
    Never(CliError),
}

impl Client {
    fn new(url: &str, key: Option<String>) -> Result<Client, CliError> {
        let usage = |reason: &str| {
            CliError::Usage(format!(
                "`{url}` is not the address of a server: {reason}; it looks like http://127.0.0.1:8080"
            ))
        };
        let mut base = Url::parse(url).map_err(|error| usage(&error.to_string()))?;
        if !matches!(base.scheme(), "http" | "https") {
            return Err(usage("it must begin with http:// or https://"));
        }
        let path = base.path().trim_end_matches('/');
        let path = path.strip_suffix("/graphql").unwrap_or(path).to_owned();
        base.set_path(&path);
        base.set_query(None);
        base.set_fragment(None);
        if key
            .as_deref()
            .is_some_and(|key| !key.bytes().all(|byte| byte.is_ascii_graphic()))
        {
            return Err(CliError::Usage(
                "the API key must hold visible ASCII characters only: check JOBCAST_API_KEY for a stray line end".to_owned(),
            ));
        }
        Ok(Client {
            http: connections(),
            base,
            key,
        })
    }

    /// The server's address, without a slash at the end.
    pub(crate) fn url(&self) -> &str {
        self.base.as_str().trim_end_matches('/')
    }

    /// The server's address as a parsed URL.
    pub(crate) fn base(&self) -> &Url {
        &self.base
    }

    /// The address for WebSocket connections.
    pub(crate) fn socket_url(&self) -> String {
        let rest = self.url().strip_prefix("http").unwrap_or_default();
        format!("ws{rest}/graphql")
    }

    /// The header with the credentials: a token that the server issued, or an API key.
    pub(crate) fn credentials(&self) -> Option<(HeaderName, HeaderValue)> {
        let key = self.key.as_deref()?;
        let (name, value) = if key.starts_with(PREFIX) {
            (AUTHORIZATION, format!("Bearer {key}"))
        } else {
            (HeaderName::from_static("x-api-key"), key.to_owned())
        };
        let mut value =
            HeaderValue::try_from(value).expect("the key was checked to be visible ASCII");
        value.set_sensitive(true);
        Some((name, value))
    }

    /// Executes a query, or a mutation that is safe to repeat, and returns its `data`.
    pub(crate) async fn ask(&self, document: &str, variables: Value) -> Result<Value, CliError> {
        self.execute(document, &variables, TRIES).await
    }

    /// Executes a mutation that is sent only once, even if it fails.
    pub(crate) async fn ask_once(
        &self,
        document: &str,
        variables: Value,
    ) -> Result<Value, CliError> {
        self.execute(document, &variables, 1).await
    }

    async fn execute(
        &self,
        document: &str,
        variables: &Value,
        tries: u32,
    ) -> Result<Value, CliError> {
        let url = format!("{}/graphql", self.url());
        let body = json!({ "query": document, "variables": variables });
        let request = || {
            let accepted = "application/graphql-response+json, application/json;q=0.9";
            let request = self.http.post(&url).header("accept", accepted);
            request.json(&body)
        };
        self.repeat(request, tries).await
    }

    /// Sends a request to another path that is safe to repeat, and returns its `data`.
    pub(crate) async fn call(&self, request: &Rest<'_>) -> Result<Value, CliError> {
        self.repeat(|| self.rest(request), TRIES).await
    }

    /// The same, sent only once.
    pub(crate) async fn call_once(&self, request: &Rest<'_>) -> Result<Value, CliError> {
        self.repeat(|| self.rest(request), 1).await
    }

    fn rest(&self, request: &Rest<'_>) -> RequestBuilder {
        let mut url = self.base.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(request.path);
        }
        for (name, value) in request.query {
            url.query_pairs_mut().append_pair(name, value);
        }
        let built = self.http.request(request.method.clone(), url);
        let built = built.header("content-type", "application/json");
        let built = match request.token {
            Some(token) => built.header(TOKEN_HEADER, token),
            None => built,
        };
        built.body(request.body.clone())
    }

    async fn repeat(
        &self,
        request: impl Fn() -> RequestBuilder,
        tries: u32,
    ) -> Result<Value, CliError> {
        let (mut tried, mut wait) = (0, FIRST_WAIT);
        loop {
            tried += 1;
            match self.send(request()).await {
                Ok(data) => return Ok(data),
                Err(Try::Never(error)) => return Err(error),
                Err(Try::Again(error)) if tried >= tries => return Err(error),
                // If no server listens, the error is returned at once: most likely the server was
                // not started.
                Err(Try::Again(error @ CliError::Unreachable { .. })) if tried == 1 => {
                    return Err(error);
                }
                Err(Try::Again(_)) => {
                    tokio::time::sleep(wait).await;
                    wait *= 2;
                }
            }
        }
    }

    async fn send(&self, mut request: RequestBuilder) -> Result<Value, Try> {
        if let Some((name, value)) = self.credentials() {
            request = request.header(name, value);
        }
        let response = request
            .send()
            .await
            .map_err(|error| Try::Again(self.broken(&error)))?;
        let status = response.status();
        let body = response
            .bytes()
            .await
            .map_err(|error| Try::Again(self.broken(&error)))?;
        let Ok(answer) = serde_json::from_slice::<GraphqlResponse>(&body) else {
            let text = String::from_utf8_lossy(&body);
            let text = crate::cli::show::text::shorten(&text, SHOWN_CHARACTERS);
            let url = self.url().to_owned();
            return Err(
                if matches!(
                    status,
                    StatusCode::BAD_GATEWAY
                        | StatusCode::SERVICE_UNAVAILABLE
                        | StatusCode::GATEWAY_TIMEOUT
                ) {
                    let reason = format!("{status}: {text}");
                    Try::Again(CliError::Lost { url, reason })
                } else {
                    let reason = format!("it says {status}: {text}");
                    Try::Never(CliError::NotJobcast { url, reason })
                },
            );
        };
        if let Some(problem) = answer.errors.into_iter().next() {
            let passing = problem.error_type == "ServiceUnavailable";
            let error = problem.into();
            return Err(if passing {
                Try::Again(error)
            } else {
                Try::Never(error)
            });
        }
        answer.data.ok_or_else(|| {
            Try::Never(CliError::NotJobcast {
                url: self.url().to_owned(),
                reason: "its answer has neither data nor errors".to_owned(),
            })
        })
    }

    /// PUTs a body of known length to an address that the server signed.
    pub(crate) async fn put(
        &self,
        url: &str,
        size: u64,
        body: reqwest::Body,
    ) -> Result<(), CliError> {
        let request = self.http.put(url).header("content-length", size).body(body);
        let response = request.send().await.map_err(|error| self.broken(&error))?;
        if response.status().is_success() {
            return Ok(());
        }
        let code = response.status().to_string();
        let text = response.text().await.unwrap_or_default();
        let message = format!("the upload was refused ({code}): {text}");
        Err(CliError::Refused { code, message })
    }

    fn broken(&self, error: &reqwest::Error) -> CliError {
        let (url, reason) = (self.url().to_owned(), innermost(error));
        if error.is_connect() {
            CliError::Unreachable { url, reason }
        } else {
            CliError::Lost { url, reason }
        }
    }

    /// The error for a response that does not match the schema.
    pub(crate) fn unexpected(&self, reason: impl std::fmt::Display) -> CliError {
        CliError::NotJobcast {
            url: self.url().to_owned(),
            reason: format!("its answer cannot be read: {reason}"),
        }
    }
}

/// The deepest cause has the details; the errors around it only say that a call failed.
pub(crate) fn innermost(error: &dyn std::error::Error) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}

fn connections() -> reqwest::Client {
    // If another provider is already installed, that one is used.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let builder = || {
        outgoing::client()
            .connect_timeout(CONNECT_TIMEOUT)
            .read_timeout(STALL_TIMEOUT)
            .user_agent(concat!("jobcast/", env!("CARGO_PKG_VERSION")))
    };
    // A machine without root certificates can still connect to a server on the same machine.
    builder().build().unwrap_or_else(|_| {
        let built = builder().tls_certs_only([]).build();
        built.expect("a client without the system's certificates has no other source of failure")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_http_address_is_a_server() {
        for (text, url, socket) in [
            (
                "http://127.0.0.1:8080",
                "http://127.0.0.1:8080",
                "ws://127.0.0.1:8080/graphql",
            ),
            ("http://[::1]:1/", "http://[::1]:1", "ws://[::1]:1/graphql"),
            (
                "https://jobs.example.com/graphql",
                "https://jobs.example.com",
                "wss://jobs.example.com/graphql",
            ),
            (
                "https://example.com/jobs/",
                "https://example.com/jobs",
                "wss://example.com/jobs/graphql",
            ),
        ] {
            let client = Client::new(text, None).expect(text);
            assert_eq!((client.url(), client.socket_url().as_str()), (url, socket));
        }
        for text in ["127.0.0.1:8080", "localhost:8080", "ftp://x", ""] {
            let error = Client::new(text, None).expect_err(text);
            assert!(
                error.to_string().contains("http://127.0.0.1:8080"),
                "{error}"
            );
        }
    }

    #[test]
    fn the_key_is_hidden_in_debug_output() {
        let server = Server {
            url: "http://h".into(),
            api_key: Some("secret".into()),
            json: false,
        };
        let client = server.client().expect("a client");
        assert!(!format!("{server:?}{client:?}").contains("secret"));
        let error = Client::new("http://h", Some("secret\n".into())).expect_err("a line end");
        assert!(!error.to_string().contains("secret"));
    }
}
