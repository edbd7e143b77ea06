//! One key explained: the content of Redis, the copy here, and the fate of the next
//! read.

use std::time::Duration;

use crate::answer::Bypass;
use crate::entity::key::Key;
use crate::insight::trail::{Event, Noted};
use crate::protocol::state::State;
use crate::protocol::value::{self, FillContext, Header, Unacceptable};
use crate::protocol::{Lives, Op, Reply};
use crate::runtime::clock;
use crate::service::CacheService;
use crate::service::local_state::{LocalState, next_read};

/// The state of one key.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Explanation {
    /// The key as it is in Redis.
    pub key: String,
    /// The registered kind of the key.
    pub kind: Option<&'static str>,
    /// Its state in Redis; `None` if Redis does not reply.
    pub state: Option<KeyState>,
    /// The next read's use of that state: `served`, `bypassed`, or why it is a
    /// miss. `None` if the state is unknown, or the key of no kind.
    pub verdict: Option<&'static str>,
    /// The conditions that a value must meet here, if the kind is cached here.
    pub required: Option<Conditions>,
    /// Its time to live in Redis.
    pub ttl: Option<Duration>,
    /// The reason why a read of it would bypass Redis now, if so.
    pub bypass: Option<&'static str>,
    /// The server that owns the key, as the log names it; `None` without a server,
    /// and if no node of a cluster owns its slot.
    pub server: Option<String>,
    /// True if this process fetched it before it was read, and would serve it.
    pub prefetched: bool,
    /// The copy in this process, if there is one.
    pub local: Option<LocalState>,
    /// Where the next read here ends: `local`, `prefetched`, `shared` (Redis), `wait`
    /// (for another reader's load), `load` (from the database, and a fill), or `source`
    /// (the database alone). `None` if that is not known.
    pub next_read: Option<&'static str>,
    /// Its slot in a cluster; `None` for any other Redis.
    pub slot: Option<u16>,
    /// The reason why that server is bypassed, as in the log, if it is.
    pub reason: Option<String>,
    /// How long it has not been used; `None` while it is.
    pub unused_for: Option<Duration>,
    /// The latest events of the key that this instance remembers, oldest first: at
    /// most seven.
    pub last: Vec<KeyEvent>,
}

/// An event of a key, as this instance saw it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct KeyEvent {
    /// What happened.
    pub event: &'static str,
    /// Why, for an invalidation whose sender said so; as of
    /// [`Invalidation`](crate::events::Invalidation).
    pub why: Option<&'static str>,
    /// The instance that sent the invalidation, if it is known.
    pub by: Option<u64>,
    /// How long ago it was.
    pub ago: Duration,
}

impl KeyEvent {
    fn of(noted: Noted) -> Self {
        let (why, by) = match noted.event {
            Event::Heard(why, by) => (why.as_str(), Some(by).filter(|by| *by != 0)),
            _ => (None, None),
        };
        Self {
            event: noted.event.as_str(),
            why,
            by,
            ago: noted.ago,
        }
    }
}

/// The conditions under which a value was filled, or may be served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Conditions {
    /// The run of the server; a restart or a failover begins another.
    pub history: u64,
    /// The last invalidation of the whole kind, in Unix milliseconds. A value
    /// may have a later one.
    pub epoch: u64,
    /// The shape of the row.
    pub shape: u64,
}

/// The state of a key in Redis.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeyState {
    /// A key of a kind that is not cached here; its state is not reported.
    NotOurs,
    /// No such key.
    Absent,
    /// A value that this protocol did not write.
    Foreign {
        /// The server's name for its type, such as `list`; empty if unknown.
        redis_type: String,
    },
    /// A value.
    Value {
        /// The conditions under which it was filled.
        filled: Conditions,
        /// The id of its fill.
        fill: u64,
        /// The row's version, zero without one.
        version: u64,
        /// Its size, header included; `None` if it is too large to be read.
        bytes: Option<usize>,
    },
    /// No value, but a stamp for queries that depend on the key.
    Mark {
        /// The stamp.
        stamp: u64,
    },
    /// A reader is loading it.
    Lease,
    /// Writes are in progress.
    Quarantine {
        /// The number of writers.
        writers: usize,
        /// True if there has been only one writer since it began.
        clean: bool,
    },
}

impl KeyState {
    /// Returns its name.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::NotOurs => "not_ours",
            Self::Absent => "absent",
            Self::Foreign { .. } => "foreign",
            Self::Value { .. } => "value",
            Self::Mark { .. } => "mark",
            Self::Lease => "lease",
            Self::Quarantine { .. } => "quarantine",
        }
    }

    /// Reads the bytes under a key, or as many as were received.
    fn of(key: &Key, bytes: &[u8], redis_type: &str) -> Self {
        let foreign = || Self::Foreign {
            redis_type: redis_type.to_owned(),
        };
        match State::of(bytes, true) {
            State::Absent => foreign(),
            State::Lease(_) => Self::Lease,
            State::Quarantine(quarantine) => Self::Quarantine {
                writers: quarantine.records.len(),
                clean: quarantine.clean,
            },
            State::Value if value::is_mark(bytes) => Self::Mark {
                stamp: Header::parse(bytes).map_or(0, |header| header.stamp.number()),
            },
            State::Value => Header::parse(bytes).map_or_else(foreign, |header| Self::Value {
                filled: Conditions::of(key, header.fill_context),
                fill: header.fill,
                version: header.version,
                bytes: (!value::is_cut(bytes)).then_some(bytes.len()),
            }),
        }
    }
}

impl Conditions {
    fn of(key: &Key, context: FillContext) -> Self {
        Self {
            history: context.history,
            epoch: context.epoch,
            shape: value::mixed(context.shape, key),
        }
    }
}

/// The reply of Redis about one key.
struct Seen {
    state: KeyState,
    /// Whether a value may be served; `None` if there is no value.
    judged: Option<Result<(), Unacceptable>>,
    ttl: Option<Duration>,
}

impl CacheService {
    /// Explains the state of one key in Redis and in this process, also while Redis
    /// replies and is not trusted. A key that belongs neither to a kind cached here
    /// nor to the library is not read.
    ///
    /// Looks at all local entries of the kind: milliseconds for a million.
    pub async fn explain(&self, key: &str) -> Explanation {
        let tiers = self.tiers();
        let kind = tiers.kind_of(key);
        let mut explanation = Explanation {
            key: key.to_owned(),
            kind,
            state: Some(KeyState::NotOurs),
            verdict: None,
            required: None,
            ttl: None,
            bypass: None,
            server: None,
            prefetched: false,
            local: None,
            next_read: None,
            slot: None,
            reason: None,
            unused_for: None,
            last: Vec::new(),
        };
        if kind.is_none() && !key.starts_with(&tiers.prefix("aside")) {
            return explanation;
        }
        let named = Key::new(key);
        let noted = tiers.trail.events(named.hash()).into_iter();
        explanation.last = noted.map(KeyEvent::of).collect();
        let required = kind.and_then(|kind| {
            let kind = tiers.kinds().get(kind).cloned()?;
            Some(kind.conditions(&named, tiers.history_of_values(&named)))
        });
        explanation.required = required.map(|context| Conditions::of(&named, context));
        explanation.prefetched = tiers.prefetch.has(&named);
        explanation.local = kind.and_then(|kind| LocalState::of(tiers, kind, &named));
        let owner = tiers.owner_of(&named);
        explanation.server = owner.server.filter(|_| tiers.is_remote());
        explanation.slot = owner.slot;
        let unknown_epoch = required.is_some_and(|context| context.epoch == 0);
        let bypass = tiers
            .bypass_for(&named)
            .or_else(|| unknown_epoch.then_some(Bypass::RedisUnavailable));
        explanation.bypass = bypass.map(Bypass::as_str);
        if bypass == Some(Bypass::RedisUnavailable) {
            explanation.reason = Some(owner.reason);
            explanation.unused_for = owner.unused_for;
        }
        let seen = self.see(&named, required).await;
        explanation.verdict = match &seen {
            Some(seen) if required.is_some() => Some(verdict(seen, bypass)),
            _ => None,
        };
        if kind.is_some() {
            explanation.next_read = next_read(
                explanation.local.as_ref(),
                explanation.prefetched,
                explanation.verdict,
                bypass.is_some(),
            );
        }
        explanation.ttl = seen.as_ref().and_then(|seen| seen.ttl);
        explanation.state = seen.map(|seen| seen.state);
        explanation
    }

    /// Reads the key; `None` if Redis does not reply.
    async fn see(&self, key: &Key, required: Option<FillContext>) -> Option<Seen> {
        let ops = vec![
            Op::Get { key: key.clone() },
            Op::Type { key: key.clone() },
            Op::Ttl { key: key.clone() },
        ];
        let replies = self.tiers().ask_distrusted(key, ops).await?;
        let mut replies = replies.into_iter();
        let (got, of_type, lives) = (replies.next()?, replies.next()?, replies.next()?);
        let redis_type = match of_type {
            Ok(Reply::Type(name)) => name,
            _ => String::new(),
        };
        let bytes = match got.ok()? {
            Reply::Value(bytes) => bytes,
            Reply::Cut(beginning) => Some(beginning),
            _ => return None,
        };
        let state = match &bytes {
            Some(bytes) => KeyState::of(key, bytes, &redis_type),
            None if ["none", ""].contains(&&*redis_type) => KeyState::Absent,
            // A GET of another type returns nothing.
            None => KeyState::Foreign { redis_type },
        };
        let header = bytes.as_deref().and_then(Header::parse);
        let header = header.filter(|header| !header.is_mark());
        let judged = header.zip(required).map(|(header, required)| {
            header.judge(required, clock::wall())?;
            match state {
                KeyState::Value { bytes: None, .. } => Err(Unacceptable::TooLarge),
                _ => Ok(()),
            }
        });
        let ttl = match lives {
            Ok(Reply::Lives(Lives::For(left))) => Some(left),
            _ => None,
        };
        Some(Seen { state, judged, ttl })
    }
}

/// Returns the fate of the next read.
fn verdict(seen: &Seen, bypass: Option<Bypass>) -> &'static str {
    match (&seen.state, seen.judged) {
        _ if bypass.is_some() => "bypassed",
        (_, Some(Ok(()))) => "served",
        (_, Some(Err(why))) => why.missed().as_str(),
        (KeyState::Lease, None) => "loading",
        (KeyState::Quarantine { .. }, None) => "write_in_flight",
        (state, None) => state.as_str(),
    }
}
