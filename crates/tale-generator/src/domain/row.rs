//! Code shared by the rows of the three kinds.

use aside::Entity;
use jiff::Timestamp;
use serde::Serialize;
use uuid::Uuid;

use super::draft::Draft;

/// A row: fields that a client may write, and fields that the server sets.
pub trait Row: Entity<Id = Uuid> + Serialize {
    /// The fields that a client may write.
    type Draft: Draft;

    /// Returns a row with this id, to replace the stored row. The database
    /// sets timestamps and version, so their values here do not matter.
    #[must_use]
    fn with_id(id: Uuid, draft: Self::Draft) -> Self;

    /// Returns the fields that a client may write.
    #[must_use]
    fn draft(&self) -> Self::Draft;

    /// Returns the creation time, the time of the last change, and the version.
    fn stamps(&self) -> (Timestamp, Timestamp, u64);

    /// Sets the same three.
    fn set_stamps(&mut self, stamps: (Timestamp, Timestamp, u64));

    /// Returns a row to be added, with a new id.
    #[must_use]
    fn new(draft: Self::Draft) -> Self {
        Self::with_id(Uuid::new_v4(), draft)
    }
}
