//! What a node has to hear from the other nodes: only what its own watchers want. Who fetches it is not the hub's affair.

use std::fmt;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use job::filter::equal_to;
use job::{Job, JobId};

use super::Wanted;

/// Into so many parts the changes of all jobs are divided for those who watch lists.
pub const LIST_PARTS: u8 = 16;

/// A part of what is published.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Topic {
    /// One job.
    Job(JobId),
    /// The jobs of some owners, by [`list_part`].
    List(u8),
}

/// Told what is wanted here, and what no longer is. Called while the hub holds a lock: it must neither wait nor call back.
pub trait Interest: Send + Sync + fmt::Debug + 'static {
    /// Somebody here wants to hear of it; each call is matched by one of [`Interest::left`].
    fn joined(&self, topic: Topic);
    /// One less wants to.
    fn left(&self, topic: Topic);
    /// Ready when what is published on these topics from now on arrives here, or when that is not known in time (then the
    /// watchers are repaired as soon as it does).
    fn live(&self, topics: Vec<Topic>) -> BoxFuture<'static, ()>;
}

/// In which part an owner's jobs are (FNV-1a, so that every node and version says the same).
pub fn list_part(owner: &str) -> u8 {
    let hash = owner.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    u8::try_from(hash % u64::from(LIST_PARTS)).expect("the rest is less than LIST_PARTS")
}

/// The topics that a change of this job belongs to.
pub fn topics_of(job: &Job) -> [Topic; 2] {
    [Topic::Job(job.id), Topic::List(list_part(&job.owner))]
}

/// The topics that a list needs: its owners' parts, else all of them.
pub(super) fn topics_for(wanted: &Wanted) -> Vec<Topic> {
    let conditions = [&wanted.filter, &wanted.visible].map(|filter| filter.owner.clone());
    let mut parts = match equal_to(&conditions.concat()) {
        Some(owners) => owners.iter().map(|owner| list_part(owner)).collect(),
        None => (0..LIST_PARTS).collect::<Vec<u8>>(),
    };
    parts.sort_unstable();
    parts.dedup();
    parts.into_iter().map(Topic::List).collect()
}

/// Who is told; nobody where there is one node only.
pub(super) type Told = Option<Arc<dyn Interest>>;

#[cfg(test)]
mod tests {
    use job::filter::{Condition, Filter};

    use super::*;

    #[test]
    fn a_list_needs_the_parts_of_its_owners_only() {
        let owner = |conditions| Filter {
            owner: conditions,
            ..Filter::default()
        };
        let wanted = |filter, visible| topics_for(&Wanted { filter, visible }).len();
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
        let [_, part] = topics_of(&crate::hub::tests::row(1, 1));
        assert_eq!(part, Topic::List(list_part("me")));
    }
}
