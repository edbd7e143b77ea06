//! Forgetting, and counting, by name: for programs that know no Rust types.
//!
//! What a user typed is a text, so it becomes a key the way the plain text of
//! a value does. A value that is no string, number or boolean, such as an id
//! of several parts, has no plain text: its kind is forgotten as a whole.

use std::time::Duration;

use tokio::time::Instant;

use crate::entity;
use crate::entity::key::{Key, KeyWriter};
use crate::insight::statistics::Reason;
use crate::runtime::task;
use crate::service::CacheService;
use crate::service::report::{Invalidated, KeyCounts};

/// How long counts of keys are returned again.
const COUNTS_LAST: Duration = Duration::from_secs(30);

impl CacheService {
    /// Makes every copy of one row forget; `None` if no repository of the
    /// kind is cached here. Lists that the row stands in are not forgotten.
    ///
    /// `id` is the id as a text, unescaped: the id `all` is the row of that
    /// name and not the list of all rows.
    pub async fn invalidate_id(&self, kind: &str, id: &str) -> Option<Invalidated> {
        let mut key = self.key_of(kind)?;
        key.text_segment(id);
        Some(self.forget_key(&key.finish(), Reason::Request).await)
    }

    /// Makes every copy of one list forget; `None` if no repository of the
    /// kind is cached here, or it has no index of that segment and that many
    /// fields.
    ///
    /// `segment` and the order of `values` are those of an
    /// [`IndexShape`](crate::IndexShape); the values are texts, unescaped.
    pub async fn invalidate_index(
        &self,
        kind: &str,
        segment: &str,
        values: &[&str],
    ) -> Option<Invalidated> {
        let known = self.tiers().kinds().get(kind)?.indexes();
        known
            .iter()
            .find(|index| index.segment == segment && index.fields.len() == values.len())?;
        let mut key = self.key_of(kind)?;
        key.name(segment);
        for value in values {
            key.text_segment(value);
        }
        Some(self.forget_key(&key.finish(), Reason::Request).await)
    }

    /// Makes every copy of a whole kind forget; `None` if no repository of it
    /// is cached here.
    pub async fn invalidate_kind(&self, kind: &str) -> Option<Invalidated> {
        self.key_of(kind)?;
        Some(self.forget_kind(kind).await)
    }

    /// How many keys of each kind Redis holds; `None` while Redis is away.
    ///
    /// They are counted by SCAN of everything that is there, for at most ten
    /// seconds, in pages of 500 of which each may take
    /// `CACHE_OPERATION_TIMEOUT_MS`. One walk counts all kinds, one runs at a
    /// time, and what it found is returned for 30 seconds. If this future is
    /// dropped the walk goes on, for whoever asks next.
    pub async fn count_keys(&self) -> Option<KeyCounts> {
        let service = self.clone();
        task::outlive(async move { service.count_keys_anew().await }).await
    }

    async fn count_keys_anew(&self) -> Option<KeyCounts> {
        let mut known = self.counted().lock().await;
        if let Some((counted_at, counts)) = &*known
            && counted_at.elapsed() < COUNTS_LAST
        {
            return Some(KeyCounts {
                age: counted_at.elapsed(),
                ..counts.clone()
            });
        }
        if !self.tiers().is_usable() {
            return None;
        }
        let counted_at = Instant::now();
        let (kinds, complete) = self.tiers().count().await.ok()?;
        let counts = KeyCounts {
            kinds,
            complete,
            age: Duration::ZERO,
        };
        *known = Some((counted_at, counts.clone()));
        Some(counts)
    }

    /// The key of a kind's list of all rows, as it stands in Redis.
    #[must_use]
    pub fn list_all_key(&self, kind: &str) -> String {
        let key: Key = entity::all_key(self.tiers().namespace(), kind);
        key.as_str().to_owned()
    }

    /// The beginning of a key of a kind that is cached here.
    fn key_of(&self, kind: &str) -> Option<KeyWriter> {
        let namespace = self.tiers().namespace();
        self.tiers()
            .kinds()
            .contains_key(kind)
            .then(|| KeyWriter::new(namespace, kind))
    }
}
