//! Random interleavings of everything that can happen to the hub, compared with what a watcher was
//! promised. `JOBCAST_CASES` is the number of interleavings.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use checker::{JobTranscript, Seen};
use job::{Job, JobId, Version};
use proptest::prelude::*;

use super::*;

const LAST: u64 = 12;

pub(crate) struct Plain;

#[async_trait]
impl Render for Plain {
    async fn render(&self, event: Event) -> Bytes {
        match event {
            Event::Job(job) => Bytes::from(job.version.to_string()),
            Event::Jobs(change) => Bytes::from(change.kind.as_str()),
        }
    }
}

pub(super) fn id(job: u8) -> JobId {
    JobId::from_bytes([job; 16])
}

/// Job number `job`, finished in version [`LAST`].
pub(crate) fn row(job: u8, version: u64) -> Arc<Job> {
    let new = job::NewJob {
        id: id(job),
        job_type: "test".into(),
        owner: "me".into(),
        tags: Vec::new(),
        steps: Vec::new(),
    };
    let mut row = new.into_job().unwrap();
    row.version = Version(version);
    if version == LAST {
        row.status = job::Status::Succeeded;
    }
    Arc::new(row)
}

#[derive(Debug, Clone)]
enum Step {
    Write(u8),
    /// Publishes what was written, or again an older version.
    Publish(u8, u8),
    /// Reads it from the store again.
    Repair(u8),
    Watch(usize, u8),
    /// Connects again with what it has seen: all up to this number of versions before the newest.
    Resume(usize, u8, u8),
    /// Connects again with a state from before a restore of the store: with this number of versions
    /// more than there are.
    Ahead(usize, u8, u8),
    Snapshot(usize),
    Take(usize),
    Unwatch(usize),
    Leave(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let (job, mailbox) = (0u8..3, 0usize..4);
    let step = prop_oneof![
        4 => job.clone().prop_map(Step::Write),
        4 => (job.clone(), 0u8..3).prop_map(|(job, back)| Step::Publish(job, back)),
        1 => job.clone().prop_map(Step::Repair),
        2 => (mailbox.clone(), job.clone()).prop_map(|(mailbox, job)| Step::Watch(mailbox, job)),
        2 => (mailbox.clone(), job.clone(), 0u8..3).prop_map(|(mailbox, job, back)| Step::Resume(mailbox, job, back)),
        2 => (mailbox.clone(), job, 1u8..20).prop_map(|(mailbox, job, ahead)| Step::Ahead(mailbox, job, ahead)),
        3 => (0usize..64).prop_map(Step::Snapshot),
        4 => mailbox.clone().prop_map(Step::Take),
        1 => (0usize..64).prop_map(Step::Unwatch),
        1 => mailbox.prop_map(Step::Leave),
    ];
    proptest::collection::vec(step, 1..80)
}

struct Model {
    mailbox: usize,
    watch: WatchId,
    job: u8,
    primed: bool,
    open: bool,
    seen: JobTranscript,
}

/// With `after` the client has that version already.
fn watch(
    hub: &Hub,
    mailboxes: &[Arc<Mailbox>],
    mailbox: usize,
    job: u8,
    committed: u64,
    after: Option<u64>,
) -> Model {
    let key = PayloadGroupKey(format!("{job}").into());
    let version = after.map(Version);
    let watch = hub.watch(
        id(job),
        &mailboxes[mailbox],
        key,
        || Arc::new(Plain),
        version,
    );
    let mut seen = JobTranscript::default();
    seen.subscribed(committed, after);
    Model {
        mailbox,
        watch,
        job,
        primed: false,
        open: true,
        seen,
    }
}

fn take(mailboxes: &[Arc<Mailbox>], models: &mut [Model], mailbox: usize) -> bool {
    let Some(delivery) = mailboxes[mailbox].take() else {
        return false;
    };
    let model = models
        .iter_mut()
        .find(|model| model.mailbox == mailbox && model.watch == delivery.watch)
        .unwrap();
    assert!(
        model.open && model.primed,
        "received before its snapshot or after its end"
    );
    let job = delivery.update.job().unwrap();
    assert_eq!(job.id, id(model.job));
    assert_eq!(delivery.is_last(), job.status.is_terminal());
    model.seen.event(Seen::from(&**job));
    true
}

/// Random interleavings of a property; `cargo xtask long interleavings` runs 10,000.
pub(super) fn cases() -> ProptestConfig {
    let set = std::env::var("JOBCAST_CASES").ok();
    let set = set.and_then(|cases| cases.parse().ok());
    ProptestConfig::with_cases(set.unwrap_or(2_000))
}

proptest! {
    #![proptest_config(cases())]
    #[test]
    fn every_interleaving_keeps_the_promise(steps in steps()) {
        let hub = Hub::default();
        let mailboxes: Vec<Arc<Mailbox>> = (0..4).map(|_| Arc::default()).collect();
        let mut versions = BTreeMap::from([(0u8, 1u64), (1, 1), (2, 1)]);
        let mut models: Vec<Model> = Vec::new();
        for step in steps {
            match step {
                Step::Write(job) => {
                    let version = versions.get_mut(&job).unwrap();
                    *version = LAST.min(*version + 1);
                }
                Step::Publish(job, back) => {
                    let version = versions[&job].saturating_sub(u64::from(back)).max(1);
                    let watching = models.iter().filter(|model| model.open && model.job == job).count();
                    prop_assert_eq!(hub.publish(None, &row(job, version)), watching);
                }
                Step::Repair(job) => {
                    let watching = models.iter().filter(|model| model.open && model.job == job).count();
                    let newest = row(job, versions[&job]);
                    prop_assert!(hub.repair(&newest) <= watching);
                    prop_assert_eq!(hub.repair(&newest), 0, "no watcher is behind any more");
                }
                Step::Watch(mailbox, job) => {
                    models.push(watch(&hub, &mailboxes, mailbox, job, versions[&job], None));
                }
                Step::Resume(mailbox, job, back) => {
                    let after = versions[&job].saturating_sub(u64::from(back)).max(1);
                    models.push(watch(&hub, &mailboxes, mailbox, job, after, Some(after)));
                }
                Step::Ahead(mailbox, job, ahead) => {
                    let committed = versions[&job];
                    let after = committed + u64::from(ahead);
                    models.push(watch(&hub, &mailboxes, mailbox, job, committed, Some(after)));
                }
                Step::Snapshot(index) if !models.is_empty() => {
                    let index = index % models.len();
                    let model = &mut models[index];
                    model.primed = true;
                    mailboxes[model.mailbox].snapshot(model.watch, &row(model.job, versions[&model.job]));
                }
                Step::Unwatch(index) if !models.is_empty() => {
                    let index = index % models.len();
                    let model = &mut models[index];
                    model.open = false;
                    hub.unwatch(&mailboxes[model.mailbox], model.watch);
                }
                Step::Take(mailbox) => { take(&mailboxes, &mut models, mailbox); }
                Step::Leave(mailbox) => {
                    hub.leave(&mailboxes[mailbox]);
                    models.iter_mut().filter(|model| model.mailbox == mailbox).for_each(|model| model.open = false);
                }
                Step::Snapshot(_) | Step::Unwatch(_) => {}
            }
        }
        for model in models.iter_mut().filter(|model| model.open) {
            model.primed = true;
            mailboxes[model.mailbox].snapshot(model.watch, &row(model.job, versions[&model.job]));
        }
        for (job, version) in &versions {
            hub.publish(None, &row(*job, *version));
        }
        for mailbox in 0..mailboxes.len() {
            while take(&mailboxes, &mut models, mailbox) {}
        }
        for model in models.into_iter().filter(|model| model.open) {
            let newest = row(model.job, versions[&model.job]);
            prop_assert_eq!(model.seen.finish(Seen::from(&*newest)), Ok(()));
        }
        for mailbox in &mailboxes {
            hub.leave(mailbox);
        }
        prop_assert!(hub.is_empty());
    }
}

#[test]
fn a_client_that_has_the_version_gets_only_newer_ones() {
    let (hub, mailbox) = (Hub::default(), Arc::default());
    let watch = hub.watch(
        id(1),
        &mailbox,
        PayloadGroupKey("g".into()),
        || Arc::new(Plain),
        Some(Version(4)),
    );
    mailbox.snapshot(watch, &row(1, 4));
    assert!(mailbox.take().is_none());
    hub.publish(None, &row(1, 5));
    hub.publish(None, &row(1, 6));
    assert_eq!(
        mailbox.take().unwrap().update.job().unwrap().version,
        Version(6)
    );
    assert!(mailbox.take().is_none());
}

#[test]
fn a_client_with_a_version_that_the_job_has_not_reached_gets_the_job() {
    // What was published before the snapshot came, and what the watcher gets first.
    for (published, read, first) in [
        (vec![], 4, Some(4)),
        (vec![5, 6], 4, Some(6)),
        (vec![5], 6, Some(6)),
        (vec![], LAST, Some(LAST)),
        (vec![9], 8, None),
        (vec![3], 9, None),
        (vec![10], 8, Some(10)),
    ] {
        let (hub, mailbox) = (Hub::default(), Arc::default());
        let group = PayloadGroupKey("g".into());
        let has = Some(Version(9));
        let watch = hub.watch(id(1), &mailbox, group, || Arc::new(Plain), has);
        for version in &published {
            hub.publish(None, &row(1, *version));
        }
        assert_eq!(mailbox.snapshot(watch, &row(1, read)), Snapshot::Open);
        let next = || {
            let delivery = mailbox.take()?;
            Some(delivery.update.job().unwrap().version.0)
        };
        assert_eq!(next(), first, "{published:?}, then {read} is read");
        let newest = first.unwrap_or(9);
        if newest < LAST {
            hub.publish(None, &row(1, newest));
            hub.publish(None, &row(1, newest + 1));
            assert_eq!(next(), Some(newest + 1));
        }
    }
    let (hub, mailbox) = (Hub::default(), Arc::default());
    let group = PayloadGroupKey("g".into());
    let has = Some(Version(LAST));
    let watch = hub.watch(id(1), &mailbox, group, || Arc::new(Plain), has);
    assert_eq!(mailbox.snapshot(watch, &row(1, LAST)), Snapshot::Finished);
}

#[test]
fn a_repair_counts_the_watchers_that_were_behind() {
    let hub = Hub::default();
    let mailboxes: [Arc<Mailbox>; 2] = Default::default();
    let watches = mailboxes.each_ref().map(|mailbox| {
        let key = PayloadGroupKey("g".into());
        hub.watch(id(1), mailbox, key, || Arc::new(Plain), None)
    });
    // Without their snapshots they are not behind: they have not read yet.
    assert_eq!(hub.repair(&row(1, 3)), 0);
    mailboxes[0].snapshot(watches[0], &row(1, 3));
    mailboxes[1].snapshot(watches[1], &row(1, 4));
    assert_eq!(hub.repair(&row(1, 4)), 1);
    assert_eq!(hub.repair(&row(1, 4)), 0);
    assert_eq!(hub.repair(&row(1, 2)), 0);
    let received = mailboxes[0].take().unwrap();
    assert_eq!(received.update.job().unwrap().version, Version(4));
}

#[test]
fn a_store_that_was_set_back_is_found_by_the_second_repair() {
    let (hub, mailbox) = (Hub::default(), Arc::<Mailbox>::default());
    let group = PayloadGroupKey("g".into());
    let watch = hub.watch(id(1), &mailbox, group, || Arc::new(Plain), None);
    let list = hub.watch_list(
        Arc::default(),
        &mailbox,
        PayloadGroupKey("l".into()),
        || Arc::new(Plain),
    );
    let next = |wanted| {
        let deliveries = std::iter::from_fn(|| mailbox.take());
        let received = deliveries.filter(|delivery| delivery.watch == wanted);
        let received = received.map(|delivery| {
            let version = delivery.update.job().map(|job| job.version.0);
            (delivery.kind, version)
        });
        received.collect::<Vec<_>>()
    };
    hub.publish(None, &row(1, 9));
    mailbox.snapshot(watch, &row(1, 9));
    assert!(hub.page(&mailbox, list, &[row(1, 9)]));
    assert_eq!(next(watch), [(None, Some(9))]);
    // An older read may have begun before version 9 was written.
    assert_eq!(hub.repair(&row(1, 4)), 0);
    hub.publish(None, &row(1, 10));
    // Deliveries since the last repair prove nothing yet.
    assert_eq!(hub.repair(&row(1, 4)), 0);
    assert_eq!(next(watch), [(None, Some(10))]);
    assert_eq!(hub.repair(&row(1, 4)), 2, "the job's watch and the list");
    let received: Vec<_> = std::iter::from_fn(|| mailbox.take()).collect();
    let of = |wanted| {
        let received = received
            .iter()
            .filter(move |delivery| delivery.watch == wanted);
        received
            .map(|delivery| {
                (
                    delivery.kind,
                    delivery.update.job().map(|job| job.version.0),
                )
            })
            .collect::<Vec<_>>()
    };
    assert_eq!(of(watch), [(None, Some(4))]);
    assert_eq!(of(list), [(Some(ListEventKind::Resync), None)]);
    assert!(hub.page(&mailbox, list, &[row(1, 4)]));
    let paged = [
        (Some(ListEventKind::Enter), Some(4)),
        (Some(ListEventKind::Snapshot), None),
    ];
    assert_eq!(next(list), paged);
    // Later versions arrive although they are lower than those sent before.
    assert_eq!(hub.repair(&row(1, 4)), 0);
    hub.publish(None, &row(1, 5));
    let received: Vec<_> = std::iter::from_fn(|| mailbox.take()).collect();
    assert_eq!(received.len(), 2, "{received:?}");
}
