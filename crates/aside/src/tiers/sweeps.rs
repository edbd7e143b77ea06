//! Sweeps: scans of all keys, to remove invalidated values and to count keys.
//!
//! A scan costs the server work in proportion to all of its keys, other
//! programs' included. So each kind has at most one sweep at a time. Requests
//! during a sweep are served by one more sweep after it, following a pause as
//! long as the sweep. Without a sweep, values remain until their TTL ends.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use super::Tiers;
use super::scan::page;
use crate::protocol::Unanswered;
use crate::protocol::message::Why;
use crate::runtime::task;

/// The time limit of a count.
const MAX_COUNT_TIME: Duration = Duration::from_secs(10);

/// The maximum number of requests that receive the counts of one sweep.
const MAX_WAITING_COUNTS: usize = 1_000;

/// The progress of a sweep, for one request.
#[derive(Debug, Default)]
pub(crate) struct Swept {
    /// The number of keys removed from Redis.
    pub(crate) keys: AtomicU64,
    /// True if the sweep has seen every key.
    pub(crate) is_complete: AtomicBool,
}

/// The requests for a sweep.
type Told = Vec<Arc<Swept>>;

/// The kinds being swept, and the requests since.
#[derive(Default)]
pub(super) struct Sweeps(Mutex<BTreeMap<String, Told>>);

/// The consecutive sweeps of one kind.
struct UnderWay {
    tiers: Weak<Tiers>,
    kind: String,
    over: bool,
}

impl Tiers {
    /// Sweeps a kind in a separate task, which drops `swept` at the end.
    pub(crate) fn sweep_later(self: &Arc<Self>, kind: &str, swept: &Arc<Swept>) {
        {
            let mut sweeps = self.sweeps.0.lock();
            if let Some(told) = sweeps.get_mut(kind) {
                if told.len() < MAX_WAITING_COUNTS {
                    told.push(Arc::clone(swept));
                }
                return;
            }
            sweeps.insert(kind.to_owned(), Vec::new());
        }
        let under_way = UnderWay {
            tiers: Arc::downgrade(self),
            kind: kind.to_owned(),
            over: false,
        };
        task::spawn(under_way.run(vec![Arc::clone(swept)]));
    }

    /// Deletes a kind's keys from Redis, to free the memory of invalidated
    /// values: by SCAN, in batches of 500, so that other operations do not wait
    /// long.
    async fn sweep(&self, kind: &str, told: &[Arc<Swept>]) {
        let pattern = format!("{}*", glob(&self.prefix(kind)));
        let swept = self.scan(&pattern, |keys| async move {
            let left = self.invalidate(&keys, Why::Unknown).await.len();
            for one in told {
                let removed = (keys.len() - left) as u64;
                one.keys.fetch_add(removed, Ordering::Relaxed);
            }
            Ok(0)
        });
        if swept.await.is_ok() {
            for one in told {
                one.is_complete.store(true, Ordering::Release);
            }
        } else {
            tracing::debug!(
                kind,
                "the remaining keys of the kind stay in Redis until their TTL ends"
            );
        }
    }

    /// Counts the keys of every kind cached here in one scan. Also returns
    /// whether it was complete when the time limit ended.
    pub(crate) async fn count(&self) -> Result<(BTreeMap<&'static str, u64>, bool), Unanswered> {
        let kinds: Vec<_> = self.kinds().into_keys().collect();
        let prefixes: Vec<_> = kinds.iter().map(|kind| self.prefix(kind)).collect();
        let mut counts: BTreeMap<_, _> = kinds.iter().map(|kind| (*kind, 0)).collect();
        let pattern = format!("{}*", glob(&self.namespace().root()));
        let (begun, map) = (Instant::now(), self.map());
        for shard in map.shards() {
            let mut cursor = 0;
            loop {
                let (next, keys) = page(shard, cursor, &pattern).await?;
                for key in keys {
                    let of = prefixes.iter().position(|prefix| key.starts_with(prefix));
                    if let Some(count) = of.and_then(|at| counts.get_mut(kinds[at])) {
                        *count += 1;
                    }
                }
                if MAX_COUNT_TIME < begun.elapsed() {
                    return Ok((counts, false));
                }
                if next == 0 {
                    break;
                }
                cursor = next;
            }
        }
        Ok((counts, true))
    }
}

impl UnderWay {
    async fn run(mut self, mut told: Told) {
        loop {
            let begun = Instant::now();
            let Some(tiers) = self.tiers.upgrade() else {
                return;
            };
            tiers.sweep(&self.kind, &told).await;
            drop(std::mem::take(&mut told));
            if self.end_if_nobody_asked(&tiers) {
                return;
            }
            drop(tiers);
            tokio::time::sleep(begun.elapsed()).await;
            let Some(tiers) = self.tiers.upgrade() else {
                return;
            };
            if let Some(asked) = tiers.sweeps.0.lock().get_mut(&self.kind) {
                told = std::mem::take(asked);
            }
        }
    }

    fn end_if_nobody_asked(&mut self, tiers: &Tiers) -> bool {
        let mut sweeps = tiers.sweeps.0.lock();
        self.over = sweeps.get(&self.kind).is_none_or(Vec::is_empty);
        if self.over {
            sweeps.remove(&self.kind);
        }
        self.over
    }
}

impl Drop for UnderWay {
    /// Also runs if the task ends early, with its runtime or a panic.
    fn drop(&mut self) {
        if !self.over
            && let Some(tiers) = self.tiers.upgrade()
        {
            tiers.sweeps.0.lock().remove(&self.kind);
        }
    }
}

/// Escapes the special characters of a glob pattern.
fn glob(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        if matches!(character, '*' | '?' | '[' | ']' | '\\' | '^') {
            escaped.push('\\');
        }
        escaped.push(character);
    }
    escaped
}
