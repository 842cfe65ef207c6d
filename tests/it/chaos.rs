//! The promise under chaos: changes dropped, repeated and delayed, sockets cut, and yet every
//! watcher sees what it must.

use std::sync::Arc;
use std::time::Duration;

use jobcast::chaos::Chaos;
use jobcast::realtime::Realtime;
use jobcast::session::Settings;
use resolvers::store::JobStore;
use resolvers::store::sqlite::SqliteStore;
use serde_json::json;
use sqlite::{Database, Location};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::delivery::{Client, DEADLINE, Door, Jobs, Node, watch_list};

const JOBS: usize = 200;
const WATCHERS: usize = 1_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_watchers_of_two_hundred_jobs_see_all_that_they_must() {
    let directory = tempfile::tempdir().unwrap();
    let file = Location::File(directory.path().join("jobs.db"));
    let store = SqliteStore::open(Database::open(&file).unwrap()).unwrap();
    let store: Arc<dyn JobStore> = Arc::new(store);
    let chaos = "drop=0.05,duplicate=0.05,delay=20ms,cut=0.01,seed=7";
    let chaos = Chaos::new(chaos.parse().unwrap());
    let settings = Settings {
        chaos: Some(chaos.clone()),
        ..Settings::default()
    };
    let realtime = Realtime {
        chaos: Some(chaos),
        repair_every: Some(Duration::from_millis(200)),
        ..Realtime::default()
    };
    let node = Node::start(&store, true, realtime, settings).await;
    let jobs = Jobs::create(store, JOBS).await;
    let addresses: Arc<[String]> = [node.address.clone()].into();
    let (mut clients, mut watchers) = (JoinSet::new(), 0);
    for number in 0.. {
        let door = [Door::Modern, Door::Amplify, Door::Modern, Door::Sse][number % 4];
        let count = if door == Door::Sse { 1 } else { 5 }.min(WATCHERS - watchers);
        if count == 0 {
            break;
        }
        let watched = (0..count).map(|one| jobs.ids()[(watchers + one * 41) % JOBS]);
        let client = Client {
            addresses: Arc::clone(&addresses),
            door,
            jobs: Arc::clone(&jobs),
            watched: watched.collect(),
            resumes: number % 3 != 0,
            pace: Duration::from_millis(if number % 10 == 0 { 5 } else { 0 }),
        };
        clients.spawn(client.watch());
        watchers += count;
    }
    for status in [json!(["RUNNING", "WAITING"]), json!(["RUNNING"])] {
        for owner in [json!({}), json!({ "eq": "owner 1" })] {
            let filter = json!({ "status": { "in": status }, "owner": owner });
            clients.spawn(watch_list(node.address.clone(), Arc::clone(&jobs), filter));
        }
    }
    let all = async {
        jobs.run(10, 50, |_, _| async {}).await;
        let mut came_back = 0;
        while let Some(client) = clients.join_next().await {
            came_back += client.unwrap();
        }
        came_back
    };
    let came_back = timeout(DEADLINE, all).await.expect("all is seen in time");
    assert!(came_back > 0, "no socket was cut");
    node.stop().await;
}
