//! Misses: a crowd for one cold key makes one database read, in one process
//! and in ten, and a miss costs little more than the read it makes.

mod cold;
mod crowd;
mod failing;
mod processes;

use std::time::Duration;

use aside::{CachedRepository, Repository};

pub(crate) use processes::read as read_in_this_process;

use crate::table::Table;
use crate::{Wrong, servers};

/// What a database read takes.
const READ: Duration = Duration::from_millis(20);

/// The name of what the others are measured beside.
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

/// How many reads passed Redis by so far. They do where it, or another who
/// loads the same key, is too slow: the database is then read more than once,
/// as it should be, and that says nothing about crowds.
fn bypasses<R: Repository>(cached: &CachedRepository<R>) -> u64 {
    let kinds = cached.cache().stats().kinds;
    kinds.iter().map(|kind| kind.bypasses).sum()
}
