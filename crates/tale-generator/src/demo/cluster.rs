//! Act 7: one of three primaries of a cluster is killed.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use aside::{Freshness, Source as _, Tier};
use aside_testkit::RedisCluster;
use tokio::task::spawn_blocking;
use tokio::time::sleep;

use super::DemoError;
use super::page::{Page, Row, spoken};
use super::stage::{Stage, timed};
use super::with::until_cached;
use crate::Tales;
use crate::domain::{Hero, Row as _};

/// The maximum time until the other primaries are used, and then the promoted one.
const USED_WITHIN: Duration = Duration::from_secs(5);

/// The maximum time until a replica is promoted. The nodes wait a second before they
/// vote.
const PROMOTED_WITHIN: Duration = Duration::from_secs(20);

/// Heroes, by the server that owns their keys.
type ByServer = BTreeMap<String, Vec<Arc<Hero>>>;

pub(super) async fn show(stage: &Stage, page: &mut Page) -> Result<(), DemoError> {
    page.act(7, "a primary of a cluster is killed");
    let started = spawn_blocking(RedisCluster::start).await;
    let cluster = match started.map_err(|_| DemoError::Stuck("the cluster did not start"))? {
        Ok(cluster) => Arc::new(cluster),
        Err(why) => {
            page.say(&format!("Skipped: {why}"));
            return Ok(());
        }
    };
    page.say(
        "Three primaries, each with a replica, share the keys. Two services read and write \
         through them. One primary is killed with SIGKILL; the nodes wait a second, then \
         promote its replica.",
    );
    page.head();
    let tales = stage.instance_at(&cluster.url()).await?;
    let other = stage.instance_at(&cluster.url()).await?;
    let heroes = cache_all(&tales, page).await?;
    let dead = cluster.node(0).address().to_string();
    let of_dead = heroes.get(&dead).and_then(|heroes| heroes.first());
    let of_dead = of_dead.ok_or(DemoError::Stuck("the first primary owns no hero"))?;

    cluster.node(0).kill();
    let written = a_write_goes_on(stage, &tales, page, of_dead).await?;
    others_are_used(stage, &tales, page, &heroes, &dead).await?;
    successor_is_used(&cluster, &tales, page, of_dead).await?;
    let seen = until_cached(async || {
        let read = other.heroes.find_by_id_with(&of_dead.id, Freshness::Any);
        read.await
    });
    let version = seen.await?.map_or(0, |hero| hero.version);
    page.row(&Row {
        what: "the version cached then",
        measured: format!("v{version}"),
        promised: "the last write",
        hits: 0,
        loads: 0,
        held: version == written,
    });
    tales.cache().close().await;
    other.cache().close().await;
    Ok(())
}

/// Caches every hero. Returns them by the primary that owns their keys.
async fn cache_all(tales: &Tales, page: &mut Page) -> Result<ByServer, DemoError> {
    let mut by_server = ByServer::new();
    for hero in tales.heroes.list_all().await?.iter() {
        until_cached(async || tales.heroes.find_by_id_with(&hero.id, Freshness::Any).await).await?;
        let key = tales.cache().key_of_row("hero", &hero.id.to_string());
        let key = key.ok_or(DemoError::Stuck("heroes are not cached"))?;
        if let Some(server) = tales.cache().explain(&key).await.server {
            by_server.entry(server).or_default().push(Arc::clone(hero));
        }
    }
    let counts: Vec<String> = by_server.values().map(|it| it.len().to_string()).collect();
    page.row(&Row {
        what: "heroes of each primary",
        measured: counts.join(" + "),
        promised: "all three",
        hits: 0,
        loads: 0,
        held: counts.len() == 3,
    });
    Ok(by_server)
}

/// A write succeeds whose key belongs to the dead primary. Returns its version.
async fn a_write_goes_on(
    stage: &Stage,
    tales: &Tales,
    page: &mut Page,
    hero: &Hero,
) -> Result<u64, DemoError> {
    let mut draft = hero.draft();
    draft.name = "Written without its primary".to_owned();
    let before = stage.tally(&[tales]);
    let (written, took) = timed(tales.replace_hero(hero.id, draft, None)).await;
    let written = written?;
    let told = stage.tally(&[tales]).since(before);
    page.row(&Row {
        what: "a write to a dead primary",
        measured: spoken(took),
        promised: "no error",
        hits: told.hits,
        loads: told.loads,
        held: written.version == hero.version + 1,
    });
    Ok(written.version)
}

/// The keys of the living primaries are read from the cache.
async fn others_are_used(
    stage: &Stage,
    tales: &Tales,
    page: &mut Page,
    heroes: &ByServer,
    dead: &str,
) -> Result<(), DemoError> {
    let living = heroes.iter().filter(|(server, _)| *server != dead);
    let living: Vec<_> = living.flat_map(|(_, heroes)| heroes).collect();
    let first = living.first().ok_or(DemoError::Stuck("no other primary"))?;
    let begun = Instant::now();
    while tier_of(tales, first).await? == Tier::Source && begun.elapsed() < USED_WITHIN {
        sleep(Duration::from_millis(5)).await;
    }
    let (before, mut slowest) = (stage.tally(&[tales]), Duration::ZERO);
    for hero in &living {
        let (tier, took) = timed(tier_of(tales, hero)).await;
        tier?;
        slowest = slowest.max(took);
    }
    let told = stage.tally(&[tales]).since(before);
    page.row(&Row {
        what: "reads of the other two",
        measured: spoken(slowest),
        promised: "no db read",
        hits: told.hits,
        loads: told.loads,
        held: told.loads == 0 && told.hits == living.len() as u64,
    });
    Ok(())
}

/// The promoted replica is used without a restart.
async fn successor_is_used(
    cluster: &Arc<RedisCluster>,
    tales: &Tales,
    page: &mut Page,
    hero: &Hero,
) -> Result<(), DemoError> {
    let killed = Instant::now();
    let asked = Arc::clone(cluster);
    let promoted = spawn_blocking(move || {
        while asked.primaries().len() < 3 && killed.elapsed() < PROMOTED_WITHIN {
            std::thread::sleep(Duration::from_millis(5));
        }
        Instant::now()
    });
    let promoted = promoted.await;
    let promoted = promoted.map_err(|_| DemoError::Stuck("no replica was promoted"))?;
    while tier_of(tales, hero).await? == Tier::Source && promoted.elapsed() < USED_WITHIN * 2 {
        sleep(Duration::from_millis(5)).await;
    }
    let took = promoted.elapsed();
    page.row(&Row {
        what: "its successor is used",
        measured: spoken(took),
        promised: "by itself",
        hits: 0,
        loads: 0,
        held: took < USED_WITHIN,
    });
    Ok(())
}

async fn tier_of(tales: &Tales, hero: &Hero) -> Result<Tier, DemoError> {
    let answer = tales.heroes.find_by_id_with(&hero.id, Freshness::Any);
    Ok(answer.await?.tier)
}
