//! Random interleavings of everything that can happen to live lists, compared with the stored jobs.

use std::collections::BTreeMap;

use checker::{ListEvent, ListTranscript, ListedJob};
use job::filter::Condition;
use job::{Job, Status, Version};
use proptest::prelude::*;

use super::tests::{Plain, cases, id, row};
use super::*;

/// Jobs of the model; more than the small hub has slots.
const JOBS: u8 = 6;
const SLOTS: usize = 3;

#[derive(Debug, Clone)]
enum Step {
    Write(u8, u8),
    /// Publishes what was written, or an older version, with or without the version before it.
    Publish(u8, u8, bool),
    /// Reads it from the store again.
    Repair(u8),
    Watch(usize, usize),
    Page(usize),
    Take(usize),
    Unwatch(usize),
    /// The client connects again, and has what it received.
    Return(usize, usize),
    Leave(usize),
    Gap,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let (job, mailbox, watch) = (0..JOBS, 0usize..3, 0usize..64);
    let step = prop_oneof![
        5 => (job.clone(), any::<u8>()).prop_map(|(job, how)| Step::Write(job, how)),
        1 => job.clone().prop_map(Step::Repair),
        6 => (job, 0u8..4, any::<bool>()).prop_map(|(job, back, old)| Step::Publish(job, back.saturating_sub(1), old)),
        2 => (mailbox.clone(), 0usize..7).prop_map(|(mailbox, wanted)| Step::Watch(mailbox, wanted)),
        4 => watch.clone().prop_map(Step::Page),
        5 => mailbox.clone().prop_map(Step::Take),
        1 => watch.clone().prop_map(Step::Unwatch),
        1 => (watch, 0usize..3).prop_map(|(watch, mailbox)| Step::Return(watch, mailbox)),
        1 => mailbox.prop_map(Step::Leave),
        1 => Just(Step::Gap),
    ];
    proptest::collection::vec(step, 1..100)
}

/// Filters of every index, and one without an index.
fn wanted(number: usize) -> Arc<ListScope> {
    let mut wanted = ListScope::default();
    let ListScope { filter, visible } = &mut wanted;
    match number {
        0 => {}
        1 => filter.status = vec![Condition::In(vec![Status::Running, Status::Waiting])],
        2 => visible.owner = vec![Condition::Eq(Some("a".into()))],
        3 => filter.progress = vec![Condition::Ge(50)],
        4 => filter.id = vec![Condition::Eq(Some(id(1)))],
        5 => {
            filter.status = vec![Condition::Eq(Some(Status::Succeeded))];
            visible.owner = vec![Condition::Eq(Some("b".into()))];
        }
        _ => filter.job_type = vec![Condition::Eq(Some("test".into())), Condition::Ne(None)],
    }
    Arc::new(wanted)
}

fn matches(wanted: &ListScope, job: &Job) -> bool {
    wanted.filter.matches(job) && wanted.visible.matches(job)
}

struct Watcher {
    mailbox: usize,
    watch: WatchId,
    wanted: Arc<ListScope>,
    key: PayloadGroupKey,
    /// A page has to be read.
    reads: bool,
    open: bool,
    seen: ListTranscript<JobId>,
}

struct World {
    hub: Hub,
    mailboxes: Vec<Arc<Mailbox>>,
    /// All versions of each job.
    jobs: Vec<Vec<Arc<Job>>>,
    watchers: Vec<Watcher>,
}

impl World {
    fn new() -> Self {
        let jobs = (0..JOBS).map(|number| {
            let mut job = Job::clone(&row(number, 1));
            job.owner = if number % 2 == 0 { "a" } else { "b" }.into();
            vec![Arc::new(job)]
        });
        Self {
            hub: Hub::with_list_slots(SLOTS),
            mailboxes: (0..3).map(|_| Arc::default()).collect(),
            jobs: jobs.collect(),
            watchers: Vec::new(),
        }
    }

    fn newest(&self, job: usize) -> &Arc<Job> {
        self.jobs[job].last().unwrap()
    }

    fn write(&mut self, number: u8, how: u8) {
        let mut job = Job::clone(self.newest(number.into()));
        job.version = job.version.next();
        job.status = Status::ALL[usize::from(how) % Status::ALL.len()];
        job.progress = how % 101;
        self.jobs[usize::from(number)].push(Arc::new(job));
    }

    fn page(&mut self, watcher: usize) {
        let watcher = &mut self.watchers[watcher];
        if watcher.reads && watcher.open {
            let newest = self.jobs.iter().map(|versions| versions.last().unwrap());
            let page: Vec<Arc<Job>> = newest
                .filter(|job| matches(&watcher.wanted, job))
                .cloned()
                .collect();
            watcher.reads = !self
                .hub
                .page(&self.mailboxes[watcher.mailbox], watcher.watch, &page);
        }
    }

    fn take(&mut self, mailbox: usize) -> bool {
        let Some(delivery) = self.mailboxes[mailbox].take() else {
            return false;
        };
        let watcher = self
            .watchers
            .iter_mut()
            .find(|watcher| watcher.mailbox == mailbox && watcher.watch == delivery.watch)
            .unwrap();
        assert!(watcher.open && !watcher.reads, "received without a page");
        let kind = match delivery.kind.unwrap() {
            ListEventKind::Enter => checker::ListEventKind::Enter,
            ListEventKind::Change => checker::ListEventKind::Change,
            ListEventKind::Leave => checker::ListEventKind::Leave,
            ListEventKind::Snapshot => checker::ListEventKind::Snapshot,
            ListEventKind::Resync => checker::ListEventKind::Resync,
        };
        watcher.reads = kind == checker::ListEventKind::Resync;
        let job = delivery.update.job().map(|job| {
            assert!(watcher.wanted.visible.matches(job), "not for this caller");
            ListedJob {
                id: job.id,
                version: job.version.0,
                wanted: Some(watcher.wanted.filter.matches(job)),
            }
        });
        watcher.seen.event(ListEvent { kind, job });
        true
    }

    fn watch(
        &mut self,
        mailbox: usize,
        wanted: Arc<ListScope>,
        key: PayloadGroupKey,
        mut seen: ListTranscript<JobId>,
    ) {
        let (hub, to) = (&self.hub, &self.mailboxes[mailbox]);
        let watch = hub.watch_list(Arc::clone(&wanted), to, key.clone(), || Arc::new(Plain));
        seen.subscribed();
        self.watchers.push(Watcher {
            mailbox,
            watch,
            wanted,
            key,
            reads: true,
            open: true,
            seen,
        });
    }

    fn unwatch(&mut self, index: usize) {
        let watcher = &mut self.watchers[index];
        watcher.open = false;
        let mailbox = &self.mailboxes[watcher.mailbox];
        self.hub.unwatch(mailbox, watcher.watch);
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Write(job, how) => self.write(job, how),
            Step::Publish(job, back, with_old) => {
                let versions = &self.jobs[usize::from(job)];
                let index = versions.len().saturating_sub(1 + usize::from(back));
                let old = index.checked_sub(1).map(|before| &versions[before]);
                self.hub.publish(old.filter(|_| with_old), &versions[index]);
            }
            Step::Repair(job) => {
                let newest = Arc::clone(self.newest(job.into()));
                self.hub.repair(&newest);
                assert_eq!(self.hub.repair(&newest), 0, "no watcher is behind any more");
            }
            Step::Watch(mailbox, number) => {
                let key = PayloadGroupKey(number.to_string().into());
                self.watch(mailbox, wanted(number), key, ListTranscript::default());
            }
            Step::Page(index) if !self.watchers.is_empty() => {
                self.page(index % self.watchers.len());
            }
            Step::Unwatch(index) if !self.watchers.is_empty() => {
                self.unwatch(index % self.watchers.len());
            }
            Step::Return(index, mailbox) if !self.watchers.is_empty() => {
                let index = index % self.watchers.len();
                if self.watchers[index].open {
                    self.unwatch(index);
                    let watcher = &self.watchers[index];
                    let (wanted, key) = (Arc::clone(&watcher.wanted), watcher.key.clone());
                    self.watch(mailbox, wanted, key, watcher.seen.clone());
                }
            }
            Step::Take(mailbox) => {
                self.take(mailbox);
            }
            Step::Leave(mailbox) => {
                self.hub.leave(&self.mailboxes[mailbox]);
                let of_it = |watcher: &&mut Watcher| watcher.mailbox == mailbox;
                let left = self.watchers.iter_mut().filter(of_it);
                left.for_each(|watcher| watcher.open = false);
            }
            Step::Gap => self.hub.resync_lists(),
            Step::Page(_) | Step::Unwatch(_) | Step::Return(..) => {}
        }
    }

    /// All is published, read and taken.
    fn settle(&mut self) {
        for job in 0..usize::from(JOBS) {
            self.hub.publish(None, self.newest(job));
        }
        let mut again = true;
        while again {
            (0..self.watchers.len()).for_each(|watcher| self.page(watcher));
            again = self
                .watchers
                .iter()
                .any(|watcher| watcher.open && watcher.reads);
            for mailbox in 0..self.mailboxes.len() {
                while self.take(mailbox) {
                    again = true;
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(cases())]
    #[test]
    fn every_interleaving_ends_with_the_true_list(steps in steps()) {
        let mut world = World::new();
        for step in steps {
            world.step(step);
        }
        world.settle();
        for watcher in std::mem::take(&mut world.watchers).into_iter().filter(|watcher| watcher.open) {
            let expected: BTreeMap<JobId, u64> = (0..usize::from(JOBS))
                .map(|job| world.newest(job))
                .filter(|job| matches(&watcher.wanted, job))
                .map(|job| (job.id, job.version.0))
                .collect();
            prop_assert_eq!(watcher.seen.finish(&expected), Ok(()));
        }
        for mailbox in &world.mailboxes {
            world.hub.leave(mailbox);
        }
        prop_assert!(world.hub.is_empty());
    }
}

/// The pending events of a mailbox, as text: `ENTER 1@2` for job 1 in version 2.
fn pending(mailbox: &Mailbox) -> Vec<String> {
    std::iter::from_fn(|| mailbox.take())
        .map(|delivery| {
            let job = delivery.update.job();
            let job = job.map(|job| format!(" {}@{}", job.id.as_bytes()[0], job.version));
            format!(
                "{}{}",
                delivery.kind.unwrap().as_str(),
                job.unwrap_or_default()
            )
        })
        .collect()
}

fn running(number: u8, version: u64, status: Status) -> Arc<Job> {
    let mut job = Job::clone(&row(number, version));
    job.status = status;
    Arc::new(job)
}

fn watch_running(hub: &Hub, mailbox: &Arc<Mailbox>) -> WatchId {
    hub.watch_list(wanted(1), mailbox, PayloadGroupKey("1".into()), || {
        Arc::new(Plain)
    })
}

#[test]
fn kinds_follow_from_both_images_and_conflate() {
    use Status::{Failed, Queued, Running};
    let (hub, mailbox) = (Hub::default(), Arc::default());
    let watch = watch_running(&hub, &mailbox);
    let publish = |job, version, from, to| {
        hub.publish(
            Some(&running(job, version - 1, from)),
            &running(job, version, to),
        )
    };
    assert!(hub.page(&mailbox, watch, &[running(1, 2, Running)]));
    assert_eq!(pending(&mailbox), ["ENTER 1@2", "SNAPSHOT"]);
    publish(1, 3, Running, Running);
    publish(2, 2, Queued, Running);
    publish(3, 2, Queued, Failed);
    assert_eq!(pending(&mailbox), ["CHANGE 1@3", "ENTER 2@2"]);
    // Entered and left before a delivery: no event. Left and entered again: changed.
    publish(4, 2, Queued, Running);
    publish(4, 3, Running, Failed);
    publish(1, 4, Running, Failed);
    publish(1, 5, Failed, Running);
    publish(2, 3, Running, Running);
    publish(2, 4, Running, Failed);
    assert_eq!(pending(&mailbox), ["CHANGE 1@5", "LEAVE 2@4"]);
    // A repeat, and a late event.
    assert_eq!(publish(1, 5, Failed, Running), 0);
    assert_eq!(publish(1, 4, Running, Failed), 0);
    assert!(pending(&mailbox).is_empty());
}

#[test]
fn a_client_that_reconnects_gets_no_version_older_than_its_page() {
    use Status::{Failed, Running};
    let (hub, first, second) = (Hub::default(), Arc::default(), Arc::default());
    let watch = watch_running(&hub, &first);
    // The store is ahead of what is published: the page has version 5, the last publish was of
    // version 3.
    hub.publish(None, &running(1, 3, Running));
    hub.page(&first, watch, &[running(1, 5, Running)]);
    assert_eq!(pending(&first), ["ENTER 1@5", "SNAPSHOT"]);
    hub.leave(&first);
    // When the client connects again, the job has left the list.
    let watch = watch_running(&hub, &second);
    hub.page(&second, watch, &[]);
    assert_eq!(pending(&second), ["SNAPSHOT"]);
    hub.publish(None, &running(1, 4, Running));
    hub.publish(None, &running(1, 5, Running));
    assert!(pending(&second).is_empty(), "the page is newer");
    hub.publish(None, &running(1, 6, Failed));
    assert_eq!(pending(&second), ["LEAVE 1@6"]);
    hub.publish(None, &running(1, 7, Running));
    assert_eq!(pending(&second), ["ENTER 1@7"]);
}

#[test]
fn a_list_over_its_slots_begins_again() {
    let (hub, mailbox) = (Hub::with_list_slots(SLOTS), Arc::default());
    let watch = watch_running(&hub, &mailbox);
    let enter = |job| hub.publish(None, &running(job, 1, Status::Running));
    assert!(hub.page(&mailbox, watch, &[]));
    assert_eq!(pending(&mailbox), ["SNAPSHOT"]);
    (0..3).for_each(|job| assert_eq!(enter(job), 1));
    assert_eq!(pending(&mailbox), ["ENTER 0@1", "ENTER 1@1", "ENTER 2@1"]);
    (3..7).for_each(|job| assert_eq!(enter(job), 1));
    assert_eq!(pending(&mailbox), ["RESYNC"]);
    // The page is read, and meanwhile the limit is exceeded again.
    (7..10).for_each(|job| assert_eq!(enter(job), 1));
    assert!(hub.page(&mailbox, watch, &[running(1, 1, Status::Running)]));
    let paged = [
        "ENTER 1@1",
        "SNAPSHOT",
        "ENTER 7@1",
        "ENTER 8@1",
        "ENTER 9@1",
    ];
    assert_eq!(pending(&mailbox), paged);
    hub.resync_lists();
    assert_eq!(pending(&mailbox), ["RESYNC"]);
    (10..14).for_each(|job| assert_eq!(enter(job), 1));
    assert!(!hub.page(&mailbox, watch, &[]), "read it again");
    assert!(hub.page(&mailbox, watch, &[]));
    assert_eq!(pending(&mailbox), ["SNAPSHOT"]);
}

#[test]
fn an_event_costs_only_the_lists_it_can_concern() {
    let hub = Hub::default();
    let mailboxes: Vec<Arc<Mailbox>> = (0..100).map(|_| Arc::default()).collect();
    for (number, mailbox) in mailboxes.iter().enumerate() {
        let mut wanted = ListScope::default();
        wanted.visible.owner = vec![Condition::Eq(Some(format!("owner {number}")))];
        let key = PayloadGroupKey(number.to_string().into());
        hub.watch_list(Arc::new(wanted), mailbox, key, || Arc::new(Plain));
    }
    let mut job = Job::clone(&row(1, 1));
    assert_eq!(hub.publish(None, &Arc::new(job.clone())), 0);
    job.owner = "owner 7".into();
    job.version = Version(2);
    assert_eq!(hub.publish(None, &Arc::new(job)), 1);
}

#[test]
fn a_filter_over_two_statuses_gets_an_event_once() {
    let (hub, mailbox) = (Hub::default(), Arc::default());
    watch_running(&hub, &mailbox);
    let (old, new) = (
        running(1, 1, Status::Running),
        running(1, 2, Status::Waiting),
    );
    assert_eq!(hub.publish(Some(&old), &new), 1);
}

#[test]
fn recent_versions_are_bounded_and_outlive_later_jobs() {
    let hub = Hub::default();
    let mailbox = Arc::default();
    let watch = hub.watch_list(wanted(0), &mailbox, PayloadGroupKey("0".into()), || {
        Arc::new(Plain)
    });
    hub.page(&mailbox, watch, &[]);
    let other = |number: usize| {
        let mut job = Job::clone(&row(0, 1));
        let mut bytes = [0xFF; 16];
        bytes[..8].copy_from_slice(&number.to_be_bytes());
        job.id = JobId::from_bytes(bytes);
        Arc::new(job)
    };
    hub.publish(None, &row(1, 5));
    for number in 0..RECENT_JOBS - 1 {
        hub.publish(None, &other(number));
    }
    assert_eq!(hub.publish(None, &row(1, 5)), 0, "still known");
    for number in 0..RECENT_JOBS * 2 {
        hub.publish(None, &other(number + RECENT_JOBS));
    }
    assert_eq!(hub.publish(None, &row(1, 5)), 1, "forgotten");
}
