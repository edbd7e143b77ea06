//! The RELEASE of quarantined keys, with the new rows that Redis may keep.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, timeout};

use super::{NewValue, Round, Write};
use crate::entity::key::Key;
use crate::insight::statistics::increment;
use crate::insight::trail::Event;
use crate::protocol::message::Why;
use crate::protocol::{Failure, Op, Released, Reply, Token, Traffic, Unanswered};
use crate::tiers::Tiers;
use crate::tiers::pending::Pending;

/// The maximum number of rows that one write reads back; further rows are not
/// left in the cache.
const MAX_ROWS_READ_BACK: usize = 8;

/// A new row that RELEASE may leave under a key.
type Value = Option<Box<dyn NewValue>>;

impl Write {
    /// Releases the keys of the last round. It leaves its list once Redis has
    /// replied or the operation is queued.
    pub(super) async fn release_last_round(&mut self, tiers: &Arc<Tiers>) {
        let Some(round) = self.rounds.last_mut() else {
            return;
        };
        round.leave_unacknowledged(tiers);
        let (writer, keys) = (round.writer, round.acknowledged.clone());
        if !keys.is_empty() {
            let values = keys.iter().map(|key| self.values.remove(key)).collect();
            release(tiers, writer, keys, values).await;
        }
        self.rounds.pop();
    }

    /// Keeps the new rows that reads return unchanged. Until RELEASE every read
    /// comes from the database, so no other row is served meanwhile.
    pub(super) async fn prove_values(&mut self, tiers: &Tiers) {
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
            let proved = proofs < MAX_ROWS_READ_BACK
                && timeout(left, value.prove(tiers)).await.unwrap_or(false);
            proofs += 1;
            if !proved {
                unproven.push(key.clone());
            }
        }
        for key in unproven {
            self.values.remove(&key);
        }
    }
}

impl Round {
    /// Hands over the keys whose quarantine Redis did not acknowledge.
    fn leave_unacknowledged(&mut self, tiers: &Tiers) {
        let writer = self.writer;
        // Not empty if the future of `before_commit` was dropped.
        for key in std::mem::take(&mut self.sent) {
            tiers.hold_until_released(key, writer, None);
        }
        for key in std::mem::take(&mut self.unreleased) {
            tiers.retry_later(Pending::Release {
                key,
                writer,
                unreleased: true,
                quarantined: false,
                due: None,
            });
        }
    }
}

/// Sends one RELEASE pipeline, with the values that Redis is to store.
async fn release(tiers: &Tiers, writer: Token, keys: Vec<Key>, mut values: Vec<Value>) {
    let release = |(key, value): (&Key, &mut Value)| Op::Release {
        key: key.clone(),
        writer,
        message: tiers.message(key, Why::Write),
        value: value.as_mut().and_then(|value| value.encode(tiers, key)),
    };
    let ops: Vec<Op> = keys.iter().zip(&mut values).map(release).collect();
    let ttls: Vec<Duration> = ops.iter().map(ttl_of).collect();
    let traffic = Traffic::of_write(Op::value_bytes(&ops));
    let histories: Vec<u64> = keys.iter().map(|key| tiers.history_for(key)).collect();
    let replies = tiers.send(traffic, ops).await.into_iter().map(Some);
    let replies = replies.chain(std::iter::repeat_with(|| None));
    let released_keys = keys
        .into_iter()
        .zip(values)
        .zip(histories.into_iter().zip(ttls));
    for (((key, value), (history, ttl)), reply) in released_keys.zip(replies) {
        if matches!(reply, Some(Ok(_))) {
            tiers.confirm_later(&key, history);
        }
        released(tiers, writer, key, (value, ttl), reply);
    }
}

/// Takes the reply to one RELEASE, if there was one.
fn released(
    tiers: &Tiers,
    writer: Token,
    key: Key,
    (value, ttl): (Value, Duration),
    reply: Option<Result<Reply, Failure>>,
) {
    // Any other failure may hide a RELEASE that was executed.
    let quarantined = matches!(
        reply,
        Some(Err(
            Failure::Refused(_) | Failure::Unanswered(Unanswered::NotSent)
        ))
    );
    let reply = reply.and_then(Result::ok);
    tiers.record_event(&key, event_of(reply.as_ref(), ttl));
    match reply {
        Some(Reply::Released(Released::Lost)) => {
            increment(&tiers.statistics.release_lost);
            tiers.generations.invalidate(key.hash());
        }
        Some(Reply::Released(Released::Stored)) => {
            if let Some(value) = value {
                value.stored();
            }
        }
        Some(_) => {}
        // The quarantine probably still closes the key. But Redis may have lost
        // it, and an older row may have been filled since and not deleted.
        None => {
            let unreleased = tiers.add_unreleased(&key);
            tiers.retry_later(Pending::Release {
                key,
                writer,
                unreleased,
                quarantined,
                due: None,
            });
        }
    }
}

/// Returns how long the value of a RELEASE lives; zero without one.
fn ttl_of(op: &Op) -> Duration {
    match op {
        Op::Release {
            value: Some((_, ttl)),
            ..
        } => *ttl,
        _ => Duration::ZERO,
    }
}

/// Returns the event for the reply to a RELEASE.
fn event_of(reply: Option<&Reply>, ttl: Duration) -> Event {
    match reply {
        Some(Reply::Released(Released::Stored)) => Event::ReleasedWithValue(ttl),
        Some(Reply::Released(Released::Lost)) => Event::ReleasedLost,
        Some(_) => Event::Released,
        None => Event::Unreleased,
    }
}
