//! A journal of an earlier version of the tables.

use rusqlite::Connection;

use super::journal::{MIGRATIONS, history, last_sequence};

#[test]
fn rows_keep_their_place_when_the_journal_is_put_into_the_order_of_writing() {
    let connection = Connection::open_in_memory().unwrap();
    let (before, after) = MIGRATIONS.split_at(2);
    for migration in before {
        connection.execute_batch(migration).unwrap();
    }
    for (execution, sequence, position) in [(2, 1, 1), (1, 1, 2), (1, 2, 4)] {
        connection
            .execute(
                "INSERT INTO workflow_journal VALUES (?1, 7, '{}', ?2, ?3, NULL, 0)",
                (
                    (execution << 26) | sequence,
                    format!("[{position}]"),
                    position,
                ),
            )
            .unwrap();
    }
    for migration in after {
        connection.execute_batch(migration).unwrap();
    }
    assert_eq!(history(&connection, 1, 0, 10).unwrap(), ["[2]", "[4]"]);
    assert_eq!(history(&connection, 2, 0, 10).unwrap(), ["[1]"]);
    assert_eq!(last_sequence(&connection, 1).unwrap(), 2);
}
