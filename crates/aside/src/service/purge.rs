//! An operator's invalidation, counted before it is done, with the lists of a row.
//!
//! Invalidating a row leaves the lists that contain it. They follow from the fields
//! of the row, which only the cached value knows here: a service without a row in the
//! cache cannot name its lists.

use serde_json::Value;

use crate::entity::IndexShape;
use crate::entity::key::Key;
use crate::service::CacheService;

/// The part of a kind that is invalidated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Purge<'a> {
    /// One row, by its id as a text; and the lists that contain it, and the list of
    /// all rows, if `with_lists`.
    Row {
        /// The id.
        id: &'a str,
        /// True for the lists too.
        with_lists: bool,
    },
    /// One list, as of [`invalidate_index`](CacheService::invalidate_index).
    List {
        /// The segment of the index.
        segment: &'a str,
        /// The values of its fields.
        values: &'a [&'a str],
    },
    /// All of the kind.
    Kind,
}

/// The result of [`CacheService::purge`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Purged {
    /// The number of keys in Redis that were removed, or would be.
    pub keys: u64,
    /// True if there are at least so many.
    pub at_least: bool,
    /// The keys that are invalidated, whether they are in Redis or not; empty for a
    /// whole kind.
    pub names: Vec<String>,
    /// True if the lists of the row are not known, because it is not cached.
    pub unknown_lists: bool,
    /// The new epoch of a whole kind.
    pub epoch: Option<u64>,
    /// True if Redis has not acknowledged it.
    pub pending: bool,
}

impl CacheService {
    /// Invalidates a part of a kind on every instance, or only counts its keys if
    /// `is_dry_run`. Returns `None` if the kind is not cached here, or has no such
    /// index.
    pub async fn purge(&self, kind: &str, purge: Purge<'_>, is_dry_run: bool) -> Option<Purged> {
        let mut purged = Purged::default();
        match purge {
            Purge::Kind => return self.purge_kind(kind, is_dry_run).await,
            Purge::List { segment, values } => {
                purged.names.push(self.key_of_list(kind, segment, values)?);
            }
            Purge::Row { id, with_lists } => {
                purged.names.push(self.key_of_row(kind, id)?);
                if with_lists {
                    let lists = self.lists_of(kind, &purged.names[0]).await;
                    purged.unknown_lists = lists.is_none();
                    purged.names.extend(lists.into_iter().flatten());
                    purged.names.extend(self.list_of_all(kind));
                }
            }
        }
        for name in &purged.names {
            if is_dry_run {
                purged.keys += u64::from(self.exists(name).await);
            } else {
                let invalidated = self.invalidate_counted(&Key::new(name)).await;
                purged.keys += invalidated.keys;
                purged.pending |= invalidated.pending;
            }
        }
        Some(purged)
    }

    async fn purge_kind(&self, kind: &str, is_dry_run: bool) -> Option<Purged> {
        if is_dry_run {
            self.tiers().kinds().get(kind)?;
            let counts = self.count_keys().await;
            let count = counts.as_ref().and_then(|counts| counts.kinds.get(kind));
            return Some(Purged {
                keys: count.copied().unwrap_or(0),
                at_least: counts.is_none_or(|counts| !counts.complete),
                ..Purged::default()
            });
        }
        let invalidated = self.invalidate_kind(kind).await?;
        Some(Purged {
            keys: invalidated.keys,
            at_least: invalidated.at_least,
            epoch: invalidated.epoch,
            pending: invalidated.pending,
            ..Purged::default()
        })
    }

    fn list_of_all(&self, kind: &str) -> Option<String> {
        let known = self.tiers().kinds().get(kind).cloned()?;
        known.has_list_of_all().then(|| self.list_all_key(kind))
    }

    /// Returns the keys of the lists that contain a cached row; `None` if it is not
    /// cached, or is no JSON object with the fields of each index.
    async fn lists_of(&self, kind: &str, row: &str) -> Option<Vec<String>> {
        let indexes = self.tiers().kinds().get(kind)?.indexes();
        let payload = self.get(row).await?;
        let envelope: Value = serde_json::from_slice(&payload).ok()?;
        let row = envelope.get("entity")?;
        let list = |index: &IndexShape| {
            let values = index.fields.iter().map(|field| plain(row.get(*field)?));
            let values: Vec<String> = values.collect::<Option<_>>()?;
            let values: Vec<&str> = values.iter().map(String::as_str).collect();
            self.key_of_list(kind, index.segment, &values)
        };
        indexes.iter().map(list).collect()
    }
}

/// Returns the plain text of a value, if it has one.
fn plain(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}
