//! Scans of the keys of Redis, page by page.

use super::Tiers;
use crate::entity::key::Key;
use crate::protocol::{Op, Reply, Traffic, Unanswered};
use crate::tiers::shard::Shard;

/// Keys of one page, for which SCAN keeps other operations waiting.
const KEYS_PER_PAGE: usize = 500;

impl Tiers {
    /// Calls `each` with the matching keys of every shard, page by page, and
    /// returns the sum of its results. A key whose slot moves meanwhile may be met
    /// twice, or not at all.
    pub(crate) async fn scan<F>(
        &self,
        pattern: &str,
        mut each: impl FnMut(Vec<Key>) -> F,
    ) -> Result<u64, Unanswered>
    where
        F: Future<Output = Result<u64, Unanswered>>,
    {
        let map = self.map();
        let mut total = 0;
        for shard in map.shards() {
            let mut cursor = 0;
            loop {
                let (next, keys) = page(shard, cursor, pattern).await?;
                if !keys.is_empty() {
                    total += each(keys.iter().map(|key| Key::new(key)).collect()).await?;
                }
                if next == 0 {
                    break;
                }
                cursor = next;
            }
        }
        Ok(total)
    }
}

/// Returns the next cursor, and one page of matching keys of a shard.
pub(super) async fn page(
    shard: &Shard,
    cursor: u64,
    pattern: &str,
) -> Result<(u64, Vec<String>), Unanswered> {
    let op = Op::Scan {
        cursor,
        pattern: pattern.to_owned(),
        count: KEYS_PER_PAGE,
    };
    match shard.send_one(Traffic::Others, op).await? {
        Reply::Page { cursor, keys } => Ok((cursor, keys)),
        _ => Err(Unanswered::Disconnected),
    }
}
