//! The repository that an instance caches.

use std::sync::Arc;

use super::database::{Change, Database, Failure, Transaction};
use super::hero::{Hero, HeroIndex};
use crate::entity::Rows;
use crate::repository::{Repository, Row, Source};
use crate::runtime::simulated::{Rule, without};
use crate::write::Write;

/// The heroes, as one process reads and writes them.
pub(super) struct Heroes {
    pub(super) database: Arc<Database>,
    pub(super) process: usize,
}

impl Heroes {
    async fn locked(
        &self,
        id: u64,
        write: &mut Write,
    ) -> Result<(Transaction, Option<Hero>, u64), Failure> {
        let transaction = self.database.begin().await;
        match transaction.lock(id).await {
            Ok((row, version)) => Ok((transaction, row, version)),
            Err(failure) => {
                write.rolled_back();
                Err(failure)
            }
        }
    }

    /// Commits the recorded changes.
    pub(super) async fn end(
        &self,
        transaction: Transaction,
        changes: Vec<Change>,
        write: &mut Write,
    ) -> Result<usize, Failure> {
        let committed = if without(Rule::QuarantineBeforeCommit) {
            let commit = transaction.commit(self.process, changes, Vec::new());
            let committed = commit.await;
            let _ = write.before_commit().await;
            committed
        } else {
            let journal = write.before_commit().await.journal_entries().collect();
            let commit = transaction.commit(self.process, changes, journal);
            commit.await
        };
        if committed == Err(Failure::RolledBack) {
            write.rolled_back();
        }
        committed
    }
}

impl Source for Heroes {
    type Entity = Hero;
    type Error = Failure;

    async fn find_by_id(&self, id: &u64) -> Result<Option<Row<Self>>, Failure> {
        Ok(self.database.rows(&[*id]).await.remove(0))
    }

    async fn find_many(&self, ids: &[u64]) -> Result<Vec<Option<Row<Self>>>, Failure> {
        Ok(self.database.rows(ids).await)
    }

    async fn find_by(&self, index: &HeroIndex) -> Result<Rows<Hero>, Failure> {
        Ok(self.database.list(Some(index)).await)
    }

    async fn list_all(&self) -> Result<Rows<Hero>, Failure> {
        Ok(self.database.list(None).await)
    }

    fn overloaded(&self, _: crate::repository::Overloaded) -> Failure {
        Failure::Overloaded
    }
}

impl Repository for Heroes {
    async fn save_in(&self, row: Hero, write: &mut Write) -> Result<Row<Self>, Failure> {
        let (transaction, before, version) = self.locked(row.id, write).await?;
        if before.is_some() {
            write.rolled_back();
            return Err(Failure::Exists);
        }
        let after = Hero { version, ..row };
        write.created(&after);
        let changes = vec![Change::Put(after.clone())];
        self.end(transaction, changes, write).await?;
        Ok(Arc::new(after))
    }

    async fn update_in(&self, row: Hero, write: &mut Write) -> Result<Option<Row<Self>>, Failure> {
        let (transaction, before, version) = self.locked(row.id, write).await?;
        let Some(before) = before else {
            write.rolled_back();
            return Ok(None);
        };
        let after = Hero { version, ..row };
        write.updated(&before, &after);
        let changes = vec![Change::Put(after.clone())];
        self.end(transaction, changes, write).await?;
        Ok(Some(Arc::new(after)))
    }

    async fn delete_in(&self, id: &u64, write: &mut Write) -> Result<bool, Failure> {
        let (transaction, before, _) = self.locked(*id, write).await?;
        let Some(before) = before else {
            write.rolled_back();
            return Ok(false);
        };
        write.deleted(&before);
        let changes = vec![Change::Delete(*id)];
        self.end(transaction, changes, write).await?;
        Ok(true)
    }
}
