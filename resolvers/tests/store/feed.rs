//! The change feed: complete, in order, from now or from a position.

use std::collections::HashMap;
use std::time::Duration;

use futures_util::StreamExt;
use job::{JobId, Update, limits};
use resolvers::store::{Feed, FeedEvent, Position, StoreError};

use crate::jobs::{apply, at, created, report};
use crate::places::Place;

const DEADLINE: Duration = Duration::from_secs(20);

pub(crate) async fn next(feed: &mut Feed) -> FeedEvent {
    let event = tokio::time::timeout(DEADLINE, feed.next()).await;
    event
        .expect("the change comes in time")
        .expect("the feed does not end")
        .unwrap()
}

/// Job and version of an event.
fn seen(event: &FeedEvent) -> (JobId, u64) {
    let job = event.new.as_ref().unwrap();
    (job.id, job.version.0)
}

pub(crate) async fn hears_what_is_written_after_it_began(place: &Place) {
    let store = place.open().await;
    created(&*store).await;
    let (mut one, mut two) = (
        store.changes(None).await.unwrap(),
        store.changes(None).await.unwrap(),
    );
    let job = created(&*store).await;
    apply(&*store, job.id, Update::Start).await;
    for feed in [&mut one, &mut two] {
        let event = next(feed).await;
        assert!(event.old.is_none());
        assert_eq!(event.new.as_deref(), Some(&*job));
        assert_eq!(seen(&next(feed).await), (job.id, 2));
    }
}

pub(crate) async fn goes_on_from_a_position(place: &Place) {
    let store = place.open().await;
    let mut feed = store.changes(None).await.unwrap();
    let id = created(&*store).await.id;
    for n in 0..4 {
        apply(&*store, id, report(&n.to_string())).await;
    }
    let first = next(&mut feed).await;
    let second = next(&mut feed).await;
    for (position, version) in [(first.position, 2), (second.position, 3)] {
        let mut feed = store.changes(Some(position)).await.unwrap();
        for wanted in version..=5 {
            assert_eq!(seen(&next(&mut feed).await), (id, wanted));
        }
    }
    // After that the feed is live.
    let last = {
        let mut last = next(&mut feed).await;
        while seen(&last).1 < 5 {
            last = next(&mut feed).await;
        }
        last.position
    };
    let mut live = store.changes(Some(last)).await.unwrap();
    apply(&*store, id, report("live")).await;
    assert_eq!(seen(&next(&mut live).await), (id, 6));
}

pub(crate) async fn follows_each_job_in_order_with_its_old_image(place: &Place) {
    let store = place.open().await;
    let mut feed = store.changes(None).await.unwrap();
    let mut ids = Vec::new();
    for _ in 0..5 {
        ids.push(created(&*store).await.id);
    }
    for n in 0..10 {
        for id in &ids {
            apply(&*store, *id, report(&n.to_string())).await;
        }
    }
    let start = next(&mut feed).await;
    let read_back = store.changes(Some(start.position.clone())).await.unwrap();
    let versions: HashMap<JobId, u64> = HashMap::from([seen(&start)]);
    for mut feed in [feed, read_back] {
        let mut versions = versions.clone();
        for _ in 1..55 {
            let event = next(&mut feed).await;
            let (id, version) = seen(&event);
            let before = versions.insert(id, version).unwrap_or(0);
            assert_eq!(version, before + 1);
            match event.old {
                None => assert_eq!(version, 1),
                Some(old) => assert_eq!((old.id, old.version.0), (id, before)),
            }
        }
        assert!(versions.len() == 5 && versions.values().all(|version| *version == 11));
    }
}

pub(crate) async fn goes_on_after_the_store_was_reopened(place: &Place) {
    if !place.lasts() {
        return;
    }
    let (id, position) = {
        let store = place.open().await;
        let mut feed = store.changes(None).await.unwrap();
        let id = created(&*store).await.id;
        apply(&*store, id, report("unseen")).await;
        (id, next(&mut feed).await.position)
    };
    let store = place.open().await;
    let mut feed = store.changes(Some(position)).await.unwrap();
    apply(&*store, id, report("new")).await;
    let unseen = next(&mut feed).await;
    assert_eq!(seen(&unseen), (id, 2));
    assert_eq!(
        unseen.old.unwrap().version.0,
        1,
        "the old image is still there"
    );
    assert_eq!(seen(&next(&mut feed).await), (id, 3));
}

pub(crate) async fn a_subscriber_that_falls_behind_misses_nothing(place: &Place) {
    let store = place.open().await;
    let mut feed = store.changes(None).await.unwrap();
    let id = created(&*store).await.id;
    let changes = place.many_changes();
    let mut writes = futures_util::stream::iter(0..changes)
        .map(|n| store.apply(id, job::Change::of(report(&n.to_string())), at(1)))
        .buffer_unordered(200);
    while let Some(outcome) = writes.next().await {
        outcome.unwrap();
    }
    for version in 1..=changes + 1 {
        assert_eq!(seen(&next(&mut feed).await), (id, version));
    }
}

pub(crate) async fn a_position_that_is_no_more_is_lost(place: &Place) {
    let store = place.open().await;
    let mut feed = store.changes(None).await.unwrap();
    let id = created(&*store).await.id;
    let first = next(&mut feed).await.position;
    for text in ["", "nonsense", "-5", "123456789"] {
        let lost = store
            .changes(Some(Position(text.to_owned())))
            .await
            .err()
            .unwrap();
        assert!(matches!(lost, StoreError::PositionLost), "`{text}`: {lost}");
    }
    if !place.forgets_at_purge() {
        return;
    }
    apply(&*store, id, report("one")).await;
    apply(&*store, id, report("two")).await;
    let life = limits::FEED_LIFE_MILLIS;
    // Written at 0 s and 1 s: kept for a day, then deleted, except for the newest.
    store.purge(at(0).plus_millis(life), 10).await.unwrap();
    let mut kept = store.changes(Some(first.clone())).await.unwrap();
    assert_eq!(seen(&next(&mut kept).await), (id, 2));
    store.purge(at(2).plus_millis(life), 10).await.unwrap();
    let lost = store.changes(Some(first)).await.err().unwrap();
    assert!(matches!(lost, StoreError::PositionLost), "{lost}");
    let mut feed = store.changes(None).await.unwrap();
    apply(&*store, id, report("three")).await;
    assert_eq!(seen(&next(&mut feed).await), (id, 4));
}
