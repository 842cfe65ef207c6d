//! Changes to jobs: each follows the rules, is applied once, and is never lost.

use std::sync::Arc;

use job::{Applied, Change, Event, Refused, Status, Update, Version, limits};
use resolvers::store::{Outcome, StoreError};

use crate::feed::next;
use crate::jobs::{apply, at, created, error, report, update_for, way_to};
use crate::places::Place;

pub(crate) async fn every_event_in_every_status_does_what_the_rules_say(place: &Place) {
    let store = place.open().await;
    for status in Status::ALL {
        for event in Event::ALL {
            let mut job = created(&*store).await;
            for update in way_to(status) {
                job = apply(&*store, job.id, update).await;
            }
            assert_eq!(job.status, status);
            let change = Change::of(update_for(event));
            let outcome = store.apply(job.id, change.clone(), at(2)).await;
            let now = store.get(job.id).await.unwrap().unwrap();
            match (job.apply(&change, at(2)), outcome) {
                (Ok(Applied::Changed(wanted)), Ok(Outcome::Changed(changed))) => {
                    assert_eq!((&*changed, &*now), (&*wanted, &*wanted));
                    assert_eq!(now.version, job.version.next());
                }
                (Ok(Applied::Unchanged), Ok(Outcome::Unchanged(same))) => {
                    assert_eq!((&same, &now), (&job, &job));
                }
                (Err(wanted), Err(StoreError::Refused(refused))) => {
                    assert_eq!(refused, wanted);
                    assert_eq!(now, job);
                }
                (wanted, outcome) => panic!("{status} {event:?}: {wanted:?}, not {outcome:?}"),
            }
        }
    }
}

pub(crate) async fn a_repeat_changes_nothing(place: &Place) {
    let store = place.open().await;
    let id = created(&*store).await.id;
    let first = apply(&*store, id, report("half")).await;
    let again = store
        .apply(id, Change::of(report("half")), at(9))
        .await
        .unwrap();
    assert!(matches!(again, Outcome::Unchanged(_)), "{again:?}");
    assert_eq!(*again.job(), first);
    assert_eq!(store.get(id).await.unwrap(), Some(first));
}

pub(crate) async fn what_is_refused_leaves_the_job_alone(place: &Place) {
    let store = place.open().await;
    let job = created(&*store).await;
    let expecting = |version| Change {
        expected: Some(Version(version)),
        ..Change::of(Update::Start)
    };
    let refused = store.apply(job.id, expecting(7), at(1)).await.unwrap_err();
    assert!(
        matches!(
            refused,
            StoreError::Refused(Refused::Version {
                expected: Version(7),
                actual: Version(1)
            })
        ),
        "{refused}"
    );
    let half_good = Change {
        updates: vec![
            Update::Start,
            report(&"x".repeat(limits::MESSAGE_BYTES + 1)),
        ],
        ..Change::default()
    };
    let refused = store.apply(job.id, half_good, at(1)).await.unwrap_err();
    assert!(
        matches!(refused, StoreError::Refused(Refused::OverLimit(_))),
        "{refused}"
    );
    assert_eq!(store.get(job.id).await.unwrap().as_deref(), Some(&*job));
    assert_eq!(
        store
            .apply(job.id, expecting(1), at(1))
            .await
            .unwrap()
            .job()
            .version,
        Version(2)
    );
}

fn success(result: &str) -> Change {
    Change {
        result: Some(Arc::from(result)),
        retention_millis: Some(1000),
        ..Change::of(Update::Succeed)
    }
}

pub(crate) async fn a_result_comes_with_success(place: &Place) {
    let store = place.open().await;
    let id = created(&*store).await.id;
    let done = store.apply(id, success("[1]"), at(1)).await.unwrap();
    assert_eq!(done.job().expires_at, Some(at(2)));
    assert_eq!(store.result(id).await.unwrap().as_deref(), Some("[1]"));
    assert_eq!(
        store.input(id).await.unwrap().as_deref(),
        Some(r#"{"n":1}"#)
    );
    store.apply(id, success("[2]"), at(1)).await.unwrap_err();
    assert_eq!(
        store.result(id).await.unwrap().as_deref(),
        Some("[1]"),
        "the first one stays"
    );

    let failed = created(&*store).await.id;
    let change = Change {
        updates: vec![Update::Fail(error())],
        ..success("[3]")
    };
    store.apply(failed, change, at(1)).await.unwrap();
    assert_eq!(store.result(failed).await.unwrap(), None);
}

pub(crate) async fn a_result_may_be_as_large_as_its_limit_and_no_larger(place: &Place) {
    let store = place.open().await;
    let job = created(&*store).await;
    let sized = |bytes: usize| format!("\"{}\"", "x".repeat(bytes - 2));
    let over = store
        .apply(job.id, success(&sized(limits::RESULT_BYTES + 1)), at(1))
        .await
        .unwrap_err();
    assert!(matches!(over, StoreError::OverLimit(_)), "{over}");
    assert_eq!(store.get(job.id).await.unwrap().as_deref(), Some(&*job));
    let largest = sized(limits::RESULT_BYTES);
    store.apply(job.id, success(&largest), at(1)).await.unwrap();
    assert_eq!(
        store.result(job.id).await.unwrap().as_deref(),
        Some(&*largest)
    );
}

const TASKS: usize = 64;
const REPORTS: usize = 8;

pub(crate) async fn nobody_s_change_is_lost(place: &Place) {
    let store = place.open().await;
    let id = created(&*store).await.id;
    let mut feed = store.changes(None).await.unwrap();
    let tasks: Vec<_> = (0..TASKS)
        .map(|task| {
            let store = Arc::clone(&store);
            tokio::spawn(async move {
                for n in 0..REPORTS {
                    let change = Change::of(report(&format!("{task} {n}")));
                    let outcome = store.apply(id, change, at(1)).await.unwrap();
                    assert!(matches!(outcome, Outcome::Changed(_)));
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let changes = (TASKS * REPORTS) as u64;
    assert_eq!(
        store.get(id).await.unwrap().unwrap().version,
        Version(1 + changes)
    );
    let mut messages = Vec::new();
    for version in 2..=1 + changes {
        let event = next(&mut feed).await;
        let (old, new) = (event.old.unwrap(), event.new.unwrap());
        assert_eq!((old.version.0, new.version.0), (version - 1, version));
        messages.push(new.message.clone().unwrap());
    }
    messages.sort_unstable();
    messages.dedup();
    assert_eq!(messages.len(), TASKS * REPORTS, "each report is seen");
}
