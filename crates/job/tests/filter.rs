//! Filters as a table: condition, job, whether it matches.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use job::filter::{Condition, Filter, equal_to};
use job::limits::{FILTER_VALUE_BYTES, FILTER_VALUES};
use job::{Job, JobId, NewJob, Status, Time};

fn job() -> Job {
    let id = JobId::new(Time::from_millis(1_000), 7);
    let new = NewJob {
        id,
        job_type: "csv-report".into(),
        owner: "ann".into(),
        tags: vec!["red".into(), "blue".into()],
        steps: vec![],
    };
    Job {
        status: Status::Running,
        progress: 40,
        ..new.into_job().unwrap()
    }
}

#[test]
fn every_operator_matches_as_in_the_table() {
    use Condition::{
        BeginsWith, Between, Contains, ContainsAny, Eq, Ge, Gt, In, Le, Lt, Ne, NotContains, NotIn,
    };
    let s = |text: &str| text.to_owned();
    let by = |set: &dyn Fn(&mut Filter)| {
        let mut filter = Filter::default();
        set(&mut filter);
        filter
    };
    let t = Time::from_millis;
    let table: Vec<(bool, Filter)> = vec![
        (true, by(&|_| ())),
        (true, by(&|f| f.owner = vec![Eq(Some(s("ann")))])),
        (false, by(&|f| f.owner = vec![Eq(None)])),
        (true, by(&|f| f.owner = vec![Ne(None), Ne(Some(s("bob")))])),
        (
            true,
            by(&|f| {
                f.job_type = vec![
                    BeginsWith(s("csv")),
                    Contains(s("rep")),
                    NotContains(s("x")),
                ]
            }),
        ),
        (false, by(&|f| f.job_type = vec![BeginsWith(s("report"))])),
        (
            true,
            by(&|f| f.job_type = vec![ContainsAny(vec![s("zzz"), s("port")])]),
        ),
        (
            true,
            by(&|f| f.status = vec![In(vec![Status::Running, Status::Waiting])]),
        ),
        (
            false,
            by(&|f| f.status = vec![NotIn(vec![Status::Running])]),
        ),
        (
            true,
            by(&|f| f.tags = vec![Contains(s("red")), NotContains(s("re"))]),
        ),
        (
            true,
            by(&|f| f.tags = vec![ContainsAny(vec![s("x"), s("blue")])]),
        ),
        (
            true,
            by(&|f| f.tags = vec![Eq(Some(s("blue"))), BeginsWith(s("bl"))]),
        ),
        (false, by(&|f| f.tags = vec![Ne(Some(s("blue")))])),
        (false, by(&|f| f.tags = vec![Eq(None)])),
        (
            true,
            by(&|f| f.progress = vec![Lt(41), Le(40), Gt(39), Ge(40), Between(40, 40)]),
        ),
        (false, by(&|f| f.progress = vec![Between(41, 50)])),
        (
            true,
            by(&|f| f.created_at = vec![Ge(t(1_000)), Lt(t(1_001))]),
        ),
        (true, by(&|f| f.finished_at = vec![Eq(None)])),
        (false, by(&|f| f.finished_at = vec![Gt(t(0))])),
        (true, by(&|f| f.finished_at = vec![NotIn(vec![t(0)])])),
        (true, by(&|f| f.id = vec![Eq(Some(job().id))])),
        (
            false,
            by(&|f| {
                f.owner = vec![Eq(Some(s("ann")))];
                f.progress = vec![Gt(40)]
            }),
        ),
    ];
    for (wanted, filter) in table {
        assert_eq!(filter.matches(&job()), wanted, "{filter:?}");
        filter.check().unwrap();
    }
}

#[test]
fn equality_conditions_give_the_values_for_an_index() {
    use Condition::{Eq, Gt, In};
    assert_eq!(equal_to(&[Gt(1)]), None);
    assert_eq!(equal_to(&[Gt(1), Eq(Some(3))]), Some(vec![3]));
    assert_eq!(
        equal_to(&[In(vec![1, 2, 3]), In(vec![3, 4])]),
        Some(vec![3])
    );
    assert_eq!(equal_to(&[In(vec![1]), Eq(Some(3))]), Some(vec![]));
}

#[test]
fn a_filter_over_a_limit_is_refused() {
    let filter = |count: usize, bytes: usize| Filter {
        owner: vec![Condition::In(vec!["x".repeat(bytes); count])],
        ..Filter::default()
    };
    filter(FILTER_VALUES, FILTER_VALUE_BYTES).check().unwrap();
    assert_eq!(
        filter(FILTER_VALUES + 1, 1)
            .check()
            .unwrap_err()
            .to_string(),
        "filter.owner is too large: 101 values, and the limit is 100"
    );
    assert!(filter(1, FILTER_VALUE_BYTES + 1).check().is_err());
}
