//! Lists: a page has exactly the jobs of its filter, and all pages together have each job once.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::{StreamExt, stream};
use job::filter::Condition;
use job::{Filter, Job, JobId, Status, limits};
use resolvers::store::{JobStore, ListQuery, SCAN_ROWS, Sort, StoreError};

use crate::jobs::{apply, at, new_at, put, report, way_to};
use crate::places::Place;

/// Jobs of all kinds, in no order.
async fn fill(store: &dyn JobStore, count: usize) -> Vec<Arc<Job>> {
    let mut jobs = Vec::new();
    for n in 0..count {
        let scattered = n * 7919 % 1000;
        let owner = ["ann", "bob", "cyd"][scattered % 3];
        let job_type = ["thumbnails", "csv-report"][scattered % 2];
        let tags: &[&str] = [&[][..], &["red"], &["red", "green"], &["blue"]][scattered % 4];
        let mut job = put(
            store,
            new_at(at((scattered / 5) as i64), owner, job_type, tags),
        )
        .await;
        for update in way_to(Status::ALL[scattered % 7]) {
            job = apply(store, job.id, update).await;
        }
        if scattered % 7 == 1 {
            job = apply(store, job.id, report("at work")).await;
        }
        jobs.push(job);
    }
    jobs
}

fn text(value: &str) -> String {
    value.to_owned()
}

fn filters(jobs: &[Arc<Job>]) -> Vec<Filter> {
    use Condition::{
        BeginsWith, Between, Contains, ContainsAny, Eq, Ge, Gt, In, Le, Lt, Ne, NotIn,
    };
    let none = Filter::default;
    let owner = |condition| Filter {
        owner: vec![condition],
        ..none()
    };
    let status = |condition| Filter {
        status: vec![condition],
        ..none()
    };
    let tags = |condition| Filter {
        tags: vec![condition],
        ..none()
    };
    let created = |condition| Filter {
        created_at: vec![condition],
        ..none()
    };
    let id = |condition| Filter {
        id: vec![condition],
        ..none()
    };
    vec![
        none(),
        owner(Eq(Some(text("ann")))),
        owner(In(vec![
            text("ann"),
            text("cyd"),
            text("ann"),
            text("nobody"),
        ])),
        owner(Ne(Some(text("ann")))),
        owner(BeginsWith(text("b"))),
        owner(In(vec![])),
        status(Eq(Some(Status::Waiting))),
        status(In(vec![Status::Queued, Status::Failed, Status::TimedOut])),
        status(NotIn(vec![Status::Succeeded])),
        tags(Contains(text("red"))),
        tags(Eq(Some(text("green")))),
        tags(ContainsAny(vec![text("green"), text("red"), text("blue")])),
        tags(In(vec![text("red"), text("green")])),
        tags(Eq(None)),
        Filter {
            tags: vec![Eq(Some(text("red"))), Eq(Some(text("green")))],
            ..none()
        },
        created(Ge(at(100))),
        created(Gt(at(100))),
        created(Lt(at(100))),
        created(Le(at(100))),
        created(Between(at(50), at(60))),
        created(Eq(Some(at(50)))),
        created(Between(at(60), at(50))),
        id(Eq(Some(jobs[3].id))),
        id(In(vec![
            jobs[3].id,
            jobs[5].id,
            JobId::new(at(0), 1),
            jobs[3].id,
        ])),
        id(Gt(jobs[3].id)),
        Filter {
            progress: vec![Ge(1)],
            ..none()
        },
        Filter {
            attempt: vec![Gt(1)],
            ..none()
        },
        Filter {
            finished_at: vec![Eq(None)],
            ..none()
        },
        Filter {
            updated_at: vec![Lt(at(1))],
            ..none()
        },
        Filter {
            owner: vec![Eq(Some(text("bob")))],
            job_type: vec![Eq(Some(text("csv-report")))],
            status: vec![In(Status::ALL[..4].to_vec())],
            tags: vec![Contains(text("red"))],
            created_at: vec![Le(at(150))],
            ..none()
        },
        Filter {
            owner: vec![Eq(Some(text("bob"))), Eq(Some(text("ann")))],
            ..none()
        },
    ]
}

/// All pages of a list, each within its limits.
async fn all(store: &dyn JobStore, filter: &Filter, sort: Sort, limit: usize) -> Vec<Arc<Job>> {
    let mut jobs = Vec::new();
    let mut query = ListQuery {
        filter: filter.clone(),
        sort,
        limit,
        after: None,
    };
    loop {
        let page = store.list(&query).await.unwrap();
        assert!(page.jobs.len() <= limit);
        jobs.extend(page.jobs);
        match page.next {
            None => return jobs,
            next => {
                assert_ne!(next, query.after, "the next page is another one");
                query.after = next;
            }
        }
    }
}

pub(crate) async fn every_filter_finds_what_matches(place: &Place) {
    let store = place.open().await;
    let mut jobs = fill(&*store, 140).await;
    jobs.sort_unstable_by_key(|job| job.id);
    for filter in filters(&jobs) {
        let mut wanted: Vec<_> = jobs
            .iter()
            .filter(|job| filter.matches(job))
            .cloned()
            .collect();
        for limit in [11, limits::LIST_PAGE] {
            let found = all(&*store, &filter, Sort::Oldest, limit).await;
            assert_eq!(found, wanted, "{filter:?}, oldest first, by {limit}");
        }
        wanted.reverse();
        let found = all(&*store, &filter, Sort::Newest, 11).await;
        assert_eq!(found, wanted, "{filter:?}, newest first");
    }
}

pub(crate) async fn pages_hold_each_job_once_while_others_write(place: &Place) {
    let store = place.open().await;
    let jobs = fill(&*store, 120).await;
    let done = Arc::new(AtomicBool::new(false));
    let writer = tokio::spawn({
        let (store, done) = (Arc::clone(&store), Arc::clone(&done));
        let ids: Vec<_> = jobs
            .iter()
            .filter(|job| !job.status.is_terminal())
            .map(|job| job.id)
            .collect();
        async move {
            let mut written = 0;
            while !done.load(Ordering::SeqCst) {
                apply(
                    &*store,
                    ids[written % ids.len()],
                    report(&written.to_string()),
                )
                .await;
                put(&*store, new_at(at(500), "new", "new", &[])).await;
                written += 1;
            }
            written
        }
    });
    for sort in [Sort::Newest, Sort::Oldest] {
        let mut counts: HashMap<JobId, usize> = HashMap::new();
        let old = Filter {
            created_at: vec![Condition::Lt(at(400))],
            ..Filter::default()
        };
        for job in all(&*store, &old, sort, 11).await {
            *counts.entry(job.id).or_default() += 1;
        }
        assert_eq!(counts.len(), jobs.len());
        assert!(counts.values().all(|count| *count == 1));
    }
    done.store(true, Ordering::SeqCst);
    assert!(writer.await.unwrap() > 0);
}

pub(crate) async fn a_page_is_not_larger_than_its_limit(place: &Place) {
    let store = place.open().await;
    let mut jobs = Vec::new();
    for n in 0..=limits::LIST_PAGE {
        jobs.push(put(&*store, new_at(at(n as i64), "ann", "thumbnails", &[])).await);
    }
    let query = |limit| ListQuery {
        limit,
        ..ListQuery::default()
    };
    let page = store.list(&query(limits::LIST_PAGE)).await.unwrap();
    assert_eq!(page.jobs.len(), limits::LIST_PAGE);
    assert_eq!(page.next, Some(jobs[1].id));
    let rest = ListQuery {
        after: page.next,
        ..query(1)
    };
    let page = store.list(&rest).await.unwrap();
    assert_eq!(page.jobs, jobs[..1]);
    let over = store.list(&query(limits::LIST_PAGE + 1)).await.unwrap_err();
    assert!(matches!(over, StoreError::OverLimit(_)), "{over}");
}

pub(crate) async fn a_page_looks_at_a_bounded_number_of_rows(place: &Place) {
    let store = place.open().await;
    // The only matching job is the oldest, one row beyond the limit of a page.
    let jobs: Vec<Job> = (0..=SCAN_ROWS)
        .map(|n| {
            new_at(
                at(n as i64),
                "ann",
                if n == 0 { "rare" } else { "thumbnails" },
                &[],
            )
        })
        .collect();
    let oldest = jobs[0].id;
    let writes = stream::iter(jobs).map(|job| put(&*store, job));
    writes.buffer_unordered(64).collect::<Vec<_>>().await;
    let rare = |owner: Vec<Condition<String>>| Filter {
        owner,
        job_type: vec![Condition::BeginsWith(text("ra"))],
        ..Filter::default()
    };
    for owner in [vec![], vec![Condition::Eq(Some(text("ann")))]] {
        let query = ListQuery {
            filter: rare(owner),
            limit: 1,
            ..ListQuery::default()
        };
        let page = store.list(&query).await.unwrap();
        assert!(page.jobs.is_empty() && page.next.is_some(), "{page:?}");
        let found = all(&*store, &query.filter, Sort::Newest, 1).await;
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].id, oldest);
        // From the other end it is the first row.
        let query = ListQuery {
            sort: Sort::Oldest,
            ..query
        };
        assert_eq!(store.list(&query).await.unwrap().jobs.len(), 1);
    }
}
