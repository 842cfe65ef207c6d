//! Task tokens: the execution and the task that a callback answers. A token is as secret as the
//! nonce of its caller.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::TaskId;

/// Makes a token from the execution's name, the task and a nonce.
#[must_use]
pub fn encode(execution_name: &str, task: TaskId, nonce: u64) -> String {
    URL_SAFE_NO_PAD.encode(format!("{nonce:016x}.{}.{execution_name}", task.0))
}

/// The execution's name, the task and the nonce of a token; `None` if the token is not one of ours.
#[must_use]
pub fn decode(token: &str) -> Option<(String, TaskId, u64)> {
    let text = String::from_utf8(URL_SAFE_NO_PAD.decode(token).ok()?).ok()?;
    let mut parts = text.splitn(3, '.');
    let nonce = u64::from_str_radix(parts.next()?, 16).ok()?;
    let task = TaskId(parts.next()?.parse().ok()?);
    Some((parts.next()?.to_owned(), task, nonce))
}

#[cfg(test)]
mod tests {
    use super::*;
    #[test]
    fn a_token_is_decoded_and_other_text_is_refused() {
        assert_eq!(
            decode(&encode("a.b", TaskId(7), 9)),
            Some(("a.b".to_owned(), TaskId(7), 9))
        );
        assert_eq!(decode("rubbish"), None);
    }
}
