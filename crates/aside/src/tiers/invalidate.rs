//! Invalidation of keys and kinds, in every tier and on every instance.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::time::Instant;

use super::Tiers;
use crate::entity::key::Key;
use crate::protocol::message::{self, Why};
use crate::protocol::{Op, Token, Traffic, Unanswered};
use crate::runtime::clock::micros;
use crate::tiers::pending::Pending;
use crate::tiers::sweeps::Swept;

/// Keys of one pipeline if many are invalidated at once.
const MAX_KEYS_PER_PIPELINE: usize = 500;

impl Tiers {
    /// Returns a number that no earlier message of this instance has: its clock in
    /// microseconds, or one more than the last.
    fn number_message(&self) -> u64 {
        let now = micros();
        let next = |last: u64| Some(now.max(last + 1));
        let (set, read) = (Ordering::Relaxed, Ordering::Relaxed);
        let last = self.last_message.fetch_update(set, read, next);
        last.map_or(now, |last| now.max(last + 1))
    }

    /// Returns the message that invalidates `key`.
    pub(crate) fn message(&self, key: &Key, why: Why) -> String {
        message::invalidate(key, self.instance, self.number_message(), why)
    }

    /// Invalidates keys in every tier. Returns those that Redis did not
    /// acknowledge.
    pub(crate) async fn invalidate(&self, keys: &[Key], why: Why) -> Vec<Key> {
        let mut left = Vec::new();
        for batch in keys.chunks(MAX_KEYS_PER_PIPELINE) {
            let ops = batch
                .iter()
                .map(|key| Op::Invalidate {
                    key: key.clone(),
                    message: self.message(key, why),
                })
                .collect();
            let histories: Vec<u64> = batch.iter().map(|key| self.history_for(key)).collect();
            let replies = self.send(Traffic::Writes, ops).await;
            for ((key, history), reply) in batch.iter().zip(histories).zip(replies) {
                match reply {
                    Ok(_) => self.confirm_later(key, history),
                    Err(_) => left.push(key.clone()),
                }
            }
            // The farthest tier first, so that none is refilled from a tier
            // with an old value.
            for key in batch {
                self.generations.invalidate(key.hash());
            }
        }
        left
    }

    /// Invalidates local entries with `prefix` in every process, including
    /// entries whose value is gone from Redis.
    ///
    /// # Errors
    /// Redis did not acknowledge the message.
    pub(crate) async fn invalidate_local(&self, prefix: &str) -> Result<(), Unanswered> {
        self.generations.invalidate_all();
        let message = message::invalidate_all(prefix, self.instance, Why::Request);
        self.send_to_all(Traffic::Writes, &Op::Publish { message })
            .await
    }

    /// Invalidates a kind, now or as soon as Redis is reachable; `None` for
    /// later. Returns its new epoch, and the progress of removing its keys from
    /// Redis.
    pub(crate) async fn invalidate_kind(
        self: &Arc<Self>,
        kind: &str,
        why: Why,
    ) -> Option<(u64, Arc<Swept>)> {
        let swept = Arc::default();
        if !self.is_enabled() {
            return Some((0, swept));
        }
        let epoch = self.raise_epoch_or_retry(kind, why).await?;
        self.sweep_later(kind, &swept);
        Some((epoch, swept))
    }

    /// Raises the epoch of a kind, and leaves removing its keys to the next
    /// sweep. Returns the epoch; `None` for later.
    pub(crate) async fn raise_epoch_or_retry(&self, kind: &str, why: Why) -> Option<u64> {
        let raised = match self.is_usable() {
            true => self.raise_epoch(kind, why).await.ok(),
            false => None,
        };
        if raised.is_none() && self.is_enabled() {
            self.hold_kind(kind);
        }
        raised
    }

    /// Makes a kind bypass Redis until Redis has invalidated it.
    pub(crate) fn hold_kind(&self, kind: &str) {
        if self.unreleased.add_kind(&self.prefix(kind)) {
            self.generations.invalidate_all();
            self.retry_later(Pending::WholeKind {
                kind: kind.to_owned(),
                due: None,
            });
        }
    }

    /// Makes a key bypass Redis until its release is acknowledged. The key is
    /// added before its generation is incremented, so a reader of the new
    /// generation sees the key as unreleased. Returns false if there are too
    /// many keys: then the kind is added instead, Redis will invalidate the
    /// kind, and the key needs no release.
    pub(crate) fn add_unreleased(&self, key: &Key) -> bool {
        if !self.is_enabled() {
            return false;
        }
        if self.unreleased.is_full()
            && let Some(kind) = self.kind_of(key.as_str())
        {
            self.hold_kind(kind);
            return false;
        }
        self.unreleased.add(key);
        self.generations.invalidate(key.hash());
        true
    }

    /// Makes a key bypass Redis, and releases it as soon as Redis acknowledges
    /// that, but not before `due`.
    ///
    /// No quarantine of `writer` was acknowledged.
    pub(crate) fn hold_until_released(&self, key: Key, writer: Token, due: Option<Instant>) {
        // If only its kind was added, releasing the key must not end another
        // write's entry.
        let unreleased = self.add_unreleased(&key);
        self.retry_later(Pending::Release {
            key,
            writer,
            unreleased,
            quarantined: false,
            due,
        });
    }
}
