//! Bytes as a conversation.

use crate::fuzzing::Step;

/// A step for each line: two bytes for the action and the answer, then the message.
pub fn steps(data: &[u8]) -> impl Iterator<Item = Step> {
    data.split(|byte| *byte == b'\n').filter_map(|line| {
        let [what, answer, sent @ ..] = line else {
            return None;
        };
        Some(Step {
            what: usize::from(*what),
            sent: sent.to_vec(),
            answer: usize::from(*answer),
        })
    })
}
