//! Leases, and the budget of reads, of stores that several processes share.

use std::sync::Arc;

use job::Time;
use resolvers::read_budget::{AHEAD_MILLIS, SLOT_MILLIS, Slots as _};
use resolvers::store::dynamodb::DynamoDbStore;
use resolvers::store::{JobStore as _, Lease};

use crate::places::{Place, dynamodb};

async fn store() -> DynamoDbStore {
    let Some(Place::DynamoDb { config, table }) = dynamodb().await else {
        unreachable!("it is in this process");
    };
    DynamoDbStore::open(&config, &table).await.unwrap()
}

#[tokio::test]
async fn a_lease_has_one_holder_until_it_ends() {
    let store = store().await;
    let take = async |lease, holder: &str, at| {
        let taken = store.lease(lease, holder, Time::from_millis(at), 1_000);
        taken.await.unwrap()
    };
    assert!(take(Lease::Sweep, "one", 10_000).await);
    assert!(!take(Lease::Sweep, "two", 10_999).await);
    assert!(take(Lease::OpenSweep, "two", 10_999).await, "another lease");
    assert!(take(Lease::Sweep, "one", 10_999).await, "renewed");
    assert!(!take(Lease::Sweep, "two", 11_998).await);
    assert!(take(Lease::Sweep, "two", 11_999).await, "it has ended");
    assert!(!take(Lease::Sweep, "one", 12_000).await);
}

#[tokio::test]
async fn a_lease_of_a_clock_far_ahead_does_not_last() {
    let store = store().await;
    let taken = store.lease(Lease::Sweep, "ahead", Time::from_millis(100_000), 1_000);
    assert!(taken.await.unwrap());
    let taken = store.lease(Lease::Sweep, "right", Time::from_millis(10_000), 1_000);
    assert!(taken.await.unwrap());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slots_reserved_at_once_do_not_overlap() {
    let store = Arc::new(store().await);
    let mut all = Vec::new();
    for _ in 0..4 {
        let (one, two, three) = tokio::join!(
            store.reserve(1_000, 2),
            store.reserve(1_000, 1),
            store.reserve(1_000, 3)
        );
        for (first, count) in [(one, 2), (two, 1), (three, 3)] {
            let first = first.unwrap();
            all.extend((0..count).map(|place| first + place * SLOT_MILLIS));
        }
    }
    all.sort_unstable();
    let wanted: Vec<i64> = (0..24).map(|place| 1_000 + place * SLOT_MILLIS).collect();
    assert_eq!(all, wanted);
    let later = store.reserve(1_000 - AHEAD_MILLIS, 1).await.unwrap();
    assert_eq!(later, 1_000 - AHEAD_MILLIS, "a time far ahead is replaced");
}
