//! The hot set: the keys that an instance holds, kept in Redis for the next start, and
//! beside the journal for a start after Redis was emptied.
//!
//! About once a minute one instance writes the list of each kind; instances behind one
//! balancer hold much the same. An old list is nearly as good as a new one, so a lost
//! list costs little, and the database gets one only every ten minutes. A reader takes it
//! as a wish: each key is read like any other.
//!
//! The hot keys of a kind are the first of its list: a list that is too short for all
//! has them, and a warm-up begins with them. The others have the order of the store.

use std::sync::Weak;
use std::time::Duration;

use tokio::time::Instant;

use super::Tiers;
use crate::entity::key::Key;
use crate::protocol::{Acquired, Op, Reply, Token, Traffic};

/// The pause between two lists of a service.
const INTERVAL: Duration = Duration::from_secs(60);

/// How long no other instance writes lists.
const WRITER_CLAIM: Duration = Duration::from_secs(50);

/// How long no other instance writes lists to the database. A little less than ten rounds.
const TABLE_CLAIM: Duration = Duration::from_secs(530);

/// How long a list is kept after the last instance has written it.
const TTL: Duration = Duration::from_secs(7 * 24 * 3600);

/// The age at which an instance holds the used keys, and may replace a longer list.
const GROWN_UP: Duration = Duration::from_secs(600);

/// The maximum number of keys per kind.
const MAX_KEYS: usize = 20_000;

/// The maximum size of all lists of an instance.
const MAX_BYTES: usize = 1 << 20;

/// Writes the lists of a service until it ends.
pub(crate) async fn run(tiers: Weak<Tiers>) {
    let begun = Instant::now();
    loop {
        // Not all instances at once.
        tokio::time::sleep(INTERVAL.mul_f64(0.9 + 0.2 * fastrand::f64())).await;
        match tiers.upgrade() {
            Some(tiers) => tiers.write_hot_sets(begun.elapsed()).await,
            None => return,
        }
    }
}

impl Tiers {
    /// Returns true if this service keeps hot sets.
    pub(crate) fn keeps_hot_sets(&self) -> bool {
        self.config.hot_set && self.is_remote() && self.has_local_tier()
    }

    /// Writes the lists of all kinds, unless another instance has done that just now.
    /// `age` is that of this instance.
    pub(crate) async fn write_hot_sets(&self, age: Duration) {
        self.write(age, ("hot:table", TABLE_CLAIM)).await;
    }

    /// Writes the lists of all kinds when the service closes: the database gets them even
    /// if it has some that are minutes old. Of instances that close together one writes.
    pub(crate) async fn write_last_hot_sets(&self, age: Duration) {
        self.write(age, ("hot:closing", WRITER_CLAIM)).await;
    }

    async fn write(&self, age: Duration, (claim, time): (&str, Duration)) {
        if !self.keeps_hot_sets() || !self.is_usable() {
            return;
        }
        let kinds = self.kinds();
        let mut entries = kinds
            .iter()
            .map(|(name, kind)| self.local_of(name, &**kind).0);
        let holds_some = entries.any(|count| count > 0);
        // Before the keys are collected: of all instances only one needs them.
        let to_redis = holds_some && self.claim("hot:writer", WRITER_CLAIM).await;
        let to_table = holds_some && self.hot_tables.is_known() && self.claim(claim, time).await;
        if !to_redis && !to_table {
            return;
        }
        let mut left = MAX_BYTES;
        for (kind, registered) in kinds {
            let hot = self.hottest(Some(kind), usize::MAX);
            let hot: Vec<u64> = hot.iter().filter_map(|hot| hot.local).collect();
            let keys = self.held_of((kind, &*registered), &hot, MAX_KEYS);
            if keys.is_empty() {
                continue;
            }
            let is_better =
                |before: usize| before <= keys.len() || GROWN_UP <= age && before <= 2 * keys.len();
            let text = joined(&keys, left);
            left -= text.len();
            if to_table && is_better(read(&self.hot_tables.read(kind, TTL).await).len()) {
                self.hot_tables.write(kind, &text).await;
            }
            if to_redis && is_better(self.hot_set_of_redis(kind).await.len()) {
                let set = Op::Set {
                    key: self.hot_key(kind),
                    value: text.into_bytes(),
                    ttl: Some(TTL),
                };
                // The next one is as good.
                let _ = self.send_one(Traffic::Others, set).await;
            }
        }
    }

    /// Returns the keys of a kind that instances held: their texts after the kind. If
    /// Redis has none, they are those beside the journal.
    pub(crate) async fn hot_set(&self, kind: &str) -> Vec<String> {
        match self.hot_set_of_redis(kind).await {
            none if none.is_empty() => read(&self.hot_tables.read(kind, TTL).await),
            some => some,
        }
    }

    async fn hot_set_of_redis(&self, kind: &str) -> Vec<String> {
        let get = Op::Get {
            key: self.hot_key(kind),
        };
        match self.send_one(Traffic::Others, get).await {
            Ok(Reply::Value(Some(bytes))) => read(&String::from_utf8_lossy(&bytes)),
            _ => Vec::new(),
        }
    }

    /// Takes the right to do something once among all instances, for so long. Returns
    /// false if another instance has it.
    pub(crate) async fn claim(&self, what: &str, time: Duration) -> bool {
        let claim = Op::Acquire {
            key: Key::new(&self.namespace().own_key(what)),
            token: Token::random(),
            lease: time,
            observed: None,
        };
        let claimed = self.send_one(Traffic::Others, claim).await;
        matches!(claimed, Ok(Reply::Acquired(Acquired::Granted)))
    }

    fn hot_key(&self, kind: &str) -> Key {
        Key::new(&self.namespace().own_key(&format!("hot:{kind}")))
    }
}

/// Returns the keys of a list.
fn read(lines: &str) -> Vec<String> {
    let keys = lines.lines().filter(|key| !key.is_empty());
    keys.take(MAX_KEYS).map(str::to_owned).collect()
}

/// Returns as many keys as fit into `limit` bytes, one per line.
fn joined(keys: &[String], limit: usize) -> String {
    let mut text = String::new();
    for key in keys {
        // A control character in a key is escaped, so it has no line end.
        if limit < text.len() + key.len() + 1 {
            break;
        }
        text.push_str(key);
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_ends_with_the_last_key_that_fits() {
        let keys = ["1", "name:a", "2"].map(str::to_owned);
        assert_eq!(joined(&keys, 100), "1\nname:a\n2\n");
        assert_eq!(joined(&keys, 10), "1\nname:a\n");
        assert_eq!(joined(&keys, 8), "1\n");
    }
}
