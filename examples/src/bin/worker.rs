//! A program that writes the table of a service with plain SQL.
//!
//! ```sh
//! cargo run -p examples --bin worker -- Tolstoy 'Leo Tolstoy'
//! ```
//!
//! It gives the books of one author another author. Beside a running `axum`, with the
//! same DATABASE and REDIS_URL, the next read there has the new name. It needs neither a
//! repository nor a cache of rows: only the keys of the rows and lists that it changed.
//!
//! A program that does not use aside at all needs triggers in the database instead; see
//! `docs/first-step.md`.

use aside::{CacheConfig, CacheService};
use aside_sqlx::SqliteJournal;
use examples::{Book, BookIndex};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(from), Some(to)) = (arguments.next(), arguments.next()) else {
        return Err("name two authors: worker FROM TO".into());
    };
    let pool = examples::open().await?;
    let cache = CacheService::connect(CacheConfig::from_env()?).await;
    let journal = SqliteJournal::install(pool.clone()).await?;

    let mut transaction = cache.begin(&journal).await?;
    let ids: Vec<i64> =
        sqlx::query_scalar("UPDATE books SET author = ? WHERE author = ? RETURNING id")
            .bind(&to)
            .bind(&from)
            .fetch_all(&mut *transaction)
            .await?;
    for id in &ids {
        transaction.invalidate_id::<Book>(id);
    }
    for author in [from, to] {
        transaction.invalidate_list::<Book>(&BookIndex::Author(author));
    }
    // No copy is left before the COMMIT. If Redis is away, the keys are committed with the
    // rows, and every instance finds them in the journal.
    transaction.commit().await?;
    println!("books changed: {}", ids.len());
    cache.close().await;
    Ok(())
}
