//! Finds the missing numbers of a numbered stream. Pure: the caller's beats are its clock.

use std::collections::BTreeSet;

/// Maximum number of missing numbers that are remembered. Above it a message is considered lost.
pub(crate) const MISSING: u64 = 1_024;

/// The received numbers of a stream: in any order, with repeats and holes.
#[derive(Debug, Default)]
pub(crate) struct Sequence {
    next: u64,
    missing: BTreeSet<u64>,
    /// Numbers that have been missing for a whole beat.
    overdue: BTreeSet<u64>,
    lost: bool,
}

impl Sequence {
    /// A stream that is joined at `next`: earlier numbers are not missing.
    pub(crate) fn from(next: u64) -> Self {
        Self {
            next,
            ..Self::default()
        }
    }

    /// Records a received number.
    pub(crate) fn came(&mut self, number: u64) {
        self.due(number);
        if number == self.next {
            self.next += 1;
        } else {
            self.missing.remove(&number);
            self.overdue.remove(&number);
        }
    }

    /// Records that the sender has sent all numbers below `end`.
    pub(crate) fn due(&mut self, end: u64) {
        if end.saturating_sub(self.next) + self.missing.len() as u64 > MISSING {
            self.lost = true;
            self.missing.clear();
            self.next = end;
        }
        self.missing.extend(self.next..end);
        self.next = self.next.max(end);
    }

    /// Ends a beat. Returns `true` if a number is lost: it was missing at the last beat already. It
    /// is forgotten then.
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
    fn a_late_number_is_not_lost_and_a_missing_one_is() {
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
    fn a_stream_joined_late_misses_no_earlier_number() {
        let mut sequence = Sequence::from(100);
        [99, 100, 101].into_iter().for_each(|n| sequence.came(n));
        assert!(!sequence.beat() && !sequence.beat());
    }

    #[test]
    fn a_stream_with_more_missing_numbers_than_the_limit_has_a_loss() {
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
