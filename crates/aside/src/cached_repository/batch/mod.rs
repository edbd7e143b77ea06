//! Many rows at once: one MGET, one pipeline of ACQUIREs, one load, and one
//! pipeline of FILLs.
//!
//! The batch leads the flights of those ids that nobody else is reading,
//! brings them all to their end, and only then waits for the others. Two
//! overlapping batches therefore never wait for each other.

mod fill;
mod look;

use std::collections::HashMap;
use std::convert::Infallible;
use std::panic::resume_unwind;

use futures_util::future::{join_all, try_join_all};
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::answer::{Bypass, Freshness};
use crate::cached_repository::CachedRepository;
use crate::cached_repository::lease::Lease;
use crate::cached_repository::load::{LOOK_FOR_READERS, finish_failed};
use crate::cached_repository::read::{Leader, Looked};
use crate::cached_repository::source::{Loaded, catch};
use crate::entity::Entity;
use crate::entity::key::Key;
use crate::entity::lookup::{Asked, Found, Lookup, Spelled};
use crate::insight::statistics::{Operation, Outcome, raise};
use crate::local::flight::Entered;
use crate::protocol::{Acquired, Op, Reply, Token};
use crate::repository::{Id, Overloaded, Repository, Row};
use crate::runtime::clock;
use crate::runtime::task;
use crate::tiers::kind::{Failed, Mark};
use crate::tiers::origin_guard;

/// Ids per round; a larger batch is several.
const ROUND: usize = 1_000;

/// An id that is not held, and its place among those that differ.
type Wanted<'a, R> = (usize, &'a Id<R>);

/// One id that this batch reads for itself.
struct Own<R: Repository> {
    /// The place of the id among those that differ.
    at: usize,
    leader: Leader<R>,
    key: Key,
    mark: Mark,
    step: u32,
    /// Whether a value that could not be read stands under the key.
    again: bool,
    /// What the id will be loaded as, once that is known.
    way: Way,
}

enum Way {
    /// It may be asked for, over a value of this header.
    Open(Option<Vec<u8>>),
    /// It may be filled under this lease.
    Granted(Lease),
    Bypass(Bypass),
}

/// The rows of a batch, by the place of their id among those that differ.
type Rows<R> = HashMap<usize, Option<Row<R>>>;

/// The ids of a batch that differ, and for each id that was asked for its place
/// among them. Ids that are equal and have two keys differ.
fn distinct<E: Entity>(ids: &[E::Id]) -> (Vec<&E::Id>, Vec<usize>) {
    let mut known: HashMap<Spelled<'_, E>, usize> = HashMap::with_capacity(ids.len());
    let mut distinct = Vec::with_capacity(ids.len());
    let places = ids.iter().map(|id| {
        *known.entry(Spelled::of(id)).or_insert_with(|| {
            distinct.push(id);
            distinct.len() - 1
        })
    });
    let places = places.collect();
    (distinct, places)
}

impl<R: Repository> CachedRepository<R> {
    pub(super) async fn read_many(&self, ids: &[Id<R>]) -> Result<Vec<Option<Row<R>>>, R::Error> {
        // A repeated id is asked for once.
        let (ids, places) = distinct::<R::Entity>(ids);
        let mut rows: Rows<R> = HashMap::with_capacity(ids.len());
        let mut missing = Vec::new();
        for (at, id) in ids.iter().enumerate() {
            match self.row_in_process(id, Operation::FindMany) {
                Some(row) => _ = rows.insert(at, row),
                None => missing.push(at),
            }
        }
        for round in missing.chunks(ROUND) {
            let round: Vec<Wanted<'_, R>> = round.iter().map(|at| (*at, ids[*at])).collect();
            if let Err(error) = self.read_round(&round, &mut rows).await {
                self.make_do(&round, &mut rows).ok_or(error)?;
            }
        }
        // By index: a panic is better than an absence that no tier has shown.
        Ok(places.iter().map(|at| rows[at].clone()).collect())
    }

    /// Answers what a failed round has left open by what may be served stale,
    /// if that is all of it.
    fn make_do(&self, round: &[Wanted<'_, R>], rows: &mut Rows<R>) -> Option<()> {
        for (at, id) in round {
            if !rows.contains_key(at) {
                rows.insert(*at, self.stale_row(id)?);
            }
        }
        Some(())
    }

    async fn read_round(
        &self,
        wanted: &[Wanted<'_, R>],
        rows: &mut Rows<R>,
    ) -> Result<(), R::Error> {
        let begun = Instant::now();
        let lenient = self.kind.in_process.is_some();
        self.know_epoch().await;
        // One pipeline, and so one draw.
        let mut admitted = None;
        let mut turned_away = || {
            let admitted = *admitted.get_or_insert_with(|| self.tiers().admits_read());
            (!admitted).then_some(Bypass::RedisUnavailable)
        };
        let key = |id| Asked::<R::Entity>::Id(id).key(self.tiers().namespace());
        let all = wanted
            .iter()
            .map(|wanted| (*wanted, key(wanted.1), Way::Open(None)));
        let left = if lenient {
            all.collect()
        } else {
            self.look_first(all, rows, &mut turned_away).await
        };
        let (mut own, mut others) = (Vec::new(), Vec::new());
        // A read within a load must not wait for those that wait for its place.
        let in_place = self.tiers().origin.has_place();
        for ((at, id), key, way) in left {
            let mark = self.mark(&key);
            let keyed = Asked::Id(id).keyed(&key);
            if self.is_loading(&key) {
                continue;
            }
            match self.flights.enter(&keyed, mark, lenient) {
                Entered::Follow(_) if in_place && self.is_outage(&key, mark) => {}
                Entered::Lead(leader) => {
                    leader.mark(mark);
                    let closed = self.closed(&key, mark).or_else(&mut turned_away);
                    let closed = closed.or_else(|| self.known_uncacheable(&key));
                    let way = closed.map_or(way, Way::Bypass);
                    own.push(Own {
                        at,
                        leader,
                        key,
                        mark,
                        step: 0,
                        again: false,
                        way,
                    });
                }
                Entered::Follow(_) => others.push((at, id)),
            }
        }
        let own = if lenient {
            self.look_up(own, rows).await
        } else {
            own
        };
        // A round takes as long as what it loads, if it loads anything.
        let outcome = if own.is_empty() {
            Outcome::L2Hit
        } else {
            Outcome::Miss
        };
        if !own.is_empty() {
            // From here on the work outlives a caller who goes away.
            let (this, place) = (self.clone(), origin_guard::current());
            let (caller, _waiting) = oneshot::channel();
            let loading = async move { this.load_own(own, caller).await };
            rows.extend(task::outlive(origin_guard::within(place, loading)).await?);
        }
        self.kind.statistics.read_took(outcome, begun.elapsed());
        let rest = others.into_iter().map(async |(at, id)| {
            // From the top: what the others brought may be held here by now,
            // and whoever passes that by may see a newer row than the next
            // reader, who does not.
            let read = self.read(Asked::Id(id), Operation::FindMany, Freshness::Any);
            Ok((at, Box::pin(read).await?.found.into_row()))
        });
        rows.extend(try_join_all(rest).await?);
        self.load_left(wanted, rows).await
    }

    /// Loads every id that is still without an answer, for this caller alone.
    async fn load_left(
        &self,
        wanted: &[Wanted<'_, R>],
        rows: &mut Rows<R>,
    ) -> Result<(), R::Error> {
        let is_left = |(at, _): &Wanted<'_, R>| !rows.contains_key(at);
        let left: Vec<_> = wanted.iter().copied().filter(is_left).collect();
        if left.is_empty() {
            return Ok(());
        }
        let ids: Vec<Id<R>> = left.iter().map(|(_, id)| (*id).clone()).collect();
        let loaded = self.load_many(&ids).await?;
        for ((at, id), row) in left.into_iter().zip(loaded) {
            self.outdate_held(Asked::Id(id), &Found::Row(row.clone()), true);
            rows.insert(at, row);
        }
        Ok(())
    }

    /// Whether a key is passed by because Redis cannot be trusted with it.
    fn is_outage(&self, key: &Key, mark: Mark) -> bool {
        self.closed(key, mark).is_some_and(Bypass::is_outage)
    }

    /// Why a key is passed by that cannot be cached, unless it is to be tried again.
    pub(super) fn known_uncacheable(&self, key: &Key) -> Option<Bypass> {
        let known = self.tiers().uncacheable.known(key)?;
        (!known.is_due).then(|| known.why.bypass())
    }

    /// Asks for the right to fill each id, loads them together, fills. `caller` is
    /// closed when the caller of the batch goes away.
    async fn load_own(
        &self,
        own: Vec<Own<R>>,
        mut caller: oneshot::Sender<Infallible>,
    ) -> Result<Rows<R>, R::Error> {
        let mut rows = HashMap::new();
        let mut own = self.acquire(own, &mut rows).await;
        let ids: Vec<Id<R>> = own.iter().filter_map(Own::id).collect();
        let places: Vec<usize> = own.iter().map(|own| own.at).collect();
        if ids.is_empty() {
            return Ok(rows);
        }
        let tiers = self.tiers();
        let outage = own
            .iter()
            .any(|own| matches!(&own.way, Way::Bypass(bypass) if bypass.is_outage()));
        let place = if outage {
            let Some(place) = tiers.place_at_source().await else {
                let overloaded = || self.inner.overloaded(Overloaded::TooManyLoads);
                return self.fail(own, catch(async { Err(overloaded()) }).await);
            };
            Some(place)
        } else {
            origin_guard::current()
        };
        for own in &mut own {
            own.step = match own.way {
                Way::Bypass(_) => own.leader.step_bypass(),
                Way::Open(_) | Way::Granted(_) => own.leader.step(),
            };
        }
        let load = catch(self.load_many(&ids));
        let mut load = std::pin::pin!(origin_guard::within(place.clone(), load));
        let attended = tiers
            .origin
            .attend(load.as_mut(), deserted(&mut caller, &own));
        let loaded = match tokio::time::timeout(tiers.config.lease_ttl, attended).await {
            Ok(Some(Ok(Ok(loaded)))) => loaded,
            Ok(Some(failed)) => return self.fail(own, failed),
            // Nobody takes it.
            Ok(None) => return Ok(rows),
            Err(_) => {
                // Redis would refuse the fills: others may load.
                for _ in own.iter().filter(|own| matches!(own.way, Way::Granted(_))) {
                    raise(&tiers.statistics.fill_rejected);
                }
                drop(own);
                place.iter().for_each(|place| place.leave());
                return tokio::select! {
                    biased;
                    loaded = load => {
                        rows.extend(self.outlast(&ids, &places, loaded)?);
                        Ok(rows)
                    }
                    () = caller.closed() => Ok(rows),
                };
            }
        };
        for (own, row) in own.iter().zip(&loaded) {
            let asked = own.leader.key().asked();
            match own.way {
                Way::Bypass(bypass) if bypass.is_uncacheable() => self.outdate_passed(&own.key),
                Way::Bypass(_) => self.outdate_held(asked, &Found::Row(row.clone()), true),
                _ => self.outdate_held(asked, &Found::Row(row.clone()), false),
            }
        }
        rows.extend(places.into_iter().zip(loaded.iter().cloned()));
        self.fill(own, loaded).await;
        Ok(rows)
    }

    /// Shares a failure among all who wait for a row of the batch, once.
    fn fail(
        &self,
        own: Vec<Own<R>>,
        failed: Loaded<Vec<Option<Row<R>>>, R::Error>,
    ) -> Result<Rows<R>, R::Error> {
        let each = |own: Own<R>| {
            let failed = match &failed {
                Ok(Err(error)) => Failed::Error(error.clone()),
                _ => Failed::Panicked,
            };
            // The leases are given back with `own`.
            finish_failed(own.leader, failed)
        };
        // The caller does not wait for the pause that the next loads wait for.
        task::spawn(join_all(own.into_iter().map(each).collect::<Vec<_>>()));
        match failed {
            Ok(Err(error)) => Err(error),
            Err(panic) => resume_unwind(panic),
            Ok(Ok(_)) => Ok(HashMap::new()),
        }
    }

    /// What a load brought whose leases had expired: for its caller alone.
    fn outlast(
        &self,
        ids: &[Id<R>],
        places: &[usize],
        loaded: Loaded<Vec<Option<Row<R>>>, R::Error>,
    ) -> Result<Rows<R>, R::Error> {
        let loaded = loaded.unwrap_or_else(|panic| resume_unwind(panic))?;
        for (id, row) in ids.iter().zip(&loaded) {
            self.count(Operation::FindMany, Outcome::Bypass);
            self.outdate_held(Asked::Id(id), &Found::Row(row.clone()), true);
        }
        Ok(places.iter().copied().zip(loaded).collect())
    }

    /// One pipeline of ACQUIREs.
    async fn acquire(&self, own: Vec<Own<R>>, rows: &mut Rows<R>) -> Vec<Own<R>> {
        let (open, mut settled): (Vec<_>, Vec<_>) = own
            .into_iter()
            .partition(|own| matches!(own.way, Way::Open(_)));
        if open.is_empty() {
            return settled;
        }
        let tiers = self.tiers();
        let tokens: Vec<Token> = open.iter().map(|_| Token::random()).collect();
        let lease = tiers.config.lease_ttl;
        let mut ops = Vec::with_capacity(open.len());
        let mut asking = Vec::with_capacity(open.len());
        for (mut own, token) in open.into_iter().zip(&tokens) {
            own.step = own.leader.step();
            let (key, token) = (own.key.clone(), *token);
            let observed = match &mut own.way {
                Way::Open(observed) => {
                    own.again = observed.is_some();
                    observed.take()
                }
                Way::Granted(_) | Way::Bypass(_) => None,
            };
            ops.push(Op::Acquire {
                key,
                token,
                lease,
                observed,
            });
            asking.push(own);
        }
        let replies = tiers.ask(tiers.lane(), ops).await.unwrap_or_default();
        let (mut replies, now) = (replies.into_iter(), clock::wall());
        for (mut own, token) in asking.into_iter().zip(tokens) {
            own.way = match replies.next() {
                Some(Ok(Reply::Acquired(Acquired::Granted))) => {
                    Way::Granted(Lease::new(tiers, &own.key, token))
                }
                Some(Ok(Reply::Acquired(Acquired::Value(value)))) => {
                    let asked = own.leader.key().asked();
                    match self.judge(asked, &value, own.mark, Freshness::Any, now) {
                        Looked::Hit(stored) => {
                            self.finish_hit(own, &stored, rows);
                            continue;
                        }
                        _ => Way::Bypass(Bypass::OtherShape),
                    }
                }
                Some(Ok(Reply::Acquired(Acquired::Wait))) => {
                    // Waiting would hold the whole batch up for one row.
                    raise(&tiers.statistics.lease_waits);
                    Way::Bypass(Bypass::LeaseWait)
                }
                Some(Ok(Reply::Acquired(Acquired::Quarantined))) => {
                    raise(&tiers.statistics.quarantine_bypass);
                    Way::Bypass(Bypass::WriteInFlight)
                }
                _ => {
                    // It may have been granted all the same.
                    drop(Lease::new(tiers, &own.key, token));
                    Way::Bypass(Bypass::RedisUnavailable)
                }
            };
            settled.push(own);
        }
        settled
    }
}

/// Ends when neither the caller of a batch nor another reader waits for it.
async fn deserted<R: Repository>(caller: &mut oneshot::Sender<Infallible>, own: &[Own<R>]) {
    caller.closed().await;
    while own.iter().any(|own| own.leader.has_followers()) {
        tokio::time::sleep(LOOK_FOR_READERS).await;
    }
}

impl<R: Repository> Own<R> {
    fn id(&self) -> Option<Id<R>> {
        match &self.leader.key().lookup {
            Lookup::Id(id) => Some(id.clone()),
            Lookup::Index(_) | Lookup::All => None,
        }
    }
}

#[cfg(test)]
mod tests;
