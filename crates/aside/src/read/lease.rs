//! The lease: the right to fill one key, given back when dropped.

use std::sync::Arc;
use std::time::Duration;

use crate::entity::key::Key;
use crate::protocol::value::KeyStamp;
use crate::protocol::{Op, Token, Traffic};
use crate::tiers::Tiers;
use crate::tiers::pending::Pending;

/// A lease that Redis has granted, or may have granted.
///
/// However it is dropped, by a panic or a load that took too long, it is given
/// back through the queue of pending operations. So other readers need not wait
/// until it expires.
pub(crate) struct Lease {
    tiers: Arc<Tiers>,
    key: Key,
    token: Token,
    /// True if it need not be given back.
    is_over: bool,
}

impl Lease {
    pub(crate) fn new(tiers: &Arc<Tiers>, key: &Key, token: Token) -> Self {
        Self {
            tiers: Arc::clone(tiers),
            key: key.clone(),
            token,
            is_over: false,
        }
    }

    /// Returns the stamp of the key while it is leased, and of the value that fills it.
    pub(crate) fn stamp(&self) -> KeyStamp {
        self.token.stamp()
    }

    /// Returns the FILL for this lease.
    pub(crate) fn fill(&self, value: Vec<u8>, ttl: Duration) -> Op {
        Op::Fill {
            key: self.key.clone(),
            token: self.token,
            value,
            ttl,
        }
    }

    /// Gives the lease back at once.
    pub(crate) async fn give_back(mut self) {
        self.is_over = true;
        let (key, token) = (self.key.clone(), self.token);
        let abandon = Op::Abandon { key, token };
        let _ = self.tiers.send_one(Traffic::Others, abandon).await;
    }

    /// Marks the lease as ended, because Redis has accepted or refused its
    /// FILL.
    pub(crate) fn spent(mut self) {
        self.is_over = true;
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if !self.is_over {
            let (key, token) = (self.key.clone(), self.token);
            self.tiers.retry_later(Pending::Abandon { key, token });
        }
    }
}
