//! What has expired is deleted, and nothing else.

use std::sync::Arc;

use job::{Change, Job, Update, limits};
use resolvers::store::{CreateJob, Created, JobStore, ListQuery};

use crate::feed::next;
use crate::jobs::{at, create_of, created, new_at, put, token};
use crate::places::Place;

async fn finished(store: &dyn JobStore, job: Job, retention_millis: Option<i64>) -> Arc<Job> {
    put(store, job.clone()).await;
    let change = Change {
        result: Some(Arc::from("1")),
        retention_millis,
        ..Change::of(Update::Succeed)
    };
    let outcome = store.apply(job.id, change, at(1)).await.unwrap();
    Arc::clone(outcome.job())
}

pub(crate) async fn expired_jobs_are_deleted_with_all_that_is_theirs(place: &Place) {
    let store = place.open().await;
    let tagged = || new_at(at(0), "ann", "thumbnails", &["red"]);
    let expired = finished(&*store, tagged(), Some(1000)).await;
    let later = finished(&*store, tagged(), Some(9000)).await;
    let kept = finished(&*store, tagged(), None).await;
    let open = created(&*store).await;
    assert_eq!(
        store.purge(at(2), 10).await.unwrap(),
        0,
        "it expires at 2 s, not before"
    );
    let mut feed = store.changes(None).await.unwrap();
    assert_eq!(store.purge(at(3), 10).await.unwrap(), 1);
    let event = next(&mut feed).await;
    assert_eq!((event.old.as_deref(), event.new), (Some(&*expired), None));
    assert_eq!(store.get(expired.id).await.unwrap(), None);
    assert_eq!(store.input(expired.id).await.unwrap(), None);
    assert_eq!(store.result(expired.id).await.unwrap(), None);
    for job in [&later, &kept, &open] {
        assert_eq!(store.get(job.id).await.unwrap().as_ref(), Some(job));
    }
    let query = ListQuery {
        limit: limits::LIST_PAGE,
        ..ListQuery::default()
    };
    assert_eq!(store.list(&query).await.unwrap().jobs.len(), 3);
    assert_eq!(store.purge(at(3), 10).await.unwrap(), 0);

    // Its token stands for nothing any more.
    let request = Some(token("once", 1, at(1000)));
    let first = finished(&*store, tagged(), None).await;
    let create = |job: Job| CreateJob {
        request: request.clone(),
        ..create_of(&job)
    };
    let new = store.create(create(tagged())).await.unwrap();
    assert_ne!(new.job().id, first.id);
    let change = Change {
        retention_millis: Some(1),
        ..Change::of(Update::Succeed)
    };
    store.apply(new.job().id, change, at(4)).await.unwrap();
    assert_eq!(store.purge(at(5), 10).await.unwrap(), 1);
    let again = store.create(create(tagged())).await.unwrap();
    assert!(matches!(again, Created::New(_)), "{again:?}");
}

pub(crate) async fn no_more_than_asked_for_are_deleted(place: &Place) {
    let store = place.open().await;
    for _ in 0..150 {
        finished(&*store, new_at(at(0), "ann", "thumbnails", &[]), Some(1)).await;
    }
    for deleted in [0, 1, 70, 79, 0] {
        let at_most = if deleted == 79 { 1000 } else { deleted };
        assert_eq!(store.purge(at(9), at_most).await.unwrap(), deleted);
    }
}
