//! Act 1: every read goes to the database.

use std::time::Duration;

use aside::Source as _;

use super::DemoError;
use super::page::{Page, Row, spoken};
use super::stage::{ADDED, Stage, Tally, median};
use crate::domain::{HeroIndex, Language};

const TIMES: usize = 5;

pub(super) async fn show(stage: &Stage, page: &mut Page) -> Result<(), DemoError> {
    page.act(1, "without caching");
    page.say(
        "REDIS_ENABLED=false: the repositories are the same, and every read goes to the \
         database. Each is done five times; the median is shown.",
    );
    page.head();
    let tales = stage.without_caching().await;
    let heroes = &tales.heroes;
    let id = heroes.list_all().await?.first().map(|hero| hero.id);
    let id = id.ok_or(DemoError::Stuck("there are no heroes"))?;
    let index = HeroIndex::Language(Language::En);
    let mut report = |what, took: Duration, since: Tally| {
        let told = stage.tally(&[&tales]).since(since);
        page.row(&Row {
            what,
            measured: spoken(took),
            promised: "50-200 ms",
            hits: told.hits,
            loads: told.loads,
            held: ADDED <= took && (told.hits, told.loads) == (0, TIMES as u64),
        });
    };

    let before = stage.tally(&[&tales]);
    let took = median(TIMES, async || heroes.find_by_id(&id).await).await?;
    report("find_by_id", took, before);
    let before = stage.tally(&[&tales]);
    let took = median(TIMES, async || heroes.find_by(&index).await).await?;
    report("find_by_language", took, before);
    let before = stage.tally(&[&tales]);
    let took = median(TIMES, async || heroes.list_all().await).await?;
    report("list_all", took, before);
    Ok(())
}
