//! The topics that a node needs from the other nodes: those that its own watchers need. The hub
//! reports them through [`Interest`]; the link to the broker subscribes to them.

use std::fmt;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use job::filter::equal_to;
use job::{Job, JobId};

use super::ListScope;

/// Number of partitions into which the changes of all jobs are divided for watchers of lists.
pub const LIST_PARTS: u8 = 16;

/// A channel that nodes publish changes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Topic {
    /// One job.
    Job(JobId),
    /// The jobs of the owners whose [`list_part`] this is.
    List(u8),
}

/// Receives the topics that this node's watchers need. Called while the hub holds a lock: an
/// implementation must neither wait nor call the hub.
pub trait Interest: Send + Sync + fmt::Debug + 'static {
    /// One more watcher needs the topic. Each call is matched by one call of [`Interest::left`].
    fn joined(&self, topic: Topic);
    /// One watcher less needs the topic.
    fn left(&self, topic: Topic);
    /// Ready when everything that is published on these topics from now on arrives at this node, or
    /// after a time limit. In the second case the watchers are repaired once the topics arrive.
    fn live(&self, topics: Vec<Topic>) -> BoxFuture<'static, ()>;
}

/// The partition of an owner's jobs: FNV-1a, so that every node and every version computes the
/// same.
pub fn list_part(owner: &str) -> u8 {
    let hash = owner.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    u8::try_from(hash % u64::from(LIST_PARTS)).expect("the rest is less than LIST_PARTS")
}

/// The topics that a change of this job is published to.
pub fn topics_of(job: &Job) -> [Topic; 2] {
    [Topic::Job(job.id), Topic::List(list_part(&job.owner))]
}

/// The topics that a list needs: the partitions of its owners, or all partitions.
pub(super) fn topics_for(scope: &ListScope) -> Vec<Topic> {
    let conditions = [&scope.filter, &scope.visible].map(|filter| filter.owner.clone());
    let mut parts = match equal_to(&conditions.concat()) {
        Some(owners) => owners.iter().map(|owner| list_part(owner)).collect(),
        None => (0..LIST_PARTS).collect::<Vec<u8>>(),
    };
    parts.sort_unstable();
    parts.dedup();
    parts.into_iter().map(Topic::List).collect()
}

/// Where the hub reports its topics; `None` where this is the only node.
pub(super) type InterestSink = Option<Arc<dyn Interest>>;

#[cfg(test)]
mod tests {
    use job::filter::{Condition, Filter};

    use super::*;

    #[test]
    fn a_list_needs_only_the_partitions_of_its_owners() {
        let owner = |conditions| Filter {
            owner: conditions,
            ..Filter::default()
        };
        let wanted = |filter, visible| topics_for(&ListScope { filter, visible }).len();
        let (ann, both) = (
            vec![Condition::Eq(Some("ann".to_owned()))],
            vec![Condition::In(vec!["ann".to_owned(), "bob".to_owned()])],
        );
        assert_ne!(list_part("ann"), list_part("bob"));
        assert_eq!(wanted(Filter::default(), owner(ann.clone())), 1);
        assert_eq!(wanted(owner(both.clone()), Filter::default()), 2);
        assert_eq!(wanted(owner(both), owner(ann)), 1);
        let all = wanted(Filter::default(), Filter::default());
        assert_eq!(all, usize::from(LIST_PARTS));
        let [_, part] = topics_of(&crate::realtime::hub::tests::row(1, 1));
        assert_eq!(part, Topic::List(list_part("me")));
    }
}
