//! Forgetting, and counting, by name: for programs that know no Rust types.
//!
//! What a user typed is a text, so it becomes a key the way the plain text of
//! a value does. A value that is no string, number or boolean, such as an id
//! of several parts, has no plain text: its kind is forgotten as a whole.

use crate::entity;
use crate::inspect::{Invalidated, KeyCount};
use crate::key::{Key, KeyWriter};
use crate::service::CacheService;
use crate::statistics::Reason;

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

    /// How many keys of a kind Redis holds, by SCAN of at most `most_pages`
    /// pages of 500, and for no longer than about
    /// `CACHE_OPERATION_TIMEOUT_MS`; `None` while Redis is away.
    pub async fn count_keys(&self, kind: &str, most_pages: usize) -> Option<KeyCount> {
        let tiers = self.tiers();
        if !tiers.is_usable() {
            return None;
        }
        let pattern = format!("{}*", tiers.prefix(kind));
        let (keys, complete) = tiers.count(&pattern, most_pages).await.ok()?;
        Some(KeyCount { keys, complete })
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
