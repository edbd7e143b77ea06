//! Timestamps with the precision that both databases store.

use jiff::Timestamp;

/// Returns the current time, to the microsecond.
#[must_use]
pub fn now() -> Timestamp {
    stored_precision(Timestamp::now())
}

/// Truncates a time to whole microseconds. PostgreSQL stores no more, so SQLite
/// does not get more either.
#[must_use]
pub fn stored_precision(time: Timestamp) -> Timestamp {
    // Microseconds of a valid timestamp are always within jiff's range.
    Timestamp::from_microsecond(time.as_microsecond()).unwrap_or(time)
}
