//! The load of a miss, with the right to fill or without, and the fill.
//!
//! A load ends in three ways besides its result. When the lease has expired, its
//! flight ends: the load could fill nothing any more, and the next reader loads, as it
//! may in another process. The load goes on for the caller that led, until the
//! strategy's limit is over. And it ends early if no caller waits and there are
//! many such loads ([`OriginGuard::attend`]).
//!
//! [`OriginGuard::attend`]: crate::tiers::origin_guard::OriginGuard::attend

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;

use crate::answer::{Bypass, Missed, Provenance};
use crate::entity::key::Key;
use crate::entity::lookup::Found;
use crate::insight::statistics::{Operation, increment};
use crate::insight::trail::Event;
use crate::local::flight;
use crate::protocol::value::KeyStamp;
use crate::protocol::{Reply, Traffic, Unanswered};
use crate::read::lease::Lease;
use crate::read::result::ReadResult;
use crate::read::source::{Loaded, catch};
use crate::read::{Leader, ReadPath};
use crate::repository::Source;
use crate::runtime::clock;
use crate::tiers::kind::{Cached, Failed, FlightResult, ReadContext};
use crate::tiers::origin_guard;
use crate::tiers::uncacheable::Why;

/// The pause between a failed load of a key and the next one.
const AFTER_FAILURE: Duration = Duration::from_millis(10);

/// The pause between two looks whether readers still wait for a load whose caller
/// was dropped.
pub(crate) const LOOK_FOR_READERS: Duration = Duration::from_millis(50);

/// The reply to the caller that led.
pub(crate) enum LeaderReply<E, X> {
    Result(Result<ReadResult<E>, X>),
    Panic(Box<dyn Any + Send>),
}

/// One miss in progress.
pub(super) struct Miss<R: Source> {
    pub(super) read: ReadPath<R>,
    pub(super) leader: Leader<R>,
    pub(super) key: Key,
    pub(super) operation: Operation,
    pub(super) caller: oneshot::Sender<LeaderReply<R::Entity, R::Error>>,
}

/// The cause of a load.
#[derive(Clone, Copy, Default)]
pub(super) struct Cause {
    /// True if the key contains a value that must not be served.
    pub(super) replaces: bool,
    pub(super) missed: Missed,
}

type Outcome<R> =
    flight::Outcome<ReadContext, Arc<FlightResult<<R as Source>::Entity, <R as Source>::Error>>>;

impl<R: Source> Miss<R> {
    /// Loads with the right to fill.
    pub(super) async fn load_and_fill(self, lease: Lease, context: ReadContext, cause: Cause) {
        let Self {
            read,
            leader,
            key,
            operation,
            mut caller,
        } = self;
        let tiers = read.tiers();
        let step = leader.step();
        let keyed = leader.key().clone();
        let mut load = std::pin::pin!(catch(read.load(&keyed.lookup, operation)));
        let attended = tiers
            .origin
            .attend(load.as_mut(), deserted(&leader, &mut caller));
        let found = match tokio::time::timeout(tiers.config.lease_ttl, attended).await {
            Ok(Some(Ok(Ok(found)))) => found,
            Ok(Some(failed)) => {
                return tokio::join!(fail(leader, caller, failed), lease.give_back()).0;
            }
            Ok(None) => return,
            Err(_) => {
                drop((leader, lease));
                // Redis would refuse the fill.
                increment(&tiers.statistics.fill_rejected);
                return outlast(load, caller).await;
            }
        };
        let encoded = read.encode(
            keyed.asked(),
            &found,
            context,
            lease.stamp(),
            operation,
            cause.replaces,
        );
        let (ttl, bypass) = match &encoded {
            Ok(encoded) => (Some(encoded.ttl), None),
            Err(why) => (None, Some(read.uncacheable(&key, *why, context))),
        };
        let provenance = Provenance {
            ttl,
            missed: cause.missed,
            ..Provenance::source(clock::wall().as_millisecond(), bypass)
        };
        let outcome = loaded::<R>(caller, found.clone(), provenance, step);
        match encoded {
            Ok(encoded) => {
                let encoded = encoded.split(found);
                let stored = read
                    .fill_one(leader, outcome, lease, (key, context), encoded)
                    .await;
                if stored && operation == Operation::WarmUp {
                    increment(&read.kind.statistics.warmed);
                }
            }
            Err(_) => {
                leader.finish(outcome);
                lease.give_back().await;
            }
        }
    }

    /// Loads without filling.
    pub(super) async fn load_only(self, bypass: Bypass) {
        let Self {
            read,
            leader,
            key,
            operation,
            mut caller,
        } = self;
        read.count_bypass(bypass);
        let context = read.context(&key);
        let place = match read.place_for(bypass.is_outage()).await {
            Ok(place) => place,
            Err(turned_away) => return fail(leader, caller, turned_away).await,
        };
        let step = leader.step_bypass();
        let keyed = leader.key().clone();
        let load = catch(read.load(&keyed.lookup, operation));
        let mut load = std::pin::pin!(origin_guard::within(place.clone(), load));
        // It fills nothing, so without callers it is useless.
        let attended = async {
            tokio::select! {
                biased;
                loaded = load.as_mut() => Some(loaded),
                () = deserted(&leader, &mut caller) => None,
            }
        };
        let lease_ttl = read.tiers().config.lease_ttl;
        let found = match tokio::time::timeout(lease_ttl, attended).await {
            Ok(Some(Ok(Ok(found)))) => found,
            Ok(Some(failed)) => return fail(leader, caller, failed).await,
            Ok(None) => return,
            Err(_) => {
                drop(leader);
                place.iter().for_each(|place| place.leave());
                return outlast(load, caller).await;
            }
        };
        let mut bypass = bypass;
        // The reader that had the lease may have found out the same.
        if bypass == Bypass::LeaseWait
            && let Err(why) = read.encode(
                keyed.asked(),
                &found,
                context,
                KeyStamp::random(),
                operation,
                false,
            )
        {
            bypass = read.uncacheable(&key, why, context);
        }
        let provenance = Provenance::source(clock::wall().as_millisecond(), Some(bypass));
        leader.finish(loaded::<R>(caller, found, provenance, step));
    }
}

/// Replies to the caller that led, and returns the same for readers that wait.
fn loaded<R: Source>(
    caller: oneshot::Sender<LeaderReply<R::Entity, R::Error>>,
    found: Found<R::Entity>,
    provenance: Provenance,
    step: u32,
) -> Outcome<R> {
    let result = ReadResult {
        found: found.clone(),
        provenance,
        stale: None,
    };
    let _ = caller.send(LeaderReply::Result(Ok(result)));
    flight::Outcome {
        value: Arc::new(FlightResult::new(Ok(found), provenance)),
        step,
        shared_under: None,
    }
}

impl<R: Source> ReadPath<R> {
    /// Counts a read that must not use Redis because of a write.
    pub(super) fn count_bypass(&self, bypass: Bypass) {
        if bypass == Bypass::WriteInFlight {
            increment(&self.tiers().statistics.quarantine_bypass);
        }
    }

    /// Sends one FILL, and ends the flight. Returns true if the value is stored.
    async fn fill_one(
        &self,
        leader: Leader<R>,
        mut outcome: Outcome<R>,
        lease: Lease,
        (key, context): (Key, ReadContext),
        (value, cached): (Vec<u8>, Cached<R::Entity>),
    ) -> bool {
        let tiers = self.tiers();
        let traffic = Traffic::of_fill(value.len());
        let filling = leader.step_fill();
        let fill = lease.fill(value, cached.ttl);
        let mut stored = false;
        match tiers.send_one(traffic, fill).await {
            Ok(Reply::Filled(true)) => {
                lease.spent();
                tiers.record_event(&key, Event::Filled(cached.ttl));
                self.kind.keep(leader.key(), &cached, context);
                outcome.step = filling;
                outcome.shared_under = Some(context);
                stored = true;
            }
            Ok(_) => {
                lease.spent();
                tiers.record_event(&key, Event::FillRefused);
                increment(&tiers.statistics.fill_rejected);
            }
            Err(unanswered) => {
                if unanswered == Unanswered::Travelling && traffic == Traffic::Lists {
                    self.uncacheable(&key, Why::TooSlow, context);
                }
                // Perhaps filled, perhaps refused because memory is full: given back,
                // the lease makes no other reader wait until it expires.
                drop(lease);
            }
        }
        leader.finish(outcome);
        stored
    }
}

/// Resolves when neither the caller that led nor another reader waits for the
/// load.
pub(crate) async fn deserted<K, M, T, E, X>(
    leader: &flight::Leader<K, M, T>,
    caller: &mut oneshot::Sender<LeaderReply<E, X>>,
) where
    K: std::hash::Hash + Eq + Clone,
    M: Clone + PartialEq,
    T: Clone,
{
    caller.closed().await;
    while leader.has_followers() {
        tokio::time::sleep(LOOK_FOR_READERS).await;
    }
}

/// Continues a load whose lease has expired, only for the caller that led.
pub(crate) async fn outlast<E, X>(
    load: impl Future<Output = Loaded<Found<E>, X>>,
    mut caller: oneshot::Sender<LeaderReply<E, X>>,
) {
    let loaded = tokio::select! {
        biased;
        loaded = load => loaded,
        () = caller.closed() => return,
    };
    let _ = caller.send(match loaded {
        Ok(Ok(found)) => {
            LeaderReply::Result(Ok(ReadResult::loaded(found, Some(Bypass::LeaseWait))))
        }
        Ok(Err(error)) => LeaderReply::Result(Err(error)),
        Err(panic) => LeaderReply::Panic(panic),
    });
}

/// Replies to the caller that led with a failure, and shares it.
pub(crate) async fn fail<K, M, E, X>(
    leader: flight::Leader<K, M, Arc<FlightResult<E, X>>>,
    caller: oneshot::Sender<LeaderReply<E, X>>,
    failed: Loaded<Found<E>, X>,
) where
    K: std::hash::Hash + Eq + Clone + Send + 'static,
    M: Clone + PartialEq + Send + Sync + 'static,
    E: Send + Sync + 'static,
    X: Clone + Send + Sync + 'static,
{
    let (reply, shared) = match failed {
        Ok(Err(error)) => (
            LeaderReply::Result(Err(error.clone())),
            Failed::Error(error),
        ),
        Err(panic) => (LeaderReply::Panic(panic), Failed::Panicked),
        Ok(Ok(_)) => return,
    };
    let _ = caller.send(reply);
    finish_failed(leader, shared).await;
}

/// Shares a failure among all readers that wait, once. The pause after it keeps the
/// next load of the key from an ailing database.
pub(crate) async fn finish_failed<K, M, E, X>(
    leader: flight::Leader<K, M, Arc<FlightResult<E, X>>>,
    failed: Failed<X>,
) where
    K: std::hash::Hash + Eq + Clone + Send + 'static,
    M: Clone + PartialEq + Send + Sync + 'static,
    E: Send + Sync + 'static,
    X: Clone + Send + Sync + 'static,
{
    // An error is no value, so no reader that waited finds it too old.
    let outcome = flight::Outcome {
        value: Arc::new(FlightResult::new(Err(failed), Provenance::source(0, None))),
        step: u32::MAX,
        shared_under: None,
    };
    leader.finish_and_pause(outcome, AFTER_FAILURE).await;
}
