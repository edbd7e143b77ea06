//! Plausible rows from a number: the same number, the same rows.
//!
//! Rows are written batch by batch, each with a `Write` of its own, so that a
//! running system can be seeded: its caches hear of every row. Seeding twice
//! from the same number adds nothing the second time.

mod generator;
mod words;

use aside::CacheService;

use crate::domain::{Record, TaleError};
use crate::sql::{BATCH, Database, Inserted, insert_batch};

pub use generator::Generator;

/// How many rows of each kind, and from which number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    /// How many heroes.
    pub heroes: u64,
    /// How many children.
    pub children: u64,
    /// How many stories; each names a child and a hero of the same plan, if
    /// it has any.
    pub stories: u64,
    /// The number that all the rest follows from.
    pub rng_seed: u64,
}

impl Plan {
    /// How many rows in all.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.heroes + self.children + self.stories
    }
}

/// Writes the rows of a plan; `progress` is called with what was done so far.
///
/// # Errors
/// [`TaleError`]: batches before it stay, and seeding again goes on from
/// there.
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
