//! `tales warm`

use aside::{CachedRepository, Repository, report::WarmUpOptions};

use super::failure::Failure;
use super::opened;
use super::progress::Progress;
use super::say;
use crate::AppSettings;
use crate::domain::TaleError;

pub(super) async fn warm(settings: &AppSettings) -> Result<(), Failure> {
    let tales = opened::open(settings).await?;
    let warmed = if tales.cache().is_synced() {
        async {
            Ok::<_, Failure>([
                one("heroes", &tales.heroes).await?,
                one("children", &tales.children).await?,
                one("stories", &tales.stories).await?,
            ])
        }
        .await
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
    for line in warmed? {
        say::result(&line)?;
    }
    Ok(())
}

async fn one<R: Repository<Error = TaleError>>(
    what: &'static str,
    rows: &CachedRepository<R>,
) -> Result<String, Failure> {
    let mut progress: Option<Progress> = None;
    let warmed = rows
        .warm_up(WarmUpOptions::default(), |state| {
            progress
                .get_or_insert_with(|| Progress::new(what, Some(state.total as u64)))
                .reached(state.done as u64);
        })
        .await
        .map_err(|error| Failure::new("warming stopped", error))?;
    let elapsed = progress.map(Progress::finish).unwrap_or_default();
    Ok(format!(
        "{what}: {} rows and lists in {:.1} s",
        warmed.done,
        elapsed.as_secs_f64()
    ))
}
