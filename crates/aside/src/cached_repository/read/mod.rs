//! One read: this process, then Redis, then the database.
//!
//! The order of the first three lines of `lead` is the protocol: the
//! generations are taken, then the gate is looked at, then the GET is sent.
//! Whatever is forgotten after the first line makes what follows worthless to
//! the in-process tier, however late it arrives.

use std::sync::Arc;

use jiff::Timestamp;
use tokio::time::Instant;

use crate::answer::{Bypass, Freshness, Tier};
use crate::cached_repository::CachedRepository;
use crate::cached_repository::miss::Course;
use crate::cached_repository::served::{Served, is_too_old, is_young};
use crate::entity::Entity;
use crate::entity::key::Key;
use crate::entity::lookup::{Asked, Found, Keyed};
use crate::insight::statistics::{Operation, Outcome};
use crate::local::Kept;
use crate::local::flight::{self, Entered, Waited};
use crate::protocol::state::State;
use crate::protocol::value::{self, HEADER_BYTES, Unacceptable};
use crate::protocol::{Bump, Unanswered};
use crate::repository::{Id, Repository, Row};
use crate::runtime::clock;
#[cfg(test)]
use crate::runtime::simulated::{self, Rule};
use crate::tiers::kind::{Failed, Landed, Mark, Stored};
use crate::tiers::uncacheable::Why;

/// The leader of a flight of this repository.
pub(super) type Leader<R> = flight::Leader<
    Keyed<<R as Repository>::Entity>,
    Mark,
    Arc<Landed<<R as Repository>::Entity, <R as Repository>::Error>>,
>;

/// What a GET showed.
pub(super) enum Looked<E> {
    Hit(Stored<E>),
    /// Nothing; or a value that must not be served, by its header.
    Miss(Option<Vec<u8>>),
    /// The lease of another reader, by its token.
    Leased(u128),
    Quarantined,
    Failed,
}

/// How a read begins when it leads.
pub(super) enum Start {
    Get,
    /// It has looked already, and seen nothing or an unacceptable value.
    Acquire(Option<Vec<u8>>),
    Bypass(Bypass),
}

impl<R: Repository> CachedRepository<R> {
    /// What `take` makes of the in-process entry, if it may be served now.
    #[inline]
    pub(super) fn hit<T>(
        &self,
        asked: Asked<'_, R::Entity>,
        take: impl FnOnce(&Kept<R::Entity>) -> T,
    ) -> Option<T> {
        self.kind.in_process.as_ref()?.get(asked, take)
    }

    /// The row that this process holds, or that it holds to be absent;
    /// counted as a hit.
    #[inline]
    pub(super) fn row_in_process(
        &self,
        id: &Id<R>,
        operation: Operation,
    ) -> Option<Option<Row<R>>> {
        let (row, fill, outcome) = self.hit(Asked::Id(id), |kept| {
            // Before the row is taken, which waits for memory: what comes after
            // it waits as well.
            let outcome = Outcome::of(Tier::Process, None, kept.is_absence());
            self.kind.statistics.read(operation, outcome);
            (kept.row(), kept.fill(), outcome)
        })?;
        if self.audit.is_some() {
            self.sample(Asked::Id(id), Some(fill), &Found::Row(row.clone()));
        }
        self.log(operation, outcome);
        Some(row)
    }

    pub(super) async fn read(
        &self,
        asked: Asked<'_, R::Entity>,
        operation: Operation,
        freshness: Freshness,
    ) -> Result<Served<R::Entity>, R::Error> {
        let held = match freshness {
            Freshness::Any | Freshness::AtMost(_) => self.hit(asked, |kept| {
                is_young(kept.loaded_at(), freshness).then(|| kept.entry())
            }),
            Freshness::Shared | Freshness::Source => None,
        };
        if let Some(served) = held.flatten().map(Served::in_process) {
            self.count(operation, served.outcome());
            self.sample(asked, served.fill, &served.found);
            return Ok(served);
        }
        Box::pin(self.read_below(asked, operation, freshness)).await
    }

    /// Reads from the tiers below this process.
    pub(super) async fn read_below(
        &self,
        asked: Asked<'_, R::Entity>,
        operation: Operation,
        freshness: Freshness,
    ) -> Result<Served<R::Entity>, R::Error> {
        let begun = Instant::now();
        let read = if freshness == Freshness::Source {
            self.read_source(asked, operation).await
        } else {
            self.read_shared(asked, operation, freshness).await
        };
        let read = match read {
            Err(error) if freshness == Freshness::Any => self.stale(asked).ok_or(error),
            read => read,
        };
        if let Ok(served) = &read {
            if served.bypass.is_some_and(Bypass::is_uncacheable) {
                // Done where that was found out, or by `pass`.
            } else if freshness != Freshness::Any {
                self.outdate_in_process(asked, served.fill);
            } else if served.tier == Tier::Source {
                self.outdate_held(asked, &served.found, served.bypass.is_some());
            }
            self.count(operation, served.outcome());
            self.sample(asked, served.fill, &served.found);
            self.kind
                .statistics
                .read_took(served.outcome(), begun.elapsed());
        }
        read
    }

    /// Reads a row that this process does not hold.
    #[cold]
    #[inline(never)]
    pub(super) fn row_below(
        &self,
        id: &Id<R>,
    ) -> impl Future<Output = Result<Served<R::Entity>, R::Error>> + Send {
        // Its future is large, and made apart from the hit, whose frame it would
        // share.
        Box::pin(self.read_below(Asked::Id(id), Operation::FindById, Freshness::Any))
    }

    /// Counts a read, and logs it for those who want to see every one.
    pub(super) fn count(&self, operation: Operation, outcome: Outcome) {
        self.kind.statistics.read(operation, outcome);
        self.log(operation, outcome);
    }

    #[inline]
    fn log(&self, operation: Operation, outcome: Outcome) {
        if tracing::enabled!(tracing::Level::DEBUG) {
            log_read(R::Entity::KIND, operation, outcome);
        }
    }

    /// Asks the database for this caller alone.
    async fn read_source(
        &self,
        asked: Asked<'_, R::Entity>,
        operation: Operation,
    ) -> Result<Served<R::Entity>, R::Error> {
        let found = self.load(&asked.to_lookup(), operation).await?;
        Ok(Served::loaded(found, Some(Bypass::Requested), None))
    }

    async fn read_shared(
        &self,
        asked: Asked<'_, R::Entity>,
        operation: Operation,
        freshness: Freshness,
    ) -> Result<Served<R::Entity>, R::Error> {
        let key = asked.key(self.tiers().namespace());
        if self.is_loading(&key) {
            let found = self.load(&asked.to_lookup(), operation).await?;
            return Ok(Served::loaded(found, None, None));
        }
        let keyed = asked.keyed(&key);
        let lenient = freshness == Freshness::Any && self.kind.in_process.is_some();
        let mut admitted = None;
        self.know_epoch().await;
        loop {
            let mark = self.mark(&key);
            let start = if let Some(bypass) = self.closed(&key, mark) {
                if bypass.is_outage() && self.tiers().origin.has_place() {
                    return self.read_in_place(asked, bypass, operation).await;
                }
                Start::Bypass(bypass)
            } else if let Some(known) = self.tiers().uncacheable.known(&key) {
                return self.pass(asked, &key, known, operation).await;
            } else if !*admitted.get_or_insert_with(|| self.tiers().admits_read()) {
                Start::Bypass(Bypass::RedisUnavailable)
            } else if lenient {
                Start::Get
            } else {
                // Without an in-process tier a GET of one's own is cheaper
                // than waiting for another's, and always fresh.
                match self.look(asked, &key, mark, freshness).await {
                    Looked::Hit(stored) => return Ok(Served::stored(stored)),
                    Looked::Miss(observed) => Start::Acquire(observed),
                    Looked::Leased(_) => Start::Acquire(None),
                    Looked::Quarantined => Start::Bypass(Bypass::WriteInFlight),
                    Looked::Failed => Start::Bypass(Bypass::RedisUnavailable),
                }
            };
            let mark = self.mark(&key);
            // What the in-process tier would not have served for want of a
            // proof is not taken over from a flight either. A process that was
            // stopped goes on with the answer to a GET of before in its socket,
            // and reads may come before the watcher notices how late it is.
            let lenient = lenient && !matches!(start, Start::Bypass(_));
            let leader = match self.flights.enter(&keyed, mark, lenient) {
                Entered::Lead(leader) => leader,
                Entered::Follow(follower) => match follower.wait().await {
                    Waited::Answer(landed) if is_too_old(&landed, freshness) => continue,
                    Waited::Answer(landed) => return self.share(&landed),
                    // What it waited for may have found out that it cannot be
                    // cached. Then the others go on as well.
                    Waited::Lead(_) if self.tiers().uncacheable.is_known(&key) => continue,
                    Waited::Lead(leader) => leader,
                    Waited::Again => continue,
                },
            };
            // On the heap, where it makes no hit without it larger.
            let served = Box::pin(self.lead(leader, key, start, operation)).await?;
            let young = served.loaded_at.is_none_or(|at| is_young(at, freshness));
            // Somebody else's fill, taken over on the way, may be too old.
            return if young {
                Ok(served)
            } else {
                self.read_source(asked, operation).await
            };
        }
    }

    /// The generations and the circumstance under which a read begins now.
    pub(super) fn mark(&self, key: &Key) -> Mark {
        Mark {
            stamp: self.tiers().stripes.stamp(key.hash()),
            circumstance: self.kind.circumstance(key),
        }
    }

    /// Why a key may not be read from Redis under `mark`, if so: also as long
    /// as nobody has told the kind's epoch.
    pub(super) fn closed(&self, key: &Key, mark: Mark) -> Option<Bypass> {
        let unknown = mark.circumstance.epoch == 0;
        let closed = self.tiers().closed(key);
        closed.or_else(|| unknown.then_some(Bypass::RedisUnavailable))
    }

    /// Sees to it that the kind has an epoch: the first read of a kind that
    /// is new to Redis gives it one.
    pub(super) async fn know_epoch(&self) {
        let tiers = self.tiers();
        if self.kind.epoch() == 0 && tiers.is_usable() {
            // Unanswered, this read goes to the database.
            let _ = tiers.bump(R::Entity::KIND, Bump::IfOlder).await;
        }
    }

    /// Leads a flight: one GET here, and the rest in a task of its own, which
    /// a caller who goes away does not take along.
    async fn lead(
        &self,
        leader: Leader<R>,
        key: Key,
        start: Start,
        operation: Operation,
    ) -> Result<Served<R::Entity>, R::Error> {
        let lookup = leader.key().clone();
        let mark = self.mark(&key);
        leader.mark(mark);
        // Looked at again: the reader may have waited since.
        let start = self.closed(&key, mark).map_or(start, Start::Bypass);
        let course = match start {
            Start::Bypass(bypass) => Course::Bypass(bypass),
            Start::Acquire(observed) => self.after_miss(observed),
            Start::Get => {
                let step = leader.step();
                let looked = self.look(lookup.asked(), &key, mark, Freshness::Any).await;
                #[cfg(test)]
                let mark = match simulated::without(Rule::GenerationsBeforeGet) {
                    true => self.mark(&key),
                    false => mark,
                };
                match looked {
                    Looked::Hit(stored) => {
                        self.kind.keep(lookup.asked(), &stored, mark);
                        let landed = Landed::stored(&stored);
                        leader.finish(flight::Outcome {
                            value: Arc::new(landed),
                            step,
                            shared_under: Some(mark),
                        });
                        return Ok(Served::stored(stored));
                    }
                    Looked::Miss(observed) => self.after_miss(observed),
                    Looked::Leased(_) => self.after_miss(None),
                    Looked::Quarantined => Course::Bypass(Bypass::WriteInFlight),
                    Looked::Failed => Course::Bypass(Bypass::RedisUnavailable),
                }
            }
        };
        self.fly(leader, key, course, operation).await
    }

    fn after_miss(&self, observed: Option<Vec<u8>>) -> Course {
        if self.kind.strategy.cache_on_read() {
            Course::Acquire(observed)
        } else {
            Course::Bypass(Bypass::Strategy)
        }
    }

    /// Sends a GET and judges what it shows.
    pub(super) async fn look(
        &self,
        asked: Asked<'_, R::Entity>,
        key: &Key,
        mark: Mark,
        freshness: Freshness,
    ) -> Looked<R::Entity> {
        let tiers = self.tiers();
        let got = match asked {
            Asked::Id(_) => tiers.get_row(key).await,
            Asked::Index(_) | Asked::All => tiers.get_list(key.clone()).await,
        };
        match got {
            Ok(Some(bytes)) => self.judge(asked, &bytes, mark, freshness, clock::wall()),
            Ok(None) => Looked::Miss(None),
            Err(unanswered) => {
                // Of rows that travel together the large one is not known.
                if unanswered == Unanswered::Travelling && !matches!(asked, Asked::Id(_)) {
                    self.uncacheable(key, Why::TooSlow, mark);
                }
                Looked::Failed
            }
        }
    }

    /// Says what the bytes under a key mean to this read `now`.
    pub(super) fn judge(
        &self,
        asked: Asked<'_, R::Entity>,
        bytes: &[u8],
        mark: Mark,
        freshness: Freshness,
        now: Timestamp,
    ) -> Looked<R::Entity> {
        if value::is_cut(bytes) {
            self.tiers()
                .statistics
                .error(Unacceptable::TooLarge.as_str());
            return Looked::Miss(Some(bytes.to_vec()));
        }
        match State::of(bytes, true) {
            State::Value => {}
            // One of no write under way may never expire by itself; a script
            // sees its TTL, and has the server's own clock.
            State::Quarantine(quarantine) if !quarantine.is_implausible() => {
                return Looked::Quarantined;
            }
            State::Lease(token) => {
                return u128::from_str_radix(token, 16).map_or(Looked::Miss(None), Looked::Leased);
            }
            State::Absent | State::Quarantine(_) => return Looked::Miss(None),
        }
        let decoded = self.kind.decode(asked, bytes, mark.circumstance, now);
        let decoded = decoded.and_then(|stored| {
            let young = is_young(stored.loaded_at, freshness);
            young.then_some(stored).ok_or(Unacceptable::TooOld)
        });
        match decoded {
            Ok(stored) => Looked::Hit(stored),
            Err(why) => {
                if why != Unacceptable::TooOld {
                    self.tiers().statistics.error(why.as_str());
                }
                Looked::Miss(Some(bytes[..bytes.len().min(HEADER_BYTES)].to_vec()))
            }
        }
    }

    /// A read skipped this process: no later `Any` read may go back behind
    /// what it saw. So unless exactly that is held here, whatever is held, and
    /// whatever older is still on its way in, is forgotten.
    fn outdate_in_process(&self, asked: Asked<'_, R::Entity>, seen: Option<u64>) {
        if self.kind.in_process.is_some() && (seen.is_none() || self.hit(asked, Kept::fill) != seen)
        {
            let key = asked.key(self.tiers().namespace());
            self.tiers().stripes.forget(key.hash());
        }
    }

    /// What a flight that somebody else led means to this reader.
    fn share(&self, landed: &Landed<R::Entity, R::Error>) -> Result<Served<R::Entity>, R::Error> {
        match &landed.result {
            Ok(found) => Ok(Served {
                found: found.clone(),
                tier: landed.tier,
                bypass: landed.bypass,
                loaded_at: Some(landed.loaded_at),
                ttl: landed.ttl,
                fill: None,
                stale: None,
            }),
            Err(Failed::Error(error)) => Err(error.clone()),
            Err(Failed::Panicked) => {
                panic!(
                    "the load of `{}` that was waited for panicked",
                    R::Entity::KIND
                )
            }
        }
    }
}

/// Apart from the hit, which it would blow up.
#[cold]
fn log_read(kind: &'static str, operation: Operation, outcome: Outcome) {
    let (operation, outcome) = (operation.as_str(), outcome.as_str());
    tracing::debug!(kind, operation, outcome, "read");
}

#[cfg(test)]
mod tests;
