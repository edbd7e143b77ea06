//! A warm-up from the hot set: the rows that instances held, Redis first.

use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::time::Instant;

use crate::cached_repository::CachedRepository;
use crate::cached_repository::pace::Pace;
use crate::cached_repository::warm_up::{WarmUpOptions, Warming};
use crate::entity::Entity;
use crate::entity::lookup::{Lookup, LookupRef};
use crate::entity::segment::read_lookup;
use crate::insight::statistics::Operation;
use crate::insight::warm_ups::WarmUpProgress;
use crate::repository::Source;

/// The number of keys that one instance loads for all.
const KEYS_PER_PART: usize = 500;

/// How long an instance has the right to load a part.
const PART_CLAIM: Duration = Duration::from_secs(30);

/// How long another instance has time to load its parts.
const OTHERS: Duration = Duration::from_secs(1);

/// The rows of one part that Redis does not have.
struct Part<'a, E: Entity> {
    number: usize,
    missing: Vec<LookupRef<'a, E>>,
}

impl<R: Source> CachedRepository<R> {
    /// Reads the hot set, in three steps: rows that Redis has, rows of the parts that no
    /// other instance loads, and rows that the others have loaded by then.
    pub(super) async fn warm_hot(
        &self,
        how: &WarmUpOptions,
        progress: &mut impl FnMut(WarmUpProgress),
    ) -> Result<WarmUpProgress, R::Error> {
        let hot = match self.read.kind.local {
            Some(_) => self.read.tiers().hot_set(R::Entity::KIND).await,
            None => Vec::new(),
        };
        let lookups = hot.iter().filter_map(|text| read_lookup(text));
        let is_row = |lookup: &Lookup<R::Entity>| matches!(lookup, Lookup::Id(_));
        let (rows, mut lists): (Vec<_>, Vec<_>) = lookups.partition(is_row);
        if !how.lists {
            lists.clear();
        }
        let mut warming = Warming::new(&self.read, rows.len() + lists.len());
        progress(warming.state());
        let Some(parts) = self.take_stored(&rows, &mut warming, progress).await else {
            return Ok(warming.state());
        };
        let mut pace = Pace::new(self.read.tiers().config.source_concurrency / 2);
        let mut of_others = Vec::new();
        for part in parts {
            if !warming.goes_on().await {
                return Ok(warming.state());
            }
            let name = format!("warm:{}:{}", R::Entity::KIND, part.number);
            match self.read.tiers().claim(&name, PART_CLAIM).await {
                true => {
                    self.load(&part.missing, how, (&mut pace, &mut warming, progress))
                        .await?;
                }
                false => of_others.extend(part.missing),
            }
        }
        for list in &lists {
            if !warming.goes_on().await {
                return Ok(warming.state());
            }
            self.warm_list(list.asked()).await?;
            warming.state.done += 1;
            progress(warming.state());
        }
        if !of_others.is_empty() {
            tokio::time::sleep(OTHERS).await;
            self.read.read_stored(&of_others, Operation::WarmUp).await;
            // The rest is read when a caller asks for it.
            warming.state.done += of_others.len();
            progress(warming.state());
        }
        Ok(warming.state())
    }

    /// Takes the rows that Redis has. Returns the parts with others; `None` if Redis is
    /// not used any more.
    async fn take_stored<'a>(
        &self,
        rows: &'a [Lookup<R::Entity>],
        warming: &mut Warming<'_, R>,
        progress: &mut impl FnMut(WarmUpProgress),
    ) -> Option<Vec<Part<'a, R::Entity>>> {
        let mut parts = Vec::new();
        for (number, part) in rows.chunks(KEYS_PER_PART).enumerate() {
            if !warming.goes_on().await {
                return None;
            }
            let asked: Vec<_> = part.iter().map(Lookup::asked).collect();
            let missing = self.read.read_stored(&asked, Operation::WarmUp).await;
            warming.state.done += asked.len() - missing.len();
            progress(warming.state());
            if !missing.is_empty() {
                parts.push(Part { number, missing });
            }
        }
        Some(parts)
    }

    /// Loads rows in batches, as many at once as the database bears.
    async fn load(
        &self,
        missing: &[LookupRef<'_, R::Entity>],
        how: &WarmUpOptions,
        (pace, warming, progress): (
            &mut Pace,
            &mut Warming<'_, R>,
            &mut impl FnMut(WarmUpProgress),
        ),
    ) -> Result<(), R::Error> {
        let mut batches = missing.chunks(how.batch.max(1));
        let mut running = FuturesUnordered::new();
        loop {
            while running.len() < pace.allowed()
                && let Some(batch) = batches.next()
            {
                let begun = Instant::now();
                running.push(async move {
                    let rows = batch.iter().copied();
                    let read = self.read.read_many(rows, Operation::WarmUp).await;
                    (read.map(|rows| rows.len()), begun.elapsed())
                });
            }
            let Some((read, took)) = running.next().await else {
                return Ok(());
            };
            warming.state.done += read?;
            pace.took(took);
            progress(warming.state());
        }
    }
}
