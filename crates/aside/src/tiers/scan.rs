//! Scans of the keys of Redis, page by page.

use super::Tiers;
use crate::entity::key::Key;
use crate::protocol::{Op, Reply, Traffic, Unanswered};

/// Keys of one page, for which SCAN keeps other operations waiting.
const KEYS_PER_PAGE: usize = 500;

impl Tiers {
    /// Calls `each` with the matching keys, page by page, and returns the sum
    /// of its results.
    pub(crate) async fn scan<F>(
        &self,
        pattern: &str,
        mut each: impl FnMut(Vec<Key>) -> F,
    ) -> Result<u64, Unanswered>
    where
        F: Future<Output = Result<u64, Unanswered>>,
    {
        let (mut cursor, mut total) = (0, 0);
        loop {
            let (next, keys) = self.page(cursor, pattern).await?;
            if !keys.is_empty() {
                total += each(keys.iter().map(|key| Key::new(key)).collect()).await?;
            }
            if next == 0 {
                return Ok(total);
            }
            cursor = next;
        }
    }

    /// Returns the next cursor, and one page of matching keys.
    pub(super) async fn page(
        &self,
        cursor: u64,
        pattern: &str,
    ) -> Result<(u64, Vec<String>), Unanswered> {
        let op = Op::Scan {
            cursor,
            pattern: pattern.to_owned(),
            count: KEYS_PER_PAGE,
        };
        match self.send_one(Traffic::Others, op).await? {
            Reply::Page { cursor, keys } => Ok((cursor, keys)),
            _ => Err(Unanswered::Disconnected),
        }
    }
}
