//! Act 4: two services on one Redis stay in step.

use std::time::{Duration, Instant};

use aside::{Freshness, Source as _};
use tokio::time::sleep;
use uuid::Uuid;

use super::DemoError;
use super::page::{Page, Row, spoken};
use super::stage::Stage;
use super::with::until_cached;
use crate::Tales;
use crate::domain::Row as _;

const WRITES: u32 = 10;

/// The default of `CACHE_MAX_STALENESS_MS`.
const BOUND: Duration = Duration::from_millis(500);

pub(super) async fn show(stage: &Stage, tales: &Tales, page: &mut Page) -> Result<(), DemoError> {
    page.act(4, "two instances stay in step");
    page.say(
        "A second service joins. It finds the first one's reads in Redis. Then one renames a \
         hero ten times while the other reads it from its own memory as fast as it can: how \
         long after the write is the old name still seen?",
    );
    page.head();
    let other = stage.instance().await?;
    let both = [tales, &other];
    let heroes = tales.heroes.list_all().await?;
    let hero = heroes.last().cloned();
    let hero = hero.ok_or(DemoError::Stuck("there are no heroes"))?;
    let id = hero.id;

    until_cached(async || tales.heroes.find_by_id_with(&id, Freshness::Shared).await).await?;
    let before = stage.tally(&both);
    let seen = other.heroes.find_by_id(&id).await?;
    let told = stage.tally(&both).since(before);
    page.row(&Row {
        what: "read by one, then by two",
        measured: if told.loads == 0 { "a hit" } else { "a load" }.to_owned(),
        promised: "no db read",
        hits: told.hits,
        loads: told.loads,
        held: seen.is_some() && told.loads == 0,
    });

    let (mut longest, mut reads) = (Duration::ZERO, 0);
    let before = stage.tally(&both);
    for number in 1..=WRITES {
        until_cached(async || other.heroes.find_by_id_with(&id, Freshness::Any).await).await?;
        let mut draft = hero.draft();
        draft.name = format!("{} {number}", hero.name);
        let written = tales.replace_hero(id, draft, None).await?;
        let (stale, asked) = stale_for(&other, id, written.version).await?;
        reads += asked;
        longest = longest.max(stale);
    }
    let told = stage.tally(&both).since(before);
    page.row(&Row {
        what: "the old name, at longest",
        measured: if longest.is_zero() {
            "never seen".to_owned()
        } else {
            spoken(longest)
        },
        promised: "< 500 ms",
        hits: told.hits,
        loads: told.loads,
        held: longest < BOUND,
    });
    page.say("");
    page.say(&format!(
        "{WRITES} writes, {reads} reads by the other instance right after them. The bound of 500 ms \
         is for messages that get lost."
    ));
    other.cache().close().await;
    Ok(())
}

/// Returns how long after now an instance returned an older version than this one,
/// and after how many reads it did not.
async fn stale_for(other: &Tales, id: Uuid, version: u64) -> Result<(Duration, u32), DemoError> {
    let committed = Instant::now();
    let (mut last_stale, mut reads) = (Duration::ZERO, 0);
    loop {
        let asked = committed.elapsed();
        let row = other.heroes.find_by_id(&id).await?;
        reads += 1;
        if row.is_some_and(|row| version <= row.version) {
            break;
        }
        last_stale = asked;
        if BOUND * 4 < last_stale {
            break;
        }
        sleep(Duration::from_micros(100)).await;
    }
    Ok((last_stale, reads))
}
