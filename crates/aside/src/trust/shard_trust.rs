//! The fields of a shard that every local hit checks: its last proof and its
//! generation.
//!
//! A proof lasts for H, the staleness bound. The generation is a stripe over all
//! keys of the shard. It is incremented if messages may have been missed, or if a
//! message may concern any key. It has only 32 bits, because every entry stores it,
//! and so it wraps around. Twice per round all local entries are removed
//! (`Tiers::end_round`), so none of half a round ago is left when its generation
//! returns.
//!
//! All shards of a service are in one table, where an entry finds its own by a
//! number. The number of a shard that is gone is used again for another one. Its
//! generation goes on, so no entry of the earlier shard becomes valid.

use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use super::super::runtime::clock::{Moment, whole_millis};
#[cfg(test)]
use super::super::runtime::simulated::{self, Rule};
use super::super::runtime::sync::Mutex;
use super::super::runtime::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use super::proofs::Proofs;

/// The maximum number of shards of a service, above the nodes of any cluster
/// that works (about a thousand with replicas).
const MAX_SHARDS: usize = 512;

/// The trust in each shard of a service.
pub(crate) struct ShardTable {
    /// Behind one pointer, because every hit follows it.
    shards: Arc<[ShardTrust]>,
    /// The numbers that no shard has.
    free: Mutex<Vec<u16>>,
}

impl ShardTable {
    /// Creates a table of shards whose proofs last for `bound`.
    pub(crate) fn new(bound: Duration) -> Arc<Self> {
        Self::of(MAX_SHARDS, || ShardTrust::new(bound))
    }

    /// Creates a table of one shard inside this process, which misses no message.
    pub(crate) fn always() -> Arc<Self> {
        Self::of(1, ShardTrust::always)
    }

    /// Creates a table of `count` shards.
    pub(crate) fn of(count: usize, shard: impl Fn() -> ShardTrust) -> Arc<Self> {
        let last = u16::try_from(count - 1).unwrap_or(u16::MAX);
        Arc::new(Self {
            shards: (0..=last).map(|_| shard()).collect(),
            // The first is taken first.
            free: Mutex::new((0..=last).rev().collect()),
        })
    }

    /// Takes a number for another shard; `None` if there are too many.
    pub(crate) fn take(self: &Arc<Self>) -> Option<TrustOfShard> {
        let number = self.free.lock().pop()?;
        let table = Arc::clone(self);
        Some(TrustOfShard { table, number })
    }

    /// Returns the trust in each shard, by number.
    pub(crate) fn shards(&self) -> &Arc<[ShardTrust]> {
        &self.shards
    }
}

/// The trust in one shard, and its number in the table until it is dropped.
pub(crate) struct TrustOfShard {
    table: Arc<ShardTable>,
    number: u16,
}

impl TrustOfShard {
    pub(crate) fn number(&self) -> u16 {
        self.number
    }

    pub(crate) fn table(&self) -> &Arc<ShardTable> {
        &self.table
    }
}

impl Deref for TrustOfShard {
    type Target = ShardTrust;

    fn deref(&self) -> &ShardTrust {
        &self.table.shards[usize::from(self.number)]
    }
}

impl Drop for TrustOfShard {
    fn drop(&mut self) {
        // Entries of this shard are not valid under the next one.
        self.unsync();
        self.invalidate_all();
        self.table.free.lock().push(self.number);
    }
}

/// The proofs and the generation of one shard.
pub(crate) struct ShardTrust {
    /// How long a proof lasts.
    bound: Duration,
    /// The same in milliseconds, compared on every hit.
    bound_millis: u64,
    /// When the last answered PING was sent, in milliseconds.
    proved: AtomicU64,
    generation: AtomicU32,
    /// Of earlier generations. Locked by the thread that ends one.
    proofs: Mutex<Proofs>,
}

impl ShardTrust {
    /// Creates the trust in a server, without a proof.
    pub(crate) fn new(bound: Duration) -> Self {
        Self::at(Moment::NEVER, bound)
    }

    /// Creates the trust in a tier inside this process, which misses no message.
    pub(crate) fn always() -> Self {
        Self::at(Moment::ALWAYS, Duration::MAX)
    }

    fn at(proved: Moment, bound: Duration) -> Self {
        Self {
            bound,
            bound_millis: whole_millis(bound),
            proved: AtomicU64::new(proved.millis()),
            generation: AtomicU32::new(0),
            proofs: Mutex::default(),
        }
    }

    pub(crate) fn bound(&self) -> Duration {
        self.bound
    }

    /// Returns true if a local entry may be served at `now`. Suspicions need no
    /// check here, because each increments the generation.
    #[inline]
    pub(crate) fn is_synced(&self, now: Moment) -> bool {
        #[cfg(test)]
        if simulated::without(Rule::ProofsAge) {
            return self.proved_at() != Moment::NEVER;
        }
        now.millis().saturating_sub(self.proved_at().millis()) <= self.bound_millis
    }

    /// Returns the time before which every message has been applied here.
    #[inline]
    pub(crate) fn proved_at(&self) -> Moment {
        Moment::from_millis(self.proved.load(Ordering::Acquire))
    }

    /// Records that a PING sent at this time was answered.
    pub(crate) fn prove(&self, sent: Moment) {
        self.proved.fetch_max(sent.millis(), Ordering::AcqRel);
    }

    #[inline]
    pub(crate) fn generation(&self) -> u32 {
        self.generation.load(Ordering::Acquire)
    }

    /// Returns the half of a round that the generation is in.
    pub(crate) fn half(&self) -> u32 {
        self.generation() >> (u32::BITS - 1)
    }

    /// Sets the generation.
    #[cfg(test)]
    pub(crate) fn skip_to(&self, generation: u32) {
        self.generation.store(generation, Ordering::Release);
    }

    /// Invalidates everything, because of a message.
    pub(crate) fn invalidate_all(&self) {
        let mut proofs = self.proofs.lock();
        proofs.heard();
        self.generation.fetch_add(1, Ordering::AcqRel);
    }

    /// Invalidates everything, because messages may have been missed since the last
    /// proof.
    pub(crate) fn lose_touch(&self) {
        self.end(self.proved_at());
    }

    /// The same, and discards the proofs of an earlier connection, which say nothing
    /// about the next one.
    pub(crate) fn unsync(&self) {
        let proved = self.proved.swap(Moment::NEVER.millis(), Ordering::AcqRel);
        self.end(Moment::from_millis(proved));
    }

    fn end(&self, proved: Moment) {
        let mut proofs = self.proofs.lock();
        #[cfg(test)]
        if simulated::without(Rule::ShardGeneration) {
            return;
        }
        let ended = self.generation.fetch_add(1, Ordering::AcqRel);
        proofs.deaf(ended, proved);
    }

    /// Returns since when a copy of this generation may be stale; `None` if a
    /// message since then may concern it. `proved` is the date of the last proof,
    /// read before. `is_unheard` returns true if its stripe heard no message.
    pub(super) fn proved_under(
        &self,
        generation: u32,
        proved: Moment,
        is_unheard: impl FnOnce() -> bool,
    ) -> Option<Moment> {
        let proofs = self.proofs.lock();
        let is_unheard = is_unheard();
        if self.generation() == generation {
            is_unheard.then_some(proved)
        } else {
            is_unheard.then(|| proofs.of(generation)).flatten()
        }
    }
}

impl std::fmt::Debug for ShardTrust {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("ShardTrust")
            .field("generation", &self.generation)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proof_expires_after_the_bound() {
        let trust = ShardTrust::new(Duration::from_millis(500));
        let sent = Moment::from_millis(10_000);
        trust.prove(sent);
        assert!(trust.is_synced(sent.plus(Duration::from_millis(500))));
        assert!(!trust.is_synced(sent.plus(Duration::from_millis(501))));
    }

    #[test]
    fn the_number_of_a_gone_shard_makes_none_of_its_entries_valid_again() {
        let table = ShardTable::of(1, || ShardTrust::new(Duration::MAX));
        let first = table.take().unwrap();
        let (number, generation) = (first.number(), first.generation());
        first.prove(Moment::from_millis(10_000));
        assert!(table.take().is_none(), "the table is full");
        drop(first);
        let second = table.take().unwrap();
        assert_eq!(second.number(), number);
        assert_ne!(second.generation(), generation);
        assert_eq!(second.proved_at(), Moment::NEVER);
    }
}
