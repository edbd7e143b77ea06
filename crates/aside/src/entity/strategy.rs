//! How one kind of row is cached.

use std::any::Any;
use std::fmt;
use std::time::Duration;

use crate::entity::codec::{Codec, Json};
use crate::entity::{Dependents, Entity};

/// How the rows of one kind are cached; every method has a safe default.
///
/// A service has one strategy for each kind. One of the same type, whose `Debug`
/// text is what that of the first was when it was registered, is the same strategy,
/// so a repository may be built for each request. Another one replaces it, which is
/// logged, and the kind's entries in this process are lost.
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
    /// How long Redis keeps a value. `None`, the default, is the kind's own
    /// setting `CACHE_{KIND}_TTL`, else `CACHE_DEFAULT_TTL`. It bounds memory
    /// and the age of what nobody reported changed, never the staleness of a
    /// write through the repository.
    fn default_ttl(&self) -> Option<Duration> {
        None
    }

    /// How long Redis keeps the knowledge that nothing was found, at most
    /// `default_ttl`: that a row does not exist, or that a list is empty.
    /// Default: 60 seconds. Zero: absences are not cached.
    fn negative_ttl(&self) -> Duration {
        Duration::from_secs(60)
    }

    /// Whether the database finds a row by its id under no other text, as where the
    /// column is compared byte by byte. Default: false. Then the knowledge that a
    /// row does not exist is not cached, and each read of such an id asks the
    /// database: a row that is written under another spelling would end it, and
    /// that write does not know the spelling. Ids that are integers or UUIDs in
    /// lower case have one, and their absence is cached whatever this says.
    fn ids_are_exact(&self) -> bool {
        false
    }

    /// How long this process keeps a value, never beyond the value's own
    /// TTL. `None`, the default, adds no limit of its own.
    fn in_process_ttl(&self) -> Option<Duration> {
        None
    }

    /// The part of a TTL, 0.0 to 1.0, that is drawn at random and taken off,
    /// so that values filled together do not expire together. Default: 0.
    fn jitter(&self) -> f64 {
        0.0
    }

    /// Whether a read fills the cache. Default: true.
    fn cache_on_read(&self) -> bool {
        true
    }

    /// Whether a write leaves the new row under its id key, in Redis and in the
    /// process that wrote it. Default: true.
    ///
    /// A row is left only as reads return it. So a write reads its row back
    /// after the commit (one `find_by_id`, for `CACHE_OPERATION_TIMEOUT_MS` at
    /// most) where a field has a value that no earlier write has read back:
    /// each of the first 16 values of a field, and always the first `null`,
    /// `true`, `false`, 0 or empty value. A row that reads leave out or return
    /// otherwise is not left, and is counted as `write_not_shown`.
    ///
    /// Set it to false where what reads return depends on more than one field of
    /// the row, as on another table that they join, or where the database changes
    /// the row after `RETURNING` has reported it (AFTER triggers).
    fn cache_on_write(&self) -> bool {
        true
    }

    /// This kind's part of the memory for in-process entries, relative to
    /// the other kinds' shares. Default: 1. Zero: nothing in process.
    fn in_process_share(&self) -> u32 {
        1
    }

    /// How far behind a value may be that is served where the database
    /// answers with an error, or has no turn for the read in time. `None`, the
    /// default: the caller gets the error.
    ///
    /// The limit is then the bound on what such a read returns, counted from
    /// the last proof that this process had heard every invalidation; it is
    /// also how long beyond its TTL a value may be served. What this process
    /// *heard* invalidated, its own writes included, is never served, nor what
    /// is older than something it has answered since. Only [`Freshness::Any`]
    /// reads are answered so, from this process's own entries, and
    /// [`Answer::stale`] says it.
    ///
    /// The idea is that of `stale-if-error` in HTTP (RFC 5861); the bound is
    /// not.
    ///
    /// [`Freshness::Any`]: crate::Freshness::Any
    /// [`Answer::stale`]: crate::Answer::stale
    fn stale_if_error(&self) -> Option<Duration> {
        None
    }

    /// How long a load of this kind may take, a batch of rows included. After that
    /// its callers get the repository's [`overloaded`] error, and the query is
    /// dropped. `None`, the default, is the setting `CACHE_LOAD_TIMEOUT_MS`.
    ///
    /// [`overloaded`]: crate::Repository::overloaded
    fn load_timeout(&self) -> Option<Duration> {
        None
    }

    /// Above this many bytes of payload a list is answered but not cached.
    /// Default: 1 MiB.
    fn list_cap_bytes(&self) -> usize {
        1024 * 1024
    }

    /// Further keys that change with this row and can be computed from it
    /// alone. Called with the row before and the row after, by processes that
    /// registered this strategy. [`Entity::dependents`] is called by every
    /// process that writes the type.
    fn dependents(&self, row: &E, keys: &mut Dependents<'_>) {
        let _ = (row, keys);
    }

    /// The text form of a row. Default: [`Json`].
    fn codec(&self) -> &dyn Codec<E> {
        &Json
    }
}

/// The strategy of a kind that has none of its own: settings alone.
#[derive(Clone, Copy, Debug, Default)]
pub struct DefaultStrategy;

impl<E: Entity> CacheStrategy<E> for DefaultStrategy {}
