//! The caching strategy of one kind.

use std::any::Any;
use std::fmt;
use std::time::Duration;

use crate::entity::codec::{Codec, Json};
use crate::entity::{Dependents, Entity, Following};

/// How the rows of one kind are cached; every method has a safe default.
///
/// A service has one strategy per kind. A later one of the same type and with
/// the same `Debug` text as the first had when registered counts as the same
/// strategy, so a repository may be built per request. Any other replaces it:
/// that is logged, and the kind's local entries are lost.
///
/// ```
/// use std::time::Duration;
/// use aside::{CacheStrategy, Entity};
///
/// #[derive(Debug)]
/// struct Briefly;
///
/// impl<E: Entity> CacheStrategy<E> for Briefly {
///     fn default_ttl(&self) -> Option<Duration> {
///         Some(Duration::from_secs(5))
///     }
/// }
/// ```
pub trait CacheStrategy<E: Entity>: Any + fmt::Debug + Send + Sync {
    /// Returns how long Redis keeps a value. `None`, the default: as the setting
    /// `CACHE_DEFAULT_TTL`. If an operator sets `CACHE_{KIND}_TTL`, that counts
    /// instead.
    ///
    /// It bounds memory, and the age of values changed without an invalidation.
    /// It does not affect the staleness of writes through the repository.
    fn default_ttl(&self) -> Option<Duration> {
        None
    }

    /// Returns how long Redis caches an absence (no such row, or an empty
    /// list), at most `default_ttl`. Default: 60 seconds. Zero: absences are
    /// not cached.
    fn negative_ttl(&self) -> Duration {
        Duration::from_secs(60)
    }

    /// Returns true if the database finds a row by exactly one text of its id,
    /// as in a column compared byte by byte. Default: false.
    ///
    /// If false, absent rows are not cached and each read of an absent id
    /// queries the database: a write under another spelling of the id would
    /// have to end the absence, and does not know that spelling. Absences of
    /// integer ids and lower-case UUIDs are cached in any case, because they
    /// have one spelling.
    fn ids_are_exact(&self) -> bool {
        false
    }

    /// Returns how long this process keeps a value, never beyond the value's
    /// TTL. `None`, the default: no further limit.
    fn local_ttl(&self) -> Option<Duration> {
        None
    }

    /// Returns the part of a TTL, 0.0 to 1.0, within which a random amount is
    /// subtracted, so that values filled together do not expire together.
    /// Default: 0.1, so a TTL is 0.9 to 1 of the setting. 0 keeps the setting
    /// exactly.
    fn jitter(&self) -> f64 {
        0.1
    }

    /// Returns the last part of a TTL, at most 0.5, in which a read has the value loaded
    /// anew while it is served. `None`, the default: a value is loaded after its end,
    /// by a reader that waits for it.
    ///
    /// 0.1 costs a tenth more loads, and readers of a key that is read more often than
    /// that no longer wait at the end of its TTL. Each value has its own moment in that
    /// part. One instance loads it, and never while a write of the key is in progress.
    /// If the load fails, the value lives until its end. A kind with slow loads begins
    /// earlier: at least twice the time of a slow load before the end, within half of
    /// the TTL.
    fn early_refresh(&self) -> Option<f64> {
        None
    }

    /// Returns true if reads fill the cache. Default: true.
    fn cache_on_read(&self) -> bool {
        true
    }

    /// Returns true if a write leaves the new row under its id key, in Redis
    /// and in the writing process. Default: true.
    ///
    /// A row is left only in the form that reads return. So a write may read
    /// its row back after the commit: one `find_by_id`, bounded by
    /// `CACHE_OPERATION_TIMEOUT_MS`. It does so if a field has a value that no
    /// earlier write has read back: each of the first 16 values of a field, and
    /// always the first `null`, `true`, `false`, 0 or empty value. A row that
    /// reads omit or change is not left, and is counted as `write_not_shown`.
    ///
    /// Return false if the row that reads return depends on more than one
    /// field, as with a joined table, or if the database changes the row after
    /// `RETURNING` (AFTER triggers).
    fn cache_on_write(&self) -> bool {
        true
    }

    /// Returns true if rows and lists of this kind may be fetched before they are read,
    /// if `CACHE_PREFETCH` allows it. Default: true.
    ///
    /// Return false if loads have side effects, or cost far more than they save.
    fn prefetch(&self) -> bool {
        true
    }

    /// Returns this kind's share of the memory for local entries. All kinds
    /// share one memory, and the entries that were read least recently are
    /// evicted, of any kind. Default: 1. Zero: no local entries.
    ///
    /// A kind with a share above 1 keeps its part even if other kinds are read
    /// more: its share divided by the shares of all kinds. It may use more.
    fn local_share(&self) -> u32 {
        1
    }

    /// Returns how stale a value may be that is served if the database fails,
    /// or has no free slot for the read in time. `None`, the default: the
    /// caller gets the error.
    ///
    /// The limit counts from the last proof that this process had received
    /// every invalidation. It also bounds how long beyond its TTL a value may
    /// be served. Values whose invalidation this process received, including by
    /// its own writes, are never served, nor values older than one it has
    /// returned since. Only [`Freshness::Any`] reads are served stale, only
    /// from local entries, and [`Answer::stale`] is set.
    ///
    /// The idea is that of `stale-if-error` in HTTP (RFC 5861); the bound is
    /// not.
    ///
    /// [`Freshness::Any`]: crate::Freshness::Any
    /// [`Answer::stale`]: crate::Answer::stale
    fn stale_if_error(&self) -> Option<Duration> {
        None
    }

    /// Returns how long a load of this kind may take, batches included. After
    /// that the query is dropped and its callers get the repository's
    /// [`overloaded`] error. `None`, the default: the setting
    /// `CACHE_LOAD_TIMEOUT_MS`.
    ///
    /// [`overloaded`]: crate::Source::overloaded
    fn load_timeout(&self) -> Option<Duration> {
        None
    }

    /// Returns after which time a caller that waits for a load gets the older value
    /// that it may have by [`stale_if_error`](Self::stale_if_error). The load goes on
    /// and fills the cache. `None`, the default: it waits.
    ///
    /// [`Timeouts`](crate::Timeouts) sets it for one call.
    fn soft_timeout(&self) -> Option<Duration> {
        None
    }

    /// Returns after which time a caller that waits for a load gets the repository's
    /// [`overloaded`] error. The load goes on and fills the cache, until its own
    /// [`load_timeout`](Self::load_timeout). `None`, the default: the caller waits for
    /// that.
    ///
    /// [`overloaded`]: crate::Source::overloaded
    fn hard_timeout(&self) -> Option<Duration> {
        None
    }

    /// Returns the largest payload of a list that is cached, in bytes. Larger
    /// lists are returned but not cached. Default: 1 MiB.
    fn list_cap_bytes(&self) -> usize {
        1024 * 1024
    }

    /// Adds keys that change with this row and can be computed from it alone.
    ///
    /// Called with the row before and the row after, by processes that
    /// registered this strategy. [`Entity::dependents`] is called by every
    /// process that writes the type.
    fn dependents(&self, row: &E, keys: &mut Dependents<'_>) {
        let _ = (row, keys);
    }

    /// Adds the rows and lists that a caller of this row often reads next, as far as
    /// they can be computed from it alone. Default: none.
    ///
    /// They are fetched ahead, if [`CACHE_PREFETCH`](crate::CacheConfig::prefetch) is
    /// `auto`, the kinds have repositories of this service, and most of them are read.
    /// That is measured before anything is fetched. A caller that goes through a list and
    /// reads the row that each of its rows names waits for few round trips: after two
    /// of them, those of all other rows are fetched at once.
    ///
    /// Called for rows that Redis or the database returned, never for a hit in this
    /// process.
    ///
    /// ```
    /// # use aside::{CacheStrategy, Entity};
    /// # use aside::entity::Following;
    /// # use serde::{Deserialize, Serialize};
    /// # #[derive(Clone, Serialize, Deserialize, Entity)]
    /// # #[entity(kind = "customer")]
    /// # struct Customer { #[entity(id)] id: u64 }
    /// # #[derive(Clone, Serialize, Deserialize, Entity)]
    /// # #[entity(kind = "order")]
    /// # struct Order { #[entity(id)] id: u64, customer: u64 }
    /// #[derive(Debug)]
    /// struct Orders;
    ///
    /// impl CacheStrategy<Order> for Orders {
    ///     fn follow(&self, order: &Order, next: &mut Following<'_>) {
    ///         next.row::<Customer>(&order.customer);
    ///     }
    /// }
    /// ```
    fn follow(&self, row: &E, next: &mut Following<'_>) {
        let _ = (row, next);
    }

    /// Returns the codec of a row. Default: [`Json`].
    fn codec(&self) -> &dyn Codec<E> {
        &Json
    }
}

/// The strategy of a kind without one: settings alone.
#[derive(Clone, Copy, Debug, Default)]
pub struct DefaultStrategy;

impl<E: Entity> CacheStrategy<E> for DefaultStrategy {}
