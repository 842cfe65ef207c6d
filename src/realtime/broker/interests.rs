//! The topics that the hub needs, and which of them arrive. Pure: it has no connection.

use std::collections::{BTreeSet, HashMap, HashSet};

use crate::realtime::hub::Topic;

#[derive(Debug, Default)]
struct Need {
    count: usize,
    /// Whether messages to it arrive.
    live: bool,
    /// Whether a watcher has read the store before it was live.
    late: bool,
}

impl Need {
    /// Marks it as live. Returns `true` if a watcher has read the store before.
    fn begin(&mut self) -> bool {
        self.live = true;
        std::mem::take(&mut self.late)
    }
}

/// The subscriptions to change at the broker.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct ToDo {
    pub(super) listen: Vec<Topic>,
    pub(super) ignore: Vec<Topic>,
}

#[derive(Debug, Default)]
pub(super) struct Interests {
    wanted: HashMap<Topic, Need>,
    /// Topics that were joined or left since [`Interests::next`] last returned them.
    changed: HashSet<Topic>,
    /// The topics that are subscribed to.
    listening: HashSet<Topic>,
    /// Partitions of the lists that arrive, but of which some node has not said how many messages
    /// it had sent: a loss would not be found.
    uncounted: BTreeSet<u8>,
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

    /// Whether there is nothing to wait for: the topics arrive, or there is no connection.
    pub(super) fn is_settled(&self, topics: &[Topic]) -> bool {
        !self.connected || self.are_live(topics)
    }

    fn are_live(&self, topics: &[Topic]) -> bool {
        let live = |topic| self.wanted.get(topic).is_none_or(|want| want.live);
        topics.iter().all(live)
    }

    /// Records that a watcher reads the store now, whether or not the topics are live.
    pub(super) fn go_on(&mut self, topics: &[Topic]) {
        for topic in topics {
            if let Some(want) = self.wanted.get_mut(topic) {
                want.late |= !want.live;
            }
        }
    }

    /// Begins a new connection, which has no subscription yet.
    pub(super) fn begin(&mut self) {
        self.listening.clear();
        self.uncounted.clear();
        self.changed = self.wanted.keys().copied().collect();
    }

    /// Records that the topics needed at [`Interests::begin`] are subscribed to.
    pub(super) fn connect(&mut self) {
        self.connected = true;
    }

    /// Records that the connection has ended.
    pub(super) fn disconnect(&mut self) {
        self.connected = false;
        for want in self.wanted.values_mut() {
            want.live = false;
        }
    }

    /// The next changes for the broker, at most `at_most` topics. [`Interests::done`] is to be
    /// called once it has made them.
    pub(super) fn next(&mut self, at_most: usize) -> ToDo {
        let mut todo = ToDo::default();
        let some: Vec<Topic> = self.changed.iter().take(at_most).copied().collect();
        for topic in some {
            self.changed.remove(&topic);
            match (self.wanted.get_mut(&topic), self.listening.contains(&topic)) {
                (Some(want), true) => want.live = !is_uncounted(&self.uncounted, topic),
                (Some(_), false) => todo.listen.push(topic),
                (None, true) => todo.ignore.push(topic),
                (None, false) => {}
            }
        }
        todo
    }

    /// Records that the broker has made the changes. Returns `true` if a watcher has read the store
    /// too early: the watched jobs have to be read again.
    pub(super) fn done(&mut self, todo: &ToDo) -> bool {
        let mut late = false;
        for topic in &todo.listen {
            self.listening.insert(*topic);
            if let Topic::List(part) = topic {
                self.uncounted.insert(*part);
            }
            match self.wanted.get_mut(topic) {
                Some(_) if is_uncounted(&self.uncounted, *topic) => {}
                Some(want) => late |= want.begin(),
                // Left meanwhile, before the broker had subscribed.
                None => {
                    self.changed.insert(*topic);
                }
            }
        }
        for topic in &todo.ignore {
            self.listening.remove(topic);
            if let Topic::List(part) = topic {
                self.uncounted.remove(part);
            }
            if let Some(want) = self.wanted.get_mut(topic) {
                // Joined again meanwhile.
                want.live = false;
                self.changed.insert(*topic);
            }
        }
        late
    }

    /// Whether a partition waits for the nodes' message counts.
    pub(super) fn has_uncounted(&self) -> bool {
        !self.uncounted.is_empty()
    }

    /// Marks the partitions as live for which `is_counted` holds: every node has said how many
    /// messages it had sent. Returns `true` as [`Interests::done`] does.
    pub(super) fn counted(&mut self, is_counted: impl Fn(u8) -> bool) -> bool {
        let mut late = false;
        for part in self
            .uncounted
            .iter()
            .copied()
            .filter(|part| is_counted(*part))
        {
            if let Some(want) = self.wanted.get_mut(&Topic::List(part)) {
                late |= want.begin();
            }
        }
        self.uncounted.retain(|part| !is_counted(*part));
        late
    }

    pub(super) fn has_to_do(&self) -> bool {
        !self.changed.is_empty()
    }

    /// Whether the topic is subscribed to.
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

fn is_uncounted(uncounted: &BTreeSet<u8>, topic: Topic) -> bool {
    matches!(topic, Topic::List(part) if uncounted.contains(&part))
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: Topic = Topic::Job(job::JobId::from_bytes([1; 16]));
    const B: Topic = Topic::Job(job::JobId::from_bytes([2; 16]));

    fn todo(listen: &[Topic], ignore: &[Topic]) -> ToDo {
        let (listen, ignore) = (listen.to_vec(), ignore.to_vec());
        ToDo { listen, ignore }
    }

    #[test]
    fn a_topic_is_subscribed_to_from_its_first_watcher_to_its_last() {
        let mut interests = Interests::default();
        interests.begin();
        interests.connect();
        interests.joined(A);
        interests.joined(A);
        assert!(!interests.is_settled(&[A]));
        let listen = interests.next(9);
        assert_eq!(listen, todo(&[A], &[]));
        assert!(!interests.done(&listen), "no read was too early");
        assert!(interests.is_settled(&[A]) && interests.hears(A));
        interests.left(A);
        assert!(!interests.has_to_do());
        interests.left(A);
        let ignore = interests.next(9);
        assert_eq!(ignore, todo(&[], &[A]));
        // Joined again while the broker is being asked.
        interests.joined(A);
        interests.done(&ignore);
        let again = interests.next(9);
        assert_eq!(again, todo(&[A], &[]));
        interests.left(A);
        interests.done(&again);
        assert_eq!(interests.next(9), todo(&[], &[A]));
    }

    #[test]
    fn a_partition_is_live_when_it_is_counted() {
        const LIST: Topic = Topic::List(3);
        let mut interests = Interests::default();
        interests.begin();
        interests.connect();
        interests.joined(LIST);
        interests.joined(A);
        let listen = interests.next(9);
        assert!(!interests.done(&listen) && interests.hears(LIST));
        assert!(interests.is_settled(&[A]) && !interests.is_settled(&[LIST]));
        assert!(interests.has_uncounted() && !interests.counted(|part| part == 4));
        interests.go_on(&[LIST]);
        assert!(!interests.is_settled(&[LIST]));
        assert!(interests.counted(|part| part == 3), "too late for one");
        assert!(interests.is_settled(&[LIST]) && !interests.has_uncounted());
        // A topic that is left and joined meanwhile begins again, unless the broker was not asked
        // yet.
        interests.left(LIST);
        interests.joined(LIST);
        assert_eq!(interests.next(9), ToDo::default());
        assert!(interests.is_settled(&[LIST]));
        interests.left(LIST);
        let ignore = interests.next(9);
        interests.done(&ignore);
        interests.joined(LIST);
        let listen = interests.next(9);
        interests.done(&listen);
        assert!(!interests.is_settled(&[LIST]));
        // And nothing is counted any more on another connection.
        interests.disconnect();
        interests.begin();
        assert!(!interests.has_uncounted());
    }

    #[test]
    fn a_read_before_the_topic_is_live_is_found() {
        let mut interests = Interests::default();
        interests.joined(A);
        assert!(
            interests.is_settled(&[A]),
            "without a connection no read waits"
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
