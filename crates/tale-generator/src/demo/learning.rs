//! Act 6: rows are fetched before they are read.

use std::time::{Duration, Instant};

use aside::settings::PrefetchMode;
use aside::{Answer, Freshness, Tier};
use uuid::Uuid;

use super::DemoError;
use super::page::{Page, Row, spoken};
use super::stage::{Stage, Tally};
use crate::Tales;
use crate::domain::{StoryIndex, TaleError};
use crate::seed::Plan;
use crate::sql::Database;

/// The rows of this act: ten stories for a child, most with a hero that no other has.
const PLAN: Plan = Plan {
    heroes: 4_000,
    children: 200,
    stories: 2_000,
    rng_seed: 6,
};

/// The delay added to each database read. Small, because there are three thousand.
const ADDED: Duration = Duration::from_millis(1);

/// The part of all reads that may be fetched in vain: `CACHE_PREFETCH_WASTE`.
const WASTE: f64 = 0.05;

/// Rows in vain that are allowed in addition, before a rule is known to be wrong.
const FIRST_WASTE: u64 = 64;

/// The reads of one service.
#[derive(Default)]
struct Opened {
    reads: u64,
    /// Reads that waited for Redis or the database.
    trips: u64,
    waiting: Duration,
    tally: Tally,
}

impl Opened {
    /// Waits for a read, and counts it.
    async fn read<T>(
        &mut self,
        read: impl Future<Output = Result<Answer<T>, TaleError>>,
    ) -> Result<T, DemoError> {
        let begun = Instant::now();
        let answer = read.await?;
        self.waiting += begun.elapsed();
        self.reads += 1;
        self.trips += u64::from(answer.tier != Tier::Local);
        Ok(answer.value)
    }
}

pub(super) async fn show(stage: &Stage, page: &mut Page) -> Result<(), DemoError> {
    page.act(6, "it learns");
    page.say(&format!(
        "Opening a child reads the child, the list of its stories, and the hero of each story, one \
         after the other. All {} children are opened from an empty cache, in two services. In one \
         of them rows that often follow are fetched ahead (CACHE_PREFETCH). A database read takes \
         {} ms in this act.",
        PLAN.children,
        ADDED.as_millis(),
    ));
    page.head();
    let database = stage.another_database(PLAN, ADDED).await?;
    let children = stage.children_of(&database).await?;
    let plain = open_all(stage, &database, &children, PrefetchMode::Off)
        .await?
        .0;
    let (ahead, learning) = open_all(stage, &database, &children, PrefetchMode::Auto).await?;
    let mut report = |what, measured, promised, opened: &Opened, held| {
        page.row(&Row {
            what,
            measured,
            promised,
            hits: opened.tally.hits,
            loads: opened.tally.loads,
            held,
        });
    };
    let trips = |opened: &Opened| format!("{} trips", opened.trips);
    let all_wait = plain.trips <= plain.reads && plain.tally.loads <= plain.trips;
    report(
        "prefetch off",
        trips(&plain),
        "every miss waits",
        &plain,
        all_wait,
    );
    let is_fewer = ahead.reads == plain.reads && ahead.trips * 3 <= plain.trips * 2;
    report(
        "prefetch on",
        trips(&ahead),
        "a third fewer",
        &ahead,
        is_fewer,
    );
    let off = spoken(plain.waiting);
    report(
        "waiting, prefetch off",
        off,
        "",
        &plain,
        Duration::ZERO < plain.waiting,
    );
    let on = spoken(ahead.waiting);
    let is_shorter = ahead.waiting < plain.waiting;
    report("waiting, prefetch on", on, "less", &ahead, is_shorter);

    let (unused, all) = in_vain(&learning);
    let few = unused < all && unused <= most_in_vain(ahead.reads);
    report(
        "fetched in vain",
        format!("{unused} of {all}"),
        "few",
        &ahead,
        few,
    );
    learning.cache().close().await;
    Ok(())
}

/// Returns how many rows were fetched ahead in vain, and how many in all.
fn in_vain(tales: &Tales) -> (u64, u64) {
    let kinds = tales.cache().stats().kinds;
    let count = |fate: &str| -> u64 {
        let counts = kinds.iter().filter_map(|kind| kind.prefetched.get(fate));
        counts.sum()
    };
    let unused = count("unused");
    (unused, unused + count("used") + count("late"))
}

fn most_in_vain(reads: u64) -> u64 {
    (WASTE * reads as f64) as u64 + FIRST_WASTE
}

/// Opens all children in a service that starts empty, each as one request would.
async fn open_all(
    stage: &Stage,
    database: &Database,
    children: &[Uuid],
    mode: PrefetchMode,
) -> Result<(Opened, Tales), DemoError> {
    let tales = stage.instance_over(database, mode).await?;
    let mut opened = Opened::default();
    let before = Tally {
        hits: 0,
        loads: database.reads(),
    };
    for child in children {
        let request = child.to_string();
        let opening = open(&tales, child, &mut opened);
        tales.cache().context(&request, opening).await?;
    }
    opened.tally = Tally::of(&[&tales], database).since(before);
    Ok((opened, tales))
}

async fn open(tales: &Tales, child: &Uuid, opened: &mut Opened) -> Result<(), DemoError> {
    let found = tales.children.find_by_id_with(child, Freshness::Any);
    opened.read(found).await?;
    let index = StoryIndex::ChildId(*child);
    let stories = tales.stories.find_by_with(&index, Freshness::Any);
    for story in opened.read(stories).await?.iter() {
        if let Some(hero) = &story.hero_id {
            let hero = tales.heroes.find_by_id_with(hero, Freshness::Any);
            opened.read(hero).await?;
        }
    }
    Ok(())
}
