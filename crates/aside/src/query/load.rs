//! The load of a query's miss, with the right to fill or without, and the fill.

use std::sync::Arc;

use jiff::Timestamp;
use tokio::sync::oneshot;

use crate::answer::{Bypass, Missed, Provenance};
use crate::entity::lookup::Found;
use crate::insight::statistics::increment;
use crate::insight::trail::Event;
use crate::local::flight::Outcome;
use crate::protocol::value::KeyStamp;
use crate::protocol::{Reply, Traffic, Unanswered};
use crate::query::asked::{Asked, QueryContext};
use crate::query::kind::Leader;
use crate::query::look::Seen;
use crate::query::path::{Cacheable, Load, QueryPath};
use crate::read::lease::Lease;
use crate::read::load::{LeaderReply, deserted, fail, outlast};
use crate::read::result::ReadResult;
use crate::read::source::catch;
use crate::runtime::clock;
use crate::tiers::kind::{Cached, FlightResult};
use crate::tiers::origin_guard;
use crate::tiers::uncacheable::Why;

/// One miss in progress.
pub(super) struct Miss<T, X, L>
where
    T: Send + Sync + 'static,
    X: Send + Sync + 'static,
{
    pub(super) read: QueryPath<T>,
    pub(super) asked: Arc<Asked>,
    pub(super) leader: Leader<T, X>,
    pub(super) load: L,
    pub(super) caller: Caller<T, X>,
}

/// The caller that led.
type Caller<T, X> = oneshot::Sender<LeaderReply<T, Arc<X>>>;

type Ended<T, X> = Outcome<QueryContext, Arc<FlightResult<T, Arc<X>>>>;

impl<T: Cacheable, X: Send + Sync + 'static, L: Load<T, X>> Miss<T, X, L> {
    /// Loads with the right to fill, after the stamps in `seen` were seen. Without a
    /// lease the result stays in this process.
    pub(super) async fn load_and_fill(self, lease: Option<Lease>, seen: Seen, missed: Missed) {
        let Self {
            read,
            asked,
            leader,
            load,
            mut caller,
        } = self;
        let tiers = read.tiers();
        let (step, begun) = (leader.step(), clock::wall());
        let mut load = std::pin::pin!(catch(read.load(&asked, load)));
        let attended = tiers
            .origin
            .attend(load.as_mut(), deserted(&leader, &mut caller));
        let found = match tokio::time::timeout(tiers.config.lease_ttl, attended).await {
            Ok(Some(Ok(Ok(found)))) => found,
            Ok(Some(failed)) => {
                let give_back = async {
                    if let Some(lease) = lease {
                        lease.give_back().await;
                    }
                };
                return tokio::join!(fail(leader, caller, failed), give_back).0;
            }
            Ok(None) => return,
            Err(_) => {
                drop((leader, lease));
                // Redis would refuse the fill.
                increment(&tiers.statistics.fill_rejected);
                return outlast(load, caller).await;
            }
        };
        let Some(lease) = lease else {
            return keep(&read, &asked, (leader, caller, step), found, (seen, missed));
        };
        let encoded = encode(&read, &asked, (&found, begun), &seen, lease.stamp());
        let (ttl, bypass) = match &encoded {
            Ok((_, cached)) => (Some(cached.ttl), None),
            Err(why) => (None, Some(read.uncacheable(&asked, *why, &seen.context))),
        };
        let provenance = Provenance {
            ttl,
            missed,
            ..Provenance::source(clock::wall().as_millisecond(), bypass)
        };
        let ended = loaded(caller, found, provenance, step);
        match encoded {
            Ok((value, cached)) => {
                fill(&read, &asked, (leader, ended), lease, seen, (value, cached)).await;
            }
            Err(_) => {
                leader.finish(ended);
                lease.give_back().await;
            }
        }
    }

    /// Loads without filling.
    pub(super) async fn load_only(self, bypass: Bypass) {
        let Self {
            read,
            asked,
            leader,
            load,
            mut caller,
        } = self;
        let tiers = read.tiers();
        if bypass == Bypass::WriteInFlight {
            increment(&tiers.statistics.quarantine_bypass);
        }
        let place = match bypass.is_outage() {
            true => loop {
                // A closure's error cannot say that the database is overloaded, so a
                // load waits for its place as long as its caller does.
                if caller.is_closed() && !leader.has_followers() {
                    return;
                }
                if let Some(place) = tiers.place_at_source().await {
                    break Some(place);
                }
            },
            false => origin_guard::current(),
        };
        let step = leader.step_bypass();
        let load = catch(read.load(&asked, load));
        let mut load = std::pin::pin!(origin_guard::within(place.clone(), load));
        // It fills nothing, so without callers it is useless.
        let attended = async {
            tokio::select! {
                biased;
                loaded = load.as_mut() => Some(loaded),
                () = deserted(&leader, &mut caller) => None,
            }
        };
        let found = match tokio::time::timeout(tiers.config.lease_ttl, attended).await {
            Ok(Some(Ok(Ok(found)))) => found,
            Ok(Some(failed)) => return fail(leader, caller, failed).await,
            Ok(None) => return,
            Err(_) => {
                drop(leader);
                place.iter().for_each(|place| place.leave());
                return outlast(load, caller).await;
            }
        };
        let provenance = Provenance::source(clock::wall().as_millisecond(), Some(bypass));
        leader.finish(loaded(caller, found, provenance, step));
    }
}

/// Keeps a result in this process alone, and ends the flight.
fn keep<T: Cacheable, X: Send + Sync + 'static>(
    read: &QueryPath<T>,
    asked: &Asked,
    (leader, caller, step): (Leader<T, X>, Caller<T, X>, u32),
    found: Found<T>,
    (seen, missed): (Seen, Missed),
) {
    let cached = Cached {
        found: found.clone(),
        loaded_at: clock::wall().as_millisecond(),
        ttl: asked.ttl,
        lifetime: asked.ttl,
        is_claimed: false,
        fill: KeyStamp::random().fill(),
        body: 0,
        payload_bytes: size_of::<T>(),
    };
    read.kind.keep(asked, &cached, &seen.context);
    let provenance = Provenance {
        ttl: Some(asked.ttl),
        missed,
        ..Provenance::source(cached.loaded_at, None)
    };
    let mut ended = loaded(caller, found, provenance, step);
    ended.shared_under = Some(seen.context);
    leader.finish(ended);
}

/// Replies to the caller that led, and returns the same for readers that wait.
fn loaded<T, X>(
    caller: Caller<T, X>,
    found: Found<T>,
    provenance: Provenance,
    step: u32,
) -> Ended<T, X> {
    let result = ReadResult {
        found: found.clone(),
        provenance,
        stale: None,
    };
    let _ = caller.send(LeaderReply::Result(Ok(result)));
    Outcome {
        value: Arc::new(FlightResult::new(Ok(found), provenance)),
        step,
        shared_under: None,
    }
}

/// Encodes a result for Redis, unless it must not be cached.
pub(super) fn encode<T: Cacheable>(
    read: &QueryPath<T>,
    asked: &Asked,
    (found, begun): (&Found<T>, Timestamp),
    seen: &Seen,
    fill: KeyStamp,
) -> Result<(Vec<u8>, Cached<T>), Why> {
    let Found::Row(Some(value)) = found else {
        return Err(Why::Unencodable);
    };
    let under = (&seen.context, &seen.stamps);
    let encoded = read.kind.encode(asked, (value, begun), under, fill)?;
    Ok(encoded.split(found.clone()))
}

/// Sends one FILL, and ends the flight. The step stays that of the load, because the
/// reply to the FILL says nothing about the dependencies.
async fn fill<T: Cacheable, X: Send + Sync + 'static>(
    read: &QueryPath<T>,
    asked: &Asked,
    (leader, mut ended): (Leader<T, X>, Ended<T, X>),
    lease: Lease,
    seen: Seen,
    (value, cached): (Vec<u8>, Cached<T>),
) {
    let tiers = read.tiers();
    let traffic = Traffic::of_fill(value.len());
    leader.step_fill();
    let fill = lease.fill(value, cached.ttl);
    match tiers.send_one(traffic, fill).await {
        Ok(Reply::Filled(true)) => {
            lease.spent();
            tiers.record_event(&asked.key, Event::Filled(cached.ttl));
            read.kind.keep(asked, &cached, &seen.context);
            ended.shared_under = Some(seen.context);
        }
        Ok(_) => {
            lease.spent();
            tiers.record_event(&asked.key, Event::FillRefused);
            increment(&tiers.statistics.fill_rejected);
        }
        Err(unanswered) => {
            if unanswered == Unanswered::Travelling && traffic == Traffic::Lists {
                read.uncacheable(asked, Why::TooSlow, &seen.context);
            }
            drop(lease);
        }
    }
    leader.finish(ended);
}
