//! The part of one repository in the prefetch.

use std::sync::Arc;

use super::learner::{Learner, Trigger};
use super::lists::Rest;
use super::names::Launch;
use super::{Fetcher, Prefetch};
use crate::config::prefetch::PrefetchMode;
use crate::entity::Entity;
use crate::entity::following::Followed;
use crate::entity::key::Key;
use crate::entity::lookup::LookupRef;
use crate::insight::statistics::Guessed;
use crate::local::{Entry, LocalTier};
use crate::runtime::clock::Moment;
use crate::runtime::task;

/// The part of one repository in the prefetch.
pub(crate) struct Ear<E: Entity> {
    pub(super) prefetch: Arc<Prefetch>,
    /// The number of its kind.
    pub(super) number: u8,
    pub(super) fetcher: Arc<dyn Fetcher<E>>,
}

impl<E: Entity> Ear<E> {
    /// Hears of a read that the local store did not serve. Returns its row, if the
    /// buffer has it, after it was moved into the store. Fetches the rows ahead if
    /// `may_fetch` returns true.
    pub(crate) fn hear(
        &self,
        asked: LookupRef<'_, E>,
        key: &Key,
        local: &LocalTier<E>,
        may_fetch: impl Fn() -> bool,
    ) -> Option<Entry<E>> {
        let mode = self.prefetch.mode();
        if mode == PrefetchMode::Off {
            return None;
        }
        let mut learner = self.prefetch.learner.lock();
        let (taken, mut trigger) = self.take(&mut learner, asked, key, local);
        let (mut launches, mut siblings): (Vec<Launch>, _) = (Vec::new(), None);
        if let Some(context) = task::context() {
            let names = learner.names_of::<E>(self.number);
            if names.fetcher.is_gone() {
                names.fetcher = Arc::clone(&self.fetcher);
            }
            let heard = learner.hear((context, Moment::now()), self.number, asked, key);
            siblings = heard.siblings;
            if let Some(row) = heard.row {
                if trigger == Trigger::Miss {
                    trigger = learner.join(row);
                }
                if trigger != Trigger::None && (mode == PrefetchMode::Names || may_fetch()) {
                    launches = learner.fire(row, mode);
                }
            }
            self.prefetch.note_size(&learner);
        }
        drop(learner);
        self.prefetch.launch(launches);
        if let Some((name, rest)) = siblings {
            // Outside of the lock, because it calls the strategy.
            let (followed, may_fetch) = (rest(), self.may_fetch(may_fetch));
            let mut learner = self.prefetch.learner.lock();
            let launches = learner.siblings(&name, &followed, key.hash(), may_fetch);
            drop(learner);
            self.prefetch.launch(launches);
        }
        taken
    }

    /// Returns true if reads are learnt from.
    pub(crate) fn is_listening(&self) -> bool {
        self.prefetch.mode() != PrefetchMode::Off
    }

    fn may_fetch(&self, may_fetch: impl Fn() -> bool) -> bool {
        self.prefetch.mode() == PrefetchMode::Auto && may_fetch()
    }

    /// Hears of the keys that a row names, which was read below the local tier.
    pub(crate) fn follow(&self, followed: &[Followed], may_fetch: impl Fn() -> bool) {
        if followed.is_empty() {
            return;
        }
        let may_fetch = self.may_fetch(may_fetch);
        let mut learner = self.prefetch.learner.lock();
        let launches = learner.follow(self.number, followed, may_fetch);
        drop(learner);
        self.prefetch.launch(launches);
    }

    /// Hears of the keys that the first rows of a list name.
    pub(crate) fn list(&self, first: &[Followed], rest: Rest) {
        if let Some(context) = task::context() {
            let mut learner = self.prefetch.learner.lock();
            learner.list((context, Moment::now()), self.number, first, rest);
        }
    }

    /// Takes the row of a batch's key, which teaches nothing.
    pub(crate) fn take_for_batch(
        &self,
        asked: LookupRef<'_, E>,
        key: impl FnOnce() -> Key,
        local: &LocalTier<E>,
    ) -> Option<Entry<E>> {
        if self.prefetch.is_empty() {
            return None;
        }
        let mut learner = self.prefetch.learner.lock();
        let (taken, _) = self.take(&mut learner, asked, &key(), local);
        self.prefetch.note_size(&learner);
        taken
    }

    /// Moves a row from the buffer into the store, under the lock of the buffer. A
    /// newer row is removed from the buffer before it is stored (`Prefetch::forget`), so
    /// this one can only be stored before it.
    fn take(
        &self,
        learner: &mut Learner,
        asked: LookupRef<'_, E>,
        key: &Key,
        local: &LocalTier<E>,
    ) -> (Option<Entry<E>>, Trigger) {
        let Some(held) = learner.take(key) else {
            return (None, Trigger::Miss);
        };
        let is_valid = self.prefetch.is_valid(learner, &held);
        let Some(row) = held.row else {
            // Only its name was guessed.
            return (None, Trigger::Miss);
        };
        let entry = row.entry.downcast::<Entry<E>>();
        let (true, Ok(entry)) = (is_valid, entry) else {
            learner.count(held.kind, Guessed::Void);
            return (None, Trigger::Miss);
        };
        learner.count(held.kind, Guessed::Used);
        local.insert(asked.to_lookup(), copy(&entry));
        let trigger = match held.has_marker {
            true => Trigger::Marker,
            false => Trigger::None,
        };
        (Some(*entry), trigger)
    }
}

fn copy<E>(entry: &Entry<E>) -> Entry<E> {
    Entry {
        found: entry.found.clone(),
        stamp: entry.stamp,
        epoch: entry.epoch,
        deadline: entry.deadline,
        loaded_at: entry.loaded_at,
        fill: entry.fill,
        payload_bytes: entry.payload_bytes,
    }
}
