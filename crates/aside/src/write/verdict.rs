//! After the commit, or instead of it: what Redis is told of the keys.

use std::sync::Arc;

use tokio::time::{Instant, timeout};

use super::{NewValue, Write};
use crate::entity::key::Key;
use crate::insight::audit::Event;
use crate::insight::statistics::{Reason, raise};
use crate::protocol::{Op, Released, Reply, Token};
use crate::tiers::pending::Pending;
use crate::tiers::{MUCH, Tiers};

/// Rows that one write reads back at most; what is left unread is not left.
const MOST_PROOFS: usize = 8;

/// How a write ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Committed,
    RolledBack,
}

impl Write {
    /// Says that the transaction certainly did not commit.
    ///
    /// Certain is: `ROLLBACK` succeeded on its connection, or the server
    /// refused the commit with an error that is not about the connection.
    /// When in doubt, say nothing. Another attempt of the same write begins
    /// with its [`before_commit`](Self::before_commit), and has a verdict of
    /// its own.
    pub fn rolled_back(&mut self) {
        self.rolled_back = true;
        // Rows that were never committed.
        self.values.clear();
    }

    /// Says that the caller's own transaction certainly committed.
    ///
    /// # Cancellation
    /// Dropped half-way, it counts as ambiguous, which is safe and slower.
    pub async fn committed(mut self) {
        self.end(Verdict::Committed).await;
    }

    /// Ends the write as its repository's result says.
    pub(crate) async fn ended(mut self, succeeded: bool) {
        // What the repository said itself comes first: it may answer a
        // transaction that it rolled back as a row that was not there.
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
        // Keys, kinds and rounds leave their lists when Redis has been told,
        // or will be: a write dropped in between forgets none.
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
            // Left over where the future of `before_commit` was dropped.
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
            // Chosen now: of those that answered before the commit one may be gone.
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
                    // The quarantine probably stands and closes the key. But
                    // Redis may have lost it, and an older row have been
                    // filled since, which nobody has deleted yet.
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

    /// Keeps of the new rows those that reads show. Until RELEASE every read
    /// comes from the database, so that none is served before.
    async fn prove_values(&mut self, tiers: &Tiers) {
        let begun = Instant::now();
        // In this order, since the order of a map is not the same twice.
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

    /// Has the rows of whole kinds deleted, if they have been `forgotten`
    /// after the commit; else whoever reads them works them off.
    fn leave_journalled(&mut self, tiers: &Tiers, forgotten: bool) {
        let ids = std::mem::take(self.journalled.get_mut());
        if ids.is_empty() {
        } else if forgotten {
            tiers.journalled.done(&ids);
        } else {
            tiers.journalled.leave(&ids);
        }
    }

    /// Forgets what a repository changed without asking for the quarantine.
    async fn forget_unquarantined(&mut self, tiers: &Arc<Tiers>) {
        if self.recorded.is_empty() || !tiers.is_enabled() {
            return;
        }
        tiers.statistics.error("no_before_commit");
        tracing::error!(
            keys = self.recorded.len(),
            "a write committed without `before_commit`: it was forgotten afterwards, \
             which a crash in between would have prevented"
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
        tracing::debug!(keys = ?self.known, "forgot what a write changed");
    }
}

/// What the reply to a RELEASE is called in the books of the audit.
fn event_of(reply: Option<&Reply>) -> Event {
    match reply {
        Some(Reply::Released(Released::Stored)) => Event::ReleasedWithValue,
        Some(Reply::Released(Released::Lost)) => Event::ReleasedLost,
        Some(_) => Event::Released,
        None => Event::Unreleased,
    }
}

impl Drop for Write {
    /// Without a verdict the transaction may still commit: its quarantine
    /// runs its time, and only then are the keys released.
    fn drop(&mut self) {
        let Some(tiers) = self.tiers.clone() else {
            return;
        };
        self.leave_journalled(&tiers, false);
        if self.attempted && !self.rolled_back && tiers.is_enabled() {
            let due = Some(Instant::now() + tiers.config.quarantine_ttl);
            // Recorded too late for the quarantine, or never given one.
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
