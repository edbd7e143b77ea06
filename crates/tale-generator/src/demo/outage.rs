//! Act 5: Redis is killed and comes back.

use std::time::{Duration, Instant};

use aside::{Bypass, Freshness, Source as _, Tier};
use aside_testkit::RedisServer;
use tokio::time::sleep;
use uuid::Uuid;

use super::DemoError;
use super::page::{Page, Row, spoken};
use super::stage::{Stage, median, timed};
use super::with::until_cached;
use crate::Tales;
use crate::domain::{Hero, Row as _};

const TIMES: usize = 10;

/// The maximum time until the return of Redis is noticed.
const RESUMES_WITHIN: Duration = Duration::from_secs(5);

pub(super) async fn show(
    stage: &mut Stage,
    tales: &Tales,
    page: &mut Page,
) -> Result<(), DemoError> {
    page.act(5, "Redis is killed and comes back");
    let Some(redis) = stage.redis.take() else {
        page.say("Skipped: it needs a real Redis, and there is no redis-server on the PATH.");
        return Ok(());
    };
    let shown = interrupt(&redis, stage, tales, page).await;
    // The next act uses it too.
    stage.redis = Some(redis);
    shown
}

async fn interrupt(
    redis: &RedisServer,
    stage: &Stage,
    tales: &Tales,
    page: &mut Page,
) -> Result<(), DemoError> {
    page.say(
        "The private Redis is killed with SIGKILL, in the middle of everything. Reads and writes \
         go on with the database. It is started again, empty; the service keeps running.",
    );
    page.head();
    let heroes = &tales.heroes;
    let hero = heroes.list_all().await?.first().cloned();
    let hero = hero.ok_or(DemoError::Stuck("there are no heroes"))?;
    let id = hero.id;
    until_cached(async || heroes.find_by_id_with(&id, Freshness::Any).await).await?;

    redis.kill();
    // Rows that were valid a moment ago may be returned until the loss is
    // noticed.
    until_noticed(tales, id).await?;
    reads_go_on(stage, tales, page, id).await?;
    let written = a_write_goes_on(stage, tales, page, &hero).await?;

    redis.restart();
    let version = caching_resumes(stage, tales, page, id).await?;
    page.row(&Row {
        what: "the version cached then",
        measured: format!("v{version}"),
        promised: "the last write",
        hits: 0,
        loads: 0,
        held: version == written,
    });
    reads_are_fast_again(stage, tales, page, id).await
}

/// The database answers reads while Redis is down.
async fn reads_go_on(
    stage: &Stage,
    tales: &Tales,
    page: &mut Page,
    id: Uuid,
) -> Result<(), DemoError> {
    let heroes = &tales.heroes;
    let before = stage.tally(&[tales]);
    let mut passed_by = 0;
    let took = median(TIMES, async || {
        let answer = heroes.find_by_id_with(&id, Freshness::Any).await?;
        if answer.bypass == Some(Bypass::RedisUnavailable) {
            passed_by += 1;
        }
        Ok::<_, DemoError>(())
    });
    let took = took.await?;
    let told = stage.tally(&[tales]).since(before);
    page.row(&Row {
        what: "10 reads without Redis",
        measured: spoken(took),
        promised: "no error",
        hits: told.hits,
        loads: told.loads,
        held: passed_by == TIMES && told.loads == TIMES as u64,
    });
    Ok(())
}

/// A write succeeds while Redis is down. Returns its version.
async fn a_write_goes_on(
    stage: &Stage,
    tales: &Tales,
    page: &mut Page,
    hero: &Hero,
) -> Result<u64, DemoError> {
    let mut draft = hero.draft();
    draft.name = "Written during the outage".to_owned();
    let before = stage.tally(&[tales]);
    let (written, took) = timed(tales.replace_hero(hero.id, draft, None)).await;
    let written = written?;
    let told = stage.tally(&[tales]).since(before);
    page.row(&Row {
        what: "a write without Redis",
        measured: spoken(took),
        promised: "no error",
        hits: told.hits,
        loads: told.loads,
        held: written.version == hero.version + 1,
    });
    Ok(written.version)
}

/// Reads until Redis is used again. Returns the version cached then, or 0.
async fn caching_resumes(
    stage: &Stage,
    tales: &Tales,
    page: &mut Page,
    id: Uuid,
) -> Result<u64, DemoError> {
    let heroes = &tales.heroes;
    let back = Instant::now();
    let before = stage.tally(&[tales]);
    let resumed = loop {
        let answer = heroes.find_by_id_with(&id, Freshness::Any).await?;
        if answer.tier != Tier::Source {
            break answer.value;
        }
        if RESUMES_WITHIN * 2 < back.elapsed() {
            break None;
        }
    };
    let took = back.elapsed();
    let told = stage.tally(&[tales]).since(before);
    page.row(&Row {
        what: "caching resumes after",
        measured: spoken(took),
        promised: "by itself",
        hits: told.hits,
        loads: told.loads,
        held: resumed.is_some() && took < RESUMES_WITHIN,
    });
    Ok(resumed.map_or(0, |row| row.version))
}

/// Hits take as long as before the outage.
async fn reads_are_fast_again(
    stage: &Stage,
    tales: &Tales,
    page: &mut Page,
    id: Uuid,
) -> Result<(), DemoError> {
    let heroes = &tales.heroes;
    let before = stage.tally(&[tales]);
    let took = median(TIMES, async || heroes.find_by_id(&id).await).await?;
    let told = stage.tally(&[tales]).since(before);
    page.row(&Row {
        what: "10 reads, as before",
        measured: spoken(took),
        promised: "< 5 ms",
        hits: told.hits,
        loads: told.loads,
        held: took < Duration::from_millis(5) && told.loads == 0,
    });
    Ok(())
}

async fn until_noticed(tales: &Tales, id: Uuid) -> Result<(), DemoError> {
    for _ in 0..100 {
        let answer = tales.heroes.find_by_id_with(&id, Freshness::Any).await?;
        if answer.bypass == Some(Bypass::RedisUnavailable) {
            return Ok(());
        }
        sleep(Duration::from_millis(10)).await;
    }
    Err(DemoError::Stuck("the loss of Redis was not noticed"))
}
