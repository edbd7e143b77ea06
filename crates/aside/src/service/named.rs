//! Invalidation and counts by name, for programs that do not know the Rust
//! types.
//!
//! A text from a user becomes a key like the plain text of a value. A value
//! that is not a string, number or boolean, such as an id of several parts, has
//! no plain text; invalidate its whole kind instead.

use std::time::Duration;

use tokio::time::Instant;

use crate::entity;
use crate::entity::key::{Key, KeyWriter};
use crate::runtime::task;
use crate::service::CacheService;
use crate::service::report::{Invalidated, KeyCounts};

/// How long a count of keys is reused.
const COUNTS_LAST: Duration = Duration::from_secs(30);

impl CacheService {
    /// Invalidates one row; returns `None` if the kind is not cached here.
    /// Lists that contain the row are not invalidated.
    ///
    /// `id` is the id as a text, unescaped: the id `all` is the row of that
    /// name, not the list of all rows.
    pub async fn invalidate_id(&self, kind: &str, id: &str) -> Option<Invalidated> {
        let key = Key::new(&self.key_of_row(kind, id)?);
        Some(self.invalidate_counted(&key).await)
    }

    /// Invalidates one list; returns `None` if the kind is not cached here, or
    /// has no index with that segment and that many fields.
    ///
    /// `segment` and the order of `values` are those of an
    /// [`IndexShape`](crate::entity::IndexShape); the values are texts, unescaped.
    pub async fn invalidate_index(
        &self,
        kind: &str,
        segment: &str,
        values: &[&str],
    ) -> Option<Invalidated> {
        let key = Key::new(&self.key_of_list(kind, segment, values)?);
        Some(self.invalidate_counted(&key).await)
    }

    /// Returns the key of one row, as it is in Redis; `None` if the kind is not
    /// cached here. `id` is as of [`invalidate_id`](Self::invalidate_id).
    #[must_use]
    pub fn key_of_row(&self, kind: &str, id: &str) -> Option<String> {
        let mut key = self.key_of(kind)?;
        key.text_segment(id);
        Some(key.finish().as_str().to_owned())
    }

    /// Returns the key of one list, as it is in Redis; `None` in the cases of
    /// [`invalidate_index`](Self::invalidate_index), whose parameters it has.
    #[must_use]
    pub fn key_of_list(&self, kind: &str, segment: &str, values: &[&str]) -> Option<String> {
        let known = self.tiers().kinds().get(kind)?.indexes();
        let index = known
            .iter()
            .find(|index| index.segment == segment && index.fields.len() == values.len())?;
        let mut key = self.key_of(kind)?;
        key.name(segment);
        for value in values {
            match index.fold {
                Some(fold) => key.folded_segment(value, fold),
                None => key.text_segment(value),
            }
        }
        Some(key.finish().as_str().to_owned())
    }

    /// Invalidates a whole kind; returns `None` if it is not cached here.
    pub async fn invalidate_kind(&self, kind: &str) -> Option<Invalidated> {
        self.key_of(kind)?;
        Some(self.invalidate_whole_kind(kind).await)
    }

    /// Returns the number of keys of each kind in Redis; `None` while Redis is
    /// unavailable.
    ///
    /// A SCAN of all keys counts them, for at most ten seconds, in pages of 500
    /// that may take `CACHE_OPERATION_TIMEOUT_MS` each. One scan counts all
    /// kinds, one runs at a time, and its result is reused for 30 seconds. If
    /// this future is dropped, the scan continues for the next caller.
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

    /// Returns the key of a kind's list of all rows, as it is in Redis.
    #[must_use]
    pub fn list_all_key(&self, kind: &str) -> String {
        let key: Key = entity::all_key(self.tiers().namespace(), kind);
        key.as_str().to_owned()
    }

    /// Begins a key of a kind cached here.
    fn key_of(&self, kind: &str) -> Option<KeyWriter> {
        let namespace = self.tiers().namespace();
        self.tiers()
            .kinds()
            .contains_key(kind)
            .then(|| KeyWriter::new(namespace.0, kind))
    }
}
