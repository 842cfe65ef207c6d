//! GraphQL over HTTP, as any client would speak it.

use std::sync::Once;

use checker::Seen;
use serde_json::{Value, json};

use super::{Door, JOB, Said, Watch, on_job, soon};

/// A caller of one server.
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    /// `http://127.0.0.1:PORT`.
    pub url: String,
    /// An API key.
    pub key: Option<String>,
    /// A token.
    pub token: Option<String>,
}

impl Client {
    pub fn new(url: &str) -> Client {
        static PROVIDER: Once = Once::new();
        PROVIDER.call_once(|| {
            // Another test of this process may have been first.
            let _ = rustls::crypto::ring::default_provider().install_default();
        });
        Client {
            http: reqwest::Client::builder().no_proxy().build().unwrap(),
            url: url.to_owned(),
            key: None,
            token: None,
        }
    }

    /// The same caller at another server.
    pub fn at(&self, url: &str) -> Client {
        Client {
            url: url.to_owned(),
            ..self.clone()
        }
    }

    /// The same, but a redirect is an answer like others.
    pub fn without_redirects(&self) -> Client {
        let client = reqwest::Client::builder().no_proxy();
        let client = client.redirect(reqwest::redirect::Policy::none());
        Client {
            http: client.build().unwrap(),
            ..self.clone()
        }
    }

    /// The same server with an API key.
    pub fn with_key(&self, key: &str) -> Client {
        Client {
            key: Some(key.to_owned()),
            token: None,
            ..self.clone()
        }
    }

    /// The same server with a token.
    pub fn with_token(&self, token: &str) -> Client {
        Client {
            key: None,
            token: Some(token.to_owned()),
            ..self.clone()
        }
    }

    /// A request to a path, with the credentials.
    pub fn request(&self, method: reqwest::Method, path: &str) -> reqwest::RequestBuilder {
        let url = if path.starts_with("http") {
            path.to_owned()
        } else {
            format!("{}{path}", self.url)
        };
        let mut request = self.http.request(method, url);
        if let Some(key) = &self.key {
            request = request.header("x-api-key", key);
        }
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        request
    }

    /// An operation that is sent by GET.
    pub fn by_get(&self, document: &str, variables: &Value) -> reqwest::RequestBuilder {
        let query = form_urlencoded::Serializer::new(String::new())
            .append_pair("query", document)
            .append_pair("variables", &variables.to_string())
            .finish();
        self.request(reqwest::Method::GET, &format!("/graphql?{query}"))
    }

    /// GET: the status and the text.
    pub async fn get(&self, path: &str) -> (u16, String) {
        let response = soon(path, self.request(reqwest::Method::GET, path).send())
            .await
            .unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    }

    /// Sends an operation; an error of the transport comes back.
    pub async fn send(&self, document: &str, variables: Value) -> Result<Value, reqwest::Error> {
        let body = json!({ "query": document, "variables": variables });
        let request = self.request(reqwest::Method::POST, "/graphql").json(&body);
        soon("an answer", async { request.send().await?.json().await }).await
    }

    /// The whole answer to an operation.
    pub async fn ask(&self, document: &str, variables: Value) -> Value {
        self.send(document, variables).await.unwrap()
    }

    /// The data of an operation that must succeed with one root field: that field.
    pub async fn data(&self, document: &str, variables: Value) -> Value {
        let answer = self.ask(document, variables).await;
        assert!(answer.get("errors").is_none(), "{document}: {answer}");
        let fields = answer["data"].as_object().unwrap();
        fields.values().next().unwrap().clone()
    }

    /// The first error of an operation that must fail: code and message.
    pub async fn error(&self, document: &str, variables: Value) -> (String, String) {
        let answer = self.ask(document, variables).await;
        code_of(&answer).unwrap_or_else(|| panic!("expected an error of {document}: {answer}"))
    }

    pub async fn submit(&self, job_type: &str, input: &Value) -> String {
        let input = json!({ "type": job_type, "input": input.to_string() });
        let job = self.submit_with(input).await;
        job["id"].as_str().unwrap().to_owned()
    }

    /// `submitJob` with the whole input.
    pub async fn submit_with(&self, input: Value) -> Value {
        self.data(SUBMIT, json!({ "input": input })).await
    }

    /// `getJob`, with the result.
    pub async fn job(&self, id: &str) -> Value {
        let document = format!("query($id: ID!) {{ getJob(id: $id) {{ {JOB} result }} }}");
        self.data(&document, json!({ "id": id })).await
    }

    /// The job as the checker knows it.
    pub async fn seen(&self, id: &str) -> Seen {
        Seen::read(&self.job(id).await).unwrap()
    }

    pub async fn cancel(&self, id: &str) -> Value {
        let document =
            format!("mutation($id: ID!) {{ cancelJob(id: $id, reason: \"enough\") {{ {JOB} }} }}");
        self.data(&document, json!({ "id": id })).await
    }

    /// Waits until the job shows what is wanted, over a subscription.
    pub async fn until(&self, id: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let variables = json!({ "id": id });
        let mut watch = Watch::open(Door::TransportWs, self, &on_job(), variables).await;
        loop {
            match watch.next().await {
                Said::Next(payload) if wanted(&payload["data"]["onJob"]) => {
                    return payload["data"]["onJob"].clone();
                }
                Said::Next(_) => {}
                other => panic!(
                    "the job {id} ended otherwise: {other:?}; it is {}",
                    self.job(id).await
                ),
            }
        }
    }

    /// Waits until the job has this status.
    pub async fn until_status(&self, id: &str, status: &str) -> Value {
        self.until(id, |job| job["status"] == status).await
    }
}

/// Code and message of the first error of an answer; both places of the code must agree.
pub fn code_of(answer: &Value) -> Option<(String, String)> {
    let error = answer.get("errors")?.get(0)?;
    let code = error["errorType"].as_str()?;
    assert_eq!(error["extensions"]["code"], code, "{answer}");
    Some((code.to_owned(), error["message"].as_str()?.to_owned()))
}

const SUBMIT: &str =
    "mutation($input: SubmitJobInput!) { submitJob(input: $input) { id status version } }";
