//! Early refresh: a value near its end is loaded anew beside its readers.
//!
//! A read that is served such a value claims it (REFRESH), and goes on. One claim is
//! granted per value, over all instances. It is in the value itself, so a write, an
//! invalidation or an eviction ends it, and the FILL of the load is refused.
//!
//! The new value has the history and the epoch known before REFRESH: with those known
//! at FILL, a row from before a lost tail or a bump would pass for a newer one. It goes
//! into the local tier under the generations of the GET, and takes its turn among the
//! reads of the key as the row of a write does (`tiers/kind/leaving.rs`).
//!
//! If the load fails, the claim stays and the value lives until its end. So a failing
//! database is asked once per value.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;

use crate::entity::key::Key;
use crate::entity::lookup::{Found, Keyed, Lookup, LookupRef};
use crate::insight::statistics::{Operation, Refreshed};
use crate::insight::trail::Event;
use crate::protocol::{Op, Reply, Token, Traffic};
use crate::read::ReadPath;
use crate::read::source::catch;
use crate::repository::Source;
#[cfg(test)]
use crate::runtime::simulated::{Rule, without};
use crate::runtime::task;
use crate::tiers::Tiers;
use crate::tiers::kind::{Cached, ReadContext};

/// A value that is to be loaded anew.
struct Refresh<R: Source> {
    read: ReadPath<R>,
    keyed: Keyed<R::Entity>,
    key: Key,
    /// Of the GET that found the value.
    context: ReadContext,
    fill: u64,
}

impl<R: Source> ReadPath<R> {
    /// Begins the refresh of a value that a GET has found, if it is due.
    pub(super) fn refresh_if_due(
        &self,
        asked: LookupRef<'_, R::Entity>,
        cached: &Cached<R::Entity>,
        context: ReadContext,
    ) {
        if !self.kind.is_due(cached) {
            return;
        }
        let key = asked.key(self.tiers().namespace());
        let refresh = Refresh {
            read: self.clone(),
            keyed: asked.keyed(&key),
            key,
            context,
            fill: cached.fill,
        };
        let left = cached.ttl;
        task::spawn(async move {
            let kind = refresh.read.kind.clone();
            // Later, there is no value to refresh.
            let ended = timeout(left, refresh.run()).await;
            kind.statistics
                .refreshed(ended.unwrap_or(Refreshed::Failed));
        });
    }
}

impl<R: Source> Refresh<R> {
    async fn run(self) -> Refreshed {
        let tiers = Arc::clone(self.read.tiers());
        let Some(_turn) = tiers.origin.unattended().await else {
            return Refreshed::Failed;
        };
        #[cfg(test)]
        let early = match without(Rule::RefreshHeader) {
            true => self.load().await,
            false => None,
        };
        let token = Token::random();
        match claim(&tiers, &self.key, self.fill, token).await {
            Some(true) => {}
            Some(false) => return Refreshed::Lost,
            None => return Refreshed::Failed,
        }
        let is_written = !tiers.generations.is_current(self.context.stamp);
        #[cfg(test)]
        let is_written = is_written && !without(Rule::RefreshHeader);
        // The FILL would be refused.
        if is_written {
            return Refreshed::Void;
        }
        let found = self.load().await;
        #[cfg(test)]
        let found = early.or(found);
        let Some(found) = found else {
            return Refreshed::Failed;
        };
        self.fill(token, found).await
    }

    fn operation(&self) -> Operation {
        match &self.keyed.lookup {
            Lookup::Id(_) => Operation::FindById,
            Lookup::Index(_) => Operation::FindBy,
            Lookup::All => Operation::ListAll,
        }
    }

    async fn load(&self) -> Option<Found<R::Entity>> {
        let load = self.read.load(&self.keyed.lookup, self.operation());
        // The next read finds the same failure, and its caller is told.
        catch(load).await.ok()?.ok()
    }

    async fn fill(self, token: Token, found: Found<R::Entity>) -> Refreshed {
        let operation = self.operation();
        let Self {
            read,
            keyed,
            key,
            context,
            ..
        } = self;
        #[cfg(test)]
        let known = match without(Rule::RefreshKnownBefore) {
            true => read.context(&key),
            false => context,
        };
        #[cfg(not(test))]
        let known = context;
        let encoded = read.encode(
            keyed.asked(),
            &found,
            known,
            token.stamp(),
            operation,
            false,
        );
        let encoded = match encoded {
            Ok(encoded) => encoded,
            Err(why) => {
                read.uncacheable(&key, why, context);
                return Refreshed::Void;
            }
        };
        let (value, stored) = encoded.split(found);
        let ttl = stored.ttl;
        let leaving = match read.kind.local {
            Some(_) => read.kind.leave(keyed, stored, context),
            None => None,
        };
        let ended = refill(read.tiers(), &key, token, (value, ttl)).await;
        if let Some(leaving) = leaving
            && ended == Refreshed::Done
        {
            leaving.left();
        }
        ended
    }
}

/// Sends REFRESH. Returns true if the caller is to load; `None` without a reply.
pub(crate) async fn claim(tiers: &Tiers, key: &Key, fill: u64, token: Token) -> Option<bool> {
    let op = Op::Refresh {
        key: key.clone(),
        fill,
        token,
    };
    match tiers.send_one(Traffic::Others, op).await {
        Ok(Reply::Claimed(claimed)) => Some(claimed),
        Ok(_) | Err(_) => None,
    }
}

/// Sends the FILL of a claimed value.
pub(crate) async fn refill(
    tiers: &Tiers,
    key: &Key,
    token: Token,
    (value, ttl): (Vec<u8>, Duration),
) -> Refreshed {
    let traffic = Traffic::of_fill(value.len());
    let op = Op::Fill {
        key: key.clone(),
        token,
        value,
        ttl,
    };
    match tiers.send_one(traffic, op).await {
        Ok(Reply::Filled(true)) => {
            tiers.record_event(key, Event::Filled(ttl));
            Refreshed::Done
        }
        Ok(_) => {
            tiers.record_event(key, Event::FillRefused);
            Refreshed::Void
        }
        Err(_) => Refreshed::Failed,
    }
}
