//! When a write is tried again: after a lost race, and after a transaction that DynamoDB cancelled
//! because of too many requests, which the SDK does not try again.

use std::time::{Duration, Instant};

use crate::store::StoreError;

/// Maximum number of tries of a write.
pub const RACE_TRIES: u32 = 16;
/// Time after which a write is not tried again.
pub const WRITE_WITHIN: Duration = Duration::from_secs(10);
/// Maximum pause before a try after a lost race, in milliseconds. The first pause is a hundredth of
/// it.
const RACE_PAUSE_MILLIS: u64 = 400;
/// The same after too many requests.
const BUSY_PAUSE_MILLIS: u64 = 2_000;

/// The tries of one write.
#[derive(Debug)]
pub(super) struct Tries {
    made: u32,
    began: Instant,
    is_busy: bool,
}

impl Tries {
    pub(super) fn new() -> Self {
        Self {
            made: 0,
            began: Instant::now(),
            is_busy: false,
        }
    }

    /// Records that DynamoDB had too many requests, so that the next pause is longer.
    pub(super) fn busy(&mut self) {
        self.is_busy = true;
    }

    /// Waits before the next try, longer each time, with a random part, so that two racing writers
    /// differ.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if there were enough.
    pub(super) async fn next(&mut self) -> Result<(), StoreError> {
        let was_busy = std::mem::take(&mut self.is_busy);
        if self.made > 0 {
            if self.made >= RACE_TRIES || self.began.elapsed() >= WRITE_WITHIN {
                return Err(StoreError::Unavailable {
                    reason: match was_busy {
                        true => "there are too many requests; try again later".to_owned(),
                        false => format!(
                            "others changed the same row {} times meanwhile: try again",
                            self.made
                        ),
                    },
                    source: None,
                });
            }
            let most = if was_busy {
                BUSY_PAUSE_MILLIS
            } else {
                RACE_PAUSE_MILLIS
            };
            let longest = ((most / 100) << self.made.min(10)).min(most);
            let millis = rand::random_range(1..=longest.max(1));
            tokio::time::sleep(Duration::from_millis(millis)).await;
        }
        self.made += 1;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_number_of_tries_is_bounded() {
        let mut tries = Tries::new();
        for _ in 0..RACE_TRIES {
            tries.next().await.unwrap();
        }
        let error = tries.next().await.unwrap_err().to_string();
        assert!(
            error.contains("others changed the same row 16 times"),
            "{error}"
        );
    }

    #[tokio::test]
    async fn the_time_of_all_tries_is_bounded() {
        let mut tries = Tries::new();
        tries.next().await.unwrap();
        tries.next().await.unwrap();
        let began = Instant::now().checked_sub(WRITE_WITHIN);
        tries.began = began.expect("the machine runs for longer");
        tries.busy();
        let error = tries.next().await.unwrap_err().to_string();
        assert!(error.contains("there are too many requests"), "{error}");
    }
}
