//! The load of a value that is served although a write outdated it (`tolerates`).
//!
//! The value stays meanwhile. An ACQUIRE would put a lease in its place, and a lease
//! that is given back, because a dependency is being written, leaves nothing. So the
//! reader that loads claims the value as for an early refresh (`read/refresh.rs`). The
//! stamps of all dependencies are seen before, as for any load.

use std::sync::Arc;

use crate::insight::statistics::Refreshed;
use crate::protocol::{Reply, Stamped, Token, Traffic};
use crate::query::asked::Asked;
use crate::query::load::encode;
use crate::query::look::{Seen, stamp_op};
use crate::query::path::{Cacheable, Load, QueryPath};
use crate::read::refresh::{claim, refill};
use crate::read::source::catch;
use crate::runtime::{clock, task};

impl<T: Cacheable> QueryPath<T> {
    /// Loads a value anew in a task, under the stamps that were seen.
    pub(super) fn load_again<X: Send + Sync + 'static>(
        &self,
        asked: &Arc<Asked>,
        seen: Seen,
        fill: u64,
        load: impl Load<T, X>,
    ) {
        let (read, asked) = (self.clone(), Arc::clone(asked));
        task::spawn(async move {
            let ended = read.load_claimed(&asked, seen, fill, load).await;
            read.kind.statistics.refreshed(ended);
        });
    }

    async fn load_claimed<X: Send + Sync + 'static>(
        &self,
        asked: &Asked,
        mut seen: Seen,
        fill: u64,
        load: impl Load<T, X>,
    ) -> Refreshed {
        let tiers = self.tiers();
        let Some(_turn) = tiers.origin.unattended().await else {
            return Refreshed::Failed;
        };
        // Before the claim, which nothing ends if there is no load.
        if !self.stamp_rest(asked, &mut seen).await {
            return Refreshed::Void;
        }
        let token = Token::random();
        match claim(tiers, &asked.key, fill, token).await {
            Some(true) => {}
            Some(false) => return Refreshed::Lost,
            None => return Refreshed::Failed,
        }
        let begun = clock::wall();
        let Ok(Ok(found)) = catch(self.load(asked, load)).await else {
            return Refreshed::Failed;
        };
        let encoded = match encode(self, asked, (&found, begun), &seen, token.stamp()) {
            Ok((value, cached)) => (value, cached.ttl),
            Err(why) => {
                self.uncacheable(asked, why, &seen.context);
                return Refreshed::Void;
            }
        };
        refill(tiers, &asked.key, token, encoded).await
    }

    /// Asks for the stamp of each dependency without one. Returns false if one is being
    /// written.
    async fn stamp_rest(&self, asked: &Asked, seen: &mut Seen) -> bool {
        let rest = (0..seen.stamps.len()).filter(|at| seen.stamps[*at].is_none());
        let rest: Vec<usize> = rest.collect();
        if rest.is_empty() {
            return true;
        }
        let ops = rest.iter().map(|at| stamp_op(asked, &seen.context, *at));
        let replies = self.tiers().send(Traffic::Others, ops.collect()).await;
        for (at, reply) in rest.into_iter().zip(replies) {
            if let Ok(Reply::Stamped(Stamped::At(stamp))) = reply {
                seen.stamps[at] = Some(stamp);
            }
        }
        !seen.stamps.contains(&None)
    }
}
