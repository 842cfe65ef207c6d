//! What the tests stand on: a database file, state machines, an engine that may be dropped and
//! opened again, and ears.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use sqlite::{Database, Location};
use tempfile::TempDir;
use tokio::sync::Notify;
use workflow::task::TaskRunner;
use workflow::{
    Description, Engine, ExecutionEvent, Listener, Machine, Machines, Settings, Status,
};

/// Longer than anything here takes.
pub(crate) const DEADLINE: Duration = Duration::from_secs(30);

/// Hears all events.
#[derive(Debug, Default)]
pub(crate) struct Ears {
    pub(crate) events: Mutex<Vec<ExecutionEvent>>,
    heard: Notify,
}

impl Listener for Ears {
    fn notify(&self, event: ExecutionEvent) {
        self.events.lock().push(event);
        self.heard.notify_waiters();
    }
}

impl Ears {
    /// The first event that fits, now or later.
    pub(crate) async fn wait(&self, fits: impl Fn(&ExecutionEvent) -> bool) -> ExecutionEvent {
        let search = async {
            loop {
                let heard = self.heard.notified();
                tokio::pin!(heard);
                heard.as_mut().enable();
                if let Some(event) = self.events.lock().iter().find(|event| fits(event)) {
                    return event.clone();
                }
                heard.await;
            }
        };
        tokio::time::timeout(DEADLINE, search)
            .await
            .expect("an event within the deadline")
    }

    pub(crate) async fn end_of(&self, name: &str) -> workflow::End {
        let event = self
            .wait(|event| &*event.execution == name && event.end.is_some())
            .await;
        event.end.unwrap()
    }
}

pub(crate) struct World {
    pub(crate) directory: TempDir,
    pub(crate) machines: Machines,
    pub(crate) ears: Arc<Ears>,
}

impl World {
    pub(crate) fn new(machines: &[(&str, &str)]) -> World {
        let mut all = Machines::default();
        for (name, definition) in machines {
            all.insert(Machine::parse(name, (*definition).into(), None).unwrap());
        }
        World {
            directory: tempfile::tempdir().unwrap(),
            machines: all,
            ears: Arc::default(),
        }
    }

    pub(crate) fn settings(&self) -> Settings {
        Settings {
            machines: self.machines.clone(),
            ..Settings::default()
        }
    }

    pub(crate) fn database(&self) -> Database {
        Database::open(&Location::File(self.directory.path().join("db"))).unwrap()
    }

    pub(crate) async fn open(&self, tasks: Arc<dyn TaskRunner>) -> Engine {
        self.open_with(self.settings(), tasks).await
    }

    pub(crate) async fn open_with(&self, settings: Settings, tasks: Arc<dyn TaskRunner>) -> Engine {
        Engine::open(self.database(), settings, tasks, self.ears.clone())
            .await
            .unwrap()
    }
}

/// Small enough that most histories here have several pages.
const PAGE: usize = 7;

/// Types of the whole history.
pub(crate) async fn types(engine: &Engine, name: &str) -> Vec<String> {
    let (mut all, mut after) = (Vec::new(), 0);
    loop {
        let page = engine.history(name, after, PAGE).await.unwrap();
        all.extend(
            page.events
                .iter()
                .map(|event| event["type"].as_str().unwrap().to_owned()),
        );
        match page.next {
            Some(next) => after = next,
            None => return all,
        }
    }
}

pub(crate) async fn described(engine: &Engine, name: &str) -> Description {
    engine.describe(name).await.unwrap().unwrap()
}

pub(crate) async fn until_closed(engine: &Engine, name: &str) -> Status {
    tokio::time::timeout(DEADLINE, engine.end(None, name))
        .await
        .expect("an end within the deadline")
        .unwrap()
        .status
}

/// `count` Lambda tasks named S1, S2, … one after another.
pub(crate) fn chain(count: usize) -> String {
    let states: serde_json::Map<_, _> = (1..=count)
        .map(|n| {
            let mut state = serde_json::json!({"Type": "Task", "Resource": "f"});
            if n == count {
                state["End"] = true.into();
            } else {
                state["Next"] = format!("S{}", n + 1).into();
            }
            (format!("S{n}"), state)
        })
        .collect();
    serde_json::json!({"StartAt": "S1", "States": states}).to_string()
}
