//! Whether a server's memory is full. It then refuses values, so each read of
//! another key is a miss.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use crate::runtime::clock::Moment;

/// How long no value was refused before the memory counts as free. A server at
/// its limit accepts some values and refuses others.
const FREE_AFTER: Duration = Duration::from_secs(10);

/// The state of a server's memory, logged once per change.
#[derive(Debug, Default)]
pub(super) struct Fullness {
    /// When a value was last refused, in milliseconds; zero if memory is free.
    refused: AtomicU64,
    /// True if a value was stored since.
    stored: AtomicBool,
}

impl Fullness {
    /// Records that the server refused a value.
    pub(super) fn refused(&self) {
        self.stored.store(false, Ordering::Release);
        let before = self.refused.swap(Moment::now().millis(), Ordering::AcqRel);
        if before == 0 {
            tracing::warn!(
                "Redis is full: it refuses values, so reads miss; raise maxmemory, or set a \
                 maxmemory-policy that begins with `allkeys-`"
            );
        }
    }

    /// Records that the server stored a value.
    pub(super) fn stored(&self) {
        self.stored.store(true, Ordering::Release);
    }

    /// Ends the state if it is over; call it a few times per second.
    pub(super) fn settle(&self) {
        let refused = self.refused.load(Ordering::Acquire);
        let is_over = refused != 0
            && self.stored.load(Ordering::Acquire)
            && Moment::from_millis(refused).plus(FREE_AFTER) <= Moment::now();
        let end = || {
            let order = (Ordering::AcqRel, Ordering::Relaxed);
            self.refused.compare_exchange(refused, 0, order.0, order.1)
        };
        if is_over && end().is_ok() {
            tracing::info!("Redis stores values again");
        }
    }

    pub(super) fn is_full(&self) -> bool {
        self.refused.load(Ordering::Acquire) != 0
    }
}
