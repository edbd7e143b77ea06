//! Timestamps with the precision that both databases keep.

use jiff::Timestamp;

/// The time now, to the microsecond.
#[must_use]
pub fn now() -> Timestamp {
    stored_precision(Timestamp::now())
}

/// The time without what a database would not keep: PostgreSQL counts
/// microseconds, so SQLite is given no more either.
#[must_use]
pub fn stored_precision(time: Timestamp) -> Timestamp {
    // Microseconds of a valid timestamp are always within jiff's range.
    Timestamp::from_microsecond(time.as_microsecond()).unwrap_or(time)
}
