//! Act 2: a miss, then hits.

use std::time::Duration;

use aside::{Answer, Freshness, Source as _, Tier};
use futures_util::future::try_join_all;
use tokio::time::sleep;

use super::DemoError;
use super::page::{Page, Row, spoken};
use super::stage::{Stage, Tally, median, median_in_batches, timed};
use crate::Tales;
use crate::domain::{HeroIndex, Language, TaleError};

const TIMES: usize = 1_000;
const BATCHES: usize = 40;
const IN_EACH: u32 = 25;
const CALLERS: usize = 100;

/// The promise for a read.
enum Promise {
    /// The database is read once, with no limit on the time.
    OneLoad,
    /// The database is not read, and the read takes fewer milliseconds than
    /// this.
    Below(u64),
}

impl Promise {
    /// Shows a read that took so long, and the reads of the database that it caused.
    fn show(self, page: &mut Page, what: &str, took: Duration, told: Tally) {
        let (promised, held) = match self {
            Self::OneLoad => ("one db read".to_owned(), told.loads == 1),
            Self::Below(most) => (
                format!("< {most} ms"),
                told.loads == 0 && took < Duration::from_millis(most),
            ),
        };
        page.row(&Row {
            what,
            measured: spoken(took),
            promised: &promised,
            hits: told.hits,
            loads: told.loads,
            held,
        });
    }
}

pub(super) async fn show(stage: &Stage, page: &mut Page) -> Result<Tales, DemoError> {
    page.act(2, "with caching");
    page.say(
        "The first read of a key is a miss and fills Redis and this process. Then each read is \
         done a thousand times; the median is shown, of batches of 25 where this process answers: \
         such a hit is shorter than a look at the clock.",
    );
    page.head();
    let tales = stage.instance().await?;
    let heroes = &tales.heroes;
    let all = stage.without_caching().await.heroes.list_all().await?;
    let ids: Vec<_> = all.iter().map(|hero| hero.id).collect();
    let [id, cold, ..] = ids[..] else {
        return Err(DemoError::Stuck("there are no heroes"));
    };
    let index = HeroIndex::Language(Language::En);
    let mut report = |what, took, promise: Promise, since: Tally| {
        promise.show(page, what, took, stage.tally(&[&tales]).since(since));
    };

    let before = stage.tally(&[&tales]);
    let (missed, took) = timed(heroes.find_by_id_with(&id, Freshness::Any)).await;
    if missed?.tier != Tier::Source {
        return Err(DemoError::Stuck("a key without an earlier read is cached"));
    }
    report("find_by_id, the miss", took, Promise::OneLoad, before);

    until_cached(async || heroes.find_by_id_with(&id, Freshness::Any).await).await?;
    let before = stage.tally(&[&tales]);
    let took = median_in_batches(BATCHES, IN_EACH, async || heroes.find_by_id(&id).await).await?;
    report("find_by_id", took, Promise::Below(5), before);

    until_cached(async || heroes.find_by_with(&index, Freshness::Any).await).await?;
    let before = stage.tally(&[&tales]);
    let took = median_in_batches(BATCHES, IN_EACH, async || heroes.find_by(&index).await).await?;
    report("find_by_language", took, Promise::Below(10), before);

    until_cached(async || heroes.list_all_with(Freshness::Any).await).await?;
    let before = stage.tally(&[&tales]);
    let took = median_in_batches(BATCHES, IN_EACH, async || heroes.list_all().await).await?;
    report("list_all", took, Promise::Below(15), before);

    // A read that skips the local tier does what another instance would do.
    until_cached(async || heroes.find_by_id_with(&id, Freshness::Shared).await).await?;
    let before = stage.tally(&[&tales]);
    let took = median(TIMES, async || {
        heroes.find_by_id_with(&id, Freshness::Shared).await
    });
    let took = took.await?;
    report("find_by_id, from Redis", took, Promise::Below(5), before);

    let before = stage.tally(&[&tales]);
    let callers = (0..CALLERS).map(|_| heroes.find_by_id(&cold));
    let (answers, took) = timed(try_join_all(callers)).await;
    answers?;
    report("100 callers, a cold key", took, Promise::OneLoad, before);

    let stats = heroes.stats().await.reads;
    let rate = stats.hit_rate().unwrap_or_default() * 100.0;
    page.say("");
    page.say(&format!(
        "stats: {} hits in process, {} in Redis, {} misses; hit rate {rate:.1} %.",
        stats.l1_hits, stats.l2_hits, stats.misses
    ));
    Ok(tales)
}

/// Reads until the cache returns the value. The fill runs concurrently with the
/// reply, so the first hit may begin a moment after the miss.
pub(super) async fn until_cached<T>(
    mut read: impl AsyncFnMut() -> Result<Answer<T>, TaleError>,
) -> Result<T, DemoError> {
    for _ in 0..100 {
        let answer = read().await?;
        if answer.tier != Tier::Source {
            return Ok(answer.value);
        }
        sleep(Duration::from_millis(10)).await;
    }
    Err(DemoError::Stuck("the value read is not cached"))
}
