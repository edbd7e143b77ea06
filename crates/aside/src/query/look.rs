//! A look at a query: one pipeline for its key and its dependencies, and the next step.
//!
//! The order of the commands does not matter. Each stamp is read after the read began,
//! so a value that has it is as new as the newest commit of that dependency then.

use std::sync::Arc;
use std::time::Duration;

use crate::answer::{Bypass, Missed};
use crate::protocol::state::State;
use crate::protocol::value::{self, HEADER_BYTES, Header, KeyStamp, Unacceptable};
use crate::protocol::{Acquired, Failure, Op, Reply, Stamped, Token, Traffic, Unanswered};
use crate::query::asked::{Asked, QueryContext, Stamps};
use crate::query::path::{Cacheable, QueryPath};
use crate::query::value::Refused;
use crate::read::lease::Lease;
use crate::read::look::{Missing, Step};
use crate::runtime::{clock, task};
use crate::tiers::uncacheable::Why;

/// The stamps of the dependencies, and the generations under which a reader saw them.
#[derive(Clone)]
pub(super) struct Seen {
    pub(super) context: QueryContext,
    /// Of each dependency: its stamp, if it has an acceptable one.
    pub(super) stamps: Stamps,
    /// The observation that this was.
    pub(super) observation: u32,
    /// The value that is served although a write outdated it.
    pub(super) older: Option<Older>,
}

/// A value that is served although a write of a dependency outdated it.
#[derive(Clone, Copy)]
pub(super) struct Older {
    pub(super) fill: u64,
    /// The time since its load began.
    pub(super) age: Duration,
    /// True if it may be loaded anew: no reader does so, and no dependency is being
    /// written.
    pub(super) is_open: bool,
}

impl Seen {
    /// Nothing yet.
    pub(super) fn nothing(context: QueryContext, observation: u32) -> Self {
        Self {
            stamps: vec![None; context.parts.len()],
            context,
            observation,
            older: None,
        }
    }
}

type Sent = Result<Reply, Failure>;

impl<T: Cacheable> QueryPath<T> {
    /// Looks at the query's key and at its dependencies.
    pub(super) async fn look(
        &self,
        asked: &Asked,
        context: QueryContext,
        observation: u32,
    ) -> (Step<T>, Seen) {
        let key = asked.key.clone();
        let own = self.kind.codec.is_some().then_some(Op::Get { key });
        let is_shared = own.is_some();
        let headers = asked.dependencies.iter().map(|dependency| Op::GetHeader {
            key: dependency.key.clone(),
        });
        let ops = own.into_iter().chain(headers).collect();
        let mut replies = self.send(Traffic::Lists, ops).await.into_iter();
        let got = match is_shared {
            true => replies.next(),
            false => Some(Ok(Reply::Value(None))),
        };
        let mut seen = Seen::nothing(context, observation);
        let travelling = Failure::Unanswered(Unanswered::Travelling);
        if got.as_ref().is_some_and(|got| *got == Err(travelling)) {
            self.uncacheable(asked, Why::TooSlow, &seen.context);
        }
        let step = match self.see(asked, replies, &mut seen) {
            Some(Bypass::WriteInFlight) => match got {
                Some(Ok(Reply::Value(Some(bytes)))) => self
                    .tolerate(asked, &bytes, &mut seen, false)
                    .unwrap_or(Step::LoadOnly(Bypass::WriteInFlight)),
                _ => Step::LoadOnly(Bypass::WriteInFlight),
            },
            Some(bypass) => Step::LoadOnly(bypass),
            None => self.judge(asked, got, &mut seen),
        };
        (step, seen)
    }

    /// Sends operations, if there are any.
    async fn send(&self, traffic: Traffic, ops: Vec<Op>) -> Vec<Sent> {
        match ops.is_empty() {
            true => Vec::new(),
            false => self.tiers().send(traffic, ops).await,
        }
    }

    /// Reads the stamps of the dependencies. Returns a bypass if one has none, and can
    /// get none now.
    fn see(
        &self,
        asked: &Asked,
        replies: impl Iterator<Item = Sent>,
        seen: &mut Seen,
    ) -> Option<Bypass> {
        let (wall, mut ends_soon) = (clock::wall(), Vec::new());
        let now = u64::try_from(wall.as_millisecond()).unwrap_or(0);
        let needed = u64::try_from(asked.ttl.as_millis()).unwrap_or(u64::MAX);
        for (at, reply) in replies.enumerate() {
            let bytes = match reply {
                Ok(Reply::Value(bytes)) => bytes.unwrap_or_default(),
                _ => return Some(Bypass::RedisUnavailable),
            };
            let context = seen.context.parts[at].context;
            seen.stamps[at] = match State::of(&bytes, true) {
                State::Value => {
                    let header = Header::parse(&bytes);
                    if header.is_some_and(|header| header.ends_soon(needed, wall)) {
                        ends_soon.push(at);
                    }
                    header.and_then(|header| context.stamp_in(&header, now))
                }
                State::Lease(token) => token.as_bytes().get(..16).and_then(KeyStamp::parse),
                State::Quarantine(quarantine) if !quarantine.is_implausible() => {
                    return Some(Bypass::WriteInFlight);
                }
                State::Absent | State::Quarantine(_) => None,
            };
        }
        self.prolong(asked, &seen.context, &ends_soon);
        None
    }

    /// Prolongs marks that end soon, without waiting for it.
    fn prolong(&self, asked: &Asked, context: &QueryContext, at: &[usize]) {
        if at.is_empty() {
            return;
        }
        let ops = at.iter().map(|at| stamp_op(asked, context, *at)).collect();
        let tiers = Arc::clone(self.tiers());
        task::spawn(async move { tiers.send(Traffic::Others, ops).await });
    }

    /// Judges the reply to the GET of the query.
    pub(super) fn judge(&self, asked: &Asked, got: Option<Sent>, seen: &mut Seen) -> Step<T> {
        match got {
            Some(Ok(Reply::Value(Some(bytes)) | Reply::Cut(bytes))) => {
                self.judge_bytes(asked, &bytes, seen)
            }
            Some(Ok(Reply::Value(None))) => Step::Acquire(Missing {
                observed: None,
                why: self.why_absent(asked),
            }),
            _ => Step::LoadOnly(Bypass::RedisUnavailable),
        }
    }

    fn why_absent(&self, asked: &Asked) -> Missed {
        let local = self.kind.local.as_ref().zip(asked.params.as_ref());
        let gone = local.and_then(|(local, params)| {
            local.why_gone(crate::entity::lookup::LookupRef::Id(params))
        });
        gone.unwrap_or_default()
    }

    fn judge_bytes(&self, asked: &Asked, bytes: &[u8], seen: &mut Seen) -> Step<T> {
        if value::is_cut(bytes) {
            return self.refuse(asked, bytes, Unacceptable::TooLarge.into());
        }
        match State::of(bytes, true) {
            State::Value => {}
            State::Quarantine(quarantine) if !quarantine.is_implausible() => {
                return Step::LoadOnly(Bypass::WriteInFlight);
            }
            State::Lease(token) => {
                return match u128::from_str_radix(token, 16) {
                    Ok(token) => Step::WaitForLease(Some(token)),
                    Err(_) => Step::Acquire(Missing::default()),
                };
            }
            State::Absent | State::Quarantine(_) => return Step::Acquire(Missing::default()),
        }
        let under = (&seen.context, &seen.stamps);
        match self.kind.decode(asked, bytes, under, clock::wall()) {
            Ok(cached) => Step::Serve(cached),
            Err(why @ Refused::Spoilt(_)) => {
                let refused = self.refuse(asked, bytes, why);
                self.tolerate(asked, bytes, seen, true).unwrap_or(refused)
            }
            Err(why) => self.refuse(asked, bytes, why),
        }
    }

    /// Serves a value that a write outdated, if the query tolerates its age.
    fn tolerate(
        &self,
        asked: &Asked,
        bytes: &[u8],
        seen: &mut Seen,
        is_open: bool,
    ) -> Option<Step<T>> {
        let (limit, now) = (self.kind.tolerates()?, clock::wall());
        let older = self.kind.decode_older(asked, bytes, &seen.context, now);
        let cached = older.ok()?;
        let age = now.as_millisecond().saturating_sub(cached.loaded_at);
        let age = Duration::from_millis(u64::try_from(age).unwrap_or(0));
        (age <= limit).then(|| {
            seen.older = Some(Older {
                fill: cached.fill,
                age,
                is_open: is_open && !cached.is_claimed,
            });
            Step::Serve(cached)
        })
    }

    fn refuse(&self, asked: &Asked, bytes: &[u8], why: Refused) -> Step<T> {
        let missed = match why {
            Refused::Unacceptable(why) => {
                if let Some(label) = why.error() {
                    self.tiers().statistics.error(label);
                }
                why.missed()
            }
            Refused::Spoilt(at) => {
                self.kind.count_spoilt(asked.label(self.tiers(), at));
                Missed::Invalidated
            }
            Refused::OtherDependencies => Missed::OtherShape,
        };
        Step::Acquire(Missing {
            observed: Some(bytes[..bytes.len().min(HEADER_BYTES)].to_vec()),
            why: missed,
        })
    }

    /// Asks for the right to fill, and for the stamp of each dependency without one.
    /// The load begins after both. A query of this process alone needs no lease, but
    /// the stamps: a result that is loaded under a quarantine would be kept, and the
    /// RELEASE publishes nothing.
    pub(super) async fn acquire(
        &self,
        asked: &Asked,
        observed: Option<Vec<u8>>,
        seen: &mut Seen,
    ) -> Result<Option<Lease>, Step<T>> {
        let (key, token) = (asked.key.clone(), Token::random());
        let own = self.kind.codec.is_some().then(|| Op::Acquire {
            key,
            token,
            lease: self.tiers().config.lease_ttl,
            observed,
        });
        let is_shared = own.is_some();
        let mut ops: Vec<Op> = own.into_iter().collect();
        let unstamped = seen.stamps.iter().enumerate();
        let unstamped = unstamped.filter_map(|(at, stamp)| stamp.is_none().then_some(at));
        let unstamped: Vec<usize> = unstamped.collect();
        let stamp = |at: &usize| stamp_op(asked, &seen.context, *at);
        ops.extend(unstamped.iter().map(stamp));
        let mut replies = self.send(Traffic::Others, ops).await.into_iter();
        let acquired = match is_shared {
            true => replies.next(),
            false => Some(Ok(Reply::Acquired(Acquired::Granted))),
        };
        // Granted or not known: given back when it is dropped.
        let lease = match &acquired {
            _ if !is_shared => None,
            Some(Ok(Reply::Acquired(Acquired::Granted)) | Err(_)) | None => {
                Some(Lease::new(self.tiers(), &asked.key, token))
            }
            _ => None,
        };
        let mut bypass = None;
        for (at, reply) in unstamped.into_iter().zip(replies) {
            match reply {
                Ok(Reply::Stamped(Stamped::At(stamp))) => seen.stamps[at] = Some(stamp),
                Ok(Reply::Stamped(Stamped::Quarantined)) => bypass = Some(Bypass::WriteInFlight),
                _ => bypass = Some(bypass.unwrap_or(Bypass::RedisUnavailable)),
            }
        }
        let bypass = bypass.or_else(|| {
            let is_missing = seen.stamps.contains(&None);
            is_missing.then_some(Bypass::RedisUnavailable)
        });
        match (acquired, bypass, lease) {
            (Some(Ok(Reply::Acquired(Acquired::Wait))), None, _) => Err(Step::WaitForLease(None)),
            (Some(Ok(Reply::Acquired(Acquired::Quarantined))), None, _) => {
                Err(Step::LoadOnly(Bypass::WriteInFlight))
            }
            (Some(Ok(Reply::Acquired(Acquired::Value(bytes)))), None, _) => {
                Err(self.judge_bytes(asked, &bytes, seen))
            }
            (Some(Ok(_)), None, lease) => Ok(lease),
            (Some(Ok(_)), Some(bypass), Some(lease)) => {
                lease.give_back().await;
                Err(Step::LoadOnly(bypass))
            }
            (_, bypass, _) => Err(Step::LoadOnly(bypass.unwrap_or(Bypass::RedisUnavailable))),
        }
    }
}

/// Returns a STAMP of a dependency, under a stamp that is drawn for it.
pub(super) fn stamp_op(asked: &Asked, context: &QueryContext, at: usize) -> Op {
    Op::Stamp {
        key: asked.dependencies[at].key.clone(),
        context: context.parts[at].context,
        stamp: KeyStamp::random(),
        // Longer than any value that depends on it.
        ttl: asked.ttl * 2,
    }
}
