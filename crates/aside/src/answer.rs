//! The result of a read, and the freshness it must have.

use std::time::Duration;

/// The freshness that a read requires.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Freshness {
    /// Any valid copy, including a local one: at most `CACHE_MAX_STALENESS_MS`
    /// stale, and normally current.
    #[default]
    Any,
    /// Redis or the database, never a local copy. The value includes every
    /// commit that Redis had been notified of when the read reached it.
    Shared,
    /// A copy loaded from the database at most this long ago.
    AtMost(Duration),
    /// The database; the cache is not filled.
    Source,
}

/// The value of a read, and its provenance.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Answer<T> {
    /// The value.
    pub value: T,
    /// The tier that returned it.
    pub tier: Tier,
    /// The reason why the cache was bypassed, if it was.
    pub bypass: Option<Bypass>,
    /// The time since the value was loaded from the database.
    pub age: Option<Duration>,
    /// The remaining time to live of the value, if known.
    pub ttl: Option<Duration>,
    /// The maximum staleness of a value served despite a failing database; see
    /// [`CacheStrategy::stale_if_error`].
    ///
    /// [`CacheStrategy::stale_if_error`]: crate::CacheStrategy::stale_if_error
    pub stale: Option<Duration>,
}

impl<T> Answer<T> {
    /// Applies `make` to the value and keeps the provenance.
    #[must_use]
    pub fn map<U>(self, make: impl FnOnce(T) -> U) -> Answer<U> {
        let Self {
            value,
            tier,
            bypass,
            age,
            ttl,
            stale,
        } = self;
        Answer {
            value: make(value),
            tier,
            bypass,
            age,
            ttl,
            stale,
        }
    }
}

/// Why a read that was loaded and cached was not served from Redis: a best
/// guess of this instance.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Missed {
    /// Redis had nothing, for a reason that this instance does not know.
    #[default]
    Cold,
    /// The TTL had ended.
    Expired,
    /// Redis had lost the value before its TTL ended.
    Evicted,
    /// A write or an invalidation of the key.
    Invalidated,
    /// An invalidation of the whole kind.
    Forgotten,
    OtherHistory,
    OtherShape,
    TooLarge,
    TooOld,
    Undecodable,
    Malformed,
    Misplaced,
}

impl Missed {
    pub(crate) const ALL: [Self; 12] = [
        Self::Cold,
        Self::Expired,
        Self::Evicted,
        Self::Invalidated,
        Self::Forgotten,
        Self::OtherHistory,
        Self::OtherShape,
        Self::TooLarge,
        Self::TooOld,
        Self::Undecodable,
        Self::Malformed,
        Self::Misplaced,
    ];

    /// Returns its label in metrics.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Cold => "cold",
            Self::Expired => "expired",
            Self::Evicted => "evicted",
            Self::Invalidated => "invalidated",
            Self::Forgotten => "forgotten",
            Self::OtherHistory => "other_history",
            Self::OtherShape => "other_shape",
            Self::TooLarge => "too_large",
            Self::TooOld => "too_old",
            Self::Undecodable => "undecodable",
            Self::Malformed => "malformed",
            Self::Misplaced => "misplaced",
        }
    }
}

/// Where a value came from, and how long it may be kept.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Provenance {
    pub(crate) tier: Tier,
    pub(crate) bypass: Option<Bypass>,
    /// When it was loaded from the database, in Unix milliseconds.
    pub(crate) loaded_at: i64,
    /// How long it may still be kept; `None` if no tier keeps it.
    pub(crate) ttl: Option<Duration>,
    /// The fill that brought it; `None` if it was loaded by this read.
    pub(crate) fill: Option<u64>,
    /// Why it was loaded, if it was and the cache was not bypassed.
    pub(crate) missed: Missed,
}

impl Provenance {
    /// Of a value that was loaded from the database at `loaded_at`.
    pub(crate) fn source(loaded_at: i64, bypass: Option<Bypass>) -> Self {
        Self {
            tier: Tier::Source,
            bypass,
            loaded_at,
            ttl: None,
            fill: None,
            missed: Missed::Cold,
        }
    }
}

/// The source of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Tier {
    /// Local memory of this process.
    Local,
    /// Redis.
    Shared,
    /// The database.
    Source,
}

/// The reason why a read went to the database without reading, or without
/// filling, Redis.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Bypass {
    /// The cache is disabled.
    Disabled,
    /// Redis is unreachable or slow, or this process does not trust its
    /// connection yet.
    RedisUnavailable,
    /// A write of this key is in progress.
    WriteInFlight,
    /// Redis has not acknowledged a write of this key yet.
    Unreleased,
    /// Another reader is loading the key and took too long.
    LeaseWait,
    /// Two shapes of the entity are deployed, and the other one is cached.
    OtherShape,
    /// The caller requested the database.
    Requested,
    /// The strategy does not cache reads.
    Strategy,
    /// The value is larger than the cache accepts.
    TooLarge,
    /// The value cannot be cached: its codec fails to encode it or to decode
    /// its own text, sending it takes too long, or the strategy gives it no
    /// time to live.
    NotCacheable,
}

impl Bypass {
    pub(crate) const ALL: [Self; 10] = [
        Self::Disabled,
        Self::RedisUnavailable,
        Self::WriteInFlight,
        Self::Unreleased,
        Self::LeaseWait,
        Self::OtherShape,
        Self::Requested,
        Self::Strategy,
        Self::TooLarge,
        Self::NotCacheable,
    ];

    /// Returns true if the cause is an outage, in which the database must be
    /// protected from the load that Redis no longer absorbs.
    pub(crate) fn is_outage(self) -> bool {
        matches!(self, Self::RedisUnavailable | Self::Unreleased)
    }

    /// Returns true if the key is known to be uncacheable. The local entry was
    /// removed when that was found out.
    pub(crate) fn is_uncacheable(self) -> bool {
        matches!(self, Self::TooLarge | Self::NotCacheable)
    }

    /// Returns the name used in `Cache-Status` and in logs.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Disabled => "disabled",
            Self::RedisUnavailable => "redis-unavailable",
            Self::WriteInFlight => "write-in-flight",
            Self::Unreleased => "held",
            Self::LeaseWait => "lease-wait",
            Self::OtherShape => "other-shape",
            Self::Requested => "requested",
            Self::Strategy => "strategy",
            Self::TooLarge => "too-large",
            Self::NotCacheable => "not-cacheable",
        }
    }
}
