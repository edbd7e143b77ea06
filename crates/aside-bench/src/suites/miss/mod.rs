//! Misses: a crowd for one cold key makes one database read, in one process and
//! in ten. A miss costs little more than its read.

mod cold;
mod crowd;
mod failing;
mod processes;

use std::time::Duration;

use aside::{CachedRepository, Repository};

pub(crate) use processes::read as read_in_this_process;

use crate::error::Wrong;
use crate::servers;
use crate::table::Table;

/// The duration of a database read.
const READ: Duration = Duration::from_millis(20);

/// The name of the subject that the others are compared with.
const ALONE: &str = "the database alone";

pub(crate) async fn run(quick: bool) -> Result<Vec<Table>, Wrong> {
    let (redis, postgres) = (servers::redis()?, servers::postgres()?);
    Ok(vec![
        crowd::run(&redis, quick).await?,
        failing::run(&redis, quick).await?,
        processes::run(&redis, &postgres, quick).await?,
        cold::run(&redis, &postgres, quick).await?,
    ])
}

/// Returns how many reads have bypassed Redis. A read does if Redis, or another
/// leader of the same key, is too slow. The database is then correctly read
/// more than once, which says nothing about crowds.
fn bypasses<R: Repository>(cached: &CachedRepository<R>) -> u64 {
    let kinds = cached.cache().stats().kinds;
    kinds.iter().map(|kind| kind.bypasses).sum()
}
