//! The ids of the journal's rows, which a program may have used up.

use std::time::{SystemTime, UNIX_EPOCH};

use sqlx::sqlite::SqliteConnection;

use crate::LAST_ID;

/// Returns true if a program has chosen an id after which there are none left.
pub(super) async fn are_used_up(connection: &mut SqliteConnection) -> Result<bool, sqlx::Error> {
    let last = "SELECT EXISTS (SELECT 1 FROM cache_journal WHERE ?1 < id)
            OR EXISTS (SELECT 1 FROM sqlite_sequence
                        WHERE name = 'cache_journal' AND ?1 < seq)";
    sqlx::query_scalar(last)
        .bind(LAST_ID)
        .fetch_one(connection)
        .await
}

/// Gives such rows other ids, and lets those that follow come after them: from the
/// microseconds of now on, which no earlier row has reached. To be called in a
/// transaction.
pub(super) async fn free(connection: &mut SqliteConnection) -> Result<(), sqlx::Error> {
    const MOVE: [&str; 3] = [
        "INSERT INTO cache_journal (id, key, at)
         SELECT ?1 + row_number() OVER (ORDER BY id), key, at
           FROM cache_journal WHERE ?2 < id",
        "DELETE FROM cache_journal WHERE ?2 < id AND ?1 < id",
        "UPDATE sqlite_sequence
            SET seq = max(?1, (SELECT coalesce(max(id), 0) FROM cache_journal))
          WHERE name = 'cache_journal' AND ?2 < seq",
    ];
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let now = now.map_or(0, |now| i64::try_from(now.as_micros()).unwrap_or(0));
    for statement in MOVE {
        let statement = sqlx::query(statement).bind(now).bind(LAST_ID);
        statement.execute(&mut *connection).await?;
    }
    Ok(())
}
