//! All rows as of one moment, read in pages.

use std::sync::Arc;

use sqlx::postgres::Postgres;
use sqlx::sqlite::Sqlite;
use uuid::Uuid;

use super::database::{Database, Either};
use super::kind::{AnyKind, Kind};
use super::store::{Dialect, Store};
use super::transaction::Transaction;
use crate::columns::Id;
use crate::domain::{Child, Hero, Record, Story, TaleError};

/// Rows of one statement.
const PAGE: u32 = 500;

/// A transaction that reads all rows as of its beginning.
pub(crate) struct Snapshot(Either<Begun<Sqlite>, Begun<Postgres>>);

type Begun<D> = (Arc<Store<D>>, Transaction<D>);

impl Snapshot {
    /// Begins the transaction.
    pub(crate) async fn begin(database: &Database) -> Result<Self, TaleError> {
        Ok(Self(match database.store.clone() {
            Either::Sqlite(store) => Either::Sqlite(begin(store).await?),
            Either::Postgres(store) => Either::Postgres(begin(store).await?),
        }))
    }

    /// Returns the next heroes after the id `after`, by id.
    pub(crate) async fn heroes(&mut self, after: Uuid) -> Result<Vec<Record>, TaleError> {
        let rows: Vec<Hero> = self.page(after).await?;
        Ok(rows.into_iter().map(Record::Hero).collect())
    }

    /// Returns the next children after the id `after`, by id.
    pub(crate) async fn children(&mut self, after: Uuid) -> Result<Vec<Record>, TaleError> {
        let rows: Vec<Child> = self.page(after).await?;
        Ok(rows.into_iter().map(Record::Child).collect())
    }

    /// Returns the next stories after the id `after`, by id.
    pub(crate) async fn stories(&mut self, after: Uuid) -> Result<Vec<Record>, TaleError> {
        let rows: Vec<Story> = self.page(after).await?;
        let records = rows.into_iter().map(|row| Record::Story(Box::new(row)));
        Ok(records.collect())
    }

    async fn page<E: AnyKind>(&mut self, after: Uuid) -> Result<Vec<E>, TaleError> {
        match &mut self.0 {
            Either::Sqlite(begun) => page(begun, after).await,
            Either::Postgres(begun) => page(begun, after).await,
        }
    }
}

async fn begin<D: Dialect>(store: Arc<Store<D>>) -> Result<Begun<D>, TaleError> {
    let transaction = store.begin_snapshot().await?;
    Ok((store, transaction))
}

async fn page<E: Kind<D>, D: Dialect>(
    (store, transaction): &mut Begun<D>,
    after: Uuid,
) -> Result<Vec<E>, TaleError> {
    let rows = E::table(store).select().rows("$1 < id").order("id");
    let rows = rows.bind(D::Id::from(Id(after))).limit(PAGE);
    let rows = rows.fetch_in(&mut transaction.connection);
    store.limits.write(E::KIND, rows).await
}
