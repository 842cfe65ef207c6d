//! A broken promise with the entries that led to it.

use std::collections::VecDeque;
use std::fmt;

/// Number of entries of a transcript that a report shows: the last ones before the violation.
const SHOWN: usize = 12;

/// A broken promise, and the part of the transcript where it broke.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation<B> {
    /// The promise that was broken.
    pub broken: B,
    /// Index of the entry that broke it, from 0. The number of entries if an expected event did not
    /// arrive.
    pub index: usize,
    /// The last entries up to it, oldest first, as text.
    pub recent: Vec<String>,
}

impl<B: fmt::Display> fmt::Display for Violation<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (entry {})", self.broken, self.index)?;
        let first = (self.index + 1).saturating_sub(self.recent.len());
        for (offset, entry) in self.recent.iter().enumerate() {
            write!(f, "\n  {:>5}  {entry}", first + offset)?;
        }
        Ok(())
    }
}

impl<B: fmt::Display + fmt::Debug> std::error::Error for Violation<B> {}

/// The last entries, as many as a report needs, and the first promise that was broken.
#[derive(Clone, Debug)]
pub(crate) struct Log<E, B> {
    entries: usize,
    recent: VecDeque<E>,
    pub(crate) violation: Option<Violation<B>>,
}

impl<E, B> Default for Log<E, B> {
    fn default() -> Self {
        Log {
            entries: 0,
            recent: VecDeque::new(),
            violation: None,
        }
    }
}

impl<E: fmt::Display, B> Log<E, B> {
    /// Records an entry; `broken` is the result of its check. After the first violation no entry is
    /// recorded.
    pub(crate) fn note(&mut self, entry: E, broken: Option<B>) {
        if self.violation.is_some() {
            return;
        }
        if self.recent.len() == SHOWN {
            self.recent.pop_front();
        }
        self.recent.push_back(entry);
        self.entries += 1;
        self.violation = broken.map(|broken| self.report(self.entries - 1, broken));
    }

    /// The verdict: the first violation, otherwise what is `missing` at the end.
    pub(crate) fn end(mut self, missing: Option<B>) -> Result<(), Violation<B>> {
        if let Some(violation) = self.violation.take() {
            return Err(violation);
        }
        match missing {
            Some(broken) => {
                let mut violation = self.report(self.entries, broken);
                violation.recent.push("the end".to_owned());
                Err(violation)
            }
            None => Ok(()),
        }
    }

    fn report(&self, index: usize, broken: B) -> Violation<B> {
        Violation {
            broken,
            index,
            recent: self.recent.iter().map(ToString::to_string).collect(),
        }
    }
}
