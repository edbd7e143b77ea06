//! Plausible rows from a seed number: the same number gives the same rows.
//!
//! Rows are written in batches, each with a `Write`. So a running system can be
//! seeded, because its caches are notified of every row. Seeding again with the
//! same number adds nothing.

mod words;
mod generator;

use aside::CacheService;

use crate::domain::{Record, TaleError};
use crate::sql::{BATCH, Database, Inserted, insert_batch};

pub use generator::Generator;

/// How many rows of each kind to make, and the seed number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The number of heroes.
    pub heroes: u64,
    /// The number of children.
    pub children: u64,
    /// The number of stories. Each names a child and a hero of the same plan,
    /// if the plan has any.
    pub stories: u64,
    /// The seed number that determines all rows.
    pub rng_seed: u64,
}

impl Plan {
    /// Returns the total number of rows.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.heroes + self.children + self.stories
    }
}

/// Writes the rows of a plan. Calls `progress` with the counts so far.
///
/// # Errors
/// [`TaleError`]: earlier batches stay, and a second run continues after them.
pub async fn seed(
    database: &Database,
    cache: &CacheService,
    plan: Plan,
    mut progress: impl FnMut(Inserted),
) -> Result<Inserted, TaleError> {
    let mut sum = Inserted::default();
    let mut rows = Generator::new(plan);
    loop {
        let batch: Vec<Record> = rows.by_ref().take(BATCH).collect();
        if batch.is_empty() {
            return Ok(sum);
        }
        let mut write = cache.write();
        let inserted = insert_batch(database, &batch, &mut write)
            .await
            .map_err(|failed| failed.error)?;
        write.committed().await;
        sum.added += inserted.added;
        sum.present += inserted.present;
        progress(sum);
    }
}
