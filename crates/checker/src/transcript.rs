//! One watcher of one job, over all its connections. Bounded: only the last entries are kept.

use std::fmt;

use crate::seen::{Contradiction, Seen};
use crate::violation::{Log, Violation};

/// A broken promise of `onJob`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    /// An event before the first subscribe: a mistake of the test.
    #[error("an event before `subscribed` was called: the transcript lacks its beginning")]
    NotSubscribed,
    /// The first event of a subscription is older than the job was when the subscribe was sent.
    #[error("the first event is {got}, but version {committed} was there before the subscribe")]
    StaleSnapshot {
        /// The first event.
        got: Seen,
        /// The version that was there.
        committed: u64,
    },
    /// A version that does not rise.
    #[error("{got} came after version {before}: versions only rise")]
    NotRising {
        /// The version before, or the one that the client said it has.
        before: u64,
        /// What came then.
        got: Seen,
    },
    /// Two versions that cannot both be true.
    #[error("{got} came after {before}: {why}")]
    Contradiction {
        /// What was seen before.
        before: Seen,
        /// What came then.
        got: Seen,
        /// The rule between the two.
        why: Contradiction,
    },
    /// The subscription was completed though the job goes on.
    #[error(
        "the subscription was completed, but the last that was seen is {last}: only the end of the job completes it"
    )]
    CompletedEarly {
        /// The last event.
        last: Seen,
    },
    /// Something came after the subscription was completed.
    #[error("{got} came after the subscription was completed")]
    AfterComplete {
        /// What came.
        got: Seen,
    },
    /// Nothing was delivered, not even the snapshot.
    #[error("no event at all: the first must be the job as it is at the subscribe")]
    NoSnapshot,
    /// The job has ended, and the watcher was not told.
    #[error(
        "the job is {newest}, and the last that was seen is {last}: a terminal status always arrives"
    )]
    NoTerminal {
        /// The truth.
        newest: Seen,
        /// The last event.
        last: Seen,
    },
    /// The watcher ended before the newest version.
    #[error(
        "the job is {newest}, and the last that was seen is {last}: the newest version always arrives"
    )]
    Behind {
        /// The truth.
        newest: Seen,
        /// The last event.
        last: Seen,
    },
    /// The watcher saw a version that does not exist: it was told before it was durable.
    #[error("{last} was seen, but the job is {newest}: what is told must be durable")]
    Ahead {
        /// The last event.
        last: Seen,
        /// The truth.
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
            Entry::Subscribed { committed, after } => {
                write!(f, "subscribed, version {committed} was there")?;
                after.map_or(Ok(()), |after| write!(f, ", after {after}"))
            }
            Entry::Event(seen) => seen.fmt(f),
            Entry::Completed => f.write_str("completed"),
            Entry::Restored => f.write_str("the store was restored"),
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct Subscription {
    committed: u64,
    after: Option<u64>,
    /// Its first event has come.
    begun: bool,
    completed: bool,
}

/// What one watcher of one job saw. It is told as it happens; [`JobTranscript::finish`] gives the verdict.
#[derive(Clone, Debug, Default)]
pub struct JobTranscript {
    log: Log<Entry, Broken>,
    subscription: Option<Subscription>,
    last: Option<Seen>,
}

impl JobTranscript {
    /// The watcher subscribes, for the first time or after a cut.
    ///
    /// `committed` is a version that the job is known to have before the subscribe is sent, 0 when nothing is known; `after` is the
    /// argument of `onJob`, the version that the client says it has. A version that this watcher has not seen, or one of before
    /// [`JobTranscript::restored`], may be newer than the job: then the first event is the job as it is, and versions rise from there.
    pub fn subscribed(&mut self, committed: u64, after: Option<u64>) {
        self.subscription = Some(Subscription {
            committed,
            after,
            begun: false,
            completed: false,
        });
        self.log.note(Entry::Subscribed { committed, after }, None);
    }

    /// The store was replaced by an older copy of itself, as after a restore from a backup. What was seen before counts no more, and the
    /// next thing is [`JobTranscript::subscribed`]: no watcher stays connected over that.
    pub fn restored(&mut self) {
        self.log.note(Entry::Restored, None);
        self.subscription = None;
        self.last = None;
    }

    /// An event came.
    pub fn event(&mut self, got: Seen) {
        let broken = self.judge(&got);
        self.log.note(Entry::Event(got), broken);
        self.last = Some(got);
        if let Some(subscription) = &mut self.subscription {
            subscription.begun = true;
        }
    }

    fn judge(&self, got: &Seen) -> Option<Broken> {
        let got = *got;
        let Some(subscription) = self.subscription else {
            return Some(Broken::NotSubscribed);
        };
        if subscription.completed {
            return Some(Broken::AfterComplete { got });
        }
        if !subscription.begun && got.version < subscription.committed {
            let committed = subscription.committed;
            return Some(Broken::StaleSnapshot { got, committed });
        }
        // A client that comes back without saying what it has gets a snapshot, which may repeat what it saw last.
        let repeats = u64::from(!subscription.begun);
        let last = self.last.map_or(0, |last| last.version);
        let mut least = (last + 1).saturating_sub(repeats);
        if let Some(after) = subscription.after.filter(|after| *after <= last) {
            least = least.max(after + 1);
        }
        if got.version < least {
            let before = least - 1;
            return Some(Broken::NotRising { before, got });
        }
        let before = self.last?;
        let why = before.contradicted_by(&got)?;
        Some(Broken::Contradiction { before, got, why })
    }

    /// The server completed the subscription.
    pub fn completed(&mut self) {
        let open = self.last.filter(|last| !last.status.is_terminal());
        // Without an event the client had the end already.
        let begun = self
            .subscription
            .is_some_and(|subscription| subscription.begun);
        let broken = open
            .filter(|_| begun)
            .map(|last| Broken::CompletedEarly { last });
        self.log.note(Entry::Completed, broken);
        if let Some(subscription) = &mut self.subscription {
            subscription.completed = true;
        }
    }

    /// The last event.
    pub fn last(&self) -> Option<Seen> {
        self.last
    }

    /// The first promise that is broken already: for a test that does not want to wait for the end.
    pub fn violation(&self) -> Option<&Violation<Broken>> {
        self.log.violation.as_ref()
    }

    /// The verdict. `newest` is the truth at the end, when the watcher has had its time: the job as the store has it.
    ///
    /// # Errors
    /// The first broken promise.
    pub fn finish(self, newest: Seen) -> Result<(), Violation<Broken>> {
        let has = self
            .subscription
            .and_then(|subscription| subscription.after);
        let missing = match self.last {
            None if has.is_some_and(|has| has == newest.version) => None,
            None => Some(Broken::NoSnapshot),
            Some(last) if last.version > newest.version => Some(Broken::Ahead { last, newest }),
            Some(last) if newest.status.is_terminal() && !last.status.is_terminal() => {
                Some(Broken::NoTerminal { newest, last })
            }
            Some(last) if last.version < newest.version => Some(Broken::Behind { newest, last }),
            Some(last) => last
                .contradicted_by(&newest)
                .map(|why| Broken::Contradiction {
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

    enum Told {
        Sub(u64, Option<u64>),
        See(Seen),
        Complete,
        Restore,
    }
    use Told::{Complete, Restore, Sub};

    fn at(version: u64) -> Seen {
        let status = match version {
            1 => Queued,
            9 => Succeeded,
            _ => Running,
        };
        Seen::new(version, status)
    }

    fn see(version: u64) -> Told {
        Told::See(at(version))
    }

    fn check(told: impl IntoIterator<Item = Told>, newest: Seen) -> Result<(), Violation<Broken>> {
        let mut transcript = JobTranscript::default();
        for told in told {
            match told {
                Sub(committed, after) => transcript.subscribed(committed, after),
                Told::See(seen) => transcript.event(seen),
                Complete => transcript.completed(),
                Restore => transcript.restored(),
            }
        }
        transcript.finish(newest)
    }

    fn broken(told: impl IntoIterator<Item = Told>, newest: u64) -> (usize, Broken) {
        let violation = check(told, at(newest)).unwrap_err();
        (violation.index, violation.broken)
    }

    #[test]
    fn what_is_promised_passes() {
        let newest = at(9);
        check([Sub(2, None), see(2), see(5), see(9), Complete], newest).unwrap();
        check([Sub(9, None), see(9), Complete], newest).unwrap();
        check([Sub(1, None), see(4)], at(4)).unwrap();
        // A cut: the client says what it has, or gets it again.
        check([Sub(0, None), see(2), Sub(2, Some(2)), see(9)], newest).unwrap();
        check([Sub(0, None), see(2), Sub(2, None), see(2), see(9)], newest).unwrap();
        check([Sub(0, None), Sub(0, None), see(9)], newest).unwrap();
        // It has the newest already.
        check([Sub(0, None), see(9), Sub(9, Some(9)), Complete], newest).unwrap();
        check([Sub(9, Some(9)), Complete], newest).unwrap();
        check([Sub(0, None), see(4), Sub(4, Some(4))], at(4)).unwrap();
    }

    #[test]
    fn a_restored_store_gives_the_job_as_it_is() {
        let newest = at(9);
        // The client says what it had before.
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
        // Without a restore it is a version that fell.
        let falls = |before, got| Broken::NotRising {
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
        // A version of this number was there before the restore too; it may be another one.
        check([Sub(0, Some(7)), see(7)], at(7)).unwrap();
        // To say nothing leaves the watcher waiting.
        assert_eq!(broken([Sub(2, Some(7))], 2), (1, Broken::NoSnapshot));
        let seen = [Sub(0, None), see(7), Restore, Sub(2, Some(7))];
        assert_eq!(broken(seen, 2), (4, Broken::NoSnapshot));
        assert_eq!(
            broken([Sub(0, None), Restore, see(2)], 2),
            (2, Broken::NotSubscribed)
        );
    }

    #[test]
    fn each_broken_promise_is_named_and_placed() {
        assert_eq!(broken([see(1)], 1), (0, Broken::NotSubscribed));
        assert_eq!(broken([Sub(1, None)], 1), (1, Broken::NoSnapshot));
        assert_eq!(broken([Sub(1, Some(1))], 2), (1, Broken::NoSnapshot));
        let stale = Broken::StaleSnapshot {
            got: at(1),
            committed: 2,
        };
        assert_eq!(broken([Sub(2, None), see(1), see(2)], 2), (1, stale));
        let falls = |before, got| Broken::NotRising {
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
        let behind = Broken::Behind {
            newest: at(5),
            last: at(4),
        };
        assert_eq!(broken([Sub(0, None), see(3), see(4)], 5), (3, behind));
        let unfinished = Broken::NoTerminal {
            newest: at(9),
            last: at(4),
        };
        assert_eq!(broken([Sub(0, None), see(4)], 9), (2, unfinished));
        let ahead = Broken::Ahead {
            newest: at(3),
            last: at(4),
        };
        assert_eq!(broken([Sub(0, None), see(4)], 3), (2, ahead));
        let early = Broken::CompletedEarly { last: at(4) };
        assert_eq!(
            broken([Sub(0, None), see(4), Complete, Sub(4, Some(4)), see(9)], 9),
            (2, early)
        );
        let after = Broken::AfterComplete { got: at(10) };
        assert_eq!(
            broken([Sub(0, None), see(9), Complete, see(10)], 10),
            (3, after)
        );
    }

    #[test]
    fn versions_that_cannot_both_be_true_are_found() {
        let seen = |version, status, progress, attempt| Seen {
            version,
            status,
            progress: Some(progress),
            attempt: Some(attempt),
        };
        let why = |before: Seen, got: Seen| {
            let told = [
                Sub(0, None),
                Told::See(before),
                Sub(0, None),
                Told::See(got),
            ];
            match check(told, got) {
                Ok(()) => None,
                Err(violation) => match violation.broken {
                    Broken::Contradiction { why, .. } => Some(why),
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
        // The same at the end.
        let end = check(
            [Sub(0, None), Told::See(seen(4, Failed, 50, 1))],
            seen(4, Succeeded, 50, 1),
        );
        assert!(matches!(
            end.unwrap_err().broken,
            Broken::Contradiction {
                why: Contradiction::SameVersion,
                ..
            }
        ));
    }

    #[test]
    fn a_report_shows_where() {
        let violation = check([Sub(1, None), see(1), see(3), see(2)], at(3)).unwrap_err();
        let expected = "RUNNING in version 2 came after version 3: versions only rise (entry 3)
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
