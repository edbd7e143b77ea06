//! The load of a miss, with the right to fill or without.
//!
//! It has three ends besides its result. When the lease has expired, its flight
//! ends: the load could fill nothing any more, and the next reader loads, as it
//! may in another process. The load goes on for the caller that led, until the
//! strategy's limit is over. And it ends early if no caller waits and there are
//! many such loads ([`OriginGuard::attend`]).
//!
//! [`OriginGuard::attend`]: crate::tiers::origin_guard::OriginGuard::attend

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;

use crate::answer::{Bypass, Tier};
use crate::cached_repository::CachedRepository;
use crate::cached_repository::lease::Lease;
use crate::cached_repository::miss::{Early, Miss};
use crate::cached_repository::read::Leader;
use crate::cached_repository::served::Served;
use crate::cached_repository::source::{Loaded, catch};
use crate::entity::key::Key;
use crate::entity::lookup::Found;
use crate::insight::audit::Event;
use crate::insight::statistics::raise;
use crate::local::flight;
use crate::protocol::{Reply, Unanswered};
use crate::repository::{Overloaded, Repository};
use crate::runtime::clock;
use crate::tiers::MUCH;
use crate::tiers::kind::{Failed, Landed, Mark, Stored};
use crate::tiers::origin_guard;
use crate::tiers::uncacheable::Why;

/// The pause between a failed load of a key and the next one.
const AFTER_FAILURE: Duration = Duration::from_millis(10);

/// How often a load whose caller went away looks whether others wait for it.
pub(super) const LOOK_FOR_READERS: Duration = Duration::from_millis(50);

/// What a flight of this repository brings.
type Outcome<R> =
    flight::Outcome<Mark, Arc<Landed<<R as Repository>::Entity, <R as Repository>::Error>>>;

impl<R: Repository> Miss<R> {
    /// Loads with the right to fill; `again` if a value that could not be read
    /// stands there.
    pub(super) async fn load_and_fill(self, lease: Lease, mark: Mark, again: bool) {
        let Self {
            repository,
            leader,
            key,
            operation,
            mut early,
        } = self;
        let tiers = repository.tiers();
        let step = leader.step();
        let keyed = leader.key().clone();
        let mut load = std::pin::pin!(catch(repository.load(&keyed.lookup, operation)));
        let attended = tiers
            .origin
            .attend(load.as_mut(), deserted(&leader, &mut early));
        let found = match tokio::time::timeout(tiers.config.lease_ttl, attended).await {
            Ok(Some(Ok(Ok(found)))) => found,
            Ok(Some(failed)) => {
                return tokio::join!(fail(leader, early, failed), lease.give_back()).0;
            }
            Ok(None) => return,
            Err(_) => {
                drop((leader, lease));
                // Redis would refuse the fill.
                raise(&tiers.statistics.fill_rejected);
                return outlast(load, early).await;
            }
        };
        let encoded = repository.encode(keyed.asked(), &found, mark, again);
        let (ttl, bypass) = match &encoded {
            Ok(encoded) => (Some(encoded.ttl), None),
            Err(why) => (None, Some(repository.uncacheable(&key, *why, mark))),
        };
        let answer = Served::loaded(found.clone(), bypass, ttl);
        let _ = early.send(Early::Answer(Ok(answer)));
        let loaded_at = clock::wall().as_millisecond();
        let landed = Landed {
            ttl,
            ..Landed::loaded(found.clone(), bypass, loaded_at)
        };
        let outcome = flight::Outcome {
            value: Arc::new(landed),
            step,
            shared_under: None,
        };
        let Ok(encoded) = encoded else {
            leader.finish(outcome);
            return lease.give_back().await;
        };
        repository
            .fill_one(leader, outcome, lease, (key, mark), encoded.split(found))
            .await;
    }

    /// Loads without filling anything.
    pub(super) async fn bypass(self, bypass: Bypass) {
        let Self {
            repository,
            leader,
            key,
            operation,
            mut early,
        } = self;
        let tiers = repository.tiers();
        if bypass == Bypass::WriteInFlight {
            raise(&tiers.statistics.quarantine_bypass);
        }
        let mark = repository.mark(&key);
        let place = if bypass.is_outage() {
            let Some(place) = tiers.place_at_source().await else {
                let overloaded = || repository.inner.overloaded(Overloaded::TooManyLoads);
                let failed = catch(async { Err(overloaded()) }).await;
                return fail(leader, early, failed).await;
            };
            Some(place)
        } else {
            origin_guard::current()
        };
        let outlasts = || place.iter().for_each(|place| place.leave());
        let step = leader.step_bypass();
        let keyed = leader.key().clone();
        let load = catch(repository.load(&keyed.lookup, operation));
        let mut load = std::pin::pin!(origin_guard::within(place.clone(), load));
        // It fills nothing: without callers it is of no use.
        let attended = async {
            tokio::select! {
                biased;
                loaded = load.as_mut() => Some(loaded),
                () = deserted(&leader, &mut early) => None,
            }
        };
        let found = match tokio::time::timeout(tiers.config.lease_ttl, attended).await {
            Ok(Some(Ok(Ok(found)))) => found,
            Ok(Some(failed)) => return fail(leader, early, failed).await,
            Ok(None) => return,
            Err(_) => {
                drop(leader);
                outlasts();
                return outlast(load, early).await;
            }
        };
        let mut bypass = bypass;
        if bypass == Bypass::LeaseWait
            && let Err(why) = repository.encode(keyed.asked(), &found, mark, false)
        {
            bypass = repository.uncacheable(&key, why, mark);
        }
        let loaded_at = clock::wall().as_millisecond();
        let answer = Served::loaded(found.clone(), Some(bypass), None);
        let _ = early.send(Early::Answer(Ok(answer)));
        let value = Arc::new(Landed::loaded(found, Some(bypass), loaded_at));
        leader.finish(flight::Outcome {
            value,
            step,
            shared_under: None,
        });
    }
}

impl<R: Repository> CachedRepository<R> {
    /// Sends one FILL, and ends the flight.
    async fn fill_one(
        &self,
        leader: Leader<R>,
        mut outcome: Outcome<R>,
        lease: Lease,
        (key, mark): (Key, Mark),
        (value, stored): (Vec<u8>, Stored<R::Entity>),
    ) {
        let tiers = self.tiers();
        let bytes = value.len();
        let filling = leader.step_fill();
        let fill = lease.fill(value, stored.ttl);
        match tiers.ask_one(tiers.lane_for(bytes), fill).await {
            Ok(Reply::Filled(true)) => {
                lease.spent();
                tiers.note(&key, Event::Filled);
                self.kind.keep(leader.key().asked(), &stored, mark);
                outcome.step = filling;
                outcome.shared_under = Some(mark);
            }
            Ok(_) => {
                lease.spent();
                tiers.note(&key, Event::FillRefused);
                raise(&tiers.statistics.fill_rejected);
            }
            Err(unanswered) => {
                if unanswered == Unanswered::Travelling && MUCH < bytes {
                    self.uncacheable(&key, Why::TooSlow, mark);
                }
                // Perhaps filled, perhaps refused for want of memory: the lease
                // must not stand in everybody's way until it expires.
                drop(lease);
            }
        }
        leader.finish(outcome);
    }
}

/// Ends when neither the caller that led nor another reader waits for the load.
async fn deserted<K, M, T, E, X>(
    leader: &flight::Leader<K, M, T>,
    early: &mut oneshot::Sender<Early<E, X>>,
) where
    K: std::hash::Hash + Eq + Clone,
    M: Copy + PartialEq,
    T: Clone,
{
    early.closed().await;
    while leader.has_followers() {
        tokio::time::sleep(LOOK_FOR_READERS).await;
    }
}

/// Goes on with a load whose lease has expired, for the caller that led alone.
async fn outlast<E, X>(
    load: impl Future<Output = Loaded<Found<E>, X>>,
    mut early: oneshot::Sender<Early<E, X>>,
) {
    let loaded = tokio::select! {
        biased;
        loaded = load => loaded,
        () = early.closed() => return,
    };
    let _ = early.send(match loaded {
        Ok(Ok(found)) => Early::Answer(Ok(Served::loaded(found, Some(Bypass::LeaseWait), None))),
        Ok(Err(error)) => Early::Answer(Err(error)),
        Err(panic) => Early::Panic(panic),
    });
}

/// Tells the caller that led of a failure, and shares it.
async fn fail<K, E, X>(
    leader: flight::Leader<K, Mark, Arc<Landed<E, X>>>,
    early: oneshot::Sender<Early<E, X>>,
    failed: Loaded<Found<E>, X>,
) where
    K: std::hash::Hash + Eq + Clone + Send + 'static,
    E: Send + Sync + 'static,
    X: Clone + Send + Sync + 'static,
{
    let (told, shared) = match failed {
        Ok(Err(error)) => (Early::Answer(Err(error.clone())), Failed::Error(error)),
        Err(panic) => (Early::Panic(panic), Failed::Panicked),
        Ok(Ok(_)) => return,
    };
    let _ = early.send(told);
    finish_failed(leader, shared).await;
}

/// Shares a failure among all who wait, once, and gives the database a moment.
pub(super) async fn finish_failed<K, E, X>(
    leader: flight::Leader<K, Mark, Arc<Landed<E, X>>>,
    failed: Failed<X>,
) where
    K: std::hash::Hash + Eq + Clone + Send + 'static,
    E: Send + Sync + 'static,
    X: Clone + Send + Sync + 'static,
{
    let landed = Landed {
        result: Err(failed),
        tier: Tier::Source,
        bypass: None,
        loaded_at: 0,
        ttl: None,
    };
    // An error is no value: it is not too old for anybody who waited for it.
    let outcome = flight::Outcome {
        value: Arc::new(landed),
        step: u32::MAX,
        shared_under: None,
    };
    leader.finish_and_pause(outcome, AFTER_FAILURE).await;
}

impl<E, X> Landed<E, X> {
    /// Just loaded from the database, and kept nowhere yet.
    pub(super) fn loaded(found: Found<E>, bypass: Option<Bypass>, loaded_at: i64) -> Self {
        Self {
            result: Ok(found),
            tier: Tier::Source,
            bypass,
            loaded_at,
            ttl: None,
        }
    }
}
