//! A table whose columns have other types than its fields, and transactions of the caller
//! that change its rows.

use std::time::Duration;

use aside::{CachedRepository, Entity, Freshness, Repository as _, Source as _, Tier};
use aside_sqlx::{Changeable, ColumnAs, TableError, Tables};
use futures_util::TryStreamExt as _;
use serde::{Deserialize, Serialize};
use sqlx::error::BoxDynError;
use sqlx::{AssertSqlSafe, Encode, Executor, IntoArguments, Pool, Type};

use crate::articles::{cache, mysql, postgres, run, sqlite};

/// A task of some length.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Entity, aside_sqlx::Table)]
#[entity(kind = "task", index(of_length = (owner, length)))]
#[table("task", postgres, sqlite, mysql, order = "length, id")]
struct Task {
    #[entity(id)]
    #[table(as = "Code")]
    id: u64,
    #[entity(index)]
    #[table(as = "Code")]
    owner: Option<u64>,
    #[table(as = "Millis")]
    length: Duration,
    #[entity(version)]
    version: i32,
}

/// A number as text, as old tables have it; "-" is none.
#[derive(sqlx::Type)]
#[sqlx(transparent)]
struct Code(String);

impl ColumnAs<u64> for Code {
    fn from_value(value: &u64) -> Result<Self, BoxDynError> {
        Ok(Self(format!("no-{value:03}")))
    }

    fn into_value(self) -> Result<u64, BoxDynError> {
        let number = self.0.strip_prefix("no-").ok_or("a code begins with no-")?;
        Ok(number.parse()?)
    }

    fn into_optional(self) -> Result<Option<u64>, BoxDynError> {
        if self.0 == "-" {
            return Ok(None);
        }
        self.into_value().map(Some)
    }
}

/// Whole milliseconds.
#[derive(sqlx::Type)]
#[sqlx(transparent)]
struct Millis(i64);

impl ColumnAs<Duration> for Millis {
    fn from_value(value: &Duration) -> Result<Self, BoxDynError> {
        Ok(Self(value.as_millis().try_into()?))
    }

    fn into_value(self) -> Result<Duration, BoxDynError> {
        Ok(Duration::from_millis(self.0.try_into()?))
    }
}

fn task(id: u64, owner: Option<u64>, millis: u64) -> Task {
    Task {
        id,
        owner,
        length: Duration::from_millis(millis),
        version: 1,
    }
}

fn ids(rows: &[Task]) -> Vec<u64> {
    rows.iter().map(|row| row.id).collect()
}

async fn create<D: Tables>(pool: &Pool<D>)
where
    for<'p> &'p Pool<D>: Executor<'p, Database = D>,
{
    let table = "CREATE TABLE task (id VARCHAR(99) NOT NULL PRIMARY KEY, owner VARCHAR(99),
        length BIGINT NOT NULL, version INTEGER NOT NULL)";
    run(pool, table).await;
}

async fn columns_have_their_types<D: Tables>(pool: &Pool<D>)
where
    for<'p> &'p Pool<D>: Executor<'p, Database = D>,
    Task: aside_sqlx::Table<D>,
{
    create(pool).await;
    let cache = cache().await;
    let tasks = CachedRepository::new(Task::table(pool), &cache);
    for row in [
        task(1, Some(7), 20),
        task(2, None, 10),
        task(3, Some(7), 30),
    ] {
        assert_eq!(*tasks.save(row.clone()).await.unwrap(), row);
    }
    let updated = tasks.update(task(3, Some(7), 5)).await.unwrap().unwrap();
    assert_eq!((updated.length.as_millis(), updated.version), (5, 2));
    let source = tasks.source();
    let owned = source.find_by(&TaskIndex::Owner(7)).await.unwrap();
    assert_eq!([owned[0].id, owned[1].id], [3, 1]);
    let exact = TaskIndex::OfLength {
        owner: 7,
        length: Duration::from_millis(20),
    };
    assert_eq!(source.find_by(&exact).await.unwrap()[0].id, 1);
    let many = source.find_by_many(&[exact]).await.unwrap();
    assert_eq!(many[0][0].id, 1);
    let found = source.find_many(&[2, 9, 1]).await.unwrap();
    let found: Vec<_> = found.iter().map(Option::is_some).collect();
    assert_eq!(found, [true, false, true]);
    // More than SQLite and PostgreSQL accept as parameters of one statement.
    let very_many: Vec<u64> = (0..70_000).collect();
    let found = source.find_many(&very_many).await.unwrap();
    let places = found.iter().enumerate().filter(|(_, row)| row.is_some());
    let places: Vec<usize> = places.map(|(place, _)| place).collect();
    assert_eq!((found.len(), &*places), (70_000, &[1, 2, 3][..]));
    run(pool, "UPDATE task SET owner = '-' WHERE id = 'no-001'").await;
    assert_eq!(source.find_by_id(&1).await.unwrap().unwrap().owner, None);
    run(pool, "UPDATE task SET owner = 'seven' WHERE id = 'no-001'").await;
    let refused = source.find_by_id(&1).await.unwrap_err().to_string();
    assert!(
        refused.contains("owner") && refused.contains("begins with no-"),
        "{refused}"
    );
}

async fn pages_follow_each_other<D>(pool: &Pool<D>, after: &str)
where
    D: Tables,
    for<'p> &'p Pool<D>: Executor<'p, Database = D>,
    Task: aside_sqlx::Table<D>,
    i64: for<'v> Encode<'v, D> + Type<D>,
    Code: for<'v> Encode<'v, D> + Type<D>,
{
    create(pool).await;
    let tasks = Task::table(pool);
    let mut write = aside::Write::uncached();
    for number in 0..10 {
        let owner = if number == 4 { 8 } else { 7 };
        let row = task(number, Some(owner), number / 3);
        tasks.save_in(row, &mut write).await.unwrap();
    }
    let owner = TaskIndex::Owner(7);
    let mut connection = pool.acquire().await.unwrap();
    let (mut all, mut last) = (Vec::new(), task(0, None, 0));
    loop {
        let page = tasks.select().list(&owner).rows(after);
        let page = page
            .bind(i64::try_from(last.length.as_millis()).unwrap())
            .bind(Code::from_value(&last.id).unwrap())
            .limit(4)
            .fetch_in(&mut connection)
            .await
            .unwrap();
        assert!(page.len() <= 4);
        let Some(end) = page.last() else { break };
        last = end.clone();
        all.extend(ids(&page));
    }
    assert_eq!(all, [1, 2, 3, 5, 6, 7, 8, 9]);
    let backwards = tasks.select().order("id DESC").limit(2);
    let backwards = backwards.fetch_in(&mut connection).await.unwrap();
    assert_eq!(ids(&backwards), [9, 8]);
    let shared = tasks.share_in(&mut connection, &3).await.unwrap();
    assert_eq!(shared.unwrap().id, 3);
    let rows = tasks.select().stream_in(&mut connection).unwrap();
    let first: Vec<Task> = rows.try_collect().await.unwrap();
    assert_eq!(first.len(), 10);
}

/// Changes rows in transactions of the caller, and reads them through the cache.
async fn changes_are_recorded<D>(pool: &Pool<D>)
where
    D: Tables<Arguments: IntoArguments<D>> + Changeable,
    for<'p> &'p Pool<D>: Executor<'p, Database = D>,
    Task: aside_sqlx::Table<D>,
{
    create(pool).await;
    let cache = cache().await;
    let tasks = CachedRepository::new(Task::table(pool), &cache);
    let cached = async |owner: u64| {
        let index = TaskIndex::Owner(owner);
        let first = tasks.find_by_with(&index, Freshness::Any).await.unwrap();
        let rows: Vec<Task> = first.value.iter().map(|row| (**row).clone()).collect();
        (first.tier, ids(&rows))
    };
    let write_in = async |number: usize| {
        tasks
            .write_with(move |table, write| {
                Box::pin(async move {
                    let mut transaction = table.begin(write).await?;
                    let connection = &mut *transaction;
                    let before = task(1, Some(7), 1);
                    let query = |sql: String| sqlx::query::<D>(AssertSqlSafe(sql));
                    match number {
                        0 => {
                            let absent = table.save_absent_row_in(connection, write, &before);
                            assert_eq!(absent.await?, Some(before.clone()));
                            let taken = task(1, Some(9), 9);
                            let absent = table.save_absent_row_in(connection, write, &taken);
                            assert_eq!(absent.await?, None);
                            table
                                .save_row_in(connection, write, &task(2, Some(7), 2))
                                .await?;
                        }
                        1 => {
                            let move_to = |owner: u64, version: i32| {
                                query(format!(
                                    "UPDATE task SET owner = 'no-00{owner}', version = version + 1
                                      WHERE id = 'no-001' AND version = {version}"
                                ))
                            };
                            let before = table.lock_in(connection, &1).await?.unwrap();
                            let other = move_to(9, 5);
                            let other = table.change_row_in(connection, write, &before, other);
                            assert!(other.await?.is_none());
                            let moved = move_to(8, 1);
                            let moved = table.change_row_in(connection, write, &before, moved);
                            assert_eq!(moved.await?.unwrap().version, 2);
                        }
                        2 => {
                            let all = "UPDATE task SET owner = 'no-005'".to_owned();
                            let changed = table.change_in(connection, write).update(query(all));
                            let changed = changed.await?;
                            assert_eq!(ids(&changed.before), [1, 2]);
                            assert!(changed.after.iter().all(|row| row.owner == Some(5)));
                        }
                        _ => {
                            let before = table.lock_in(connection, &1).await?.unwrap();
                            let outdated = task(1, Some(5), 1);
                            let outdated =
                                table.update_row_in(connection, write, &before, &outdated);
                            assert!(matches!(outdated.await, Err(TableError::Outdated)));
                            let later = Task {
                                owner: Some(6),
                                ..before.clone()
                            };
                            table
                                .update_row_in(connection, write, &before, &later)
                                .await?;
                            let second = table.lock_in(connection, &2).await?.unwrap();
                            table.delete_row_in(connection, write, &second).await?;
                        }
                    }
                    table.commit(transaction, write).await
                })
            })
            .await
            .unwrap();
    };
    let steps: [&[(u64, &[u64])]; 4] = [
        &[(7, &[1, 2]), (9, &[])],
        &[(7, &[2]), (8, &[1])],
        &[(7, &[]), (8, &[]), (5, &[1, 2])],
        &[(5, &[]), (6, &[1])],
    ];
    for owner in [5, 6, 7, 8, 9] {
        assert!(cached(owner).await.1.is_empty());
    }
    for (number, expected) in steps.into_iter().enumerate() {
        write_in(number).await;
        for (owner, rows) in expected {
            let read = cached(*owner).await;
            assert_eq!((*rows, number), (&*read.1, number), "owner {owner}");
        }
        // Each list is now kept, so the next step must invalidate it.
        for (owner, _) in expected {
            aside_testkit::eventually(Duration::from_secs(10), "a kept list", async || {
                cached(*owner).await.0 == Tier::Local
            })
            .await;
        }
    }
}

mod columns_of_other_types_are_read_and_written {
    use super::*;

    #[tokio::test]
    async fn on_postgres() {
        let (_server, pool) = postgres().await;
        columns_have_their_types(&pool).await;
    }

    #[tokio::test]
    async fn on_sqlite() {
        columns_have_their_types(&sqlite().await).await;
    }

    #[tokio::test]
    async fn on_mysql() {
        let (_server, pool) = mysql().await;
        columns_have_their_types(&pool).await;
    }
}

mod pages_of_a_list_follow_each_other {
    use super::*;

    #[tokio::test]
    async fn on_postgres() {
        let (_server, pool) = postgres().await;
        pages_follow_each_other(&pool, "($1, $2) < (length, id)").await;
    }

    #[tokio::test]
    async fn on_sqlite() {
        pages_follow_each_other(&sqlite().await, "($1, $2) < (length, id)").await;
    }

    #[tokio::test]
    async fn on_mysql() {
        let (_server, pool) = mysql().await;
        pages_follow_each_other(&pool, "(?, ?) < (length, id)").await;
    }
}

mod changes_in_a_transaction_of_the_caller_are_recorded {
    use super::*;

    #[tokio::test]
    async fn on_postgres() {
        let (_server, pool) = postgres().await;
        changes_are_recorded(&pool).await;
    }

    #[tokio::test]
    async fn on_sqlite() {
        changes_are_recorded(&sqlite().await).await;
    }
}
