//! A row that is on its way into the buffer.

use std::sync::Arc;

use super::Prefetch;

/// A guess that is about to be fetched: the place of its row and name.
#[derive(Clone, Copy)]
pub(super) struct Chosen {
    pub(super) row: u32,
    /// The number of its kind.
    pub(super) kind: u8,
    pub(super) name: u32,
    pub(super) has_marker: bool,
}

/// A guess that is being fetched. When it is dropped, its key may be guessed again.
pub(crate) struct Flying {
    prefetch: Arc<Prefetch>,
    pub(super) row: u32,
    /// The number of its kind.
    pub(super) kind: u8,
    pub(super) has_marker: bool,
}

impl Flying {
    pub(super) fn new(prefetch: &Arc<Prefetch>, chosen: Chosen) -> Self {
        Self {
            prefetch: Arc::clone(prefetch),
            row: chosen.row,
            kind: chosen.kind,
            has_marker: chosen.has_marker,
        }
    }
}

impl Drop for Flying {
    fn drop(&mut self) {
        self.prefetch.landed(self.row);
    }
}
