//! Each setting's name, default and allowed values.
//!
//! Reading, checking and `Default` take them from this table. A test compares
//! the tables of the documentation with it.

use std::ops::RangeInclusive;

use self::Range::{Fraction, Text, Whole, ZeroOr};
use crate::config::settings::{self, FLAG};

/// One setting.
pub(super) struct Setting {
    pub(super) name: &'static str,
    /// The default, spelled as a value; in words if no value sets it.
    pub(super) default: &'static str,
    /// The allowed values in words, with their unit and reason.
    pub(super) allowed: &'static str,
    pub(super) range: Range,
}

/// The range of a number, in the setting's unit.
pub(super) enum Range {
    Whole(RangeInclusive<u64>),
    /// Zero is allowed although it is outside the range.
    ZeroOr(RangeInclusive<u64>),
    Fraction(RangeInclusive<f64>),
    /// The setting is no number.
    Text,
}

impl Setting {
    const fn number(
        name: &'static str,
        default: &'static str,
        allowed: &'static str,
        range: Range,
    ) -> Self {
        Self {
            name,
            default,
            allowed,
            range,
        }
    }

    const fn text(name: &'static str, default: &'static str, allowed: &'static str) -> Self {
        Self::number(name, default, allowed, Text)
    }

    pub(super) fn allows(&self, value: u64) -> bool {
        match &self.range {
            Whole(range) => range.contains(&value),
            ZeroOr(range) => value == 0 || range.contains(&value),
            Fraction(_) | Text => true,
        }
    }

    pub(super) fn allows_fraction(&self, value: f64) -> bool {
        match &self.range {
            Fraction(range) => range.contains(&value),
            Whole(_) | ZeroOr(_) | Text => true,
        }
    }

    /// Returns the message for a wrong value; see [`settings::wrong`].
    pub(super) fn wrong(&self, shown: &str) -> String {
        settings::wrong(self.name, shown, self.allowed)
    }
}

/// Defines settings, and the list of all of them.
macro_rules! table {
    ($($constant:ident = $setting:expr;)*) => {
        $(pub(super) const $constant: Setting = $setting;)*

        pub(super) const ALL: &[&Setting] = &[$(&$constant),*];
    };
}

const PEM: &str = "a file in PEM that this process can read";
const PASSWORD_IN_FILE: &str = "a file with the password that this process can read";

const MIB: u64 = 1 << 20;

// In the order of the documentation.
table! {
    URL = Setting::text(
        "REDIS_URL",
        "redis://localhost:6379/0",
        "redis://, rediss://, unix://, memory://, redis+sentinel://, rediss+sentinel://, \
         redis+cluster:// or rediss+cluster://, \
         followed by an address",
    );
    USERNAME = Setting::text("REDIS_USERNAME", "the URL's", "any text");
    PASSWORD = Setting::text("REDIS_PASSWORD", "the URL's", "any text");
    PASSWORD_FILE = Setting::text("REDIS_PASSWORD_FILE", "none", PASSWORD_IN_FILE);
    DB = Setting::number(
        "REDIS_DB",
        "the URL's, else 0",
        "0 to 2147483647",
        Whole(0..=2_147_483_647),
    );
    TLS_CA = Setting::text("REDIS_TLS_CA", "the public authorities", PEM);
    TLS_CERT = Setting::text("REDIS_TLS_CERT", "none", PEM);
    TLS_KEY = Setting::text("REDIS_TLS_KEY", "none", PEM);
    TLS_SERVER_NAME = Setting::text(
        "REDIS_TLS_SERVER_NAME",
        "the host that is connected to; of a node, the hostname or address that it announces",
        "a name or an IP address in the server's certificate, without a port",
    );
    NODE_MAP = Setting::text(
        "REDIS_NODE_MAP",
        "empty",
        "announced=reachable,..., as in 10.0.0.1:6379=localhost:7001",
    );
    SENTINEL_USERNAME = Setting::text("REDIS_SENTINEL_USERNAME", "none", "any text");
    SENTINEL_PASSWORD = Setting::text("REDIS_SENTINEL_PASSWORD", "none", "any text");
    SENTINEL_PASSWORD_FILE = Setting::text(
        "REDIS_SENTINEL_PASSWORD_FILE",
        "none",
        PASSWORD_IN_FILE,
    );
    HISTORY = Setting::text("REDIS_HISTORY", "replid", "replid or reconnect");
    ENABLED = Setting::text("REDIS_ENABLED", "true", FLAG);
    MAX_CONNECTIONS = Setting::number(
        "REDIS_MAX_CONNECTIONS",
        "10",
        "2 to 10000 (at least one for commands and one to hear invalidations)",
        Whole(2..=10_000),
    );
    SOCKET_TIMEOUT = Setting::number(
        "REDIS_SOCKET_TIMEOUT",
        "5",
        "seconds, 0.001 to 600",
        Fraction(0.001..=600.0),
    );
    OPERATION_TIMEOUT = Setting::number(
        "CACHE_OPERATION_TIMEOUT_MS",
        "250",
        "milliseconds, 1 to 60000",
        Whole(1..=60_000),
    );
    DEFAULT_TTL = Setting::number("CACHE_DEFAULT_TTL", "3600", TTL, Whole(MIN_TTL..=MAX_TTL));
    // Stands for the settings of all kinds.
    KIND_TTL = Setting::number(
        "CACHE_{KIND}_TTL",
        "the strategy's, else CACHE_DEFAULT_TTL",
        TTL,
        Whole(MIN_TTL..=MAX_TTL),
    );
    MAX_STALENESS = Setting::number(
        "CACHE_MAX_STALENESS_MS",
        "500",
        "milliseconds, 50 to 60000, or 0 for no local tier",
        ZeroOr(50..=60_000),
    );
    QUARANTINE_TTL = Setting::number(
        "CACHE_QUARANTINE_TTL_MS",
        "30000",
        "milliseconds, 1000 to 600000",
        Whole(1_000..=600_000),
    );
    LEASE_TTL = Setting::number(
        "CACHE_LEASE_TTL_MS",
        "3000",
        "milliseconds, 100 to 60000",
        Whole(100..=60_000),
    );
    LOAD_TIMEOUT = Setting::number(
        "CACHE_LOAD_TIMEOUT_MS",
        "10000",
        "milliseconds, 1 to 600000",
        Whole(1..=600_000),
    );
    JOURNAL_POLL = Setting::number(
        "CACHE_JOURNAL_POLL_MS",
        "500",
        "milliseconds, 50 to 60000",
        Whole(50..=60_000),
    );
    SOURCE_CONCURRENCY = Setting::number(
        "CACHE_SOURCE_CONCURRENCY",
        "64",
        "1 to 100000 loads",
        Whole(1..=100_000),
    );
    MAX_VALUE_BYTES = Setting::number(
        "CACHE_MAX_VALUE_BYTES",
        "8MiB",
        "bytes, 1 to 512MiB, as in 8MiB or 8388608",
        Whole(1..=512 * MIB),
    );
    COMPRESS_ABOVE_BYTES = Setting::number(
        "CACHE_COMPRESS_ABOVE_BYTES",
        "off",
        "off, or bytes, 0 to 512MiB, as in 8KiB or 8192",
        Whole(0..=512 * MIB),
    );
    L1_CAPACITY = Setting::number(
        "CACHE_L1_CAPACITY",
        "64MiB",
        "bytes, 1 to 1024GiB, as in 64MiB or 67108864 (for no local tier set \
         CACHE_MAX_STALENESS_MS=0)",
        Whole(1..=1024 * 1024 * MIB),
    );
    NAMESPACE = Setting::text(
        "CACHE_NAMESPACE",
        "empty",
        "letters a to z, digits, `_` and `-`, or empty, and not `aside`",
    );
    HOT_SET = Setting::text("CACHE_HOT_SET", "true", FLAG);
    WARM_UP = Setting::text("CACHE_WARM_UP", "hot", "hot, all or off");
    WARM_UP_DEADLINE = Setting::number(
        "CACHE_WARM_UP_DEADLINE",
        "10",
        "seconds, 0.001 to 600",
        Fraction(0.001..=600.0),
    );
    ANALYTICS = Setting::text("CACHE_ANALYTICS", "true", FLAG);
    AUDIT_SHARE = Setting::number(
        "CACHE_AUDIT_SHARE",
        "0",
        "a share of the hits, 0 to 1, as in 0.01 (0 for no audit)",
        Fraction(0.0..=1.0),
    );
    HEARTBEAT = Setting::number(
        "CACHE_HEARTBEAT_MS",
        "5000",
        "milliseconds, 100 to 60000, or 0 to announce nothing",
        ZeroOr(100..=60_000),
    );
    INSTANCE_NAME = Setting::text(
        "CACHE_INSTANCE_NAME",
        "the host's name and the process id",
        "1 to 64 characters that can be printed",
    );
    PREFETCH = Setting::text("CACHE_PREFETCH", "auto", "auto, names or off");
    PREFETCH_WASTE = Setting::number(
        "CACHE_PREFETCH_WASTE",
        "0.05",
        "a share of the reads below this process, 0.001 to 1",
        Fraction(0.001..=1.0),
    );
    PREFETCH_ROWS = Setting::number(
        "CACHE_PREFETCH_ROWS",
        "1024",
        "8 to 1000000 rows",
        Whole(8..=1_000_000),
    );
    PREFETCH_MEMORY = Setting::number(
        "CACHE_PREFETCH_MEMORY",
        "4MiB",
        "bytes, 65536 to 1GiB, as in 4MiB or 4194304",
        Whole(MIB / 16..=1024 * MIB),
    );
    ANALYTICS_KEYS = Setting::number(
        "CACHE_ANALYTICS_KEYS",
        "4096",
        "256 to 1000000 keys, or 0 for none",
        ZeroOr(256..=1_000_000),
    );
}

const TTL: &str = "seconds, 1 to 315360000 (ten years)";
const MIN_TTL: u64 = 1;
/// A longer one is a mistaken unit, and overflows Redis's counter.
const MAX_TTL: u64 = 315_360_000;

/// Returns the setting of one kind's TTL.
pub(crate) fn kind_ttl_name(kind: &str) -> String {
    KIND_TTL.name.replace("{KIND}", &kind_in_a_name(kind))
}

pub(super) fn kind_in_a_name(kind: &str) -> String {
    kind.to_ascii_uppercase().replace('-', "_")
}

/// Returns the kind whose TTL a setting is, in lower case.
pub(super) fn kind_of_ttl(name: &str) -> Option<String> {
    let (before, after) = KIND_TTL.name.split_once("{KIND}")?;
    let kind = name.strip_prefix(before)?.strip_suffix(after)?;
    let spelled = !kind.is_empty()
        && kind
            .bytes()
            .all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_');
    (spelled && name != DEFAULT_TTL.name).then(|| kind.to_ascii_lowercase())
}
