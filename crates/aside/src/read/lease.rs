//! The right to fill one key, which is given back when it is dropped.

use std::sync::Arc;
use std::time::Duration;

use crate::entity::key::Key;
use crate::protocol::{Op, Token};
use crate::tiers::Tiers;
use crate::tiers::pending::Pending;

/// A lease that Redis has granted, or may have.
///
/// Dropped in whatever way, by a panic or with a load that took too long, it is
/// given back with what else Redis must still be told: others need not wait until
/// it expires.
pub(super) struct Lease {
    tiers: Arc<Tiers>,
    key: Key,
    token: Token,
    /// Nothing is to be given back any more.
    is_over: bool,
}

impl Lease {
    pub(super) fn new(tiers: &Arc<Tiers>, key: &Key, token: Token) -> Self {
        Self {
            tiers: Arc::clone(tiers),
            key: key.clone(),
            token,
            is_over: false,
        }
    }

    /// The FILL under this lease.
    pub(super) fn fill(&self, value: Vec<u8>, ttl: Duration) -> Op {
        Op::Fill {
            key: self.key.clone(),
            token: self.token,
            value,
            ttl,
        }
    }

    /// Gives it back at once.
    pub(super) async fn give_back(mut self) {
        self.is_over = true;
        let (key, token) = (self.key.clone(), self.token);
        let lane = self.tiers.lane();
        let _ = self.tiers.ask_one(lane, Op::Abandon { key, token }).await;
    }

    /// Redis has taken or refused its FILL: it is no more.
    pub(super) fn spent(mut self) {
        self.is_over = true;
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if !self.is_over {
            let (key, token) = (self.key.clone(), self.token);
            self.tiers.later(Pending::Abandon { key, token });
        }
    }
}
