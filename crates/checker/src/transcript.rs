//! One watcher of one job, over all its connections. Bounded: only the last entries are kept.

use std::fmt;

use crate::seen::{Contradiction, Seen};
use crate::violation::{Log, Violation};

/// A broken promise of `onJob`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BrokenJob {
    /// An event before the first subscribe: a mistake of the test.
    #[error("an event before `subscribed` was called: call `subscribed` first")]
    NotSubscribed,
    /// The first event of a subscription is older than the job was when the subscribe was sent.
    #[error("the first event is {got}, but the job had version {committed} before the subscribe")]
    StaleSnapshot {
        /// The first event.
        got: Seen,
        /// The version that the job had.
        committed: u64,
    },
    /// A version that does not rise.
    #[error("{got} arrived after version {before}: versions only rise")]
    NotRising {
        /// The version before it, or the version that the client said it has.
        before: u64,
        /// The version that does not rise.
        got: Seen,
    },
    /// Two versions that cannot both be true.
    #[error("{got} arrived after {before}: {why}")]
    Contradiction {
        /// The version before it.
        before: Seen,
        /// The version that breaks the rule.
        got: Seen,
        /// The rule that the two break.
        why: Contradiction,
    },
    /// The subscription was completed although the job continues.
    #[error(
        "the subscription was completed, but the last that was seen is {last}: only the end of the job completes it"
    )]
    CompletedEarly {
        /// The last event.
        last: Seen,
    },
    /// An event arrived after the subscription was completed.
    #[error("{got} arrived after the subscription was completed")]
    AfterComplete {
        /// The event.
        got: Seen,
    },
    /// No event was delivered, not even the snapshot.
    #[error("no event arrived: the first must be the current version of the job")]
    NoSnapshot,
    /// The job has finished, and the watcher did not receive the end.
    #[error(
        "the job is {newest}, and the last that was seen is {last}: a terminal status always arrives"
    )]
    NoTerminal {
        /// The job's newest version.
        newest: Seen,
        /// The last event.
        last: Seen,
    },
    /// The watcher ended before the newest version.
    #[error(
        "the job is {newest}, and the last that was seen is {last}: the newest version always arrives"
    )]
    Behind {
        /// The job's newest version.
        newest: Seen,
        /// The last event.
        last: Seen,
    },
    /// The watcher saw a version that does not exist: it was published before it was durable.
    #[error("{last} was seen, but the job is {newest}: only durable versions may be published")]
    Ahead {
        /// The last event.
        last: Seen,
        /// The job's newest version.
        newest: Seen,
    },
}

#[derive(Clone, Copy, Debug)]
enum Entry {
    Subscribed { committed: u64, after: Option<u64> },
    Event(Seen),
    Completed,
    Restored,
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Subscribed { committed, after } => {
                write!(f, "subscribed, version {committed} was there")?;
                after.map_or(Ok(()), |after| write!(f, ", after {after}"))
            }
            Self::Event(seen) => seen.fmt(f),
            Self::Completed => f.write_str("completed"),
            Self::Restored => f.write_str("the store was restored"),
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct Subscription {
    committed: u64,
    after: Option<u64>,
    /// Its first event has arrived.
    begun: bool,
    completed: bool,
}

/// The events that one watcher of one job saw. Call it as they happen; [`JobTranscript::finish`]
/// returns the verdict.
#[derive(Clone, Debug, Default)]
pub struct JobTranscript {
    log: Log<Entry, BrokenJob>,
    subscription: Option<Subscription>,
    last: Option<Seen>,
}

impl JobTranscript {
    /// The watcher subscribes, for the first time or after a cut.
    ///
    /// `committed` is a version that the job is known to have before the subscribe is sent, or 0 if
    /// none is known. `after` is the argument of `onJob`: the version that the client says it has.
    /// It may be newer than the job's if this watcher has not seen it, or saw it before
    /// [`JobTranscript::restored`]. Then the first event is the job's current version, and versions
    /// rise from there.
    pub fn subscribed(&mut self, committed: u64, after: Option<u64>) {
        self.subscription = Some(Subscription {
            committed,
            after,
            begun: false,
            completed: false,
        });
        self.log.note(Entry::Subscribed { committed, after }, None);
    }

    /// The store was replaced by an older copy of itself, as after a restore from a backup. Earlier
    /// versions no longer count. Call [`JobTranscript::subscribed`] next: no watcher stays
    /// connected over a restore.
    pub fn restored(&mut self) {
        self.log.note(Entry::Restored, None);
        self.subscription = None;
        self.last = None;
    }

    /// An event arrived.
    pub fn event(&mut self, got: Seen) {
        let broken = self.judge(&got);
        self.log.note(Entry::Event(got), broken);
        self.last = Some(got);
        if let Some(subscription) = &mut self.subscription {
            subscription.begun = true;
        }
    }

    fn judge(&self, got: &Seen) -> Option<BrokenJob> {
        let got = *got;
        let Some(subscription) = self.subscription else {
            return Some(BrokenJob::NotSubscribed);
        };
        if subscription.completed {
            return Some(BrokenJob::AfterComplete { got });
        }
        if !subscription.begun && got.version < subscription.committed {
            let committed = subscription.committed;
            return Some(BrokenJob::StaleSnapshot { got, committed });
        }
        // A client that reconnects without the version that it has gets a snapshot, which may
        // repeat the last version.
        let repeats = u64::from(!subscription.begun);
        let last = self.last.map_or(0, |last| last.version);
        let mut least = (last + 1).saturating_sub(repeats);
        if let Some(after) = subscription.after.filter(|after| *after <= last) {
            least = least.max(after + 1);
        }
        if got.version < least {
            let before = least - 1;
            return Some(BrokenJob::NotRising { before, got });
        }
        let before = self.last?;
        let why = before.contradicted_by(&got)?;
        Some(BrokenJob::Contradiction { before, got, why })
    }

    /// The server completed the subscription.
    pub fn completed(&mut self) {
        let open = self.last.filter(|last| !last.status.is_terminal());
        // Without an event, the client already had the end.
        let begun = self
            .subscription
            .is_some_and(|subscription| subscription.begun);
        let broken = open
            .filter(|_| begun)
            .map(|last| BrokenJob::CompletedEarly { last });
        self.log.note(Entry::Completed, broken);
        if let Some(subscription) = &mut self.subscription {
            subscription.completed = true;
        }
    }

    /// The last event.
    #[must_use]
    pub fn last(&self) -> Option<Seen> {
        self.last
    }

    /// The first promise that is already broken, for a test that does not wait for the end.
    #[must_use]
    pub fn violation(&self) -> Option<&Violation<BrokenJob>> {
        self.log.violation.as_ref()
    }

    /// The verdict. `newest` is the version in the store at the end, after the watcher has had time
    /// to receive it.
    ///
    /// # Errors
    /// The first broken promise.
    pub fn finish(self, newest: Seen) -> Result<(), Violation<BrokenJob>> {
        let has = self
            .subscription
            .and_then(|subscription| subscription.after);
        let missing = match self.last {
            None if has.is_some_and(|has| has == newest.version) => None,
            None => Some(BrokenJob::NoSnapshot),
            Some(last) if last.version > newest.version => Some(BrokenJob::Ahead { last, newest }),
            Some(last) if newest.status.is_terminal() && !last.status.is_terminal() => {
                Some(BrokenJob::NoTerminal { newest, last })
            }
            Some(last) if last.version < newest.version => Some(BrokenJob::Behind { newest, last }),
            Some(last) => last
                .contradicted_by(&newest)
                .map(|why| BrokenJob::Contradiction {
                    before: last,
                    got: newest,
                    why,
                }),
        };
        self.log.end(missing)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use job::Status::{Failed, Queued, Running, Succeeded};

    enum Entry {
        Sub(u64, Option<u64>),
        See(Seen),
        Complete,
        Restore,
    }
    use Entry::{Complete, Restore, Sub};

    fn at(version: u64) -> Seen {
        let status = match version {
            1 => Queued,
            9 => Succeeded,
            _ => Running,
        };
        Seen::new(version, status)
    }

    fn see(version: u64) -> Entry {
        Entry::See(at(version))
    }

    fn check(
        entries: impl IntoIterator<Item = Entry>,
        newest: Seen,
    ) -> Result<(), Violation<BrokenJob>> {
        let mut transcript = JobTranscript::default();
        for entries in entries {
            match entries {
                Sub(committed, after) => transcript.subscribed(committed, after),
                Entry::See(seen) => transcript.event(seen),
                Complete => transcript.completed(),
                Restore => transcript.restored(),
            }
        }
        transcript.finish(newest)
    }

    fn broken(entries: impl IntoIterator<Item = Entry>, newest: u64) -> (usize, BrokenJob) {
        let violation = check(entries, at(newest)).unwrap_err();
        (violation.index, violation.broken)
    }

    #[test]
    fn a_transcript_that_keeps_the_promises_passes() {
        let newest = at(9);
        check([Sub(2, None), see(2), see(5), see(9), Complete], newest).unwrap();
        check([Sub(9, None), see(9), Complete], newest).unwrap();
        check([Sub(1, None), see(4)], at(4)).unwrap();
        // After a cut, the client says which version it has, or gets it again.
        check([Sub(0, None), see(2), Sub(2, Some(2)), see(9)], newest).unwrap();
        check([Sub(0, None), see(2), Sub(2, None), see(2), see(9)], newest).unwrap();
        check([Sub(0, None), Sub(0, None), see(9)], newest).unwrap();
        // It already has the newest version.
        check([Sub(0, None), see(9), Sub(9, Some(9)), Complete], newest).unwrap();
        check([Sub(9, Some(9)), Complete], newest).unwrap();
        check([Sub(0, None), see(4), Sub(4, Some(4))], at(4)).unwrap();
    }

    #[test]
    fn a_restored_store_gives_the_current_version() {
        let newest = at(9);
        // The client says which version it had before.
        let back = [Sub(0, None), see(7), Restore, Sub(2, Some(7)), see(2)];
        check(back, at(2)).unwrap();
        let on = [
            Sub(0, None),
            see(7),
            Restore,
            Sub(2, Some(7)),
            see(2),
            see(3),
            see(9),
            Complete,
        ];
        check(on, newest).unwrap();
        check([Sub(9, Some(12)), see(9), Complete], newest).unwrap();
        // Without a restore, the version has fallen.
        let falls = |before, got| BrokenJob::NotRising {
            before,
            got: at(got),
        };
        assert_eq!(
            broken([Sub(0, None), see(7), Sub(2, Some(7)), see(2)], 7),
            (3, falls(7, 2))
        );
        // After the first event versions rise from there.
        assert_eq!(
            broken([Sub(0, Some(7)), see(3), see(2)], 3),
            (2, falls(3, 2))
        );
        // A version with this number existed before the restore too; it may be a different one.
        check([Sub(0, Some(7)), see(7)], at(7)).unwrap();
        // Without any event the watcher would wait for ever.
        assert_eq!(broken([Sub(2, Some(7))], 2), (1, BrokenJob::NoSnapshot));
        let seen = [Sub(0, None), see(7), Restore, Sub(2, Some(7))];
        assert_eq!(broken(seen, 2), (4, BrokenJob::NoSnapshot));
        assert_eq!(
            broken([Sub(0, None), Restore, see(2)], 2),
            (2, BrokenJob::NotSubscribed)
        );
    }

    #[test]
    fn each_broken_promise_is_named_and_placed() {
        assert_eq!(broken([see(1)], 1), (0, BrokenJob::NotSubscribed));
        assert_eq!(broken([Sub(1, None)], 1), (1, BrokenJob::NoSnapshot));
        assert_eq!(broken([Sub(1, Some(1))], 2), (1, BrokenJob::NoSnapshot));
        let stale = BrokenJob::StaleSnapshot {
            got: at(1),
            committed: 2,
        };
        assert_eq!(broken([Sub(2, None), see(1), see(2)], 2), (1, stale));
        let falls = |before, got| BrokenJob::NotRising {
            before,
            got: at(got),
        };
        assert_eq!(broken([Sub(0, None), see(3), see(3)], 3), (2, falls(3, 3)));
        assert_eq!(
            broken([Sub(0, None), see(3), see(2), see(4)], 4),
            (2, falls(3, 2))
        );
        // Across a reconnect.
        assert_eq!(
            broken([Sub(0, None), see(3), Sub(0, None), see(2)], 3),
            (3, falls(2, 2))
        );
        assert_eq!(
            broken([Sub(0, None), see(3), Sub(3, Some(3)), see(3)], 3),
            (3, falls(3, 3))
        );
        assert_eq!(
            broken([Sub(0, None), see(3), Sub(3, None), see(3), see(3)], 3),
            (4, falls(3, 3))
        );
        let behind = BrokenJob::Behind {
            newest: at(5),
            last: at(4),
        };
        assert_eq!(broken([Sub(0, None), see(3), see(4)], 5), (3, behind));
        let unfinished = BrokenJob::NoTerminal {
            newest: at(9),
            last: at(4),
        };
        assert_eq!(broken([Sub(0, None), see(4)], 9), (2, unfinished));
        let ahead = BrokenJob::Ahead {
            newest: at(3),
            last: at(4),
        };
        assert_eq!(broken([Sub(0, None), see(4)], 3), (2, ahead));
        let early = BrokenJob::CompletedEarly { last: at(4) };
        assert_eq!(
            broken([Sub(0, None), see(4), Complete, Sub(4, Some(4)), see(9)], 9),
            (2, early)
        );
        let after = BrokenJob::AfterComplete { got: at(10) };
        assert_eq!(
            broken([Sub(0, None), see(9), Complete, see(10)], 10),
            (3, after)
        );
    }

    #[test]
    fn versions_that_contradict_each_other_are_found() {
        let seen = |version, status, progress, attempt| Seen {
            version,
            status,
            progress: Some(progress),
            attempt: Some(attempt),
        };
        let why = |before: Seen, got: Seen| {
            let entries = [
                Sub(0, None),
                Entry::See(before),
                Sub(0, None),
                Entry::See(got),
            ];
            match check(entries, got) {
                Ok(()) => None,
                Err(violation) => match violation.broken {
                    BrokenJob::Contradiction { why, .. } => Some(why),
                    other => panic!("{other}"),
                },
            }
        };
        let half = seen(4, Running, 50, 1);
        assert_eq!(why(half, half), None);
        assert_eq!(why(half, Seen::new(4, Running)), None);
        assert_eq!(
            why(half, seen(4, Running, 51, 1)),
            Some(Contradiction::SameVersion)
        );
        assert_eq!(
            why(half, seen(4, Failed, 50, 1)),
            Some(Contradiction::SameVersion)
        );
        assert_eq!(
            why(half, seen(6, Running, 49, 1)),
            Some(Contradiction::ProgressFell)
        );
        assert_eq!(why(half, seen(6, Running, 0, 2)), None);
        assert_eq!(
            why(seen(4, Running, 50, 2), seen(5, Running, 60, 1)),
            Some(Contradiction::AttemptFell)
        );
        assert_eq!(
            why(seen(4, Failed, 50, 1), seen(5, Running, 50, 1)),
            Some(Contradiction::AfterTheEnd)
        );
        assert_eq!(why(seen(4, Failed, 50, 1), seen(5, Queued, 0, 2)), None);
        // The same at the end of the transcript.
        let end = check(
            [Sub(0, None), Entry::See(seen(4, Failed, 50, 1))],
            seen(4, Succeeded, 50, 1),
        );
        assert!(matches!(
            end.unwrap_err().broken,
            BrokenJob::Contradiction {
                why: Contradiction::SameVersion,
                ..
            }
        ));
    }

    #[test]
    fn a_report_shows_the_entry_that_broke_the_promise() {
        let violation = check([Sub(1, None), see(1), see(3), see(2)], at(3)).unwrap_err();
        let expected = "RUNNING in version 2 arrived after version 3: versions only rise (entry 3)
      0  subscribed, version 1 was there
      1  QUEUED in version 1
      2  RUNNING in version 3
      3  RUNNING in version 2";
        assert_eq!(violation.to_string(), expected);
        let mut long = JobTranscript::default();
        long.subscribed(0, None);
        (1..=100).for_each(|version| long.event(Seen::new(version, Running)));
        let report = long
            .finish(Seen::new(101, Running))
            .unwrap_err()
            .to_string();
        assert!(
            report.ends_with("   100  RUNNING in version 100\n    101  the end"),
            "{report}"
        );
        assert!(report.lines().count() < 20, "{report}");
    }
}
