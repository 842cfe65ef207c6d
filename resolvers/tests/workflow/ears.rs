//! A listener that records the events of executions, and checks that their positions rise.

use std::collections::HashMap;
use std::time::Duration;

use job::change::StepUpdate;
use parking_lot::Mutex;
use resolvers::workflow::{End, ExecutionEvent, Listener};
use tokio::sync::Notify;

/// Time allowed for any event.
const DEADLINE: Duration = Duration::from_secs(30);

#[derive(Debug, Default)]
pub(crate) struct Ears {
    heard: Mutex<HashMap<String, Vec<ExecutionEvent>>>,
    more: Notify,
}

impl Listener for Ears {
    fn notify(&self, event: ExecutionEvent) {
        let mut heard = self.heard.lock();
        heard
            .entry(event.execution.clone())
            .or_default()
            .push(event);
        drop(heard);
        self.more.notify_waiters();
    }
}

/// The updates of an execution's steps, in order.
pub(crate) type StepUpdates = Vec<(String, StepUpdate)>;

impl Ears {
    /// Waits until the recorded events of an execution are enough.
    pub(crate) async fn until<T>(
        &self,
        execution: &str,
        enough: impl Fn(&StepUpdates, Option<&End>) -> Option<T>,
    ) -> T {
        let search = async {
            loop {
                let more = self.more.notified();
                tokio::pin!(more);
                more.as_mut().enable();
                if let Some(found) = self.look(execution, &enough) {
                    return found;
                }
                more.await;
            }
        };
        let found = tokio::time::timeout(DEADLINE, search).await;
        found
            .unwrap_or_else(|_| panic!("not heard in time: {:?}", self.heard.lock().get(execution)))
    }

    fn look<T>(
        &self,
        execution: &str,
        enough: impl Fn(&StepUpdates, Option<&End>) -> Option<T>,
    ) -> Option<T> {
        let heard = self.heard.lock();
        let events = heard.get(execution)?;
        let rises = events
            .windows(2)
            .all(|two| two[0].position < two[1].position);
        assert!(rises, "positions do not rise: {events:?}");
        let steps = events.iter().flat_map(|event| event.steps.clone());
        let end = events.last().and_then(|event| event.end.as_ref());
        enough(&steps.collect(), end)
    }

    /// Whether no event was recorded.
    pub(crate) fn is_silent(&self) -> bool {
        self.heard.lock().is_empty()
    }

    /// All updates of the steps until the end.
    pub(crate) async fn to_the_end(&self, execution: &str) -> (StepUpdates, End) {
        self.until(execution, |steps, end| Some((steps.clone(), end?.clone())))
            .await
    }
}
