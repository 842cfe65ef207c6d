//! Creating a job, once.

use std::sync::Arc;

use job::{Update, limits};
use resolvers::store::{CreateJob, Created, StoreError};

use crate::jobs::{apply, at, create_of, created, new, new_at, token};
use crate::places::Place;

pub(crate) async fn a_new_job_is_there_with_its_input(place: &Place) {
    let store = place.open().await;
    let job = new_at(at(0), "ann", "thumbnails", &["red", "green", "red"]);
    let new = store.create(create_of(&job)).await.unwrap();
    assert!(matches!(new, Created::New(_)), "{new:?}");
    assert_eq!(*store.get(job.id).await.unwrap().unwrap(), job);
    assert_eq!(
        store.input(job.id).await.unwrap().as_deref(),
        Some(r#"{"n":1}"#)
    );
    assert_eq!(store.result(job.id).await.unwrap(), None);
}

fn with_token(owner: &str, digest: u8, seconds: i64) -> CreateJob {
    let job = new_at(at(seconds), owner, "thumbnails", &[]);
    CreateJob {
        request: Some(token("once", digest, at(seconds + 100))),
        ..create_of(&job)
    }
}

pub(crate) async fn the_same_request_finds_the_first_job(place: &Place) {
    let store = place.open().await;
    let first = store.create(with_token("ann", 1, 0)).await.unwrap();
    assert!(matches!(first, Created::New(_)), "{first:?}");
    apply(&*store, first.job().id, Update::Start).await;
    let again = with_token("ann", 1, 5);
    let second = again.job.id;
    let repeat = store.create(again).await.unwrap();
    assert!(matches!(repeat, Created::Repeat(_)), "{repeat:?}");
    assert_eq!(repeat.job().id, first.job().id);
    assert_eq!(repeat.job().version.0, 2, "the job as it is now");
    assert_eq!(store.get(second).await.unwrap(), None);
    assert_eq!(store.input(second).await.unwrap(), None);
}

pub(crate) async fn the_same_token_for_something_else_is_a_conflict(place: &Place) {
    let store = place.open().await;
    let first = store.create(with_token("ann", 1, 0)).await.unwrap();
    let other = with_token("ann", 2, 5);
    let second = other.job.id;
    match store.create(other).await {
        Err(StoreError::IdempotencyConflict { token, first: id }) => {
            assert_eq!((token.as_str(), id), ("once", first.job().id));
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(store.get(second).await.unwrap(), None);
}

pub(crate) async fn two_owners_may_use_the_same_token(place: &Place) {
    let store = place.open().await;
    for owner in ["ann", "bob", "ann#once"] {
        let new = store.create(with_token(owner, 1, 0)).await.unwrap();
        assert!(matches!(new, Created::New(_)), "{new:?}");
    }
}

pub(crate) async fn a_token_that_expired_is_forgotten(place: &Place) {
    let store = place.open().await;
    store.create(with_token("ann", 1, 0)).await.unwrap();
    let last = store.create(with_token("ann", 1, 99)).await.unwrap();
    assert!(matches!(last, Created::Repeat(_)), "{last:?}");
    for digest in [2, 1] {
        let seconds = 100 * i64::from(3 - digest);
        let new = store
            .create(with_token("ann", digest, seconds))
            .await
            .unwrap();
        assert!(matches!(new, Created::New(_)), "{new:?}");
    }
}

pub(crate) async fn one_of_many_equal_requests_creates_the_job(place: &Place) {
    let store = place.open().await;
    let requests: Vec<_> = (0..32)
        .map(|_| {
            let store = Arc::clone(&store);
            tokio::spawn(async move { store.create(with_token("ann", 1, 0)).await.unwrap() })
        })
        .collect();
    let mut new = 0;
    let mut ids = Vec::new();
    for request in requests {
        let created = request.await.unwrap();
        new += usize::from(matches!(created, Created::New(_)));
        ids.push(created.job().id);
    }
    ids.dedup();
    assert_eq!((new, ids.len()), (1, 1));
}

pub(crate) async fn an_input_may_be_as_large_as_its_limit_and_no_larger(place: &Place) {
    let store = place.open().await;
    created(&*store).await;
    let sized = |bytes: usize| CreateJob {
        input: Arc::from(format!("\"{}\"", "x".repeat(bytes - 2))),
        ..create_of(&new())
    };
    let largest = sized(limits::INPUT_BYTES);
    let (id, input) = (largest.job.id, Arc::clone(&largest.input));
    store.create(largest).await.unwrap();
    assert_eq!(store.input(id).await.unwrap(), Some(input));
    let larger = sized(limits::INPUT_BYTES + 1);
    let id = larger.job.id;
    let over = store.create(larger).await.unwrap_err();
    assert!(matches!(over, StoreError::OverLimit(_)), "{over}");
    assert_eq!(store.get(id).await.unwrap(), None);
}
