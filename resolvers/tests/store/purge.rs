//! What has expired is deleted, and nothing else.

use std::sync::Arc;

use job::{Change, Job, Update, limits};
use object_store::ObjectStoreExt;
use object_store::memory::InMemory;
use object_store::path::Path;
use resolvers::files::{Files, GET_LIFE_MILLIS};
use resolvers::jobs::{Purged, purge};
use resolvers::store::{CreateJob, Created, JobStore, ListQuery};
use resolvers::token::Signer;

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

pub(crate) async fn files_go_with_the_jobs_that_refer_to_them(place: &Place) {
    let store = place.open().await;
    let files = Files::new(
        Arc::new(InMemory::new()),
        Signer::new([1; 32]),
        "http://host",
    );
    // A day after its beginning the addresses of the first three files have expired, and the last one's has not.
    let (made, now) = (at(0), at(24 * 60 * 60).plus_millis(GET_LIFE_MILLIS));
    let mut uploads = Vec::new();
    for (unique, made) in [(1, made), (2, made), (3, made), (4, now)] {
        let upload = files
            .upload("a b.png", Some("image/png"), 1, unique, made)
            .unwrap();
        let key = Path::parse(&upload.id).unwrap();
        files.objects().put(&key, "x".into()).await.unwrap();
        uploads.push((key, upload.get_url));
    }
    let mut ids = Vec::new();
    for (input, result, retention_millis) in [
        (&uploads[0].1, &uploads[1].1, Some(1)),
        (&uploads[3].1, &uploads[3].1, Some(1)),
        (&uploads[2].1, &uploads[2].1, None),
    ] {
        let job = new_at(at(0), "ann", "thumbnails", &[]);
        ids.push(job.id);
        let new = CreateJob {
            input: serde_json::json!({ "image": input }).to_string().into(),
            ..create_of(&job)
        };
        store.create(new).await.unwrap();
        let change = Change {
            result: Some(serde_json::json!([result]).to_string().into()),
            retention_millis,
            ..Change::of(Update::Succeed)
        };
        store.apply(job.id, change, at(1)).await.unwrap();
    }
    assert_eq!(store.expired(at(1), 10).await.unwrap(), []);
    assert_eq!(store.expired(now, 1).await.unwrap().len(), 1);
    let mut expired = store.expired(now, 10).await.unwrap();
    expired.sort();
    let mut expected = ids[..2].to_vec();
    expected.sort();
    assert_eq!(expired, expected);
    let purged = purge(&*store, &files, now).await.unwrap();
    assert_eq!(purged, Purged { jobs: 2, files: 2 });
    for (index, (key, _)) in uploads.iter().enumerate() {
        let is_there = files.objects().head(key).await.is_ok();
        assert_eq!(is_there, index >= 2, "{index}");
    }
    assert!(store.get(ids[2]).await.unwrap().is_some());
    assert_eq!(
        purge(&*store, &files, now).await.unwrap(),
        Purged::default()
    );
}
