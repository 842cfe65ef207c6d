//! Which numbers of a numbered stream are missing. Pure: time is the caller's beat.

use std::collections::BTreeSet;

/// So many missing numbers are remembered one by one; with more, something is lost in any case.
pub(crate) const MISSING: u64 = 1_024;

/// A stream's numbers as they came: in any order, some twice, some never.
#[derive(Debug, Default)]
pub(crate) struct Sequence {
    next: u64,
    missing: BTreeSet<u64>,
    /// Missing for a whole beat already.
    overdue: BTreeSet<u64>,
    lost: bool,
}

impl Sequence {
    /// Joined late: what comes before `next` is not waited for.
    pub(crate) fn from(next: u64) -> Self {
        Self {
            next,
            ..Self::default()
        }
    }

    /// A number has come.
    pub(crate) fn came(&mut self, number: u64) {
        self.due(number);
        if number == self.next {
            self.next += 1;
        } else {
            self.missing.remove(&number);
            self.overdue.remove(&number);
        }
    }

    /// All numbers below `end` have been sent, as the sender says.
    pub(crate) fn due(&mut self, end: u64) {
        if end.saturating_sub(self.next) + self.missing.len() as u64 > MISSING {
            self.lost = true;
            self.missing.clear();
            self.next = end;
        }
        self.missing.extend(self.next..end);
        self.next = self.next.max(end);
    }

    /// A beat: `true` when a number is lost, because it was missing at the last beat already. It is then no longer waited for.
    pub(crate) fn beat(&mut self) -> bool {
        let lost = std::mem::take(&mut self.lost) || !self.overdue.is_empty();
        self.overdue = std::mem::take(&mut self.missing);
        lost
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_late_is_not_lost_and_what_never_comes_is() {
        let mut sequence = Sequence::default();
        [0, 1, 3, 3].into_iter().for_each(|n| sequence.came(n));
        assert!(!sequence.beat(), "2 may still come");
        sequence.came(2);
        assert!(!sequence.beat());
        sequence.came(5);
        assert!(!sequence.beat() && sequence.beat(), "4 never came");
        assert!(!sequence.beat(), "and is forgotten");
        // The last of all is missed too, when the sender says that it was sent.
        sequence.due(7);
        assert!(!sequence.beat() && sequence.beat());
        sequence.came(6);
        assert!(!sequence.beat() && !sequence.beat(), "late after all");
    }

    #[test]
    fn who_joins_late_waits_for_nothing_before() {
        let mut sequence = Sequence::from(100);
        [99, 100, 101].into_iter().for_each(|n| sequence.came(n));
        assert!(!sequence.beat() && !sequence.beat());
    }

    #[test]
    fn so_many_are_remembered_and_no_more() {
        let mut sequence = Sequence::default();
        sequence.came(MISSING);
        assert!(!sequence.beat(), "all of them may still come");
        let mut sequence = Sequence::default();
        sequence.came(MISSING + 1);
        assert!(sequence.beat());
        assert!(!sequence.beat());
        assert!(sequence.missing.is_empty() && sequence.overdue.is_empty());
    }
}
