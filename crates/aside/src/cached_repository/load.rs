//! What follows a miss: the right to fill, the load, the fill.
//!
//! It runs as a task of its own. The caller that led is answered as soon as
//! the row is loaded; those who joined wait for the FILL, because its being
//! accepted is what proves that nothing was written meanwhile.

use std::any::Any;
use std::panic::{AssertUnwindSafe, resume_unwind};
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::answer::{Bypass, Freshness, Tier};
use crate::audit::Event;
use crate::cached_repository::CachedRepository;
use crate::cached_repository::read::{Leader, Looked};
use crate::cached_repository::served::Served;
use crate::clock;
use crate::flight;
use crate::key::Key;
use crate::kind::{Failed, Kind, Landed, Mark, Stored};
use crate::lookup::{Found, Lookup};
use crate::pending::Pending;
use crate::repository::Repository;
use crate::shared::{Acquired, Op, Reply, Token};
use crate::statistics::{Operation, raise};
use crate::task;

/// The pause between a failed load of a key and the next one.
const AFTER_FAILURE: Duration = Duration::from_millis(10);

/// The first and the longest pause between two looks at another's lease.
const POLL: (Duration, Duration) = (Duration::from_millis(5), Duration::from_millis(80));

/// Where a read goes after its GET.
pub(super) enum Course {
    /// Ask for the right to fill, over a value of this header.
    Acquire(Option<Vec<u8>>),
    /// Somebody else holds it.
    Wait,
    /// Load and fill nothing.
    Bypass(Bypass),
}

/// What the caller who led is told.
enum Early<E, X> {
    Answer(Result<Served<E>, X>),
    Panic(Box<dyn Any + Send>),
}

/// One miss on its way.
pub(super) struct Miss<R: Repository> {
    repository: CachedRepository<R>,
    leader: Leader<R>,
    key: Key,
    operation: Operation,
    early: oneshot::Sender<Early<R::Entity, R::Error>>,
}

/// What a load came to: a result, or the panic of the repository.
type Loaded<E, X> = Result<Result<Found<E>, X>, Box<dyn Any + Send>>;

impl<R: Repository> CachedRepository<R> {
    /// Follows `course` to its end; answers as soon as there is something.
    pub(super) async fn fly(
        &self,
        leader: Leader<R>,
        key: Key,
        course: Course,
        operation: Operation,
    ) -> Result<Served<R::Entity>, R::Error> {
        let (early, answer) = oneshot::channel();
        let miss = Miss {
            repository: self.clone(),
            leader,
            key,
            operation,
            early,
        };
        task::spawn(miss.follow(course));
        match answer.await {
            Ok(Early::Answer(answer)) => answer,
            Ok(Early::Panic(panic)) => resume_unwind(panic),
            // The runtime is shutting down, and this future with it.
            Err(_) => std::future::pending().await,
        }
    }

    /// Asks the database.
    pub(super) async fn load(
        &self,
        lookup: &Lookup<R::Entity>,
        operation: Operation,
    ) -> Result<Found<R::Entity>, R::Error> {
        load_from(&*self.inner, &self.kind, lookup, operation).await
    }
}

/// Asks the database, and counts how long it took.
pub(super) async fn load_from<R: Repository>(
    source: &R,
    kind: &Kind<R::Entity>,
    lookup: &Lookup<R::Entity>,
    operation: Operation,
) -> Result<Found<R::Entity>, R::Error> {
    let begun = Instant::now();
    let found = match lookup {
        Lookup::Id(id) => source.find_by_id(id).await.map(Found::Row),
        Lookup::Index(index) => source.find_by(index).await.map(Found::List),
        Lookup::All => source.list_all().await.map(Found::List),
    };
    kind.statistics.source_took(operation, begun.elapsed());
    kind.load_took(begun.elapsed());
    found
}

impl<R: Repository> Miss<R> {
    async fn follow(self, mut course: Course) {
        let begun = Instant::now();
        let lease = self.repository.tiers().config.lease_ttl;
        let patience = self.repository.kind.lease_patience(lease);
        let (mut pause, mut refused) = (POLL.0, false);
        loop {
            course = match course {
                Course::Bypass(bypass) => return self.bypass(bypass).await,
                Course::Acquire(observed) => {
                    let token = Token::random();
                    match self.acquire(token, observed, refused).await {
                        Ok(mark) => return self.load_and_fill(token, mark).await,
                        Err(Next::Hit(stored, mark, step)) => return self.hit(stored, mark, step),
                        Err(Next::Follow(next)) => {
                            refused |= matches!(next, Course::Acquire(_));
                            next
                        }
                    }
                }
                Course::Wait if begun.elapsed() >= patience => Course::Bypass(Bypass::LeaseWait),
                Course::Wait => {
                    raise(&self.repository.tiers().statistics.lease_waits);
                    tokio::time::sleep(pause.mul_f64(0.5 + fastrand::f64() / 2.0)).await;
                    pause = (pause * 2).min(POLL.1);
                    match self.look_again().await {
                        Err(Next::Hit(stored, mark, step)) => return self.hit(stored, mark, step),
                        Err(Next::Follow(next)) => next,
                        Ok(()) => Course::Acquire(None),
                    }
                }
            };
        }
    }

    /// Takes the generations anew, and looks whether Redis may be asked.
    fn begin(&self) -> Result<Mark, Next<R>> {
        let mark = self.repository.mark(&self.key);
        self.leader.mark(mark);
        match self.repository.closed(&self.key, mark) {
            Some(bypass) => Err(Next::Follow(Course::Bypass(bypass))),
            None => Ok(mark),
        }
    }

    /// Asks for the right to fill; the mark it was granted under.
    async fn acquire(
        &self,
        token: Token,
        observed: Option<Vec<u8>>,
        refused: bool,
    ) -> Result<Mark, Next<R>> {
        let mark = self.begin()?;
        let step = self.leader.step();
        let tiers = self.repository.tiers();
        let lease = tiers.config.lease_ttl;
        let op = Op::Acquire {
            key: self.key.clone(),
            token,
            lease,
            observed,
        };
        let next = match tiers.ask_one(tiers.lane(), op).await {
            Ok(Reply::Acquired(Acquired::Granted)) => return Ok(mark),
            Ok(Reply::Acquired(Acquired::Wait)) => Course::Wait,
            Ok(Reply::Acquired(Acquired::Quarantined)) => Course::Bypass(Bypass::WriteInFlight),
            Ok(Reply::Acquired(Acquired::Value(bytes))) => {
                let asked = self.leader.key().asked();
                match self
                    .repository
                    .judge(asked, &bytes, mark, Freshness::Any, clock::wall())
                {
                    Looked::Hit(stored) => return Err(Next::Hit(stored, mark, step)),
                    // Filled meanwhile, and again by somebody of another
                    // shape: two of them would take turns for ever.
                    _ if refused => Course::Bypass(Bypass::OtherShape),
                    Looked::Miss(observed) => Course::Acquire(observed),
                    Looked::Quarantined | Looked::Failed => {
                        Course::Bypass(Bypass::RedisUnavailable)
                    }
                }
            }
            Ok(_) | Err(_) => {
                // It may have been granted all the same.
                tiers.later(Pending::Abandon {
                    key: self.key.clone(),
                    token,
                });
                Course::Bypass(Bypass::RedisUnavailable)
            }
        };
        Err(Next::Follow(next))
    }

    /// Looks whether whoever holds the lease has filled; `Ok` if the lease
    /// may have gone.
    async fn look_again(&self) -> Result<(), Next<R>> {
        let mark = self.begin()?;
        let step = self.leader.step();
        let lookup = self.leader.key();
        let looked = self
            .repository
            .look(lookup.asked(), &self.key, mark, Freshness::Any)
            .await;
        match looked {
            Looked::Hit(stored) => Err(Next::Hit(stored, mark, step)),
            Looked::Miss(None) => Ok(()),
            Looked::Miss(observed) => Err(Next::Follow(Course::Acquire(observed))),
            Looked::Quarantined => Err(Next::Follow(Course::Bypass(Bypass::WriteInFlight))),
            Looked::Failed => Err(Next::Follow(Course::Bypass(Bypass::RedisUnavailable))),
        }
    }

    /// Somebody else filled.
    fn hit(self, stored: Stored<R::Entity>, mark: Mark, step: u32) {
        self.repository
            .kind
            .keep(self.leader.key().asked(), &stored, mark);
        let value = Arc::new(Landed::stored(&stored));
        let _ = self.early.send(Early::Answer(Ok(Served::stored(stored))));
        self.leader.finish(flight::Outcome {
            value,
            step,
            shared_under: Some(mark),
        });
    }

    /// Loads with the right to fill.
    async fn load_and_fill(self, token: Token, mark: Mark) {
        let Self {
            repository,
            leader,
            key,
            operation,
            early,
        } = self;
        let step = leader.step();
        let loaded = catch(repository.load(leader.key(), operation)).await;
        let tiers = repository.tiers();
        let lane = tiers.lane();
        let found = match loaded {
            Ok(Ok(found)) => found,
            failed => {
                let abandon = tiers.ask_one(lane, Op::Abandon { key, token });
                return tokio::join!(fail(leader, early, failed), abandon).0;
            }
        };
        let asked = leader.key().asked();
        let encoded = repository.kind.encode(asked, &found, mark.circumstance);
        let ttl = encoded.as_ref().ok().map(|encoded| encoded.ttl);
        let answer = Served::loaded(found.clone(), None, ttl);
        let _ = early.send(Early::Answer(Ok(answer)));
        let loaded_at = clock::wall().as_millisecond();
        let landed = Landed {
            ttl,
            ..Landed::loaded(found.clone(), None, loaded_at)
        };
        let mut outcome = flight::Outcome {
            value: Arc::new(landed),
            step,
            shared_under: None,
        };
        let encoded = match encoded {
            Ok(encoded) => encoded,
            Err(why) => {
                tiers.statistics.error(why.as_str());
                leader.finish(outcome);
                let _ = tiers.ask_one(lane, Op::Abandon { key, token }).await;
                return;
            }
        };
        let (value, stored) = encoded.split(found);
        let lane = tiers.lane_for(value.len());
        let fill = Op::Fill {
            key: key.clone(),
            token,
            value,
            ttl: stored.ttl,
        };
        let filling = leader.step_fill();
        match tiers.ask_one(lane, fill).await {
            Ok(Reply::Filled(true)) => {
                tiers.note(&key, Event::Filled);
                repository.kind.keep(leader.key().asked(), &stored, mark);
                outcome.step = filling;
                outcome.shared_under = Some(mark);
            }
            Ok(_) => {
                tiers.note(&key, Event::FillRefused);
                raise(&tiers.statistics.fill_rejected);
            }
            // Perhaps filled, perhaps refused for want of memory: the lease
            // must not stand in everybody's way until it expires.
            Err(_) => tiers.later(Pending::Abandon { key, token }),
        }
        leader.finish(outcome);
    }

    /// Loads without filling anything.
    async fn bypass(self, bypass: Bypass) {
        let Self {
            repository,
            leader,
            operation,
            early,
            ..
        } = self;
        let tiers = repository.tiers();
        if bypass == Bypass::WriteInFlight {
            raise(&tiers.statistics.quarantine_bypass);
        }
        let turn = if bypass.is_outage() {
            Some(tiers.turn_at_source().await)
        } else {
            None
        };
        let step = leader.step_bypass();
        let loaded = match turn {
            Some(None) => Ok(Err(repository.inner.overloaded())),
            _ => catch(repository.load(leader.key(), operation)).await,
        };
        drop(turn);
        match loaded {
            Ok(Ok(found)) => {
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
            failed => fail(leader, early, failed).await,
        }
    }
}

/// Where a step of a miss leads.
enum Next<R: Repository> {
    Hit(Stored<R::Entity>, Mark, u32),
    Follow(Course),
}

/// Keeps a repository's panic from leaving its waiters without an answer.
async fn catch<T>(load: impl Future<Output = T>) -> Result<T, Box<dyn Any + Send>> {
    AssertUnwindSafe(load).catch_unwind().await
}

/// Shares a failure among all who wait, once, and gives the database a moment.
async fn fail<K, E, X>(
    leader: flight::Leader<K, Mark, Arc<Landed<E, X>>>,
    early: oneshot::Sender<Early<E, X>>,
    failed: Loaded<E, X>,
) where
    K: std::hash::Hash + Eq + Clone + Send + 'static,
    E: Send + Sync + 'static,
    X: Clone + Send + Sync + 'static,
{
    let shared = match &failed {
        Ok(Err(error)) => Failed::Error(error.clone()),
        _ => Failed::Panicked,
    };
    let told = match failed {
        Ok(Err(error)) => Early::Answer(Err(error)),
        Err(panic) => Early::Panic(panic),
        Ok(Ok(_)) => return,
    };
    let _ = early.send(told);
    let landed = Landed {
        result: Err(shared),
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
