//! Transactions of callers, over a driver of a few lines.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;

use aside::transaction::{BeginTransaction, DatabaseTransaction, FailedCommit};
use aside::{Source, Write};
use parking_lot::Mutex;

use crate::database::Table;
use crate::entities::{Hero, hero};
use crate::world::World;

/// A driver whose transactions insert rows at their commit.
struct Driver(Table<Hero>);

struct Transaction {
    table: Table<Hero>,
    rows: Vec<Hero>,
}

impl BeginTransaction for Driver {
    type Transaction = Transaction;

    async fn begin(&self, _: &Write) -> Result<Transaction, Infallible> {
        let table = self.0.clone();
        Ok(Transaction {
            table,
            rows: Vec::new(),
        })
    }
}

impl DatabaseTransaction for Transaction {
    type Error = Infallible;

    async fn insert(&mut self, _: &[String]) -> Result<Vec<i64>, Infallible> {
        Ok(Vec::new())
    }

    async fn commit(self) -> Result<(), FailedCommit<Infallible>> {
        self.rows.iter().for_each(|row| self.table.insert(row));
        Ok(())
    }

    async fn rollback(self) -> Result<(), Infallible> {
        Ok(())
    }
}

/// Log lines.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn a_commit_without_a_recorded_change_is_logged_once() {
    let (log, world) = (Log::default(), World::new());
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt().with_writer(move || writer.clone());
    let _installed = tracing::subscriber::set_default(subscriber.finish());
    let instance = world.instance().await;
    let driver = Driver(world.heroes.clone());
    let mia = hero("Mia", "en");
    assert_eq!(instance.heroes.find_by_id(&mia.id).await.unwrap(), None);
    for records in [true, false, false] {
        let mut transaction = instance.cache.begin(&driver).await.unwrap();
        if records {
            transaction.created(&mia);
        }
        let (inner, _) = transaction.parts();
        inner.rows.push(mia.clone());
        transaction.commit().await.unwrap();
    }
    let found = instance.heroes.find_by_id(&mia.id).await.unwrap();
    assert_eq!(found.as_deref(), Some(&mia));
    let log = String::from_utf8(log.0.lock().clone()).unwrap();
    let warnings: Vec<&str> = log
        .lines()
        .filter(|line| line.contains("without a recorded change"))
        .collect();
    assert_eq!(warnings.len(), 1, "{log}");
    // It names the line that begins the transaction.
    assert!(warnings[0].contains("transactions.rs:"), "{warnings:?}");
}
