//! What follows a miss: the right to fill, then the load and the fill (`load`).
//!
//! It runs as a task of its own. The caller that led is answered as soon as
//! the row is loaded; those who joined wait for the FILL, because its being
//! accepted is what proves that nothing was written meanwhile.

use std::any::Any;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::answer::{Bypass, Freshness};
use crate::cached_repository::CachedRepository;
use crate::cached_repository::lease::Lease;
use crate::cached_repository::read::{Leader, Looked};
use crate::cached_repository::served::Served;
use crate::entity::key::Key;
use crate::insight::statistics::{Operation, raise};
use crate::local::flight;
use crate::protocol::{Acquired, Op, Reply, Token};
use crate::repository::Repository;
use crate::runtime::clock;
use crate::runtime::task;
use crate::tiers::kind::{Landed, Mark, Stored};
use crate::tiers::origin_guard;
use crate::trust::generations::Stamp;

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
pub(super) enum Early<E, X> {
    Answer(Result<Served<E>, X>),
    Panic(Box<dyn Any + Send>),
}

/// One miss on its way.
pub(super) struct Miss<R: Repository> {
    pub(super) repository: CachedRepository<R>,
    pub(super) leader: Leader<R>,
    pub(super) key: Key,
    pub(super) operation: Operation,
    pub(super) early: oneshot::Sender<Early<R::Entity, R::Error>>,
}

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
        let place = origin_guard::current();
        let following = task::spawn(origin_guard::within(place, miss.follow(course)));
        match answer.await {
            Ok(Early::Answer(answer)) => answer,
            Ok(Early::Panic(panic)) => resume_unwind(panic),
            Err(_) => match following.await {
                // A callback of the strategy, say.
                Err(failed) if failed.is_panic() => resume_unwind(failed.into_panic()),
                // The runtime is shutting down, and this future with it.
                _ => std::future::pending().await,
            },
        }
    }
}

impl<R: Repository> Miss<R> {
    async fn follow(self, mut course: Course) {
        let begun = Instant::now();
        let lease = self.repository.tiers().config.lease_ttl;
        let patience = self.repository.kind.lease_patience(lease);
        let (mut pause, mut refused) = (POLL.0, false);
        // The key's generation when another's lease was seen, and when it had gone.
        let (mut seen, mut gone) = (None, None);
        // The token of the lease that was seen last.
        let mut holder = None;
        loop {
            course = match course {
                Course::Bypass(bypass) => return self.bypass(bypass).await,
                Course::Acquire(observed) => {
                    let again = observed.is_some();
                    match self.acquire(observed, refused).await {
                        Ok((lease, mark)) => return self.load_and_fill(lease, mark, again).await,
                        Err(Next::Hit(stored, mark, step)) => return self.hit(stored, mark, step),
                        // The lease that was waited for brought no value, and no
                        // write ended it: the next one may bring none either.
                        Err(Next::Follow(Course::Wait)) if gone == Some(self.stamp()) => {
                            Course::Bypass(Bypass::LeaseWait)
                        }
                        Err(Next::Follow(next)) => {
                            seen = Some(self.stamp());
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
                        Ok(Some(token)) if holder.is_none_or(|holder| holder == token) => {
                            holder = Some(token);
                            Course::Wait
                        }
                        Ok(_) => {
                            (holder, gone) = (None, seen);
                            Course::Acquire(None)
                        }
                    }
                }
            };
        }
    }

    /// The generation of the key now.
    fn stamp(&self) -> Stamp {
        let stripes = &self.repository.tiers().stripes;
        stripes.stamp(self.key.hash())
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
        observed: Option<Vec<u8>>,
        refused: bool,
    ) -> Result<(Lease, Mark), Next<R>> {
        let mark = self.begin()?;
        let step = self.leader.step();
        let tiers = self.repository.tiers();
        let (token, lease) = (Token::random(), tiers.config.lease_ttl);
        let op = Op::Acquire {
            key: self.key.clone(),
            token,
            lease,
            observed,
        };
        let next = match tiers.ask_one(tiers.lane(), op).await {
            Ok(Reply::Acquired(Acquired::Granted)) => {
                return Ok((Lease::new(tiers, &self.key, token), mark));
            }
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
                    Looked::Leased(_) => Course::Acquire(None),
                    Looked::Quarantined | Looked::Failed => {
                        Course::Bypass(Bypass::RedisUnavailable)
                    }
                }
            }
            Ok(_) | Err(_) => {
                // It may have been granted all the same.
                drop(Lease::new(tiers, &self.key, token));
                Course::Bypass(Bypass::RedisUnavailable)
            }
        };
        Err(Next::Follow(next))
    }

    /// Looks whether the holder of the lease has filled. Returns the token of the
    /// lease that stands there, or `None` if there is none.
    async fn look_again(&self) -> Result<Option<u128>, Next<R>> {
        let mark = self.begin()?;
        let step = self.leader.step();
        let lookup = self.leader.key();
        let looked = self
            .repository
            .look(lookup.asked(), &self.key, mark, Freshness::Any)
            .await;
        match looked {
            Looked::Hit(stored) => Err(Next::Hit(stored, mark, step)),
            Looked::Miss(None) => Ok(None),
            Looked::Leased(token) => Ok(Some(token)),
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
}

/// Where a step of a miss leads.
enum Next<R: Repository> {
    Hit(Stored<R::Entity>, Mark, u32),
    Follow(Course),
}
