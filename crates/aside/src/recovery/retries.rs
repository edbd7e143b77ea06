//! Retries of invalidations and releases that Redis has not acknowledged.
//!
//! A write returns even if its quarantine or release was not acknowledged. The
//! missing operation waits here until the link is usable, and its keys stay
//! unreleased until then. The queue is in memory: a crash loses it, and
//! CAVEATS.md describes the consequences.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::sync::{Mutex, mpsc};
use tokio::time::Instant;

use crate::insight::statistics::increment;
use crate::insight::trail::Event;
use crate::protocol::message::Why;
use crate::protocol::{Op, Released, Reply, Traffic};
use crate::tiers::Tiers;
use crate::tiers::pending::Pending;
use crate::tiers::shard::Shard;

/// Releases per pipeline.
const BATCH: usize = 100;

/// The interval at which an untrusted link is checked.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// The pause after an operation that Redis did not acknowledge.
const PAUSE: Duration = Duration::from_millis(250);

/// The pending operations. The queue outlives its task, which may panic or end
/// with its runtime.
pub(crate) struct Queue {
    arrivals: mpsc::UnboundedReceiver<Pending>,
    ready: VecDeque<Pending>,
    delayed: BTreeMap<(Instant, u64), Pending>,
    order: u64,
}

impl Queue {
    pub(crate) fn of(arrivals: mpsc::UnboundedReceiver<Pending>) -> Arc<Mutex<Self>> {
        Arc::new(Mutex::new(Self {
            arrivals,
            ready: VecDeque::new(),
            delayed: BTreeMap::new(),
            order: 0,
        }))
    }
}

/// Sends pending operations of a shard until the service ends, or the shard. Callers
/// with an earlier map add operations after its slots have another owner. So the
/// queue is read until no caller has the shard any more.
pub(crate) async fn run(queue: Arc<Mutex<Queue>>, tiers: Weak<Tiers>, shard: Weak<Shard>) {
    let mut queue = queue.lock().await;
    let Queue {
        arrivals,
        ready,
        delayed,
        order,
    } = &mut *queue;
    let mut pause = LOOK_AGAIN;
    loop {
        let mut first = None;
        let next_due = delayed.first_key_value().map(|((due, _), _)| *due);
        tokio::select! {
            biased;
            // First, because due operations are finite and arrivals may not be.
            () = sleep_until(next_due) => {
                if let Some((_, pending)) = delayed.pop_first() {
                    ready.push_back(pending);
                }
            }
            arrived = arrivals.recv() => match arrived {
                Some(pending) => first = Some(pending),
                None => return hand_over_all(&tiers, ready, delayed),
            },
            () = tokio::time::sleep(pause), if !ready.is_empty() => {}
        }
        while let Some(pending) = first.take().or_else(|| arrivals.try_recv().ok()) {
            match pending.due() {
                Some(due) => {
                    *order += 1;
                    delayed.insert((due, *order), pending);
                }
                None => ready.push_back(pending),
            }
        }
        let Some(shard) = shard.upgrade() else {
            // The arrivals end now, after those that are left.
            continue;
        };
        let Some(tiers) = tiers.upgrade() else {
            return;
        };
        pause = LOOK_AGAIN;
        hand_over(&tiers, &shard, ready, delayed);
        while !ready.is_empty() && tiers.may_ask(&shard) {
            if !settle_some(&tiers, &shard, ready).await {
                pause = PAUSE;
                break;
            }
        }
    }
}

/// Hands over the operations of a shard that has ended.
fn hand_over_all(
    tiers: &Weak<Tiers>,
    ready: &mut VecDeque<Pending>,
    delayed: &mut BTreeMap<(Instant, u64), Pending>,
) {
    let Some(tiers) = tiers.upgrade() else {
        return;
    };
    let later = std::mem::take(delayed).into_values();
    for pending in ready.drain(..).chain(later) {
        tiers.retry_later(pending);
    }
}

/// Hands over the operations of keys that another shard owns by now.
fn hand_over(
    tiers: &Tiers,
    shard: &Shard,
    ready: &mut VecDeque<Pending>,
    delayed: &mut BTreeMap<(Instant, u64), Pending>,
) {
    let map = tiers.map();
    if map.only().is_some() {
        return;
    }
    let is_own = |pending: &Pending| std::ptr::eq(&**map.shard_of_pending(pending), shard);
    let (kept, moved): (VecDeque<_>, VecDeque<_>) = ready.drain(..).partition(is_own);
    *ready = kept;
    let (kept, later): (BTreeMap<_, _>, BTreeMap<_, _>) = std::mem::take(delayed)
        .into_iter()
        .partition(|(_, pending)| is_own(pending));
    *delayed = kept;
    for pending in moved.into_iter().chain(later.into_values()) {
        shard.pending.acknowledged(&pending);
        tiers.retry_later(pending);
    }
}

async fn sleep_until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due).await,
        None => std::future::pending().await,
    }
}

/// Sends one batch and keeps operations that were not acknowledged. Returns
/// false if none was.
async fn settle_some(tiers: &Arc<Tiers>, shard: &Shard, ready: &mut VecDeque<Pending>) -> bool {
    if let Some(Pending::WholeKind { kind, .. }) = ready.front() {
        let kind = kind.clone();
        let prefix = tiers.prefix(&kind);
        // Read before the bump: a later write of the kind may commit after it,
        // so this bump does not cover that write.
        let holders = tiers.unreleased.writes_of_kind(&prefix);
        if tiers.raise_epoch(&kind, Why::Write).await.is_err() {
            // Moved behind the others: a server that refuses this may accept
            // them.
            ready.rotate_left(1);
            return false;
        }
        if tiers.unreleased.remove_kind(&prefix, holders)
            && let Some(pending) = ready.pop_front()
        {
            tiers.sweep_later(&kind, &Arc::default());
            shard.pending.acknowledged(&pending);
        }
        return true;
    }
    let single = |pending: &&Pending| !matches!(pending, Pending::WholeKind { .. });
    let count = ready.iter().take(BATCH).take_while(single).count();
    let batch = ready.iter().take(count);
    let ops = batch.filter_map(|pending| op(tiers, pending)).collect();
    let history = shard.link.server_history();
    // They stay in the queue meanwhile, because this task may end here.
    let replies = tiers.send(Traffic::Writes, ops).await;
    let mut any = false;
    for reply in replies.into_iter().take(count) {
        let Some(pending) = ready.pop_front() else {
            break;
        };
        match reply {
            Ok(reply) => {
                any = true;
                acknowledged(tiers, &pending, &reply, history);
                shard.pending.acknowledged(&pending);
            }
            Err(_) => ready.push_back(pending),
        }
    }
    any
}

fn op(tiers: &Tiers, pending: &Pending) -> Option<Op> {
    match pending {
        Pending::Release { key, writer, .. } => Some(Op::Release {
            key: key.clone(),
            writer: *writer,
            message: tiers.message(key, Why::Write),
            value: None,
        }),
        Pending::Abandon { key, token } => Some(Op::Abandon {
            key: key.clone(),
            token: *token,
        }),
        Pending::WholeKind { .. } => None,
    }
}

fn acknowledged(tiers: &Tiers, pending: &Pending, reply: &Reply, history: u64) {
    let Pending::Release {
        key,
        unreleased,
        quarantined,
        ..
    } = pending
    else {
        return;
    };
    // A write during an outage has no quarantine that could be lost.
    if *quarantined && *reply == Reply::Released(Released::Lost) {
        increment(&tiers.statistics.release_lost);
        tiers.record_event(key, Event::ReleasedLost);
    } else {
        tiers.record_event(key, Event::Released);
    }
    // Invalidated locally before the key is released, so that later reads use a
    // generation under which no older value was read.
    tiers.generations.invalidate(key.hash());
    tiers.confirm_later(key, history);
    if *unreleased {
        tiers.unreleased.remove(key);
    }
}
