//! Lists, served in pages.
//!
//! The cache stores lists as a whole, and pages are cut from them. So a write
//! has only one key to invalidate for all pages. A list that is too large for
//! that is read in pages from the database. Its size shows only while it is
//! loaded, and the load then stops. The result is remembered for a while, so
//! that not every page starts with such a load.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use aside::{Answer, CacheService, CacheStrategy, CachedRepository, Freshness, Rows};

use super::paging::Paging;
use super::problem::Problem;
use super::room::{Memory, Room};
use crate::domain::Row;
use crate::sql::{Bounded, BoundedError, IndexOf, Most, Page, Pages, Position};

/// How long a list counts as too large without another load.
const REMEMBERED_FOR: Duration = Duration::from_secs(10);

/// The maximum number of lists remembered as too large.
const MAX_REMEMBERED: usize = 1024;

/// The lists of one kind.
#[derive(Clone, Debug)]
pub(super) struct Lists<R: Pages> {
    cached: CachedRepository<Bounded<R>>,
    bytes: usize,
    too_large: Arc<Mutex<HashMap<String, Instant>>>,
}

/// Some rows of a list.
#[derive(Debug)]
pub(super) struct Window<E> {
    pub(super) rows: Vec<Arc<E>>,
    /// The position of the last row, if more rows follow it.
    pub(super) next: Option<Position>,
    pub(super) origin: Origin<E>,
}

/// The origin of the rows.
#[derive(Debug)]
pub(super) enum Origin<E> {
    /// The whole list, and how it was read.
    Whole(Answer<Rows<E>>),
    /// The database, because the list is too large; and the memory of the page.
    TooLarge(Memory),
}

impl<R> Lists<R>
where
    R: Pages,
    R::Entity: Row,
{
    /// Creates the lists of `source`, whose kind is cached with `strategy`.
    pub(super) fn new(
        source: R,
        strategy: &impl CacheStrategy<R::Entity>,
        cache: &CacheService,
    ) -> Self {
        let bytes = strategy.list_cap_bytes();
        Self {
            cached: CachedRepository::new(Bounded::new(source, bytes), cache),
            bytes,
            too_large: Arc::default(),
        }
    }

    /// Reads a page of the list of `index`, or of all rows.
    pub(super) async fn read(
        &self,
        index: Option<IndexOf<R>>,
        paging: &Paging,
        room: &Room,
    ) -> Result<Window<R::Entity>, Problem> {
        if !self.is_too_large(paging.list()) {
            let read = match &index {
                None => self.cached.list_all_with(Freshness::Any).await,
                Some(index) => self.cached.find_by_with(index, Freshness::Any).await,
            };
            match read {
                Ok(answer) => return Ok(cut(answer, paging)),
                Err(BoundedError::TooLarge) => self.remember(paging.list()),
                Err(BoundedError::Tale(error)) => return Err(error.into()),
            }
        }
        let most = Most {
            rows: paging.most(),
            bytes: self.bytes,
        };
        let after = paging.after().unwrap_or_else(Position::first);
        let source = self.cached.source().inner();
        let page: Page<R::Entity> = source.page(index.as_ref(), after, most).await?;
        let mut memory = room.memory();
        memory.grow_to(page.bytes)?;
        let next = page.rows.last().filter(|_| page.more);
        Ok(Window {
            next: next.map(|row| Position::of(&**row)),
            rows: page.rows,
            origin: Origin::TooLarge(memory),
        })
    }

    fn is_too_large(&self, list: &str) -> bool {
        let too_large = self
            .too_large
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let noticed = too_large.get(list);
        noticed.is_some_and(|noticed| noticed.elapsed() < REMEMBERED_FOR)
    }

    fn remember(&self, list: &str) {
        let mut too_large = self
            .too_large
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if MAX_REMEMBERED <= too_large.len() {
            too_large.clear();
        }
        too_large.insert(list.to_owned(), Instant::now());
    }
}

/// Cuts a page from a whole list.
fn cut<E: Row>(answer: Answer<Rows<E>>, paging: &Paging) -> Window<E> {
    let all = &answer.value;
    let from = paging.after().map_or(0, |after| {
        all.partition_point(|row| Position::of(&**row) <= after)
    });
    let rest = &all[from..];
    let rows = rest[..rest.len().min(paging.most())].to_vec();
    let next = rows.last().filter(|_| rows.len() < rest.len());
    Window {
        next: next.map(|row| Position::of(&**row)),
        rows,
        origin: Origin::Whole(answer),
    }
}
