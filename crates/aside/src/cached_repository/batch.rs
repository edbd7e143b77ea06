//! Many rows at once: one MGET, one pipeline of ACQUIREs, one load, and one
//! pipeline of FILLs.
//!
//! The batch leads the flights of those ids that nobody else is reading,
//! brings them all to their end, and only then waits for the others. Two
//! overlapping batches therefore never wait for each other.

mod fill;
mod look;

use std::collections::HashMap;

use futures_util::future::try_join_all;
use tokio::time::Instant;

use crate::answer::{Bypass, Freshness};
use crate::cached_repository::CachedRepository;
use crate::cached_repository::read::{Leader, Looked};
use crate::clock;
use crate::flight::Entered;
use crate::key::Key;
use crate::kind::Mark;
use crate::lookup::{Asked, Found, Lookup};
use crate::pending::Pending;
use crate::repository::{Id, Repository, Row};
use crate::shared::{Acquired, Op, Reply, Token};
use crate::statistics::{Operation, Outcome, raise};
use crate::task;

/// Ids per round; a larger batch is several.
const ROUND: usize = 1_000;

/// One id that this batch reads for itself.
struct Own<R: Repository> {
    leader: Leader<R>,
    key: Key,
    mark: Mark,
    step: u32,
    /// What the id will be loaded as, once that is known.
    way: Way,
}

enum Way {
    /// It may be asked for, over a value of this header.
    Open(Option<Vec<u8>>),
    /// It may be filled under this token.
    Granted(Token),
    Bypass(Bypass),
}

type Rows<R> = HashMap<Id<R>, Option<Row<R>>>;

impl<R: Repository> CachedRepository<R> {
    pub(super) async fn read_many(&self, ids: &[Id<R>]) -> Result<Vec<Option<Row<R>>>, R::Error> {
        let mut rows: Rows<R> = HashMap::with_capacity(ids.len());
        let mut missing = Vec::new();
        for id in ids {
            if rows.contains_key(id) {
                continue;
            }
            // Absent until found, so that a repeated id is asked for once.
            let held = self.row_in_process(id, Operation::FindMany);
            if held.is_none() {
                missing.push(id.clone());
            }
            rows.insert(id.clone(), held.flatten());
        }
        for round in missing.chunks(ROUND) {
            if let Err(error) = self.read_round(round, &mut rows).await {
                self.make_do(round, &mut rows).ok_or(error)?;
            }
        }
        Ok(ids
            .iter()
            .map(|id| rows.get(id).cloned().flatten())
            .collect())
    }

    /// Answers what a failed round has left open by what may be served stale,
    /// if that is all of it.
    fn make_do(&self, round: &[Id<R>], rows: &mut Rows<R>) -> Option<()> {
        for id in round {
            if let Some(row @ None) = rows.get_mut(id) {
                *row = self.stale_row(id)?;
            }
        }
        Some(())
    }

    async fn read_round(&self, ids: &[Id<R>], rows: &mut Rows<R>) -> Result<(), R::Error> {
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
        let all = ids.iter().map(|id| (id, key(id), Way::Open(None)));
        let left = if lenient {
            all.collect()
        } else {
            self.look_first(all, rows, &mut turned_away).await
        };
        let (mut own, mut others) = (Vec::new(), Vec::new());
        for (id, key, way) in left {
            let mark = self.mark(&key);
            match self.flights.enter(&Lookup::Id(id.clone()), mark, lenient) {
                Entered::Lead(leader) => {
                    leader.mark(mark);
                    let closed = self.closed(&key, mark).or_else(&mut turned_away);
                    let way = closed.map_or(way, Way::Bypass);
                    own.push(Own {
                        leader,
                        key,
                        mark,
                        step: 0,
                        way,
                    });
                }
                Entered::Follow(_) => others.push(id),
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
            let this = self.clone();
            rows.extend(task::outlive(async move { this.load_own(own).await }).await?);
        }
        self.kind.statistics.read_took(outcome, begun.elapsed());
        let rest = others.into_iter().map(async |id| {
            // From the top: what the others brought may be held here by now,
            // and whoever passes that by may see a newer row than the next
            // reader, who does not.
            let read = self.read(Asked::Id(id), Operation::FindMany, Freshness::Any);
            Ok((id.clone(), Box::pin(read).await?.found.into_row()))
        });
        rows.extend(try_join_all(rest).await?);
        Ok(())
    }

    /// Asks for the right to fill each id, loads them together, fills.
    async fn load_own(&self, own: Vec<Own<R>>) -> Result<Rows<R>, R::Error> {
        let mut rows = HashMap::new();
        let mut own = self.acquire(own, &mut rows).await;
        let outage = own
            .iter()
            .any(|own| matches!(&own.way, Way::Bypass(bypass) if bypass.is_outage()));
        let turn = if outage {
            Some(self.tiers().turn_at_source().await)
        } else {
            None
        };
        if matches!(turn, Some(None)) {
            own.iter().for_each(|own| self.give_back(own));
            return Err(self.inner.overloaded());
        }
        let ids: Vec<Id<R>> = own.iter().filter_map(Own::id).collect();
        if ids.is_empty() {
            return Ok(rows);
        }
        for own in &mut own {
            own.step = match own.way {
                Way::Bypass(_) => own.leader.step_bypass(),
                Way::Open(_) | Way::Granted(_) => own.leader.step(),
            };
        }
        let begun = Instant::now();
        // On an error or a panic the leaders are dropped, and with them the
        // lead passes to whoever waits, each for an id of its own.
        let loaded = self.inner.find_many(&ids).await;
        drop(turn);
        self.kind
            .statistics
            .source_took(Operation::FindMany, begun.elapsed());
        let loaded = match loaded {
            Ok(loaded) => loaded,
            Err(error) => {
                own.iter().for_each(|own| self.give_back(own));
                return Err(error);
            }
        };
        for (own, row) in own.iter().zip(&loaded) {
            let bypassed = matches!(own.way, Way::Bypass(_));
            self.outdate_held(own.leader.key().asked(), &Found::Row(row.clone()), bypassed);
        }
        rows.extend(ids.into_iter().zip(loaded.iter().cloned()));
        self.fill(own, loaded).await;
        Ok(rows)
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
                Way::Open(observed) => observed.take(),
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
                Some(Ok(Reply::Acquired(Acquired::Granted))) => Way::Granted(token),
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
                    tiers.later(Pending::Abandon {
                        key: own.key.clone(),
                        token,
                    });
                    Way::Bypass(Bypass::RedisUnavailable)
                }
            };
            settled.push(own);
        }
        settled
    }
}

impl<R: Repository> Own<R> {
    fn id(&self) -> Option<Id<R>> {
        match self.leader.key() {
            Lookup::Id(id) => Some(id.clone()),
            Lookup::Index(_) | Lookup::All => None,
        }
    }
}

#[cfg(test)]
mod tests;
