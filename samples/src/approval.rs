//! `approval`: an approver is asked, the job waits, and the answer decides. The state machine does
//! the waiting (a task token); these functions only report who has to answer, and record the
//! answer.

use functions::{Failure, Job};
use serde::{Deserialize, Serialize};

/// Maximum length of a subject in bytes.
pub const MAX_SUBJECT_BYTES: usize = 512;

/// A question and its approver.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Request {
    subject: String,
    approver: String,
    /// The task token, present if the definition waits for an answer. A holder of the token may
    /// answer, so it is neither kept nor shown.
    #[serde(default)]
    task_token: Option<String>,
}

/// The record of a question.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Requested {
    /// The approver.
    pub asked: String,
}

/// Asks the approver: the job's message says who has to answer what. A real function would send a
/// mail or a chat message here.
///
/// # Errors
/// `InvalidInput` for an empty or overlong subject, an empty approver, or a definition that does
/// not wait.
pub async fn request(request: Request, job: Job) -> Result<Requested, Failure> {
    let invalid = |message: String| Failure::new("InvalidInput", message);
    let (subject, approver) = (request.subject.trim(), request.approver.trim());
    if subject.is_empty() || approver.is_empty() {
        return Err(invalid(
            "`subject` and `approver` must not be empty: say what is asked, and of whom".into(),
        ));
    }
    if subject.len() > MAX_SUBJECT_BYTES {
        let length = subject.len();
        return Err(invalid(format!(
            "`subject` has {length} bytes, at most {MAX_SUBJECT_BYTES} are allowed"
        )));
    }
    if request.task_token.is_none_or(|token| token.is_empty()) {
        return Err(invalid(
            "there is no `taskToken`: call this with lambda:invoke.waitForTaskToken".into(),
        ));
    }
    job.message(format!("waiting for {approver} to decide: {subject}"));
    Ok(Requested {
        asked: approver.into(),
    })
}

/// The question with its answer, as `resumeJob` received it.
#[derive(Debug, Clone, Deserialize)]
pub struct Answered {
    subject: String,
    approver: String,
    answer: Answer,
}

#[derive(Debug, Clone, Deserialize)]
struct Answer {
    approved: bool,
    #[serde(default)]
    comment: Option<String>,
}

/// The record of a decision: the job's result.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Decision {
    /// The question.
    pub subject: String,
    /// The approver.
    pub approver: String,
    /// Always true: a rejection is the error `Rejected`.
    pub approved: bool,
    /// The approver's comment.
    pub comment: Option<String>,
}

/// Records the answer.
///
/// # Errors
/// `Rejected`, with the approver's comment, if the answer is no.
pub async fn finish(answered: Answered, job: Job) -> Result<Decision, Failure> {
    let Answered {
        subject,
        approver,
        answer,
    } = answered;
    let comment = answer
        .comment
        .map(|comment| comment.trim().to_owned())
        .filter(|comment| !comment.is_empty());
    if !answer.approved {
        let reason = comment.unwrap_or_else(|| "no reason given".into());
        return Err(Failure::new(
            "Rejected",
            format!("{approver} rejected \"{subject}\": {reason}"),
        ));
    }
    job.progress(100, format!("{approver} approved: {subject}"));
    Ok(Decision {
        subject,
        approver,
        approved: true,
        comment,
    })
}
