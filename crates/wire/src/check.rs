//! The delivery promise as a checker: fed with what one watcher of one job saw, it says which promise was broken.

use std::collections::BTreeMap;

/// One event as a watcher saw it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    /// The job's version.
    pub version: u64,
    /// Whether the status of this version is terminal.
    pub terminal: bool,
}

/// A broken promise.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    /// Nothing was delivered, not even the snapshot.
    #[error("no event at all: the first must be the job as it is at the subscribe")]
    NoSnapshot,
    /// The first event is older than the job was when the subscribe was sent.
    #[error(
        "first event has version {got}, but the job had version {committed} before the subscribe"
    )]
    StaleSnapshot {
        /// Version of the first event.
        got: u64,
        /// Version known to be committed before the subscribe.
        committed: u64,
    },
    /// A version that does not rise.
    #[error("event {index}: version {got} after version {before}")]
    NotRising {
        /// Position in the transcript.
        index: usize,
        /// The version before.
        before: u64,
        /// The version then.
        got: u64,
    },
    /// The watcher ended before the newest version.
    #[error("newest version is {newest}, the last seen is {last}")]
    Behind {
        /// The job's newest version.
        newest: u64,
        /// The last version seen.
        last: u64,
    },
    /// The job is finished and the watcher was not told.
    #[error("the job is finished, but no terminal status was seen")]
    NoTerminal,
}

/// Checks one transcript: `committed` is the job's version before the subscribe, `newest` its state at the end.
pub fn transcript(events: &[Seen], committed: u64, newest: Seen) -> Result<(), Broken> {
    let (Some(first), Some(last)) = (events.first(), events.last()) else {
        return Err(Broken::NoSnapshot);
    };
    if first.version < committed {
        return Err(Broken::StaleSnapshot {
            got: first.version,
            committed,
        });
    }
    for (index, pair) in events.windows(2).enumerate() {
        if pair[1].version <= pair[0].version {
            return Err(Broken::NotRising {
                index: index + 1,
                before: pair[0].version,
                got: pair[1].version,
            });
        }
    }
    if last.version < newest.version {
        return Err(Broken::Behind {
            newest: newest.version,
            last: last.version,
        });
    }
    if newest.terminal && !events.iter().any(|event| event.terminal) {
        return Err(Broken::NoTerminal);
    }
    Ok(())
}

/// What an event of a live list says, as in the schema's `JobChange.kind`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The job is in the list and was not.
    Enter,
    /// The job is in the list and has changed.
    Change,
    /// The job is no longer in the list.
    Leave,
    /// The page is complete.
    Snapshot,
    /// The list starts anew.
    Resync,
}

/// One event of a live list as a watcher saw it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change<Id> {
    /// What happened.
    pub kind: Kind,
    /// The job and its version; `None` for a marker.
    pub job: Option<(Id, u64)>,
}

/// A broken promise of a live list.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BrokenList<Id: std::fmt::Debug> {
    /// A marker with a job, or another event without one.
    #[error("event {0}: only ENTER, CHANGE and LEAVE carry a job")]
    Shape(usize),
    /// Something else than ENTER before the page was complete, or a second SNAPSHOT.
    #[error("event {0}: a page is ENTER events and then one SNAPSHOT")]
    Page(usize),
    /// The page was never completed.
    #[error("the page was not completed by SNAPSHOT")]
    NoSnapshot,
    /// ENTER of a job that is in the list.
    #[error("event {0}: ENTER of {1:?}, which is in the list")]
    EnteredTwice(usize, Id),
    /// A version that does not rise. The page after a RESYNC may repeat one.
    #[error("event {index}: version {got} of {id:?} after version {before}")]
    NotRising {
        /// Position in the transcript.
        index: usize,
        /// The job.
        id: Id,
        /// The version before.
        before: u64,
        /// The version then.
        got: u64,
    },
    /// The list at the end is not what it should be.
    #[error("at the end the watcher has {seen:?} of {id:?}, it should have {expected:?}")]
    Differs {
        /// The job.
        id: Id,
        /// Its version in the watcher's list.
        seen: Option<u64>,
        /// Its version in the true list.
        expected: Option<u64>,
    },
}

/// Replays one transcript of a live list: `expected` are the matching jobs at the end with their newest versions, as far
/// as they were on the page or changed since.
///
/// A CHANGE or LEAVE of a job that was not on the page is in order: the page is bounded.
pub fn list<Id: Ord + Clone + std::fmt::Debug>(
    events: &[Change<Id>],
    expected: &BTreeMap<Id, u64>,
) -> Result<(), BrokenList<Id>> {
    let mut held = BTreeMap::new();
    let mut seen: BTreeMap<Id, u64> = BTreeMap::new();
    let (mut paging, mut repeats) = (true, false);
    for (index, event) in events.iter().enumerate() {
        let (id, version) = match (event.kind, &event.job) {
            (Kind::Snapshot, None) if paging => {
                (paging, repeats) = (false, false);
                continue;
            }
            (Kind::Resync, None) => {
                (paging, repeats) = (true, true);
                held = BTreeMap::new();
                continue;
            }
            (Kind::Snapshot, None) => return Err(BrokenList::Page(index)),
            (Kind::Enter | Kind::Change | Kind::Leave, Some((id, version))) => (id, *version),
            _ => return Err(BrokenList::Shape(index)),
        };
        if paging && event.kind != Kind::Enter {
            return Err(BrokenList::Page(index));
        }
        let before = seen.insert(id.clone(), version);
        if let Some(before) = before.filter(|before| version < *before + u64::from(!repeats)) {
            let id = id.clone();
            return Err(BrokenList::NotRising {
                index,
                id,
                before,
                got: version,
            });
        }
        if event.kind == Kind::Leave {
            held.remove(id);
        } else if held.insert(id.clone(), version).is_some() && event.kind == Kind::Enter {
            return Err(BrokenList::EnteredTwice(index, id.clone()));
        }
    }
    if paging {
        return Err(BrokenList::NoSnapshot);
    }
    for id in held.keys().chain(expected.keys()) {
        let (seen, expected) = (held.get(id).copied(), expected.get(id).copied());
        if seen != expected {
            let id = id.clone();
            return Err(BrokenList::Differs { id, seen, expected });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_broken_promise_is_named() {
        let seen = |version| Seen {
            version,
            terminal: version == 9,
        };
        let check = |versions: &[u64], newest| {
            let events: Vec<Seen> = versions.iter().map(|version| seen(*version)).collect();
            transcript(&events, 2, seen(newest))
        };
        assert_eq!(check(&[2, 5, 9], 9), Ok(()));
        assert_eq!(check(&[], 9), Err(Broken::NoSnapshot));
        assert_eq!(
            check(&[1, 9], 9),
            Err(Broken::StaleSnapshot {
                got: 1,
                committed: 2
            })
        );
        assert_eq!(
            check(&[3, 3], 3),
            Err(Broken::NotRising {
                index: 1,
                before: 3,
                got: 3
            })
        );
        assert_eq!(
            check(&[3, 4], 5),
            Err(Broken::Behind { newest: 5, last: 4 })
        );
        let end = Seen {
            version: 4,
            terminal: true,
        };
        assert_eq!(transcript(&[seen(4)], 2, end), Err(Broken::NoTerminal));
    }

    #[test]
    fn each_broken_promise_of_a_list_is_named() {
        // Two letters for kind and job, then the version: "ea1" is ENTER of a in version 1; "s" and "r" are markers.
        let check = |transcript: &str, expected: &[(char, u64)]| {
            let events: Vec<Change<char>> = transcript
                .split_whitespace()
                .map(|event| {
                    let letters: Vec<char> = event.chars().collect();
                    let kind = match letters[0] {
                        'e' => Kind::Enter,
                        'c' => Kind::Change,
                        'l' => Kind::Leave,
                        's' => Kind::Snapshot,
                        _ => Kind::Resync,
                    };
                    let job = letters
                        .get(1)
                        .map(|id| (*id, u64::from(letters[2].to_digit(10).unwrap())));
                    Change { kind, job }
                })
                .collect();
            list(&events, &expected.iter().copied().collect())
        };
        assert_eq!(check("ea1 s eb1 ca2 lb2", &[('a', 2)]), Ok(()));
        assert_eq!(check("s", &[]), Ok(()));
        assert_eq!(check("r ea1 r ea1 s", &[('a', 1)]), Ok(()));
        assert_eq!(check("ea2 s r ea2 eb1 s", &[('a', 2), ('b', 1)]), Ok(()));
        // Jobs that were beyond the page.
        assert_eq!(check("s ca2 lb2", &[('a', 2)]), Ok(()));
        assert_eq!(check("", &[]), Err(BrokenList::NoSnapshot));
        assert_eq!(check("s r ea1", &[]), Err(BrokenList::NoSnapshot));
        assert_eq!(check("ca1 s", &[]), Err(BrokenList::Page(0)));
        assert_eq!(check("s s", &[]), Err(BrokenList::Page(1)));
        assert_eq!(check("s e", &[]), Err(BrokenList::Shape(1)));
        assert_eq!(check("sa1", &[]), Err(BrokenList::Shape(0)));
        assert_eq!(
            check("ea1 s ea2", &[]),
            Err(BrokenList::EnteredTwice(2, 'a'))
        );
        let falls = |index, before, got| {
            Err(BrokenList::NotRising {
                index,
                id: 'a',
                before,
                got,
            })
        };
        assert_eq!(check("ea1 s ca1", &[]), falls(2, 1, 1));
        assert_eq!(check("ea2 s r ea1 s", &[]), falls(3, 2, 1));
        assert_eq!(check("s ea2 la3 ea3", &[]), falls(3, 3, 3));
        let differs = |seen, expected| {
            Err(BrokenList::Differs {
                id: 'a',
                seen,
                expected,
            })
        };
        assert_eq!(check("s", &[('a', 1)]), differs(None, Some(1)));
        assert_eq!(check("ea1 s", &[]), differs(Some(1), None));
        assert_eq!(check("ea1 s", &[('a', 2)]), differs(Some(1), Some(2)));
    }
}
