//! `tales warm`

use aside::report::{WarmUpFrom, WarmUpOptions, WarmUpProgress};
use aside::{CachedRepository, Repository};

use super::failure::Failure;
use super::opened;
use super::progress::Progress;
use super::say;
use crate::domain::TaleError;
use crate::{AppSettings, Tales};

/// The rows to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum From {
    /// The rows and lists that instances held; all if none are known
    Hot,
    /// All rows and lists
    All,
}

/// The rows and lists of one kind that were read.
struct Warmed {
    progress: WarmUpProgress,
    line: String,
}

pub(super) async fn warm(from: From, mut settings: AppSettings) -> Result<(), Failure> {
    // The rows of this process are no hot set: callers may use none of them.
    settings.cache.hot_set = false;
    settings.cache.warm_up = None;
    let tales = opened::open(&settings).await?;
    let warmed = if tales.cache().is_synced() {
        all_kinds(from, &tales).await
    } else if tales.cache().config().redis_enabled {
        Err(Failure::Told(
            "there is nothing to warm: Redis is unavailable".to_owned(),
        ))
    } else {
        Err(Failure::Told(
            "there is nothing to warm: REDIS_ENABLED is false".to_owned(),
        ))
    };
    opened::close(&tales).await;
    // Printed at the end, so that all is warmed even if printing fails.
    for Warmed { line, .. } in warmed? {
        say::result(&line)?;
    }
    Ok(())
}

/// Warms each kind up. If no instance has left its keys, as before the first start of a
/// service, all rows are read.
async fn all_kinds(from: From, tales: &Tales) -> Result<[Warmed; 3], Failure> {
    if from == From::Hot {
        let warmed = each(WarmUpFrom::Hot, tales).await?;
        if warmed.iter().any(|kind| 0 < kind.progress.total) {
            return Ok(warmed);
        }
        tracing::info!("no instance has left the keys that it held: all rows are read");
    }
    each(WarmUpFrom::All, tales).await
}

async fn each(from: WarmUpFrom, tales: &Tales) -> Result<[Warmed; 3], Failure> {
    Ok([
        one("heroes", &tales.heroes, from).await?,
        one("children", &tales.children, from).await?,
        one("stories", &tales.stories, from).await?,
    ])
}

async fn one<R: Repository<Error = TaleError>>(
    kind: &'static str,
    rows: &CachedRepository<R>,
    from: WarmUpFrom,
) -> Result<Warmed, Failure> {
    let how = WarmUpOptions {
        from,
        ..WarmUpOptions::default()
    };
    let mut shown: Option<Progress> = None;
    let progress = rows
        .warm_up(how, |state| {
            shown
                .get_or_insert_with(|| Progress::new(kind, Some(state.total as u64)))
                .reached(state.done as u64);
        })
        .await
        .map_err(|error| Failure::new("warming stopped", error))?;
    let elapsed = shown.map(Progress::finish).unwrap_or_default();
    let (rows, seconds) = (progress.done, elapsed.as_secs_f64());
    Ok(Warmed {
        progress,
        line: format!("{kind}: {rows} rows and lists in {seconds:.1} s"),
    })
}
