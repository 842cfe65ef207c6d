//! Reading jobs one by one and many at once.

use job::{Change, JobId, Update, limits};
use resolvers::store::StoreError;

use crate::jobs::{apply, at, created, report};
use crate::places::Place;

pub(crate) async fn many_jobs_are_found_at_once(place: &Place) {
    let store = place.open().await;
    let mut ids = Vec::new();
    for _ in 0..limits::BATCH - 1 {
        ids.push(created(&*store).await.id);
    }
    ids.push(JobId::new(at(0), 1));
    let mut found: Vec<_> = store
        .get_many(&ids)
        .await
        .unwrap()
        .iter()
        .map(|job| job.id)
        .collect();
    ids.pop();
    found.sort_unstable();
    ids.sort_unstable();
    assert_eq!(found, ids);
    assert!(store.get_many(&[]).await.unwrap().is_empty());
    let twice = store.get_many(&[ids[0], ids[0]]).await.unwrap();
    assert_eq!(twice.len(), 1);
    ids.resize(limits::BATCH + 1, ids[0]);
    let over = store.get_many(&ids).await.unwrap_err();
    assert!(matches!(over, StoreError::OverLimit(_)), "{over}");
}

pub(crate) async fn what_does_not_exist_is_not_found(place: &Place) {
    let store = place.open().await;
    let id = JobId::new(at(0), 1);
    assert_eq!(store.get(id).await.unwrap(), None);
    assert_eq!(store.input(id).await.unwrap(), None);
    assert_eq!(store.result(id).await.unwrap(), None);
    let missing = store
        .apply(id, Change::of(Update::Start), at(1))
        .await
        .unwrap_err();
    assert!(
        matches!(missing, StoreError::NotFound(missing) if missing == id),
        "{missing}"
    );
}

pub(crate) async fn a_store_says_that_it_is_well(place: &Place) {
    let store = place.open().await;
    store.check().await.unwrap();
    store.check().await.unwrap();
}

pub(crate) async fn a_reopened_store_holds_the_same(place: &Place) {
    if !place.lasts() {
        return;
    }
    let (first, second) = {
        let store = place.open().await;
        let first = created(&*store).await;
        let second = created(&*store).await;
        (apply(&*store, first.id, report("half")).await, second)
    };
    let store = place.open().await;
    assert_eq!(store.get(first.id).await.unwrap(), Some(first.clone()));
    assert_eq!(store.get(second.id).await.unwrap(), Some(second));
    assert_eq!(
        store.input(first.id).await.unwrap().as_deref(),
        Some(r#"{"n":1}"#)
    );
    let next = apply(&*store, first.id, report("more")).await;
    assert_eq!(next.version, first.version.next());
}
