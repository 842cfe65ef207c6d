//! One call of a service that speaks AWS JSON 1.0, with result and errors as Step Functions' own
//! integrations give them.

use jiff::Timestamp;
use reqwest::header::HeaderMap;
use reqwest::{Client, Url};
use serde_json::{Map, Value, json};

use super::response::{Failure, Unread, body, reason};
use super::settings::ServiceSettings;
use super::sigv4::{self, Signed};

/// A service as Step Functions knows it.
pub(super) struct AwsService {
    /// In error names.
    name: &'static str,
    /// In causes.
    long_name: &'static str,
    /// In the credential scope.
    signing_name: &'static str,
    /// In `X-Amz-Target`.
    target: &'static str,
    /// The key of the configuration.
    key: &'static str,
    endpoint: fn(&ServiceSettings) -> Option<&Url>,
    /// Errors that have a name of their own; the others are the service's general exception.
    errors: &'static [&'static str],
}

pub(super) const DYNAMODB: AwsService = AwsService {
    name: "DynamoDB",
    long_name: "AmazonDynamoDBv2",
    signing_name: "dynamodb",
    target: "DynamoDB_20120810",
    key: "dynamodb",
    endpoint: |settings| settings.dynamodb.as_ref(),
    errors: &[
        "ConditionalCheckFailed",
        "InternalServerError",
        "ItemCollectionSizeLimitExceeded",
        "ProvisionedThroughputExceeded",
        "RequestLimitExceeded",
        "ResourceNotFound",
        "TransactionConflict",
    ],
};

pub(super) const SQS: AwsService = AwsService {
    name: "SQS",
    long_name: "AmazonSQS",
    signing_name: "sqs",
    target: "AmazonSQS",
    key: "sqs",
    endpoint: |settings| settings.sqs.as_ref(),
    errors: &[
        "InvalidMessageContents",
        "QueueDoesNotExist",
        "UnsupportedOperation",
    ],
};

impl AwsService {
    /// Calls an action, named as in the resource (`putItem`).
    pub(super) async fn call(
        &self,
        client: &Client,
        settings: &ServiceSettings,
        action: &str,
        mut arguments: Map<String, Value>,
    ) -> Result<Value, Failure> {
        let Some(endpoint) = (self.endpoint)(settings) else {
            return Err((
                "States.Runtime".to_owned(),
                format!(
                    "no endpoint of {} is configured: set `{key}` in the section [services] of the configuration, for example \
                     {key} = \"https://{key}.{}.amazonaws.com\"",
                    self.name,
                    settings.region,
                    key = self.key
                ),
            ));
        };
        // A message may be given as JSON; the queue takes text.
        if let Some(text) = arguments.get_mut("MessageBody")
            && matches!(text, Value::Object(_) | Value::Array(_))
        {
            *text = Value::from(text.to_string());
        }
        let target = format!("{}.{}", self.target, capitalized(action));
        let body_text = json::write(&Value::Object(arguments));
        let host = match endpoint.port() {
            Some(port) => format!("{}:{port}", endpoint.host_str().unwrap_or_default()),
            None => endpoint.host_str().unwrap_or_default().to_owned(),
        };
        let mut request = client
            .post(endpoint.clone())
            .header("content-type", "application/x-amz-json-1.0")
            .header("x-amz-target", &target);
        if let Some(credentials) = &settings.credentials {
            let signed = Signed {
                method: "POST",
                path: endpoint.path(),
                headers: vec![("host", &host), ("x-amz-target", &target)],
                body: body_text.as_bytes(),
                region: &settings.region,
                service: self.signing_name,
            };
            for (name, value) in sigv4::headers(signed, credentials, Timestamp::now()) {
                request = request.header(name, value);
            }
        }
        let sent = request.body(body_text).send().await;
        let response = sent.map_err(|error| self.unreachable(reason(error)))?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let answer = match body(response).await {
            Ok(answer) => answer,
            Err(Unread::Broken(error)) => return Err(self.unreachable(reason(error))),
            Err(Unread::TooLarge) => {
                return Err((
                    "States.DataLimitExceeded".to_owned(),
                    format!("The answer of {} is too large", self.name),
                ));
            }
        };
        let parsed = json::text(&answer).and_then(json::read);
        if status != 200 {
            return Err(self.failure(status, &headers, &parsed.unwrap_or_default()));
        }
        match parsed {
            Ok(Value::Object(result)) => Ok(with_metadata(result, status, &headers)),
            _ => Err(self.unreachable("the answer is not a JSON object".to_owned())),
        }
    }

    fn unreachable(&self, why: String) -> Failure {
        (
            format!("{}.SdkClientException", self.name),
            format!("Unable to execute HTTP request: {why}"),
        )
    }

    fn failure(&self, status: u16, headers: &HeaderMap, answer: &Value) -> Failure {
        let kind = answer["__type"].as_str().unwrap_or("InternalFailure");
        let code = kind.rsplit('#').next().unwrap_or(kind);
        let plain = code.strip_suffix("Exception").unwrap_or(code);
        let error = if self.errors.contains(&plain) {
            format!("{}.{plain}Exception", self.name)
        } else {
            format!(
                "{}.{}Exception",
                self.name,
                self.long_name.trim_end_matches("v2")
            )
        };
        // The older code that clients of the query protocol know.
        let code = headers
            .get("x-amzn-query-error")
            .and_then(|value| value.to_str().ok()?.split(';').next())
            .unwrap_or(code);
        let message = answer["message"]
            .as_str()
            .or_else(|| answer["Message"].as_str());
        (
            error,
            format!(
                "{} (Service: {}; Status Code: {status}; Error Code: {code}; Request ID: {}; Proxy: null)",
                message.unwrap_or("null"),
                self.long_name,
                request_id(headers)
            ),
        )
    }
}

fn capitalized(action: &str) -> String {
    let (first, rest) = action.split_at(action.len().min(1));
    first.to_ascii_uppercase() + rest
}

fn request_id(headers: &HeaderMap) -> String {
    let id = headers.get("x-amzn-requestid");
    id.and_then(|id| id.to_str().ok())
        .unwrap_or_default()
        .to_owned()
}

fn with_metadata(mut result: Map<String, Value>, status: u16, headers: &HeaderMap) -> Value {
    let (mut all, mut single) = (Map::new(), Map::new());
    for (name, value) in headers {
        let (name, value) = (
            shown(name.as_str()),
            String::from_utf8_lossy(value.as_bytes()),
        );
        let values = all.entry(name.clone()).or_insert_with(|| json!([]));
        if let Some(values) = values.as_array_mut() {
            values.push(json!(value));
        }
        single.insert(name, json!(value));
    }
    result.insert(
        "SdkHttpMetadata".to_owned(),
        json!({"AllHttpHeaders": all, "HttpHeaders": single, "HttpStatusCode": status}),
    );
    result.insert(
        "SdkResponseMetadata".to_owned(),
        json!({"RequestId": request_id(headers)}),
    );
    Value::Object(result)
}

/// A header's name as Step Functions shows it.
fn shown(name: &str) -> String {
    match name {
        "x-amzn-requestid" => "x-amzn-RequestId".to_owned(),
        name if name.starts_with("x-") => name.to_owned(),
        name => name
            .split('-')
            .map(capitalized)
            .collect::<Vec<_>>()
            .join("-"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_have_step_functions_names() {
        let headers = HeaderMap::new();
        for (service, kind, error) in [
            (
                &DYNAMODB,
                "com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException",
                "DynamoDB.ConditionalCheckFailedException",
            ),
            (
                &DYNAMODB,
                "com.amazon.coral.validate#ValidationException",
                "DynamoDB.AmazonDynamoDBException",
            ),
            (
                &SQS,
                "com.amazonaws.sqs#QueueDoesNotExist",
                "SQS.QueueDoesNotExistException",
            ),
            (
                &SQS,
                "com.amazonaws.sqs#MissingParameter",
                "SQS.AmazonSQSException",
            ),
        ] {
            let (name, cause) =
                service.failure(400, &headers, &json!({"__type": kind, "message": "Why."}));
            assert_eq!(name, error);
            assert!(
                cause.starts_with("Why. (Service: Amazon")
                    && cause.contains("; Status Code: 400; Error Code: "),
                "{cause}"
            );
        }
        assert_eq!(shown("content-type"), "Content-Type");
        assert_eq!(shown("x-amz-crc32"), "x-amz-crc32");
    }
}
