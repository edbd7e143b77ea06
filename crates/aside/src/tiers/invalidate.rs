//! Invalidation of keys and kinds, in every tier and on every instance.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use tokio::time::Instant;

use super::Tiers;
use crate::entity::key::Key;
use crate::protocol::{Op, Token, Traffic, Unanswered, message};
use crate::tiers::pending::Pending;

/// Keys of one pipeline if many are invalidated at once.
const MAX_KEYS_PER_PIPELINE: usize = 500;

impl Tiers {
    /// The message that makes every instance forget `key`.
    pub(crate) fn message(&self, key: &Key) -> String {
        message::forget(key, self.instance)
    }

    /// Makes every copy of some keys forget; answers those that Redis did not
    /// acknowledge.
    pub(crate) async fn invalidate(&self, keys: &[Key]) -> Vec<Key> {
        let mut left = Vec::new();
        for batch in keys.chunks(MAX_KEYS_PER_PIPELINE) {
            let ops = batch
                .iter()
                .map(|key| Op::Invalidate {
                    key: key.clone(),
                    message: self.message(key),
                })
                .collect();
            let replies = self.ask(Traffic::Writes, ops).await;
            let failed = batch
                .iter()
                .zip(replies)
                .filter(|(_, reply)| reply.is_err());
            left.extend(failed.map(|(key, _)| key.clone()));
            // Farthest first: nothing is refilled from a tier that remembers.
            for key in batch {
                self.stripes.forget(key.hash());
            }
        }
        left
    }

    /// Makes every process forget whatever it holds that begins with
    /// `prefix`, the entries whose value has left Redis included.
    ///
    /// # Errors
    /// Redis did not acknowledge that the others were told.
    pub(crate) async fn forget_in_process(&self, prefix: &str) -> Result<(), Unanswered> {
        self.stripes.forget_all();
        let message = message::forget_all(prefix, self.instance);
        self.ask_one(Traffic::Writes, Op::Publish { message })
            .await?;
        Ok(())
    }

    /// Makes every copy of a kind forget, now or as soon as Redis can be
    /// reached; `None` for later. What it frees in Redis meanwhile is counted
    /// in what it answers.
    pub(crate) async fn forget_kind(self: &Arc<Self>, kind: &str) -> Option<Arc<AtomicU64>> {
        let freed = Arc::new(AtomicU64::new(0));
        if !self.is_enabled() {
            return Some(freed);
        }
        let forgotten = self.raise_epoch(kind).await;
        forgotten.then(|| {
            self.sweep_later(kind, &freed);
            freed
        })
    }

    /// The same, and leaves what Redis holds to whoever forgets the kind next.
    /// False for later.
    pub(crate) async fn raise_epoch(&self, kind: &str) -> bool {
        let raised = self.is_usable() && self.raise(kind).await.is_ok();
        if !raised && self.is_enabled() {
            self.hold_kind(kind);
        }
        raised
    }

    /// Passes Redis by for a kind until Redis has forgotten it.
    pub(crate) fn hold_kind(&self, kind: &str) {
        if self.held.hold_kind(&self.prefix(kind)) {
            self.stripes.forget_all();
            self.later(Pending::Everything {
                kind: kind.to_owned(),
                due: None,
            });
        }
    }

    /// Passes Redis by for this key until its release is acknowledged. Held
    /// first and forgotten second: whoever sees the new generation sees the
    /// key held. False if its kind is held instead, because there are too
    /// many keys: Redis will then forget the kind, and nothing is owed to it
    /// for the key.
    pub(crate) fn hold(&self, key: &Key) -> bool {
        if !self.is_enabled() {
            return false;
        }
        if self.held.is_full()
            && let Some(kind) = self.kind_of(key.as_str())
        {
            self.hold_kind(kind);
            return false;
        }
        self.held.hold(key);
        self.stripes.forget(key.hash());
        true
    }

    /// Holds a key, and releases it as soon as Redis takes that, but not
    /// before `due`.
    pub(crate) fn hold_until_released(&self, key: Key, writer: Token, due: Option<Instant>) {
        // Not held by itself, it must not end what another write holds.
        let held = self.hold(&key);
        self.later(Pending::Release {
            key,
            writer,
            held,
            due,
        });
    }
}
