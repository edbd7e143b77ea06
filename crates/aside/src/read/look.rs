//! The next step of a read: the gate before the GET, and the GET.

use std::sync::Arc;

use jiff::Timestamp;

use crate::answer::{Bypass, Freshness, Missed};
use crate::entity::Entity;
use crate::entity::key::Key;
use crate::entity::lookup::LookupRef;
use crate::local::flight;
use crate::protocol::message;
use crate::protocol::state::State;
use crate::protocol::value::{self, HEADER_BYTES, Unacceptable};
use crate::protocol::{Acquired, Bump, Reply, Token, Unanswered};
use crate::read::lease::Lease;
use crate::read::result::is_young;
use crate::read::{Leader, ReadPath};
use crate::repository::Source;
use crate::runtime::clock;
#[cfg(test)]
use crate::runtime::simulated::{Rule, without};
use crate::tiers::kind::{Cached, ReadContext};
use crate::tiers::uncacheable::Why;

/// The next step of a read, shared by single reads and batches.
pub(crate) enum Step<E> {
    /// Serve this value.
    Serve(Cached<E>),
    /// Ask for the right to fill.
    Acquire(Missing),
    /// Another reader has that right; its token, if a GET has shown it.
    WaitForLease(Option<u128>),
    /// Load from the database, and fill nothing.
    LoadOnly(Bypass),
}

/// No value that may be served.
#[derive(Default)]
pub(crate) struct Missing {
    /// The header of a value that is there and must not be served: the ACQUIRE
    /// deletes it if it is still there.
    pub(crate) observed: Option<Vec<u8>>,
    pub(crate) why: Missed,
}

impl Missing {
    pub(crate) fn refused(bytes: &[u8], why: Unacceptable) -> Self {
        Self {
            observed: Some(bytes[..bytes.len().min(HEADER_BYTES)].to_vec()),
            why: why.missed(),
        }
    }
}

impl<R: Source> ReadPath<R> {
    /// Returns the generations and conditions of a read that begins now.
    pub(super) fn context(&self, key: &Key) -> ReadContext {
        self.tiers().read_context(&self.kind, key)
    }

    /// Returns the reason why a key must not be read from Redis under `context`, if any.
    /// Without an epoch no value could be judged.
    pub(super) fn gate(&self, key: &Key, context: ReadContext) -> Option<Bypass> {
        let unknown = context.fill_context.epoch == 0;
        let closed = self.tiers().bypass_for(key);
        closed.or_else(|| unknown.then_some(Bypass::RedisUnavailable))
    }

    /// Makes sure that the kind has an epoch: the first read of a kind that is new to
    /// Redis gives it one.
    pub(super) async fn ensure_epoch(&self) {
        let tiers = self.tiers();
        if self.kind.epoch() == 0 && tiers.is_usable() {
            // Without a reply, this read goes to the database.
            let _ = tiers
                .bump(R::Entity::KIND, Bump::IfOlder, message::Why::Unknown)
                .await;
        }
    }

    /// Returns the step of a read that asks for the right to fill at once, without a
    /// GET before. ACQUIRE returns a value that is there. It costs the server more than
    /// a GET, so only kinds whose reads mostly miss begin with it.
    pub(super) fn acquire_first(&self, asked: LookupRef<'_, R::Entity>) -> Option<Step<R::Entity>> {
        let kind = &self.kind;
        // A list may be large: a GET that is still arriving at the deadline shows that.
        let is_first = matches!(asked, LookupRef::Id(_))
            && kind.statistics.mostly_misses()
            && kind.strategy.cache_on_read();
        is_first.then(|| {
            Step::Acquire(Missing {
                observed: None,
                why: self.why_absent(asked),
            })
        })
    }

    /// Sends a GET and judges the result.
    pub(super) async fn look(
        &self,
        asked: LookupRef<'_, R::Entity>,
        key: &Key,
        context: ReadContext,
        freshness: Freshness,
    ) -> Step<R::Entity> {
        let tiers = self.tiers();
        let got = match asked {
            LookupRef::Id(_) => tiers.get_row(key).await,
            LookupRef::Index(_) | LookupRef::All => tiers.get_list(key.clone()).await,
        };
        #[cfg(test)]
        let got = match without(Rule::ReadsStay) && got.is_err() {
            true => tiers.get_following(key).await,
            false => got,
        };
        // In a batch of rows, the large one is unknown.
        if got == Err(Unanswered::Travelling) && !matches!(asked, LookupRef::Id(_)) {
            self.uncacheable(key, Why::TooSlow, context);
        }
        self.judge(asked, &got, context, freshness, clock::wall())
    }

    /// Judges the reply to a GET for this read at `now`.
    pub(super) fn judge(
        &self,
        asked: LookupRef<'_, R::Entity>,
        got: &Result<Option<impl AsRef<[u8]>>, Unanswered>,
        context: ReadContext,
        freshness: Freshness,
        now: Timestamp,
    ) -> Step<R::Entity> {
        let step = match got {
            Ok(Some(bytes)) => self.judge_bytes(asked, bytes.as_ref(), context, freshness, now),
            Ok(None) => Step::Acquire(Missing {
                observed: None,
                why: self.why_absent(asked),
            }),
            Err(_) => Step::LoadOnly(Bypass::RedisUnavailable),
        };
        match step {
            Step::Acquire(_) | Step::WaitForLease(_) if !self.kind.strategy.cache_on_read() => {
                Step::LoadOnly(Bypass::Strategy)
            }
            step => step,
        }
    }

    fn judge_bytes(
        &self,
        asked: LookupRef<'_, R::Entity>,
        bytes: &[u8],
        context: ReadContext,
        freshness: Freshness,
        now: Timestamp,
    ) -> Step<R::Entity> {
        if value::is_cut(bytes) {
            return self.refuse(bytes, Unacceptable::TooLarge);
        }
        match State::of(bytes, true) {
            // Without a value, it is there for queries that depend on the key.
            State::Value if value::is_mark(bytes) => {
                let observed = Some(bytes[..HEADER_BYTES].to_vec());
                let why = self.why_absent(asked);
                return Step::Acquire(Missing { observed, why });
            }
            State::Value => {}
            // A quarantine that no write set may never expire by itself. A script sees
            // its TTL, and the server's own clock, so the ACQUIRE decides.
            State::Quarantine(quarantine) if !quarantine.is_implausible() => {
                return Step::LoadOnly(Bypass::WriteInFlight);
            }
            State::Lease(token) => {
                return u128::from_str_radix(token, 16)
                    .map_or(Step::Acquire(Missing::default()), |token| {
                        Step::WaitForLease(Some(token))
                    });
            }
            State::Absent | State::Quarantine(_) => return Step::Acquire(Missing::default()),
        }
        let decoded = self.kind.decode(asked, bytes, context.fill_context, now);
        let decoded = decoded.and_then(|cached| {
            let young = is_young(cached.loaded_at, freshness);
            young.then_some(cached).ok_or(Unacceptable::TooOld)
        });
        match decoded {
            Ok(cached) => {
                self.kind.statistics.looked(false);
                self.refresh_if_due(asked, &cached, context);
                Step::Serve(cached)
            }
            Err(why) => self.refuse(bytes, why),
        }
    }

    /// Counts a value that must not be served, if no instance fills such values.
    fn refuse(&self, bytes: &[u8], why: Unacceptable) -> Step<R::Entity> {
        if let Some(label) = why.error() {
            self.tiers().statistics.error(label);
        }
        Step::Acquire(Missing::refused(bytes, why))
    }

    /// Returns the likely reason why Redis has nothing: the local entry tells, if
    /// there is one, or else the trail.
    fn why_absent(&self, asked: LookupRef<'_, R::Entity>) -> Missed {
        let tiers = self.tiers();
        let local = self.kind.local.as_ref();
        let local = local.and_then(|local| local.why_gone(asked));
        local
            .or_else(|| tiers.trail.why_gone(asked.key(tiers.namespace()).hash()))
            .unwrap_or_default()
    }

    /// Returns the lease that an ACQUIRE was granted under `context`, or what to do
    /// without one.
    pub(super) fn judge_acquired(
        &self,
        asked: LookupRef<'_, R::Entity>,
        (key, token): (&Key, Token),
        context: ReadContext,
        reply: Option<Reply>,
    ) -> Result<Lease, Step<R::Entity>> {
        let tiers = self.tiers();
        Err(match reply {
            Some(Reply::Acquired(Acquired::Granted)) => {
                self.kind.statistics.looked(true);
                return Ok(Lease::new(tiers, key, token));
            }
            Some(Reply::Acquired(Acquired::Wait)) => Step::WaitForLease(None),
            Some(Reply::Acquired(Acquired::Quarantined)) => Step::LoadOnly(Bypass::WriteInFlight),
            Some(Reply::Acquired(Acquired::Value(bytes))) => self.judge(
                asked,
                &Ok(Some(bytes)),
                context,
                Freshness::Any,
                clock::wall(),
            ),
            _ => {
                // It may have been granted all the same: dropped, it is given back.
                drop(Lease::new(tiers, key, token));
                Step::LoadOnly(Bypass::RedisUnavailable)
            }
        })
    }

    /// Keeps the value of a GET, and ends its flight with it.
    pub(super) fn finish(
        &self,
        leader: Leader<R>,
        cached: &Cached<R::Entity>,
        context: ReadContext,
        step: u32,
    ) {
        self.kind.keep(leader.key(), cached, context);
        leader.finish(flight::Outcome {
            value: Arc::new(cached.flight_result()),
            step,
            shared_under: Some(context),
        });
    }
}
