//! What the hub wants to hear, and what of it arrives. No connection in here.

use std::collections::{HashMap, HashSet};

use crate::hub::Topic;

#[derive(Debug, Default)]
struct Want {
    count: usize,
    /// What is sent to it arrives.
    live: bool,
    /// Somebody has read the store before it was live.
    late: bool,
}

/// What has to be said to the broker.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct ToDo {
    pub(super) listen: Vec<Topic>,
    pub(super) ignore: Vec<Topic>,
}

#[derive(Debug, Default)]
pub(super) struct Interests {
    wanted: HashMap<Topic, Want>,
    /// Not looked at since they were joined or left.
    changed: HashSet<Topic>,
    /// What the broker was told to bring.
    listening: HashSet<Topic>,
    connected: bool,
}

impl Interests {
    pub(super) fn joined(&mut self, topic: Topic) {
        let want = self.wanted.entry(topic).or_default();
        want.count += 1;
        if want.count == 1 {
            self.changed.insert(topic);
        }
    }

    pub(super) fn left(&mut self, topic: Topic) {
        let Some(want) = self.wanted.get_mut(&topic) else {
            return;
        };
        want.count -= 1;
        if want.count == 0 {
            self.wanted.remove(&topic);
            self.changed.insert(topic);
        }
    }

    /// Whether there is nothing to wait for: all of it arrives, or nothing will before the next connection.
    pub(super) fn is_settled(&self, topics: &[Topic]) -> bool {
        !self.connected || self.are_live(topics)
    }

    fn are_live(&self, topics: &[Topic]) -> bool {
        let live = |topic| self.wanted.get(topic).is_none_or(|want| want.live);
        topics.iter().all(live)
    }

    /// Somebody reads the store without waiting any longer.
    pub(super) fn go_on(&mut self, topics: &[Topic]) {
        for topic in topics {
            if let Some(want) = self.wanted.get_mut(topic) {
                want.late |= !want.live;
            }
        }
    }

    /// There is a new connection, on which nothing is listened for yet.
    pub(super) fn begin(&mut self) {
        self.listening.clear();
        self.changed = self.wanted.keys().copied().collect();
    }

    /// All that was wanted at [`Interests::begin`] arrives.
    pub(super) fn connect(&mut self) {
        self.connected = true;
    }

    /// The connection is gone.
    pub(super) fn disconnect(&mut self) {
        self.connected = false;
        for want in self.wanted.values_mut() {
            want.live = false;
        }
    }

    /// What to say to the broker, at most so many topics; then [`Interests::done`].
    pub(super) fn next(&mut self, at_most: usize) -> ToDo {
        let mut todo = ToDo::default();
        let some: Vec<Topic> = self.changed.iter().take(at_most).copied().collect();
        for topic in some {
            self.changed.remove(&topic);
            match (self.wanted.get_mut(&topic), self.listening.contains(&topic)) {
                (Some(want), true) => want.live = true,
                (Some(_), false) => todo.listen.push(topic),
                (None, true) => todo.ignore.push(topic),
                (None, false) => {}
            }
        }
        todo
    }

    /// The broker has done it. `true`: somebody has read the store too early, what is watched has to be read again.
    pub(super) fn done(&mut self, todo: &ToDo) -> bool {
        let mut late = false;
        for topic in &todo.listen {
            self.listening.insert(*topic);
            match self.wanted.get_mut(topic) {
                Some(want) => {
                    want.live = true;
                    late |= std::mem::take(&mut want.late);
                }
                // Left meanwhile, before the broker was told.
                None => {
                    self.changed.insert(*topic);
                }
            }
        }
        for topic in &todo.ignore {
            self.listening.remove(topic);
            if let Some(want) = self.wanted.get_mut(topic) {
                // Joined again meanwhile.
                want.live = false;
                self.changed.insert(*topic);
            }
        }
        late
    }

    pub(super) fn has_to_do(&self) -> bool {
        !self.changed.is_empty()
    }

    /// Whether this part of the lists arrives.
    pub(super) fn hears(&self, topic: Topic) -> bool {
        self.listening.contains(&topic)
    }

    #[cfg(test)]
    pub(super) fn listening(&self) -> usize {
        self.listening.len()
    }

    #[cfg(test)]
    pub(super) fn wanted(&self) -> usize {
        self.wanted.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: Topic = Topic::List(1);
    const B: Topic = Topic::List(2);

    fn todo(listen: &[Topic], ignore: &[Topic]) -> ToDo {
        let (listen, ignore) = (listen.to_vec(), ignore.to_vec());
        ToDo { listen, ignore }
    }

    #[test]
    fn a_topic_is_listened_for_from_the_first_who_joins_to_the_last_who_leaves() {
        let mut interests = Interests::default();
        interests.begin();
        interests.connect();
        interests.joined(A);
        interests.joined(A);
        assert!(!interests.is_settled(&[A]));
        let listen = interests.next(9);
        assert_eq!(listen, todo(&[A], &[]));
        assert!(!interests.done(&listen), "nobody was too early");
        assert!(interests.is_settled(&[A]) && interests.hears(A));
        interests.left(A);
        assert!(!interests.has_to_do());
        interests.left(A);
        let ignore = interests.next(9);
        assert_eq!(ignore, todo(&[], &[A]));
        // Joined again while the broker is being told.
        interests.joined(A);
        interests.done(&ignore);
        let again = interests.next(9);
        assert_eq!(again, todo(&[A], &[]));
        interests.left(A);
        interests.done(&again);
        assert_eq!(interests.next(9), todo(&[], &[A]));
    }

    #[test]
    fn who_reads_too_early_is_found() {
        let mut interests = Interests::default();
        interests.joined(A);
        assert!(
            interests.is_settled(&[A]),
            "without a connection nobody waits"
        );
        interests.go_on(&[A]);
        interests.begin();
        interests.joined(B);
        let listen = interests.next(9);
        assert!(interests.done(&listen));
        interests.connect();
        assert!(interests.is_settled(&[A, B]));
        interests.disconnect();
        interests.begin();
        interests.connect();
        assert!(!interests.is_settled(&[A]));
        assert_eq!(interests.next(1).listen.len(), 1);
        assert_eq!(interests.next(1).listen.len(), 1);
        assert!(!interests.has_to_do());
    }
}
