//! Verdict, after the commit or instead of it: whole kinds and journal rows.

use std::sync::Arc;

use tokio::time::Instant;

use super::Write;
use crate::entity::key::Key;
use crate::insight::statistics::{Reason, WritePhase};
use crate::protocol::Token;
use crate::protocol::message::Why;
use crate::tiers::Tiers;
use crate::tiers::acknowledgement::Asked;
use crate::tiers::pending::Pending;

/// How a write ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Committed,
    RolledBack,
}

impl Write {
    /// Reports that the transaction certainly did not commit.
    ///
    /// It is certain if `ROLLBACK` succeeded on its connection, or if the
    /// server refused the commit with an error unrelated to the connection. If
    /// in doubt, do not call it. Another attempt of the same write begins with
    /// its [`before_commit`](Self::before_commit), and has a separate verdict.
    pub fn rolled_back(&mut self) {
        self.rolled_back = true;
        // These rows were never committed.
        self.values.clear();
    }

    /// Reports that the caller's own transaction certainly committed.
    ///
    /// # Cancellation
    /// If dropped early, the write counts as ambiguous, which is safe but
    /// slower.
    pub async fn committed(mut self) {
        self.end(Verdict::Committed).await;
    }

    /// Ends the write according to its repository's result.
    pub(crate) async fn ended(mut self, succeeded: bool) {
        // The repository's own report takes precedence: it may return a rolled
        // back transaction as an absent row.
        if self.rolled_back {
            self.end(Verdict::RolledBack).await;
        } else if succeeded {
            self.end(Verdict::Committed).await;
        } else if !self.attempted {
            self.end(Verdict::RolledBack).await;
        }
        // Otherwise it is ambiguous, and dropped.
    }

    async fn end(&mut self, verdict: Verdict) {
        let Some(tiers) = self.tiers.clone() else {
            return;
        };
        let ended = Instant::now();
        let quarantined_at = self.quarantined_at.take();
        if let Some(since) = quarantined_at {
            let took = ended.duration_since(since);
            tiers.statistics.write_took(WritePhase::Transaction, took);
        }
        // Keys, kinds and rounds leave their lists once Redis has been notified
        // or the operation is queued, so a write dropped in between loses none.
        if verdict == Verdict::Committed {
            self.attempted = true;
            self.invalidate_unquarantined(&tiers).await;
            self.prove_values(&tiers).await;
            self.count(&tiers);
        } else if !self.attempted {
            self.whole_kinds.clear();
        }
        // Before the epochs are raised; see `tiers/acknowledgement.rs`.
        let is_journalled = !self.journalled.get_mut().is_empty();
        let asked = is_journalled.then(|| Asked::of_kind(&tiers.map()));
        let invalidated = self.invalidate_kinds(&tiers).await && verdict == Verdict::Committed;
        self.leave_journalled(&tiers, asked.filter(|_| invalidated));
        if verdict == Verdict::RolledBack {
            self.values.clear();
        }
        while !self.rounds.is_empty() {
            self.release_last_round(&tiers).await;
        }
        if quarantined_at.is_some() {
            let took = ended.elapsed();
            tiers.statistics.write_took(WritePhase::Release, took);
        }
        self.attempted = false;
    }

    /// Invalidates the whole kinds. Returns true if Redis acknowledged each.
    async fn invalidate_kinds(&mut self, tiers: &Arc<Tiers>) -> bool {
        let mut invalidated = true;
        while let Some(kind) = self.whole_kinds.last() {
            invalidated &= tiers.invalidate_kind(kind, Why::Write).await.is_some();
            self.whole_kinds.pop();
        }
        invalidated
    }

    /// Schedules the deletion of the journal rows for whole kinds, if all servers
    /// acknowledged them after the commit; otherwise they are applied when the
    /// journal is drained.
    fn leave_journalled(&mut self, tiers: &Tiers, acknowledged_by: Option<Asked>) {
        let ids = std::mem::take(self.journalled.get_mut());
        match acknowledged_by {
            Some(asked) => tiers.journalled.done(&ids, &asked.acknowledged()),
            None => tiers.journalled.leave(&ids),
        }
    }

    /// Invalidates changes that a repository committed without a quarantine.
    async fn invalidate_unquarantined(&mut self, tiers: &Arc<Tiers>) {
        if self.recorded.is_empty() || !tiers.is_enabled() {
            return;
        }
        tiers.statistics.error("no_before_commit");
        tracing::error!(
            keys = self.recorded.len(),
            "a write committed without `before_commit`: its keys were invalidated \
             afterwards, which a crash in between would have prevented"
        );
        let keys: Vec<Key> = self
            .recorded
            .iter()
            .map(|recorded| recorded.key.clone())
            .collect();
        for key in tiers.invalidate(&keys, Why::Write).await {
            tiers.hold_until_released(key, Token::random(), None);
        }
        self.recorded.clear();
    }

    fn count(&self, tiers: &Tiers) {
        let kinds = tiers.kinds();
        let unacknowledged = self.unquarantined.len();
        for (kind, keys) in &self.counts {
            if let Some(known) = kinds.get(kind) {
                known.statistics().invalidated(Reason::Write, *keys);
                let prefix = tiers.prefix(kind);
                let texts = self.known.iter().map(Key::as_str);
                for text in texts.filter_map(|text| text.strip_prefix(&*prefix)) {
                    known.statistics().indexes.invalidated(text);
                }
            }
            if unacknowledged == 0 {
                tracing::info!(kind, operation = "write", count = keys, "invalidated");
            } else {
                tracing::info!(
                    kind,
                    operation = "write",
                    count = keys,
                    unacknowledged,
                    "written; Redis has not acknowledged the invalidation, which is retried"
                );
            }
        }
        tracing::debug!(keys = ?self.known, "invalidated the keys of a write");
    }
}

impl Drop for Write {
    /// Handles a write without a verdict. The transaction may still commit, so
    /// its keys are released only after the quarantine has expired.
    fn drop(&mut self) {
        let Some(tiers) = self.tiers.clone() else {
            return;
        };
        self.leave_journalled(&tiers, None);
        if self.attempted && !self.rolled_back && tiers.is_enabled() {
            let due = Some(Instant::now() + tiers.config.quarantine_ttl);
            // Recorded too late for the quarantine, or never quarantined.
            self.widen();
            for recorded in self.recorded.drain(..) {
                tiers.hold_until_released(recorded.key, Token::random(), due);
            }
            for kind in self.whole_kinds.drain(..) {
                tiers.retry_later(Pending::WholeKind {
                    kind: kind.to_owned(),
                    due,
                });
            }
        }
        for round in self.rounds.drain(..) {
            let due = (!self.rolled_back).then(|| round.begun + tiers.config.quarantine_ttl);
            for key in round.sent {
                tiers.hold_until_released(key, round.writer, due);
            }
            let unreleased = round.unreleased.into_iter().map(|key| (key, true));
            let all = unreleased.chain(round.acknowledged.into_iter().map(|key| (key, false)));
            for (key, unreleased) in all {
                tiers.retry_later(Pending::Release {
                    key,
                    writer: round.writer,
                    unreleased,
                    // It has expired when the release of an ambiguous write is due.
                    quarantined: !unreleased && due.is_none(),
                    due,
                });
            }
        }
    }
}
