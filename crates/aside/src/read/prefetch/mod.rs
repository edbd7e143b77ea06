//! Rows and lists that are fetched before they are read.
//!
//! A guess is filled like any read: its generations are taken before the GET, its
//! conditions before the ACQUIRE, and it is kept only if Redis has taken the fill. It
//! leads an ordinary flight, so a caller that asks for the key meanwhile joins. A guess
//! that may not be filled now is dropped, where a caller would go to the database.

mod load;
mod look;
mod follow;

use std::sync::{Arc, Weak};

use crate::entity::Entity;
use crate::entity::key::Key;
use crate::entity::lookup::{Found, Lookup, LookupRef};
use crate::insight::statistics::{Guessed, Operation, increment};
use crate::local::flight::Outcome;
use crate::prefetch::{Ear, Fetcher, Flying, Guess, Prefetch};
use crate::read::result::ReadResult;
use crate::read::{Leader, ReadPath, source};
use crate::repository::Source;
use crate::runtime::task;
use crate::service::WeakService;
use crate::tiers::kind::{Cached, Kind, ReadContext};

/// The size of a list above which it is not fetched on a guess again.
const MAX_LIST_BYTES: usize = 64 * 1024;

/// Fetches guesses for a repository, as long as it and the service live.
struct Fetch<R: Source> {
    source: Weak<R>,
    cache: WeakService,
    kind: Weak<Kind<R::Entity>>,
}

/// A guess whose flight this task leads.
struct Ahead<R: Source> {
    leader: Leader<R>,
    key: Key,
    context: ReadContext,
    flying: Flying,
    /// The observation of the flight that the result rests on.
    observation: u32,
    /// Only while it is missing: the header of a value that must not be served.
    observed: Option<Vec<u8>>,
}

impl<R: Source> Fetcher<R::Entity> for Fetch<R> {
    fn is_gone(&self) -> bool {
        self.source.strong_count() == 0 || self.kind.strong_count() == 0 || self.cache.is_gone()
    }

    fn is_held(&self, asked: LookupRef<'_, R::Entity>) -> bool {
        let kind = self.kind.upgrade();
        kind.is_none_or(|kind| kind.local.as_ref().is_none_or(|local| local.has(asked)))
    }

    fn fetch(&self, guesses: Vec<Guess<R::Entity>>) {
        let source = self.source.upgrade();
        let (Some(source), Some(cache), Some(kind)) =
            (source, self.cache.upgrade(), self.kind.upgrade())
        else {
            return;
        };
        let (rows, lists): (Vec<_>, Vec<_>) = guesses
            .into_iter()
            .partition(|guess| matches!(guess.lookup, Lookup::Id(_)));
        // Each list by its own query, so that one does not wait for another.
        let batches = std::iter::once(rows).chain(lists.into_iter().map(|list| vec![list]));
        for batch in batches.filter(|batch| !batch.is_empty()) {
            let read = ReadPath::of(Arc::clone(&source), cache.clone(), Arc::clone(&kind));
            task::spawn(async move { read.fetch_ahead(batch).await });
        }
    }
}

impl<R: Source> ReadPath<R> {
    /// Registers this repository for guesses.
    pub(super) fn listen(&self) -> Option<Arc<Ear<R::Entity>>> {
        let tiers = self.tiers();
        if self.kind.local.is_none() || !self.kind.strategy.prefetch() {
            return None;
        }
        let fetch = Fetch {
            source: Arc::downgrade(&self.source),
            cache: self.cache.downgrade(),
            kind: Arc::downgrade(&self.kind),
        };
        let epoch = tiers.epochs.of(R::Entity::KIND);
        let ear = tiers
            .prefetch
            .register(&self.kind.statistics, &epoch, Arc::new(fetch));
        ear.map(Arc::new)
    }

    fn prefetch(&self) -> &Arc<Prefetch> {
        &self.tiers().prefetch
    }

    /// Learns from a read that the local tier did not serve. Returns its result if it
    /// was fetched before.
    pub(super) fn ahead_of_read(
        &self,
        asked: LookupRef<'_, R::Entity>,
        key: &Key,
        operation: Operation,
    ) -> Option<ReadResult<R::Entity>> {
        let (ear, local) = (self.ear.as_ref()?, self.kind.local.as_ref()?);
        let is_single = matches!(operation, Operation::FindById | Operation::FindBy);
        let is_all = matches!(asked, LookupRef::All);
        if !is_single || is_all || source::is_in_a_load() {
            return None;
        }
        let entry = ear.hear(asked, key, local, || self.may_guess())?;
        Some(ReadResult::local(entry))
    }

    /// Returns true unless callers would wait for a guess.
    fn may_guess(&self) -> bool {
        !self.tiers().origin.is_full() && !self.kind.is_slow()
    }

    /// Returns the result for a lookup of a batch, if it was fetched before; counted as
    /// a hit.
    pub(super) fn ahead_of_batch(
        &self,
        asked: LookupRef<'_, R::Entity>,
        operation: Operation,
    ) -> Option<Found<R::Entity>> {
        let (ear, local) = (self.ear.as_ref()?, self.kind.local.as_ref()?);
        let key = || asked.key(self.tiers().namespace());
        let result = ReadResult::local(ear.take_for_batch(asked, key, local)?);
        self.count(asked, operation, result.outcome(), &result.provenance);
        Some(result.found)
    }

    /// Removes a row that was fetched before, because a read has seen a newer one, or
    /// may have.
    pub(super) fn forget_ahead(&self, asked: LookupRef<'_, R::Entity>) {
        if !self.prefetch().is_empty() {
            let key = asked.key(self.tiers().namespace());
            self.prefetch().forget(&key);
        }
    }

    /// Fetches guesses, all of ids or one list.
    async fn fetch_ahead(self, guesses: Vec<Guess<R::Entity>>) {
        let prefetch = Arc::clone(self.prefetch());
        let Some(asking) = prefetch.turn_to_ask() else {
            return self.give_up_ahead(guesses.iter().map(|guess| &guess.flying));
        };
        let ahead = self.lead_ahead(guesses);
        if ahead.is_empty() {
            return;
        }
        increment(&prefetch.batches);
        let missing = self.look_ahead(ahead).await;
        drop(asking);
        if missing.is_empty() {
            return;
        }
        match prefetch.turn_to_load() {
            Some(_loading) => self.load_ahead(missing).await,
            None => self.give_up_ahead(missing.iter().map(|ahead| &ahead.flying)),
        }
    }

    /// Counts guesses that cannot be fetched or filled now.
    fn give_up_ahead<'a>(&self, flying: impl Iterator<Item = &'a Flying>) {
        for flying in flying {
            self.prefetch().count(flying, Guessed::Refused);
        }
    }

    /// Ends the flight of a guess whose value Redis has. A row that a reader waits for is
    /// kept in the local tier, any other in the buffer.
    fn arrived(&self, ahead: Ahead<R>, cached: &Cached<R::Entity>) {
        let (prefetch, flying) = (self.prefetch(), &ahead.flying);
        if ahead.leader.has_followers() || prefetch.is_awaited(flying) {
            self.kind.keep(ahead.leader.key(), cached, ahead.context);
            prefetch.count(flying, Guessed::Late);
        } else if matches!(cached.found, Found::List(_)) && MAX_LIST_BYTES < cached.payload_bytes {
            prefetch.too_large(flying);
            prefetch.count(flying, Guessed::Refused);
        } else {
            let entry = self.kind.entry(cached, ahead.context);
            prefetch.keep(flying, &ahead.key, entry);
        }
        ahead.leader.finish(Outcome {
            value: Arc::new(cached.flight_result()),
            step: ahead.observation,
            shared_under: Some(ahead.context),
        });
    }
}
