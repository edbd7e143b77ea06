//! Verdict, after the commit or instead of it: releasing the keys.

use std::sync::Arc;

use tokio::time::{Instant, timeout};

use super::{NewValue, Write};
use crate::entity::key::Key;
use crate::insight::audit::Event;
use crate::insight::statistics::{Reason, raise};
use crate::protocol::{Op, Released, Reply, Token};
use crate::tiers::pending::Pending;
use crate::tiers::{MUCH, Tiers};

/// The maximum number of rows that one write reads back; further rows are not
/// left in the cache.
const MOST_PROOFS: usize = 8;

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
        // Keys, kinds and rounds leave their lists once Redis has been notified
        // or the operation is queued, so a write dropped in between loses none.
        if verdict == Verdict::Committed {
            self.attempted = true;
            self.forget_unquarantined(&tiers).await;
            self.prove_values(&tiers).await;
            self.count(&tiers);
        } else if !self.attempted {
            self.everything.clear();
        }
        let mut forgotten = verdict == Verdict::Committed;
        while let Some(kind) = self.everything.last() {
            forgotten &= tiers.forget_kind(kind).await.is_some();
            self.everything.pop();
        }
        self.leave_journalled(&tiers, forgotten);
        while let Some(round) = self.rounds.last_mut() {
            let writer = round.writer;
            // Not empty if the future of `before_commit` was dropped.
            for key in std::mem::take(&mut round.sent) {
                tiers.hold_until_released(key, writer, None);
            }
            for key in std::mem::take(&mut round.held) {
                tiers.later(Pending::Release {
                    key,
                    writer,
                    held: true,
                    due: None,
                });
            }
            let keys = round.acknowledged.clone();
            if keys.is_empty() {
                self.rounds.pop();
                continue;
            }
            let mut values: Vec<_> = keys
                .iter()
                .map(|key| self.values.remove(key))
                .map(|value| value.filter(|_| verdict == Verdict::Committed))
                .collect();
            let release = |(key, value): (&Key, &mut Option<Box<dyn NewValue>>)| Op::Release {
                key: key.clone(),
                writer,
                message: tiers.message(key),
                value: value.as_mut().and_then(|value| value.encode(&tiers, key)),
            };
            let ops: Vec<Op> = keys.iter().zip(&mut values).map(release).collect();
            // Chosen now, because a lane that replied before the commit may be
            // gone.
            let lane = match Op::value_bytes(&ops) > MUCH {
                true => tiers.lane_of_lists(),
                false => tiers.lane_of_writes(),
            };
            let replies = tiers.ask(lane, ops).await.ok();
            let mut replies = replies.into_iter().flatten();
            for (key, value) in keys.into_iter().zip(values) {
                let reply = replies.next();
                tiers.note(
                    &key,
                    event_of(reply.as_ref().and_then(|reply| reply.as_ref().ok())),
                );
                match reply {
                    Some(Ok(Reply::Released(Released::Lost))) => {
                        raise(&tiers.statistics.release_lost);
                        tiers.stripes.forget(key.hash());
                    }
                    Some(Ok(Reply::Released(Released::Stored))) => {
                        if let Some(value) = value {
                            value.stored();
                        }
                    }
                    Some(Ok(_)) => {}
                    // The quarantine probably still closes the key. But Redis
                    // may have lost it, and an older row may have been filled
                    // since and not deleted.
                    _ => {
                        let held = tiers.hold(&key);
                        tiers.later(Pending::Release {
                            key,
                            writer,
                            held,
                            due: None,
                        });
                    }
                }
            }
            self.rounds.pop();
        }
        self.attempted = false;
    }

    /// Keeps the new rows that reads return unchanged. Until RELEASE every read
    /// comes from the database, so no other row is served meanwhile.
    async fn prove_values(&mut self, tiers: &Tiers) {
        let begun = Instant::now();
        // In this order, because the order of a map varies.
        let keys = self.rounds.iter().flat_map(|round| &round.acknowledged);
        let (mut proofs, mut unproven) = (0, Vec::new());
        for key in keys {
            let Some(value) = self.values.get(key) else {
                continue;
            };
            if value.is_shown() {
                continue;
            }
            let left = tiers
                .config
                .operation_timeout
                .saturating_sub(begun.elapsed());
            let proved =
                proofs < MOST_PROOFS && timeout(left, value.prove(tiers)).await.unwrap_or(false);
            proofs += 1;
            if !proved {
                unproven.push(key.clone());
            }
        }
        for key in unproven {
            self.values.remove(&key);
        }
    }

    /// Schedules the deletion of the journal rows for whole kinds, if they were
    /// `forgotten` after the commit; otherwise they are applied when the
    /// journal is drained.
    fn leave_journalled(&mut self, tiers: &Tiers, forgotten: bool) {
        let ids = std::mem::take(self.journalled.get_mut());
        if ids.is_empty() {
        } else if forgotten {
            tiers.journalled.done(&ids);
        } else {
            tiers.journalled.leave(&ids);
        }
    }

    /// Invalidates changes that a repository committed without a quarantine.
    async fn forget_unquarantined(&mut self, tiers: &Arc<Tiers>) {
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
        for key in tiers.invalidate(&keys).await {
            tiers.hold_until_released(key, Token::random(), None);
        }
        self.recorded.clear();
    }

    fn count(&self, tiers: &Tiers) {
        let kinds = tiers.kinds();
        for (kind, keys) in &self.counts {
            if let Some(kind) = kinds.get(kind) {
                kind.statistics().invalidated(Reason::Write, *keys);
            }
            tracing::info!(kind, operation = "write", count = keys, "invalidated");
        }
        tracing::debug!(keys = ?self.known, "invalidated the keys of a write");
    }
}

/// Returns the audit event for the reply to a RELEASE.
fn event_of(reply: Option<&Reply>) -> Event {
    match reply {
        Some(Reply::Released(Released::Stored)) => Event::ReleasedWithValue,
        Some(Reply::Released(Released::Lost)) => Event::ReleasedLost,
        Some(_) => Event::Released,
        None => Event::Unreleased,
    }
}

impl Drop for Write {
    /// Handles a write without a verdict. The transaction may still commit, so
    /// its keys are released only after the quarantine has expired.
    fn drop(&mut self) {
        let Some(tiers) = self.tiers.clone() else {
            return;
        };
        self.leave_journalled(&tiers, false);
        if self.attempted && !self.rolled_back && tiers.is_enabled() {
            let due = Some(Instant::now() + tiers.config.quarantine_ttl);
            // Recorded too late for the quarantine, or never quarantined.
            self.widen();
            for recorded in self.recorded.drain(..) {
                tiers.hold_until_released(recorded.key, Token::random(), due);
            }
            for kind in self.everything.drain(..) {
                tiers.later(Pending::Everything {
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
            let held = round.held.into_iter().map(|key| (key, true));
            let all = held.chain(round.acknowledged.into_iter().map(|key| (key, false)));
            for (key, held) in all {
                tiers.later(Pending::Release {
                    key,
                    writer: round.writer,
                    held,
                    due,
                });
            }
        }
    }
}
