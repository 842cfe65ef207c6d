//! One watcher of a live list, over all its connections.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::Value;

use crate::seen::Unreadable;
use crate::violation::{Log, Violation};

/// The kind of an event of a live list, as in the schema's `JobChangeKind`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListEventKind {
    /// The job has entered the list.
    Enter,
    /// The job is in the list and has changed.
    Change,
    /// The job is no longer in the list.
    Leave,
    /// The page is complete.
    Snapshot,
    /// The list restarts with a new page.
    Resync,
}

/// A job in an event of a live list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedJob<Id> {
    /// The job.
    pub id: Id,
    /// Its version.
    pub version: u64,
    /// Whether the job, as the event shows it, meets the filter; `None` if the test does not judge
    /// it.
    pub wanted: Option<bool>,
}

/// One event of a live list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListEvent<Id> {
    /// What happened.
    pub kind: ListEventKind,
    /// The job; `None` for a marker.
    pub job: Option<ListedJob<Id>>,
}

impl ListEvent<String> {
    /// Reads an `onJobs` event: `kind` and the job's `id` and `version` must be selected. `wanted`
    /// says whether a job meets the filter.
    ///
    /// # Errors
    /// [`Unreadable`], with the field's name.
    pub fn read(
        event: &Value,
        wanted: impl Fn(&Value) -> Option<bool>,
    ) -> Result<Self, Unreadable> {
        let unreadable = |field| Unreadable {
            field,
            job: event.to_string().chars().take(200).collect(),
        };
        let kind = match event.get("kind").and_then(Value::as_str) {
            Some("ENTER") => ListEventKind::Enter,
            Some("CHANGE") => ListEventKind::Change,
            Some("LEAVE") => ListEventKind::Leave,
            Some("SNAPSHOT") => ListEventKind::Snapshot,
            Some("RESYNC") => ListEventKind::Resync,
            _ => return Err(unreadable("kind")),
        };
        let item = |job: &Value| {
            let id = job.get("id").and_then(Value::as_str);
            let version = job.get("version").and_then(Value::as_u64);
            Ok(ListedJob {
                id: id.ok_or_else(|| unreadable("id"))?.to_owned(),
                version: version.ok_or_else(|| unreadable("version"))?,
                wanted: wanted(job),
            })
        };
        let job = event.get("job").filter(|job| !job.is_null());
        let job = job.map(item).transpose()?;
        Ok(ListEvent { kind, job })
    }
}

/// A broken promise of `onJobs`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BrokenList<Id: fmt::Debug> {
    /// An event before the first subscribe: a mistake of the test.
    #[error("an event before `subscribed` was called: the transcript lacks its beginning")]
    NotSubscribed,
    /// A marker with a job, or another event without one.
    #[error("only ENTER, CHANGE and LEAVE carry a job, and they always do")]
    Shape,
    /// An event other than ENTER before the page was complete, or a second SNAPSHOT.
    #[error("a page is ENTER events and then one SNAPSHOT")]
    Page,
    /// ENTER of a job that is already in the list.
    #[error("ENTER of {0:?}, which is in the list")]
    EnteredTwice(Id),
    /// ENTER or CHANGE of a job that does not meet the filter, or LEAVE of one that does.
    #[error("{kind:?} of {id:?}, which {} the filter", if *.kind == ListEventKind::Leave { "meets" } else { "does not meet" })]
    Filter {
        /// The kind of the event.
        kind: ListEventKind,
        /// The job.
        id: Id,
    },
    /// A version that does not rise. (A new page may repeat one.)
    #[error("version {got} of {id:?} after version {before}")]
    NotRising {
        /// The job.
        id: Id,
        /// The version before it.
        before: u64,
        /// The version that does not rise.
        got: u64,
    },
    /// The page was never completed.
    #[error("the page was not completed by SNAPSHOT")]
    NoSnapshot,
    /// The final list is not the expected one.
    #[error("at the end the watcher has version {seen:?} of {id:?}, it should have {expected:?}")]
    Differs {
        /// The job.
        id: Id,
        /// Its version in the watcher's list.
        seen: Option<u64>,
        /// Its version in the true list.
        expected: Option<u64>,
    },
}

#[derive(Clone, Debug)]
struct Entry<Id>(Option<ListEvent<Id>>);

impl<Id: fmt::Debug> fmt::Display for Entry<Id> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            None => f.write_str("subscribed"),
            Some(ListEvent { kind, job: None }) => write!(f, "{kind:?}"),
            Some(ListEvent {
                kind,
                job: Some(job),
            }) => {
                write!(f, "{kind:?} {:?} in version {}", job.id, job.version)
            }
        }
    }
}

/// The events that one watcher of a live list saw. Call it as they happen;
/// [`ListTranscript::finish`] returns the verdict.
///
/// A CHANGE or LEAVE of a job that was not on the page is allowed: the page is bounded, and the
/// watcher does not know the jobs beyond it.
#[derive(Clone, Debug)]
pub struct ListTranscript<Id: fmt::Debug> {
    log: Log<Entry<Id>, BrokenList<Id>>,
    subscribed: bool,
    /// The page is not complete yet.
    paging: bool,
    /// Whether jobs of this page may have a version that was seen before.
    repeats: bool,
    held: BTreeMap<Id, u64>,
    seen: BTreeMap<Id, u64>,
}

impl<Id: fmt::Debug> Default for ListTranscript<Id> {
    fn default() -> Self {
        ListTranscript {
            log: Log::default(),
            subscribed: false,
            paging: false,
            repeats: false,
            held: BTreeMap::new(),
            seen: BTreeMap::new(),
        }
    }
}

impl<Id: Ord + Clone + fmt::Debug> ListTranscript<Id> {
    /// The watcher subscribes, for the first time or after a cut. A new page follows.
    pub fn subscribed(&mut self) {
        self.repeats = self.subscribed;
        self.subscribed = true;
        self.anew();
        self.log.note(Entry(None), None);
    }

    fn anew(&mut self) {
        self.paging = true;
        self.held = BTreeMap::new();
    }

    /// An event arrived.
    pub fn event(&mut self, event: ListEvent<Id>) {
        let broken = self.apply(&event).err();
        self.log.note(Entry(Some(event)), broken);
    }

    fn apply(&mut self, change: &ListEvent<Id>) -> Result<(), BrokenList<Id>> {
        if !self.subscribed {
            return Err(BrokenList::NotSubscribed);
        }
        let job = match (change.kind, &change.job) {
            (ListEventKind::Snapshot, None) if self.paging => {
                (self.paging, self.repeats) = (false, false);
                return Ok(());
            }
            (ListEventKind::Resync, None) => {
                self.repeats = true;
                self.anew();
                return Ok(());
            }
            (ListEventKind::Snapshot, None) => return Err(BrokenList::Page),
            (ListEventKind::Enter | ListEventKind::Change | ListEventKind::Leave, Some(job)) => job,
            _ => return Err(BrokenList::Shape),
        };
        let (kind, id) = (change.kind, &job.id);
        if self.paging && kind != ListEventKind::Enter {
            return Err(BrokenList::Page);
        }
        if job
            .wanted
            .is_some_and(|wanted| wanted == (kind == ListEventKind::Leave))
        {
            let id = id.clone();
            return Err(BrokenList::Filter { kind, id });
        }
        let before = self.seen.insert(id.clone(), job.version);
        if let Some(before) =
            before.filter(|before| job.version < *before + u64::from(!self.repeats))
        {
            return Err(BrokenList::NotRising {
                id: id.clone(),
                before,
                got: job.version,
            });
        }
        if kind == ListEventKind::Leave {
            self.held.remove(id);
        } else if self.held.insert(id.clone(), job.version).is_some()
            && kind == ListEventKind::Enter
        {
            return Err(BrokenList::EnteredTwice(id.clone()));
        }
        Ok(())
    }

    /// The list that the watcher has: versions by job.
    #[must_use]
    pub fn held(&self) -> &BTreeMap<Id, u64> {
        &self.held
    }

    /// Whether the page is complete.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.subscribed && !self.paging
    }

    /// The first promise that is already broken.
    #[must_use]
    pub fn violation(&self) -> Option<&Violation<BrokenList<Id>>> {
        self.log.violation.as_ref()
    }

    /// The verdict. `expected` are the jobs that match at the end with their newest versions, if
    /// they were on the page or have changed since.
    ///
    /// # Errors
    /// The first broken promise.
    pub fn finish(self, expected: &BTreeMap<Id, u64>) -> Result<(), Violation<BrokenList<Id>>> {
        let mut ids = self.held.keys().chain(expected.keys());
        let differs = ids.find_map(|id| {
            let (seen, expected) = (self.held.get(id).copied(), expected.get(id).copied());
            let id = id.clone();
            (seen != expected).then_some(BrokenList::Differs { id, seen, expected })
        });
        let complete = self.subscribed && !self.paging;
        let missing = if complete {
            differs
        } else {
            Some(BrokenList::NoSnapshot)
        };
        self.log.end(missing)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// "ea1" is ENTER of a in version 1; "s" and "r" are markers; "+" is a subscribe.
    fn check(transcript: &str, expected: &[(char, u64)]) -> Result<(), (usize, BrokenList<char>)> {
        let mut list = ListTranscript::default();
        for word in transcript.split_whitespace() {
            let letters: Vec<char> = word.chars().collect();
            let kind = match letters[0] {
                '+' => {
                    list.subscribed();
                    continue;
                }
                'e' => ListEventKind::Enter,
                'c' => ListEventKind::Change,
                'l' => ListEventKind::Leave,
                's' => ListEventKind::Snapshot,
                _ => ListEventKind::Resync,
            };
            let job = letters.get(1).map(|id| ListedJob {
                id: *id,
                version: letters[2].to_digit(10).unwrap().into(),
                wanted: letters.get(3).map(|letter| *letter == '!'),
            });
            list.event(ListEvent { kind, job });
        }
        let verdict = list.finish(&expected.iter().copied().collect());
        verdict.map_err(|violation| (violation.index, violation.broken))
    }

    #[test]
    fn a_transcript_that_keeps_the_promises_passes() {
        assert_eq!(check("+ ea1 s eb1 ca2 lb2", &[('a', 2)]), Ok(()));
        assert_eq!(check("+ s", &[]), Ok(()));
        assert_eq!(check("+ r ea1 r ea1 s", &[('a', 1)]), Ok(()));
        assert_eq!(check("+ ea2 s r ea2 eb1 s", &[('a', 2), ('b', 1)]), Ok(()));
        // A new connection begins with a page.
        assert_eq!(check("+ ea2 s + ea2 s ca3", &[('a', 3)]), Ok(()));
        assert_eq!(check("+ ea2 + ea3 s la4", &[]), Ok(()));
        // Jobs that were beyond the page.
        assert_eq!(check("+ s ca2 lb2", &[('a', 2)]), Ok(()));
        // The filter.
        assert_eq!(check("+ ea1! s ca2! la3?", &[]), Ok(()));
    }

    #[test]
    fn each_broken_promise_is_named_and_placed() {
        assert_eq!(check("s", &[]), Err((0, BrokenList::NotSubscribed)));
        assert_eq!(check("+", &[]), Err((1, BrokenList::NoSnapshot)));
        assert_eq!(check("+ s r ea1", &[]), Err((4, BrokenList::NoSnapshot)));
        assert_eq!(check("+ s + ea1", &[]), Err((4, BrokenList::NoSnapshot)));
        assert_eq!(check("+ ca1 s", &[]), Err((1, BrokenList::Page)));
        assert_eq!(check("+ la1 s", &[]), Err((1, BrokenList::Page)));
        assert_eq!(check("+ s s", &[]), Err((2, BrokenList::Page)));
        assert_eq!(check("+ s e", &[]), Err((2, BrokenList::Shape)));
        assert_eq!(check("+ sa1", &[]), Err((1, BrokenList::Shape)));
        assert_eq!(check("+ s ra1", &[]), Err((2, BrokenList::Shape)));
        assert_eq!(
            check("+ ea1 s ea2", &[]),
            Err((3, BrokenList::EnteredTwice('a')))
        );
        let filter = |index, kind| Err((index, BrokenList::Filter { kind, id: 'a' }));
        assert_eq!(check("+ ea1? s", &[]), filter(1, ListEventKind::Enter));
        assert_eq!(check("+ ea1 s ca2?", &[]), filter(3, ListEventKind::Change));
        assert_eq!(check("+ ea1 s la2!", &[]), filter(3, ListEventKind::Leave));
        let falls = |index, before, got| {
            Err((
                index,
                BrokenList::NotRising {
                    id: 'a',
                    before,
                    got,
                },
            ))
        };
        assert_eq!(check("+ ea1 s ca1", &[]), falls(3, 1, 1));
        assert_eq!(check("+ ea2 s r ea1 s", &[]), falls(4, 2, 1));
        assert_eq!(check("+ ea2 s + ea1 s", &[]), falls(4, 2, 1));
        assert_eq!(check("+ ea2 s + ea2 s ca2", &[]), falls(6, 2, 2));
        assert_eq!(check("+ s ea2 la3 ea3", &[]), falls(4, 3, 3));
        let differs = |index, seen, expected| {
            Err((
                index,
                BrokenList::Differs {
                    id: 'a',
                    seen,
                    expected,
                },
            ))
        };
        assert_eq!(check("+ s", &[('a', 1)]), differs(2, None, Some(1)));
        assert_eq!(check("+ ea1 s", &[]), differs(3, Some(1), None));
        assert_eq!(check("+ ea1 s", &[('a', 2)]), differs(3, Some(1), Some(2)));
    }

    #[test]
    fn an_event_is_read_from_json() {
        let read = |text: &str| {
            let event: Value = serde_json::from_str(text).unwrap();
            ListEvent::read(&event, |job| Some(job["status"] == "RUNNING"))
        };
        let enter = read(r#"{"kind":"ENTER","job":{"id":"7","version":3,"status":"RUNNING"}}"#);
        let job = ListedJob {
            id: "7".to_owned(),
            version: 3,
            wanted: Some(true),
        };
        let kind = ListEventKind::Enter;
        assert_eq!(
            enter,
            Ok(ListEvent {
                kind,
                job: Some(job)
            })
        );
        let marker = read(r#"{"kind":"SNAPSHOT","job":null}"#).unwrap();
        assert_eq!((marker.kind, marker.job), (ListEventKind::Snapshot, None));
        assert_eq!(read(r#"{"job":null}"#).unwrap_err().field, "kind");
        assert_eq!(
            read(r#"{"kind":"LEAVE","job":{"id":"7"}}"#)
                .unwrap_err()
                .field,
            "version"
        );
        assert_eq!(
            read(r#"{"kind":"LEAVE","job":{"version":7}}"#)
                .unwrap_err()
                .field,
            "id"
        );
    }
}
