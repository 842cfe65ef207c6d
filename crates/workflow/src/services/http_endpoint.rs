//! `http:invoke`: one bounded request to an address that a configured connection allows, and its
//! response as the result.

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, Method, Url};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::response::{Failure, Unread, body, reason};
use super::settings::{Connection, ServiceSettings};

/// Headers that a definition may not set (Step Functions, "Call HTTPS APIs"), besides those that
/// begin with `x-amz`, `x-amzn` or `x-forwarded`.
const RESERVED: &[&str] = &[
    "a-im",
    "accept-charset",
    "accept-datetime",
    "accept-encoding",
    "authorization",
    "cache-control",
    "connection",
    "content-encoding",
    "content-length",
    "content-md5",
    "date",
    "expect",
    "forwarded",
    "from",
    "host",
    "http2-settings",
    "if-match",
    "if-modified-since",
    "if-none-match",
    "if-range",
    "if-unmodified-since",
    "keep-alive",
    "max-forwards",
    "origin",
    "pragma",
    "proxy-authorization",
    "range",
    "referer",
    "server",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "user-agent",
    "via",
    "warning",
];
const METHODS: &[&str] = &["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "HEAD"];

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Arguments {
    api_endpoint: String,
    method: String,
    #[serde(default)]
    headers: Map<String, Value>,
    #[serde(default)]
    query_parameters: Map<String, Value>,
    #[serde(default)]
    request_body: Option<Value>,
    #[serde(default)]
    transform: Transform,
    #[serde(default)]
    invocation_config: Option<Authentication>,
    #[serde(default)]
    authentication: Option<Authentication>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Authentication {
    connection_arn: String,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Transform {
    request_body_encoding: BodyEncoding,
    request_encoding_options: EncodingOptions,
}
#[derive(Clone, Copy, Default, Deserialize, PartialEq)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum BodyEncoding {
    #[default]
    None,
    UrlEncoded,
}
#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct EncodingOptions {
    array_format: ArrayFormat,
}
#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum ArrayFormat {
    #[default]
    Indices,
    Repeat,
    Commas,
    Brackets,
}

fn runtime(cause: impl Into<String>) -> Failure {
    ("States.Runtime".to_owned(), cause.into())
}

/// A request and its response, as `TestState` shows them: `InspectionDataRequest` and
/// `InspectionDataResponse`.
#[derive(Debug, Default)]
pub(crate) struct Exchange {
    /// Whether what the connection adds is shown too.
    pub(crate) reveal: bool,
    pub(crate) request: Option<Value>,
    pub(crate) response: Option<Value>,
}

impl Exchange {
    /// `plain` is the address without what the connection adds.
    fn sent(&mut self, request: &reqwest::Request, plain: &Url) {
        let url = if self.reveal { request.url() } else { plain };
        let mut shown = json!({
            "protocol": format!("{:?}", request.version()),
            "method": request.method().as_str(),
            "url": url.as_str(),
            "headers": listed(request.headers(), self.reveal),
        });
        if let Some(body) = request.body().and_then(reqwest::Body::as_bytes) {
            shown["body"] = json!(String::from_utf8_lossy(body));
        }
        self.request = Some(shown);
    }
}

/// `[name: value, name: value]`; what is sensitive is left out unless it is to be revealed.
fn listed(headers: &HeaderMap, reveal: bool) -> String {
    let shown = headers
        .iter()
        .filter(|(_, value)| reveal || !value.is_sensitive());
    let lines: Vec<String> = shown
        .map(|(name, value)| format!("{name}: {}", String::from_utf8_lossy(value.as_bytes())))
        .collect();
    format!("[{}]", lines.join(", "))
}

/// Sends the request that the arguments describe. `exchange` gets what was sent and what came back.
pub(super) async fn invoke(
    client: &Client,
    settings: &ServiceSettings,
    arguments: Map<String, Value>,
    exchange: &mut Option<Exchange>,
) -> Result<Value, Failure> {
    let arguments: Arguments = json::object_of(Value::Object(arguments)).map_err(|error| {
        runtime(format!(
            "the arguments of http:invoke cannot be read: {error}"
        ))
    })?;
    let (request, plain) = request(client, settings, &arguments)?;
    if let Some(exchange) = exchange {
        exchange.sent(&request, &plain);
    }
    let socket = |error: reqwest::Error| ("States.Http.Socket".to_owned(), reason(error));
    let response = client.execute(request).await.map_err(socket)?;
    let (status, headers) = (response.status(), response.headers().clone());
    let mut seen = json!({
        "protocol": format!("{:?}", response.version()),
        "statusCode": status.as_str(),
        "statusMessage": status.canonical_reason().unwrap_or_default(),
        "headers": listed(&headers, true),
    });
    let answer = match body(response).await {
        Ok(answer) => answer,
        Err(Unread::Broken(error)) => return Err(socket(error)),
        Err(Unread::TooLarge) => {
            return Err((
                "States.DataLimitExceeded".to_owned(),
                format!(
                    "the response of {} is too large",
                    plain.host_str().unwrap_or_default()
                ),
            ));
        }
    };
    let mut shown = Map::new();
    for (name, value) in &headers {
        let values = shown.entry(name.as_str()).or_insert_with(|| json!([]));
        if let Some(values) = values.as_array_mut() {
            values.push(json!(String::from_utf8_lossy(value.as_bytes())));
        }
    }
    let text = || String::from_utf8_lossy(&answer).into_owned();
    if let Some(exchange) = exchange {
        seen["body"] = json!(text());
        exchange.response = Some(seen);
    }
    let result = json!({
        "Headers": shown,
        "ResponseBody": json::text(&answer)
            .and_then(json::read)
            .unwrap_or_else(|_| Value::from(text())),
        "StatusCode": status.as_u16(),
        "StatusText": status.canonical_reason().unwrap_or_default(),
    });
    if status.is_success() {
        return Ok(result);
    }
    Err((
        format!("States.Http.StatusCode.{}", status.as_u16()),
        json::write(&result),
    ))
}

/// The request, and its address without what the connection adds.
fn request(
    client: &Client,
    settings: &ServiceSettings,
    arguments: &Arguments,
) -> Result<(reqwest::Request, Url), Failure> {
    let authentication = arguments
        .authentication
        .as_ref()
        .or(arguments.invocation_config.as_ref())
        .ok_or_else(|| runtime("http:invoke needs Authentication with a ConnectionArn"))?;
    let connection = connection(settings, &authentication.connection_arn)?;
    let mut url = Url::parse(&arguments.api_endpoint).map_err(|error| {
        runtime(format!(
            "the ApiEndpoint {:?} is not an address: {error}",
            arguments.api_endpoint
        ))
    })?;
    if !connection.allows(&url) {
        return Err((
            "States.Permissions".to_owned(),
            format!(
                "the connection may not be used for {}: add the address to its `allow` in the configuration",
                arguments.api_endpoint
            ),
        ));
    }
    if !METHODS.contains(&arguments.method.as_str()) {
        return Err(runtime(format!(
            "Method must be one of {}, not {:?}",
            METHODS.join(", "),
            arguments.method
        )));
    }
    let given = pairs(&arguments.query_parameters, ArrayFormat::Repeat)?;
    extend(&mut url, given);
    let plain = url.clone();
    extend(&mut url, &connection.query);
    let method = Method::from_bytes(arguments.method.as_bytes())
        .expect("each of the known methods is a token");
    let mut headers = headers(&arguments.headers)?;
    let mut builder = client.request(method, url);
    if let Some(body) = &arguments.request_body {
        let (kind, encoded) = encoded_body(arguments, body)?;
        headers
            .entry("content-type")
            .or_insert(HeaderValue::from_static(kind));
        builder = builder.body(encoded);
    }
    add_connection_headers(connection, &mut headers)?;
    let request = builder.headers(headers).build();
    let request = request
        .map_err(|error| runtime(format!("the request cannot be made: {}", reason(error))))?;
    Ok((request, plain))
}

/// The content type and the text of a request's body.
fn encoded_body(arguments: &Arguments, body: &Value) -> Result<(&'static str, String), Failure> {
    match (arguments.transform.request_body_encoding, body) {
        (BodyEncoding::UrlEncoded, Value::Object(fields)) => {
            let format = arguments.transform.request_encoding_options.array_format;
            let mut form = Url::parse("form:").expect("it is an address");
            form.query_pairs_mut().extend_pairs(pairs(fields, format)?);
            let text = form.query().unwrap_or_default().to_owned();
            Ok(("application/x-www-form-urlencoded", text))
        }
        (BodyEncoding::UrlEncoded, _) => Err(runtime(
            "RequestBody must be an object when it is to be URL_ENCODED",
        )),
        (BodyEncoding::None, Value::String(text)) => Ok(("application/json", text.clone())),
        (BodyEncoding::None, value) => Ok(("application/json", json::write(value))),
    }
}

/// Adds the headers of the connection. They replace those of the task and are not shown.
fn add_connection_headers(connection: &Connection, headers: &mut HeaderMap) -> Result<(), Failure> {
    for (name, value) in &connection.headers {
        let (Ok(name), Ok(mut value)) = (
            HeaderName::from_bytes(name.as_bytes()),
            HeaderValue::from_str(value),
        ) else {
            return Err(runtime(format!(
                "the header {name:?} of the connection is not valid: correct the configuration"
            )));
        };
        value.set_sensitive(true);
        headers.insert(name, value);
    }
    Ok(())
}

fn extend<K: AsRef<str>, V: AsRef<str>>(url: &mut Url, pairs: impl IntoIterator<Item = (K, V)>) {
    let mut pairs = pairs.into_iter().peekable();
    if pairs.peek().is_some() {
        url.query_pairs_mut().extend_pairs(pairs);
    }
}

/// `arn:aws:events:REGION:ACCOUNT:connection/NAME/UUID`, or the plain name.
fn connection<'a>(settings: &'a ServiceSettings, arn: &str) -> Result<&'a Connection, Failure> {
    let name = match arn.split_once(":connection/") {
        Some((_, path)) => path.split('/').next().unwrap_or(path),
        None => arn,
    };
    settings.connections.get(name).ok_or_else(|| {
        runtime(format!(
            "there is no connection {name:?}: add [services.connections.{name}] with `allow` and its `headers` to the configuration"
        ))
    })
}

fn headers(given: &Map<String, Value>) -> Result<HeaderMap, Failure> {
    let mut headers = HeaderMap::new();
    for (name, value) in given {
        let lower = name.to_ascii_lowercase();
        let reserved = RESERVED.contains(&lower.as_str())
            || ["x-amz", "x-forwarded"]
                .iter()
                .any(|prefix| lower.starts_with(prefix));
        if reserved {
            return Err(runtime(format!(
                "the header {name:?} cannot be set here; what authorizes the request belongs to the connection"
            )));
        }
        let values = match value {
            Value::Array(values) => values.as_slice(),
            one => std::slice::from_ref(one),
        };
        for value in values {
            let (Ok(name), Ok(value)) = (
                HeaderName::from_bytes(lower.as_bytes()),
                HeaderValue::from_str(&plain(value)),
            ) else {
                return Err(runtime(format!("the header {name:?} is not valid")));
            };
            headers.append(name, value);
        }
    }
    Ok(headers)
}

/// Fields as names and values of a form; a list becomes several pairs or one, as the format says.
fn pairs(
    fields: &Map<String, Value>,
    format: ArrayFormat,
) -> Result<Vec<(String, String)>, Failure> {
    let mut all = Vec::new();
    for (name, value) in fields {
        let Value::Array(values) = value else {
            if value.is_object() {
                return Err(runtime(format!(
                    "the field {name:?} must not be an object here"
                )));
            }
            all.push((name.clone(), plain(value)));
            continue;
        };
        let values = values.iter().map(plain);
        match format {
            ArrayFormat::Repeat => all.extend(values.map(|value| (name.clone(), value))),
            ArrayFormat::Brackets => all.extend(values.map(|value| (format!("{name}[]"), value))),
            ArrayFormat::Commas => {
                all.push((name.clone(), values.collect::<Vec<_>>().join(",")));
            }
            ArrayFormat::Indices => all.extend(
                values
                    .enumerate()
                    .map(|(index, value)| (format!("{name}[{index}]"), value)),
            ),
        }
    }
    Ok(all)
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => json::write(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_objects_at_every_level() {
        let mine = json!({"ApiEndpoint": "https://a.example", "Method": "GET"});
        for (name, value, taken) in [
            ("Authentication", json!({"ConnectionArn": "c"}), true),
            ("Authentication", json!(["c"]), false),
            ("InvocationConfig", json!(["c"]), false),
            ("Headers", json!([]), false),
            (
                "Transform",
                json!({"RequestBodyEncoding": "URL_ENCODED"}),
                true,
            ),
            ("Transform", json!(["URL_ENCODED"]), false),
            (
                "Transform",
                json!({"RequestEncodingOptions": ["COMMAS"]}),
                false,
            ),
        ] {
            let mut arguments = mine.clone();
            arguments[name] = value;
            let read = json::object_of::<Arguments>(arguments.clone());
            assert_eq!(read.is_ok(), taken, "{arguments}");
        }
    }

    #[test]
    fn lists_take_each_format() {
        let fields = json!({"a": [1, "b"], "c": true});
        let fields = fields.as_object().unwrap();
        let names = |format| -> Vec<String> {
            let pairs = pairs(fields, format).unwrap();
            pairs.iter().map(|(n, v)| format!("{n}={v}")).collect()
        };
        assert_eq!(names(ArrayFormat::Indices), ["a[0]=1", "a[1]=b", "c=true"]);
        assert_eq!(names(ArrayFormat::Repeat), ["a=1", "a=b", "c=true"]);
        assert_eq!(names(ArrayFormat::Commas), ["a=1,b", "c=true"]);
        assert_eq!(names(ArrayFormat::Brackets), ["a[]=1", "a[]=b", "c=true"]);
    }
}
