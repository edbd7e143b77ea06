//! The limits of each number, used by both the reader's messages and the check.

use std::ops::RangeInclusive;

/// The range of one setting.
pub(super) struct Limit {
    least: u64,
    most: u64,
    /// True if zero is allowed although it is outside the range.
    or_zero: bool,
    /// The range in words, with its unit and reason.
    pub(super) allowed: &'static str,
}

impl Limit {
    const fn new(least: u64, most: u64, allowed: &'static str) -> Self {
        Self {
            least,
            most,
            or_zero: false,
            allowed,
        }
    }

    const fn or_zero(self) -> Self {
        Self {
            or_zero: true,
            ..self
        }
    }

    pub(super) fn allows(&self, value: u64) -> bool {
        (self.least <= value && value <= self.most) || (self.or_zero && value == 0)
    }
}

const MIB: u64 = 1 << 20;

pub(super) const DB: Limit = Limit::new(0, 2_147_483_647, "0 to 2147483647");
pub(super) const MAX_CONNECTIONS: Limit = Limit::new(
    2,
    10_000,
    "2 to 10000 (at least one for commands and one to hear invalidations)",
);
/// In milliseconds.
pub(super) const SOCKET_TIMEOUT: Limit = Limit::new(1, 600_000, "seconds, 0.001 to 600");
pub(super) const OPERATION_TIMEOUT: Limit = Limit::new(1, 60_000, "milliseconds, 1 to 60000");
/// Ten years: a longer one is a mistaken unit, and overflows Redis's counter.
pub(super) const TTL: Limit = Limit::new(1, 315_360_000, "seconds, 1 to 315360000 (ten years)");
pub(super) const MAX_STALENESS: Limit = Limit::new(
    50,
    60_000,
    "milliseconds, 50 to 60000, or 0 for no local tier",
)
.or_zero();
pub(super) const QUARANTINE_TTL: Limit = Limit::new(1_000, 600_000, "milliseconds, 1000 to 600000");
pub(super) const LEASE_TTL: Limit = Limit::new(100, 60_000, "milliseconds, 100 to 60000");
pub(super) const LOAD_TIMEOUT: Limit = Limit::new(1, 600_000, "milliseconds, 1 to 600000");
pub(super) const JOURNAL_POLL: Limit = Limit::new(50, 60_000, "milliseconds, 50 to 60000");
pub(super) const SOURCE_CONCURRENCY: Limit = Limit::new(1, 100_000, "1 to 100000 loads");
pub(super) const MAX_VALUE_BYTES: Limit =
    Limit::new(1, 512 * MIB, "bytes, 1 to 512MiB, as in 8MiB or 8388608");
pub(super) const COMPRESS_ABOVE_BYTES: Limit = Limit::new(
    0,
    512 * MIB,
    "off, or bytes, 0 to 512MiB, as in 8KiB or 8192",
);
pub(super) const AUDIT_SHARE: (RangeInclusive<f64>, &str) = (
    0.0..=1.0,
    "a share of the hits, 0 to 1, as in 0.01 (0 for no audit)",
);
pub(super) const L1_CAPACITY: Limit = Limit::new(
    1,
    1024 * 1024 * MIB,
    "bytes, 1 to 1024GiB, as in 64MiB or 67108864 \
     (for no local tier set CACHE_MAX_STALENESS_MS=0)",
);
