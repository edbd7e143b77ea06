//! One write: what it changed, and the forgetting around its commit.

use crate::entity::Entity;

/// One write: what it changed, and the forgetting around its commit.
#[derive(Debug)]
pub struct Write {
    keys: Vec<String>,
}

/// Keys whose quarantine Redis did not acknowledge.
///
/// They belong in the journal, in the same transaction.
#[derive(Debug)]
pub struct Unquarantined<'w>(&'w [String]);

impl Unquarantined<'_> {
    /// The keys, as they stand in Redis.
    #[must_use]
    pub fn keys(&self) -> &[String] {
        self.0
    }

    /// Whether every key was acknowledged.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Write {
    /// A write that no cache hears of.
    #[must_use]
    pub fn uncached() -> Self {
        Self { keys: Vec::new() }
    }

    /// Records a row that this transaction added.
    pub fn created<E: Entity>(&mut self, after: &E) {
        let _ = after;
    }

    /// Records a row that this transaction changed; `before` is the row as it
    /// was under its lock.
    pub fn updated<E: Entity>(&mut self, before: &E, after: &E) {
        let _ = (before, after);
    }

    /// Records a row that this transaction removed.
    pub fn deleted<E: Entity>(&mut self, before: &E) {
        let _ = before;
    }

    /// Records that any row of the kind may have changed.
    pub fn everything<E: Entity>(&mut self) {}

    /// Quarantines every recorded key; call it last before the commit.
    pub async fn before_commit(&mut self) -> Unquarantined<'_> {
        Unquarantined(&self.keys)
    }

    /// Says that the transaction certainly did not commit.
    pub fn rolled_back(&mut self) {}

    /// Says that the caller's own transaction certainly committed.
    pub async fn committed(self) {}
}
