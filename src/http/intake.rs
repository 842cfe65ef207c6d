//! `/intake/…`: sending messages to the local queues, and their dead letters. Answers have the form
//! of GraphQL's: `data`, or `errors` with the code.

use axum::extract::{Path, Query, Request, State};
use axum::response::{IntoResponse, Response};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, StatusCode};
use resolvers::caller::Unauthorized;
use resolvers::jobs::now;
use resolvers::queues::local::{DeadLetter, MESSAGE_BYTES, NewMessage, PAGE, QueueError, Redrive};
use resolvers::{Caller, Error};
use serde::Deserialize;
use serde_json::{Value, json};

use super::body::Paced;
use super::connection::Connection;
use super::doors::Doors;
use super::graphql::authenticate;
use crate::graphql::errors_text;
use crate::intake::LocalIntake;

/// The beginning of the paths.
pub(super) const INTAKE: &str = "/intake/";
/// The header with a message's attribute `clientRequestToken`.
pub const TOKEN_HEADER: &str = "client-request-token";
/// Maximum number of bytes of the body of a redrive.
const REDRIVE_BYTES: usize = 4_096;

/// The dead letters to be listed.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Listed {
    queue: Option<String>,
    #[serde(default)]
    after: i64,
    limit: Option<usize>,
}

/// The dead letters to be redriven: `id`, or all, or all of `queue`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Redriven {
    id: Option<String>,
    queue: Option<String>,
}

/// Why a request was refused.
struct Refusal(StatusCode, &'static str, String);

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let Self(status, code, message) = self;
        let body = format!(r#"{{"errors":{}}}"#, errors_text(&message, code));
        (status, [(CONTENT_TYPE, "application/json")], body).into_response()
    }
}

impl From<Unauthorized> for Refusal {
    fn from(error: Unauthorized) -> Self {
        Self(StatusCode::FORBIDDEN, "Unauthorized", error.to_string())
    }
}

impl From<QueueError> for Refusal {
    fn from(error: QueueError) -> Self {
        let (status, code) = match &error {
            QueueError::OverLimit(_) => (StatusCode::PAYLOAD_TOO_LARGE, "LimitExceeded"),
            QueueError::Full { .. } => (StatusCode::TOO_MANY_REQUESTS, "LimitExceeded"),
            QueueError::NotFound(_) => (StatusCode::NOT_FOUND, "NotFound"),
            QueueError::Unavailable(_) => (StatusCode::SERVICE_UNAVAILABLE, "ServiceUnavailable"),
        };
        Self(status, code, error.to_string())
    }
}

fn bad_request(message: String) -> Refusal {
    Refusal(StatusCode::BAD_REQUEST, "BadRequest", message)
}

/// POST: sends the body as a message. Its owner, with the role submitter, and admins may.
pub async fn send(
    State(doors): State<Doors>,
    Path(queue): Path<String>,
    request: Request,
) -> Response {
    let (parts, body) = request.into_parts();
    let connection = Connection::of(&parts.extensions);
    let caller = match authenticate(&doors, &parts.headers, connection).await {
        Ok(found) => found.caller,
        Err(response) => return response,
    };
    let (intake, token) = match may_send(&doors, &caller, &queue, &parts.headers) {
        Ok(allowed) => allowed,
        Err(refusal) => return refusal.into_response(),
    };
    let mut body = Paced::new(body, connection);
    let bytes = match body.collect(MESSAGE_BYTES).await {
        Ok(bytes) => bytes,
        Err(error) => {
            let response = error.into_response();
            body.read_on().await;
            return response;
        }
    };
    let Ok(text) = String::from_utf8(bytes.to_vec()) else {
        return bad_request("the message is not UTF-8".to_owned()).into_response();
    };
    let id = uuid::Builder::from_random_bytes(rand::random()).into_uuid();
    let message = NewMessage {
        id: id.to_string(),
        queue,
        body: text,
        token,
    };
    match intake.queues.send(message, now()).await {
        Ok(()) => answer(
            StatusCode::ACCEPTED,
            &json!({ "messageId": id.to_string() }),
        ),
        Err(error) => Refusal::from(error).into_response(),
    }
}

/// The queues and the message's token, if the caller may send to this queue.
fn may_send<'a>(
    doors: &'a Doors,
    caller: &Caller,
    queue: &str,
    headers: &HeaderMap,
) -> Result<(&'a LocalIntake, Option<String>), Refusal> {
    let intake = intake(doors)?;
    let Some(owner) = intake.owners.of(queue) else {
        let known: Vec<_> = intake.owners.queues().collect();
        let message = format!(
            "there is no queue `{queue}`; known are: {}",
            known.join(", ")
        );
        return Err(Refusal(StatusCode::NOT_FOUND, "NotFound", message));
    };
    caller.may_enqueue(owner)?;
    let token = headers.get(TOKEN_HEADER).map(|value| value.to_str());
    let token = token.transpose().map_err(|_| {
        bad_request(format!(
            "the header {TOKEN_HEADER} must hold visible ASCII characters"
        ))
    })?;
    Ok((intake, token.map(str::to_owned)))
}

/// GET: a page of dead letters, for operators and admins.
pub async fn dead_letters(
    State(doors): State<Doors>,
    Query(listed): Query<Listed>,
    request: Request,
) -> Response {
    let connection = Connection::of(request.extensions());
    if let Err(response) = operator(&doors, request.headers(), connection).await {
        return response;
    }
    let listing = async {
        let limit = listed.limit.unwrap_or(PAGE);
        let queues = &intake(&doors)?.queues;
        let found = queues
            .dead_letters(listed.queue, listed.after, limit)
            .await?;
        // A page that is not full is the last one.
        let next = found
            .last()
            .filter(|_| found.len() == limit)
            .map(|last| last.seq);
        let letters: Vec<_> = found.into_iter().map(shown).collect();
        Ok::<_, Refusal>(json!({ "deadLetters": letters, "next": next }))
    };
    match listing.await {
        Ok(data) => answer(StatusCode::OK, &data),
        Err(refusal) => refusal.into_response(),
    }
}

fn shown(letter: DeadLetter) -> Value {
    json!({
        "messageId": letter.id,
        "queue": letter.queue,
        "body": letter.body,
        "receives": letter.receives,
        "sentAt": letter.sent_at,
        "diedAt": letter.died_at,
        "reason": letter.reason,
    })
}

/// POST: sends dead letters back to their queues, for operators and admins.
pub async fn redrive(State(doors): State<Doors>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let connection = Connection::of(&parts.extensions);
    if let Err(response) = operator(&doors, &parts.headers, connection).await {
        return response;
    }
    let bytes = match Paced::new(body, connection).collect(REDRIVE_BYTES).await {
        Ok(bytes) => bytes,
        Err(error) => return error.into_response(),
    };
    let redriving = async {
        let text = std::str::from_utf8(&bytes).map_err(|error| bad_request(error.to_string()))?;
        let which = match json::object::<Redriven>(text) {
            Ok(Redriven {
                id: Some(_),
                queue: Some(_),
            }) => {
                return Err(bad_request("give `id` or `queue`, not both".to_owned()));
            }
            Ok(Redriven { id: Some(id), .. }) => Redrive::One(id),
            Ok(Redriven { queue, .. }) => Redrive::All(queue),
            Err(error) => {
                let form = "{\"id\": \"…\"}, {\"queue\": \"…\"} or {}";
                return Err(bad_request(format!("the body is not {form}: {error}")));
            }
        };
        let count = intake(&doors)?.queues.redrive(which, now()).await?;
        Ok::<_, Refusal>(json!({ "redriven": count }))
    };
    match redriving.await {
        Ok(data) => answer(StatusCode::OK, &data),
        Err(refusal) => refusal.into_response(),
    }
}

fn intake(doors: &Doors) -> Result<&LocalIntake, Refusal> {
    doors.intake.as_deref().ok_or_else(|| {
        let message = "this server has no queues: add [intake] with an owner to its configuration";
        Refusal(StatusCode::NOT_FOUND, "NotFound", message.to_owned())
    })
}

/// Refuses callers that are no operator and no admin.
async fn operator(
    doors: &Doors,
    headers: &HeaderMap,
    connection: Option<&Connection>,
) -> Result<(), Response> {
    let found = authenticate(doors, headers, connection).await?;
    if found.caller.may_operate() {
        return Ok(());
    }
    let error = Error::Unauthorized(Unauthorized("read or redrive dead letters"));
    Err(Refusal(StatusCode::FORBIDDEN, error.code(), error.to_string()).into_response())
}

fn answer(status: StatusCode, data: &Value) -> Response {
    let body = json!({ "data": data }).to_string();
    (status, [(CONTENT_TYPE, "application/json")], body).into_response()
}
