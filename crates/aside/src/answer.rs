//! How fresh a read must be, and how it was answered.

use std::time::Duration;

/// What a read accepts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Freshness {
    /// Any valid copy, the process's own included: at most
    /// `CACHE_MAX_STALENESS_MS` behind, and normally not at all.
    #[default]
    Any,
    /// Redis or the database, not this process: never behind a commit that
    /// Redis knew of when the read reached it.
    Shared,
    /// A copy that was loaded from the database at most this long ago.
    AtMost(Duration),
    /// The database; nothing is filled.
    Source,
}

/// A read's value, and how it came about.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Answer<T> {
    /// What was asked for.
    pub value: T,
    /// Who answered.
    pub tier: Tier,
    /// Why the cache was not used, where it was passed by.
    pub bypass: Option<Bypass>,
    /// How long ago the value was loaded from the database.
    pub age: Option<Duration>,
    /// How long the value may still be kept, where that is known.
    pub ttl: Option<Duration>,
    /// How far behind the value may be at most, where it was served although
    /// it could not be asked for; see [`CacheStrategy::stale_if_error`].
    ///
    /// [`CacheStrategy::stale_if_error`]: crate::CacheStrategy::stale_if_error
    pub stale: Option<Duration>,
}

impl<T> Answer<T> {
    /// The same answer about something else: a part of the value, say.
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

/// Where a value came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Tier {
    /// This process.
    Process,
    /// Redis.
    Shared,
    /// The database.
    Source,
}

/// Why a read went to the database without asking, or without filling, Redis.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Bypass {
    /// Caching is switched off.
    Disabled,
    /// Redis is away, slow, or not yet known to be in step.
    RedisUnavailable,
    /// A write of this key is under way.
    WriteInFlight,
    /// A write of this key has not reached Redis yet.
    Held,
    /// Somebody else is loading the key and took too long.
    LeaseWait,
    /// Two shapes of the entity are deployed and the other one is cached.
    OtherShape,
    /// The caller asked for the database.
    Requested,
    /// The strategy does not cache reads.
    Strategy,
    /// The answer has more bytes than are cached.
    TooLarge,
    /// The answer cannot be cached: its codec does not write it, or does not read
    /// back what it wrote, or it takes too long to travel, or the strategy gives it
    /// no time to live.
    NotCacheable,
}

impl Bypass {
    /// Whether it is one in which the database must be protected from the
    /// load that Redis no longer takes off it.
    pub(crate) fn is_outage(self) -> bool {
        matches!(self, Self::RedisUnavailable | Self::Held)
    }

    /// Whether the key is known not to be cacheable: what this process held of it
    /// was forgotten when that was found out.
    pub(crate) fn is_uncacheable(self) -> bool {
        matches!(self, Self::TooLarge | Self::NotCacheable)
    }

    /// The word for it in `Cache-Status` and in logs.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Disabled => "disabled",
            Self::RedisUnavailable => "redis-unavailable",
            Self::WriteInFlight => "write-in-flight",
            Self::Held => "held",
            Self::LeaseWait => "lease-wait",
            Self::OtherShape => "other-shape",
            Self::Requested => "requested",
            Self::Strategy => "strategy",
            Self::TooLarge => "too-large",
            Self::NotCacheable => "not-cacheable",
        }
    }
}
