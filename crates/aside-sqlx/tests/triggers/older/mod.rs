//! Triggers that an older version of this library installed.

use std::sync::atomic::{AtomicBool, Ordering};

use super::books::{Book, Books};
use super::loans::{loans, reports};
use super::on_both;
use super::recording::recorded;

/// Runs a scene with the triggers of an older version on the loans.
async fn with_older_triggers(scene: impl AsyncFn(&Books)) {
    on_both(async |books| {
        books.add_loans().await;
        books.remove().await;
        books.install_older().await;
        scene(&books).await;
    })
    .await;
}

impl Books {
    async fn install_older(&self) {
        let older = match self.is_sqlite() {
            true => include_str!("sqlite.sql"),
            false => include_str!("postgres.sql"),
        };
        self.pool.run(older).await;
    }

    async fn insert_loan(&self, id: i64) {
        let insert = format!("INSERT INTO loans (id, book, person) VALUES ({id}, 7, 8)");
        self.other.run(&insert).await;
    }

    async fn names_without_kind(&self) -> Vec<String> {
        let sql = match self.is_sqlite() {
            true => {
                "SELECT name FROM sqlite_schema WHERE type = 'trigger'
                    AND name GLOB 'cache_journal_loans_*'"
            }
            false => {
                "SELECT tgname::text FROM pg_trigger
                  WHERE tgname IN ('cache_journal_insert', 'cache_journal_update',
                                   'cache_journal_delete', 'cache_journal_truncate')
                 UNION SELECT proname::text FROM pg_proc
                  WHERE proname = 'cache_journal_of_loans'"
            }
        };
        self.pool.texts(sql).await
    }
}

#[tokio::test]
async fn triggers_of_an_older_version_are_replaced() {
    with_older_triggers(async |books| {
        books.insert_loan(1).await;
        assert_eq!(recorded(books).await, ["loan:1"]);
        assert!(!books.names_without_kind().await.is_empty());
        books.try_install(&loans()).await.unwrap();
        assert_eq!(books.names_without_kind().await, Vec::<String>::new());
        books.insert_loan(2).await;
        assert_eq!(recorded(books).await, ["loan:2"]);
        // They were removed with everything that belongs to them.
        let after = books.schema().await;
        books.try_install(&loans()).await.unwrap();
        assert_eq!(books.schema().await, after);
    })
    .await;
}

#[tokio::test]
async fn triggers_of_an_older_version_survive_another_kind() {
    with_older_triggers(async |books| {
        books.try_install(&reports()).await.unwrap();
        books.insert_loan(1).await;
        assert_eq!(recorded(books).await, ["all of report", "loan:1"]);
        // Then the kind itself is installed by this version.
        books.try_install(&loans()).await.unwrap();
        assert_eq!(books.names_without_kind().await, Vec::<String>::new());
        books.insert_loan(2).await;
        assert_eq!(recorded(books).await, ["all of report", "loan:2"]);
    })
    .await;
}

#[tokio::test]
async fn an_older_version_that_installs_later_is_replaced_again() {
    on_both(async |books| {
        books.add_loans().await;
        for triggers in [loans(), reports()] {
            books.try_install(&triggers).await.unwrap();
        }
        // As an instance of the older version does that restarts.
        books.install_older().await;
        books.insert_loan(1).await;
        assert_eq!(recorded(&books).await, ["all of report", "loan:1"]);
        books.try_install(&loans()).await.unwrap();
        assert_eq!(books.names_without_kind().await, Vec::<String>::new());
        books.insert_loan(2).await;
        assert_eq!(recorded(&books).await, ["all of report", "loan:2"]);
    })
    .await;
}

#[tokio::test]
async fn no_write_is_missed_while_triggers_are_replaced() {
    with_older_triggers(async |books| {
        let is_done = AtomicBool::new(false);
        let replacing = async {
            for round in 0..10 {
                let triggers = match round % 2 {
                    0 => loans(),
                    _ => loans().only_columns(["note"]),
                };
                books.try_install(&triggers).await.unwrap();
            }
            is_done.store(true, Ordering::Relaxed);
        };
        let writing = async {
            let mut id = 0;
            while !is_done.load(Ordering::Relaxed) {
                id += 1;
                books.insert_loan(id).await;
            }
            id
        };
        let ((), last) = tokio::join!(replacing, writing);
        let mut expected: Vec<String> = (1..=last).map(|id| format!("loan:{id}")).collect();
        expected.sort();
        let recorded = recorded(books).await;
        // More keys than the journal of SQLite keeps of a kind.
        if recorded != ["all of loan"] {
            assert_eq!(recorded, expected);
        }
        books.other.upsert(&Book::new("1", "title")).await;
    })
    .await;
}
