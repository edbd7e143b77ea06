//! The history and position of a PostgreSQL database.

use std::sync::PoisonError;
use std::time::{Duration, Instant};

use aside::journal::{DatabaseHistory, JournalState};

use super::PostgresJournal;

/// The statements that a poll begins with. The second is for users that may not read
/// the control file. They return the newest id, the system and its timeline, the
/// flushed position of its log, the start time of the server, and the position of its
/// last checkpoint.
///
/// The flushed position, because a server that crashes may lose the rest of its log
/// without having gone back. A server makes a checkpoint at its start, where its log
/// ended. So a copy of the files is behind there even if the copied server has
/// written much since.
///
/// During recovery the end of the log cannot be read. A replica returns no position,
/// and continues as another timeline when it is promoted.
const STATES: [&str; 2] = [
    "SELECT (SELECT max(id) FROM cache_journal),
            CASE WHEN pg_is_in_recovery() THEN '' ELSE
                system_identifier || '/' || left(pg_walfile_name(pg_current_wal_flush_lsn()), 8)
            END,
            CASE WHEN pg_is_in_recovery() THEN NULL ELSE
                (pg_current_wal_flush_lsn() - '0/0')::bigint
            END,
            CASE WHEN pg_is_in_recovery() THEN '' ELSE
                extract(epoch FROM pg_postmaster_start_time())::text
            END,
            (checkpoint_lsn - '0/0')::bigint
       FROM pg_control_system(), pg_control_checkpoint()",
    // Without the control file.
    "SELECT (SELECT max(id) FROM cache_journal), '',
            CASE WHEN pg_is_in_recovery() THEN NULL ELSE
                (pg_current_wal_flush_lsn() - '0/0')::bigint
            END,
            '', NULL::bigint",
];

/// How long a statement that failed is not tried again, because each failure is a line
/// in the server's log.
const UNTOLD_FOR: Duration = Duration::from_secs(60);

type State = (Option<i64>, String, Option<i64>, String, Option<i64>);

impl PostgresJournal {
    /// Returns true if a statement that failed before may be tried again.
    fn is_to_try(&self, statement: usize) -> bool {
        let untold = self.untold.lock().unwrap_or_else(PoisonError::into_inner);
        untold[statement].is_none_or(|at| UNTOLD_FOR <= at.elapsed())
    }

    fn refused(&self, statement: usize, error: &sqlx::Error) {
        // A server that starts, stops or has no memory refuses everything for a while.
        let code = error.as_database_error().and_then(|error| error.code());
        let for_a_while = ["08", "53", "57"];
        if code.is_none_or(|code| !for_a_while.iter().any(|class| code.starts_with(class))) {
            let mut untold = self.untold.lock().unwrap_or_else(PoisonError::into_inner);
            untold[statement] = Some(Instant::now());
        }
    }

    /// Returns the state of the database, or `None` if it is not known: of a replica, of
    /// some managed servers, and of a server that refuses it to this user.
    pub(super) async fn told(&self) -> Result<Option<JournalState>, sqlx::Error> {
        for (statement, sql) in STATES.into_iter().enumerate() {
            if !self.is_to_try(statement) {
                continue;
            }
            let row: Result<State, sqlx::Error> = sqlx::query_as(sql).fetch_one(&self.pool).await;
            match row {
                Ok((newest, name, flushed, run, run_began)) => {
                    let position = |position: i64| u64::try_from(position).ok();
                    let history = Some(DatabaseHistory {
                        name,
                        position: flushed.and_then(position),
                        run,
                        run_began: run_began.and_then(position),
                    });
                    return Ok(Some(JournalState { newest, history }));
                }
                // Another statement would wait as long for nothing.
                Err(error @ (sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut)) => return Err(error),
                Err(error) => self.refused(statement, &error),
            }
        }
        Ok(None)
    }
}
