//! A write: its changes, and the invalidation around its commit.
//!
//! ```text
//! lock, write     record      quarantine        COMMIT       release
//! ───────────────────┬───────────┬─────────────────┬────────────┬─────
//! copies may exist   │           │ none exist, none can be made │
//! ```
//!
//! Between quarantine and release no copy of a changed key exists in Redis, and
//! none can be made. A reader in between reads the database, before or after
//! the commit, and cannot cache the result. A writer that crashes in between
//! leaves its quarantine behind, which expires.
//!
//! A write has one of three verdicts. Committed and rolled back are certain,
//! and release the keys at once. Any other end is ambiguous (the connection
//! broke during the COMMIT, the future was dropped): the transaction may still
//! commit, so the quarantine is left to expire.

mod quarantine;
mod value;
mod release;
mod verdict;
mod by_key;
pub(crate) mod failure;
pub(crate) mod transaction;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use crate::entity::key::{Key, KeyWriter};
use crate::entity::lookup::LookupRef;
use crate::entity::{self, Dependents, Entity};
use crate::protocol::Token;
use crate::recovery::journal::whole_kind;
use crate::tiers::Tiers;
use crate::tiers::own_journal_rows::Journalled;

use value::{NewRow, NewValue};

/// One write: its changes, and the invalidation around its commit.
///
/// A repository receives one from the cache in front of it. For your own
/// transaction, [`CacheService::begin`](crate::CacheService::begin) does all
/// of this. Otherwise create one with
/// [`CacheService::write`](crate::CacheService::write). Record every change,
/// call [`before_commit`](Self::before_commit) last before the commit, and
/// report the result.
///
/// # Cancellation
/// A `Write` dropped after `before_commit` and without a verdict counts as
/// ambiguous: its keys are read from the database for
/// `CACHE_QUARANTINE_TTL_MS`, and then invalidated once more.
pub struct Write {
    tiers: Option<Arc<Tiers>>,
    /// True if new rows may be left in Redis, which requires that the library
    /// itself sees the commit.
    leaves_values: bool,
    recorded: Vec<Recorded>,
    known: HashSet<Key>,
    /// The number of keys of each kind.
    counts: BTreeMap<&'static str, u64>,
    whole_kinds: Vec<&'static str>,
    values: HashMap<Key, Box<dyn NewValue>>,
    rounds: Vec<Round>,
    unquarantined: Vec<String>,
    /// True if Redis did not acknowledge the invalidation of a whole kind.
    lacks_epoch: bool,
    /// Ids of journal rows for whole kinds of this write.
    journalled: Mutex<Vec<i64>>,
    attempted: bool,
    rolled_back: bool,
    /// When `before_commit` returned, until the verdict.
    quarantined_at: Option<Instant>,
}

struct Recorded {
    key: Key,
    kind: &'static str,
}

/// One QUARANTINE pipeline.
struct Round {
    writer: Token,
    begun: Instant,
    acknowledged: Vec<Key>,
    /// Unreleased on this instance because no reply arrived.
    unreleased: Vec<Key>,
    /// Sent, without a reply yet.
    sent: Vec<Key>,
}

/// Keys whose quarantine Redis did not acknowledge.
///
/// They belong in the journal, in the same transaction. Otherwise other
/// instances learn of them only when this one reaches Redis again.
#[derive(Debug)]
pub struct Unacknowledged<'w> {
    keys: &'w [String],
    kinds: &'w [&'static str],
    lacks_epoch: bool,
    journalled: &'w Mutex<Vec<i64>>,
    own: Option<&'w Journalled>,
}

impl Unacknowledged<'_> {
    /// Returns the keys as they are in Redis.
    #[must_use]
    pub fn keys(&self) -> &[String] {
        self.keys
    }

    /// Returns true if every key was acknowledged. A write of whole kinds has
    /// journal entries even then.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Returns true if every key and every whole kind was acknowledged.
    pub(crate) fn is_acknowledged(&self) -> bool {
        self.is_empty() && !self.lacks_epoch
    }

    /// Returns the journal entries for whole kinds, one row each. Without them,
    /// a crash before the second invalidation would leave values read in
    /// between. Pass the ids of their rows to [`record_journal_ids`](Self::record_journal_ids).
    pub fn kinds(&self) -> impl Iterator<Item = String> {
        self.kinds.iter().map(|kind| whole_kind(kind))
    }

    /// Returns all journal entries, one row each: the keys and the whole kinds.
    pub fn journal_entries(&self) -> impl Iterator<Item = String> {
        self.keys.iter().cloned().chain(self.kinds())
    }

    /// Records the ids of the journal rows for whole kinds. They are deleted
    /// after this write has invalidated the kinds following its commit.
    /// Otherwise they are applied like any other row, which empties the kinds'
    /// caches once more.
    pub fn record_journal_ids(&self, ids: &[i64]) {
        if let Some(own) = self.own {
            own.begin(ids);
            self.journalled.lock().extend(ids);
        }
    }
}

impl Write {
    /// Creates a write that affects no cache.
    #[must_use]
    pub fn uncached() -> Self {
        Self::new(None, false)
    }

    /// Returns true if the write affects no cache: instances learn of its
    /// changes only if the database notifies them.
    #[must_use]
    pub fn is_uncached(&self) -> bool {
        self.tiers.is_none()
    }

    /// Creates a write for the caller's own transaction.
    pub(crate) fn of_caller(tiers: Arc<Tiers>) -> Self {
        Self::new(Some(tiers), false)
    }

    /// Creates a write whose end the decorator observes.
    pub(crate) fn of_repository(tiers: Arc<Tiers>) -> Self {
        Self::new(Some(tiers), true)
    }

    fn new(tiers: Option<Arc<Tiers>>, leaves_values: bool) -> Self {
        Self {
            tiers,
            leaves_values,
            recorded: Vec::new(),
            known: HashSet::new(),
            counts: BTreeMap::new(),
            whole_kinds: Vec::new(),
            values: HashMap::new(),
            rounds: Vec::new(),
            unquarantined: Vec::new(),
            lacks_epoch: false,
            journalled: Mutex::default(),
            attempted: false,
            rolled_back: false,
            quarantined_at: None,
        }
    }

    /// Records a row that this transaction inserted, as the database returned
    /// it.
    pub fn created<E: Entity>(&mut self, after: &E) {
        self.record(None, Some(after));
    }

    /// Records a row that this transaction changed: `before` as it was under
    /// its lock, `after` as the database returned it, and as reads return it.
    ///
    /// A row that reads omit from now on, as after a soft delete, is
    /// [`deleted`](Self::deleted).
    pub fn updated<E: Entity>(&mut self, before: &E, after: &E) {
        self.record(Some(before), Some(after));
    }

    /// Records a row that this transaction deleted, or that reads omit from now
    /// on, as it was under its lock.
    pub fn deleted<E: Entity>(&mut self, before: &E) {
        self.record(Some(before), None);
    }

    /// Records a row that an upsert (`ON CONFLICT`) stored: `before` as it was
    /// under its lock, or `None` if there was none.
    ///
    /// If the statement does not return the replaced row, lock and read it
    /// first. Otherwise the lists that contained it stay stale until their TTL.
    /// [`whole_kind`](Self::whole_kind) is also correct, but invalidates the
    /// whole kind.
    pub fn upserted<E: Entity>(&mut self, before: Option<&E>, after: &E) {
        self.record(before, Some(after));
    }

    /// Records that any row of the kind may have changed, as after a statement
    /// that changes unknown rows, or more than a thousand.
    pub fn whole_kind<E: Entity>(&mut self) {
        if !self.whole_kinds.contains(&E::KIND) {
            self.whole_kinds.push(E::KIND);
        }
    }

    fn record<E: Entity>(&mut self, before: Option<&E>, after: Option<&E>) {
        let Some(tiers) = self.tiers.clone() else {
            return;
        };
        let namespace = tiers.namespace();
        let kind = tiers.kind_of_write::<E>();
        // The rows of another type do not determine the lists of the cached
        // one.
        if kind.is_none() && tiers.other_type::<E>().is_some() {
            self.whole_kind::<E>();
        }
        // Usually both rows have one id and are in the same lists, and creating
        // keys is the most expensive part here. Equal values with different
        // texts have different keys.
        let (mut fill_context, mut lists) = (None, Vec::new());
        let mut known: Option<(&E::Id, Key)> = None;
        for row in before.into_iter().chain(after) {
            let id = match known.take() {
                Some((id, key)) if E::HAS_EXACT_ID && id == row.id() => key,
                _ => entity::id_key::<E>(namespace, row.id()),
            };
            // The last row recorded under an id replaces earlier ones.
            let replaced = self.values.remove(&id);
            fill_context = replaced
                .and_then(|value| value.fill_context())
                .or(fill_context);
            self.add(id.clone(), E::KIND);
            known = Some((row.id(), id));
            row.indexes(&mut |index| {
                if stays(before, after, &index) {
                    return;
                }
                if !(E::HAS_EXACT_INDEXES && lists.contains(&index)) {
                    self.add(entity::index_key::<E>(namespace, &index), E::KIND);
                    lists.push(index);
                }
            });
            // Under its own kind: a write of too many keys invalidates whole kinds.
            let mut add = |key: KeyWriter, kind: &'static str| self.add(key.finish(), kind);
            let mut dependents = Dependents::new(namespace, &mut add);
            row.dependents(&mut dependents);
            if let Some(kind) = &kind {
                kind.strategy.dependents(row, &mut dependents);
            }
        }
        if entity::touches_all::<E>() {
            self.add(entity::all_key(namespace, E::KIND), E::KIND);
        }
        if let (true, Some(kind), Some(row), Some((_, id))) =
            (self.leaves_values, kind, after, known)
            && kind.strategy.cache_on_write()
        {
            let row = Arc::new(row.clone());
            let value = NewRow {
                kind,
                row,
                fill_context,
                leaving: None,
                ttl: Duration::ZERO,
            };
            self.values.insert(id, Box::new(value));
        }
    }

    fn add(&mut self, key: Key, kind: &'static str) {
        if self.known.insert(key.clone()) {
            *self.counts.entry(kind).or_default() += 1;
            self.recorded.push(Recorded { key, kind });
        }
    }
}

/// Returns true if a changed row keeps its place in a list of ids, which is then left
/// alone.
fn stays<E: Entity>(before: Option<&E>, after: Option<&E>, index: &E::Index) -> bool {
    let (true, Some((before, after))) = (E::HAS_ID_LISTS, before.zip(after)) else {
        return false;
    };
    let list = LookupRef::<E>::Index(index);
    E::is_list_of_ids(index)
        && before.id() == after.id()
        && list.admits(before)
        && list.admits(after)
        && !before.moves_in(after, index)
}

impl fmt::Debug for Write {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Write")
            .field("keys", &self.known.len())
            .field("attempted", &self.attempted)
            .finish_non_exhaustive()
    }
}
