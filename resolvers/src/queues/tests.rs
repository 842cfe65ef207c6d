//! The local queues over a database in memory, with times as arguments.

use job::Time;
use sqlite::{Database, Location};

use super::local::*;

const HOW: Receiving = Receiving {
    max_receives: 2,
    visibility_millis: 1_000,
    at_most: 10,
};

fn at(millis: i64) -> Time {
    Time::from_millis(millis)
}

fn database() -> Database {
    Database::open(&Location::Memory).unwrap()
}

async fn queues() -> LocalQueues {
    LocalQueues::open(database(), at(0)).await.unwrap()
}

fn message(id: &str, body: &str) -> NewMessage {
    NewMessage {
        id: id.to_owned(),
        queue: "default".to_owned(),
        body: body.to_owned(),
        token: Some(format!("token of {id}")),
    }
}

fn failed(reason: &str, again_at: i64) -> Finish {
    Finish::Failed {
        reason: reason.to_owned(),
        again_at: at(again_at),
    }
}

async fn ids(queues: &LocalQueues, now: i64) -> Vec<String> {
    let all = queues.receive(HOW, at(now)).await.unwrap();
    all.into_iter().map(|message| message.id).collect()
}

/// The number of waiting messages and of dead letters.
async fn size(queues: &LocalQueues) -> (u64, u64) {
    let sizes = queues.sizes().await.unwrap();
    sizes
        .first()
        .map_or((0, 0), |size| (size.waiting, size.dead))
}

#[tokio::test]
async fn a_received_message_is_invisible_until_its_time_has_passed() {
    let queues = queues().await;
    queues.send(message("a", "{}"), at(0)).await.unwrap();
    queues.send(message("b", "{}"), at(1)).await.unwrap();
    assert_eq!(ids(&queues, 0).await, ["a"], "b is sent later");
    assert_eq!(ids(&queues, 999).await, ["b"]);
    assert_eq!(queues.next_at().await.unwrap(), Some(at(1_000)));
    assert_eq!(ids(&queues, 1_000).await, ["a"]);
}

#[tokio::test]
async fn a_message_that_is_done_is_deleted() {
    let queues = queues().await;
    queues.send(message("a", "{}"), at(0)).await.unwrap();
    let received = queues.receive(HOW, at(0)).await.unwrap();
    assert_eq!(received[0].token.as_deref(), Some("token of a"));
    let all = vec![(received[0].clone(), Finish::Done)];
    assert_eq!(queues.finish(all, 2, at(1)).await.unwrap(), 0);
    assert_eq!(queues.next_at().await.unwrap(), None);
    assert_eq!(size(&queues).await, (0, 0));
}

#[tokio::test]
async fn a_failed_message_comes_again_and_dies_after_its_last_receive() {
    let queues = queues().await;
    queues.send(message("a", "x"), at(0)).await.unwrap();
    for (now, reason, died) in [(0, "first", 0), (50, "second", 1)] {
        let received = queues.receive(HOW, at(now)).await.unwrap();
        let all = vec![(received[0].clone(), failed(reason, now + 50))];
        assert_eq!(queues.finish(all, 2, at(now)).await.unwrap(), died);
    }
    assert!(ids(&queues, 10_000).await.is_empty());
    let dead = queues.dead_letters(None, 0, PAGE).await.unwrap();
    assert_eq!((dead[0].id.as_str(), dead[0].body.as_str()), ("a", "x"));
    assert_eq!((dead[0].reason.as_str(), dead[0].receives), ("second", 2));
    assert_eq!((dead[0].sent_at, dead[0].died_at), (at(0), at(50)));
    assert_eq!(size(&queues).await, (0, 1));
}

#[tokio::test]
async fn a_message_whose_receivers_all_ended_dies_at_the_next_receive() {
    let queues = queues().await;
    queues.send(message("a", "x"), at(0)).await.unwrap();
    assert_eq!(ids(&queues, 0).await.len(), 1);
    assert_eq!(ids(&queues, 1_000).await.len(), 1);
    assert!(ids(&queues, 2_000).await.is_empty());
    let dead = queues.dead_letters(None, 0, 1).await.unwrap();
    assert!(dead[0].reason.contains("receivers ended"), "{dead:?}");
}

#[tokio::test]
async fn a_finish_after_the_next_receive_has_no_effect() {
    let queues = queues().await;
    queues.send(message("a", "x"), at(0)).await.unwrap();
    let first = queues.receive(HOW, at(0)).await.unwrap();
    let second = queues.receive(HOW, at(1_000)).await.unwrap();
    let all = vec![(first[0].clone(), Finish::Done)];
    queues.finish(all, 2, at(1_001)).await.unwrap();
    assert_eq!(size(&queues).await, (1, 0));
    let all = vec![(second[0].clone(), Finish::Done)];
    queues.finish(all, 2, at(1_002)).await.unwrap();
    assert_eq!(size(&queues).await, (0, 0));
}

#[tokio::test]
async fn a_received_message_is_visible_at_once_when_the_queues_are_opened_again() {
    let database = database();
    let queues = LocalQueues::open(database.clone(), at(0)).await.unwrap();
    queues.send(message("a", "x"), at(0)).await.unwrap();
    assert_eq!(ids(&queues, 0).await.len(), 1);
    drop(queues);
    let queues = LocalQueues::open(database, at(5)).await.unwrap();
    let received = queues.receive(HOW, at(5)).await.unwrap();
    assert_eq!(received[0].receives, 2, "the interrupted receive counts");
}

#[tokio::test]
async fn a_redriven_message_is_received_as_often_as_a_new_one() {
    let queues = queues().await;
    let once = Receiving {
        max_receives: 1,
        ..HOW
    };
    for id in ["a", "b", "c"] {
        queues.send(message(id, "x"), at(0)).await.unwrap();
    }
    let received = queues.receive(once, at(0)).await.unwrap();
    let all = received.into_iter().map(|one| (one, failed("no", 0)));
    queues.finish(all.collect(), 1, at(0)).await.unwrap();
    assert_eq!(size(&queues).await, (0, 3));
    let one = Redrive::One("b".to_owned());
    assert_eq!(queues.redrive(one.clone(), at(1)).await.unwrap(), 1);
    let again = queues.redrive(one, at(1)).await;
    assert!(matches!(again, Err(QueueError::NotFound(id)) if id == "b"));
    let received = queues.receive(HOW, at(1)).await.unwrap();
    assert_eq!((received[0].id.as_str(), received[0].receives), ("b", 1));
    assert_eq!(received[0].token.as_deref(), Some("token of b"));
    let other = Redrive::All(Some("other".to_owned()));
    assert_eq!(queues.redrive(other, at(2)).await.unwrap(), 0);
    assert_eq!(queues.redrive(Redrive::All(None), at(2)).await.unwrap(), 2);
    assert_eq!(size(&queues).await, (3, 0));
}

#[tokio::test]
async fn a_page_of_dead_letters_begins_after_the_last_one() {
    let queues = queues().await;
    let once = Receiving {
        max_receives: 1,
        ..HOW
    };
    for id in ["a", "b", "c"] {
        queues.send(message(id, "x"), at(0)).await.unwrap();
    }
    let received = queues.receive(once, at(0)).await.unwrap();
    let all = received.into_iter().map(|one| (one, failed("no", 0)));
    queues.finish(all.collect(), 1, at(0)).await.unwrap();
    let first = queues.dead_letters(None, 0, 2).await.unwrap();
    let rest = queues.dead_letters(None, first[1].seq, 2).await.unwrap();
    let ids: Vec<_> = first.iter().chain(&rest).map(|one| &one.id).collect();
    assert_eq!(ids, ["a", "b", "c"]);
    let others = queues.dead_letters(Some("other".to_owned()), 0, 2).await;
    assert!(others.unwrap().is_empty());
    assert!(queues.dead_letters(None, 0, PAGE).await.is_ok());
    let over = queues.dead_letters(None, 0, PAGE + 1).await;
    assert!(matches!(over, Err(QueueError::OverLimit(_))));
}

#[tokio::test]
async fn a_message_over_the_limit_is_refused() {
    let queues = queues().await;
    let most = "x".repeat(MESSAGE_BYTES);
    queues.send(message("a", &most), at(0)).await.unwrap();
    let over = queues.send(message("b", &format!("{most}x")), at(0)).await;
    let said = over.unwrap_err().to_string();
    assert!(
        said.contains("1048577 bytes, and the limit is 1048576"),
        "{said}"
    );
    let mut long = message("c", "x");
    long.token = Some("t".repeat(job::limits::TOKEN_BYTES));
    queues.send(long.clone(), at(0)).await.unwrap();
    long.token = Some("t".repeat(job::limits::TOKEN_BYTES + 1));
    assert!(matches!(
        queues.send(long, at(0)).await,
        Err(QueueError::OverLimit(_))
    ));
}

/// A queue with these numbers, without as many rows.
async fn sized(messages: usize, bytes: usize) -> LocalQueues {
    let database = database();
    let queues = LocalQueues::open(database.clone(), at(0)).await.unwrap();
    queues.send(message("a", "x"), at(0)).await.unwrap();
    let written = database.write(move |write| {
        let sql = "UPDATE intake_queues SET messages = ?1, bytes = ?2";
        write.connection().execute(sql, (messages, bytes))
    });
    written.await.unwrap();
    queues
}

#[tokio::test]
async fn a_full_queue_refuses_messages() {
    for (messages, bytes, taken) in [
        (QUEUE_MESSAGES - 1, 0, true),
        (QUEUE_MESSAGES, 0, false),
        (1, QUEUE_BYTES - 2, true),
        (1, QUEUE_BYTES - 1, false),
    ] {
        let queues = sized(messages, bytes).await;
        let sent = queues.send(message("b", "xx"), at(0)).await;
        assert_eq!(sent.is_ok(), taken, "{messages} {bytes}: {sent:?}");
        if let Err(error) = sent {
            let said = error.to_string();
            assert!(said.contains("the limits are 100000 messages"), "{said}");
        }
    }
}

#[tokio::test]
async fn dead_letters_are_kept_for_their_time() {
    let queues = queues().await;
    let once = Receiving {
        max_receives: 1,
        ..HOW
    };
    queues.send(message("a", "x"), at(0)).await.unwrap();
    let received = queues.receive(once, at(0)).await.unwrap();
    let long = "é".repeat(REASON_BYTES);
    let all = received.into_iter().map(|one| (one, failed(&long, 0)));
    queues.finish(all.collect(), 1, at(0)).await.unwrap();
    let dead = queues.dead_letters(None, 0, 1).await.unwrap();
    assert_eq!(dead[0].reason.len(), REASON_BYTES);
    assert_eq!(queues.expire(at(DEAD_LETTER_MILLIS)).await.unwrap(), 0);
    assert_eq!(queues.expire(at(DEAD_LETTER_MILLIS + 1)).await.unwrap(), 1);
    assert_eq!(size(&queues).await, (0, 0));
}

#[tokio::test]
async fn a_receive_has_at_most_its_number_of_messages() {
    let queues = queues().await;
    for id in ["a", "b", "c"] {
        queues.send(message(id, "x"), at(0)).await.unwrap();
    }
    let two = Receiving { at_most: 2, ..HOW };
    let first = queues.receive(two, at(0)).await.unwrap();
    let ids: Vec<_> = first.iter().map(|one| one.id.as_str()).collect();
    assert_eq!(ids, ["a", "b"]);
    assert_eq!(queues.receive(two, at(0)).await.unwrap().len(), 1);
}
