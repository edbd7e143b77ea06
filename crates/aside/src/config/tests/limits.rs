//! The limits of each setting, and of settings beside each other.

use super::*;

/// Each variable with values that are accepted and values that are refused.
const LIMITS: &[(&str, &[&str], &[&str])] = &[
    (
        "REDIS_DB",
        &["0", "2147483647"],
        &["-1", "+1", "2147483648", "x"],
    ),
    (
        "REDIS_MAX_CONNECTIONS",
        &["2", "10000"],
        &["0", "1", "10001", "-3"],
    ),
    (
        "REDIS_SOCKET_TIMEOUT",
        &["5", "0.25", "600"],
        &["0", "-1", "NaN", "inf", "1e99", "601", "0.0001", "5s"],
    ),
    (
        "CACHE_OPERATION_TIMEOUT_MS",
        &["1", "20000"],
        &["0", "60001", "1.5"],
    ),
    (
        "CACHE_DEFAULT_TTL",
        &["1", "315360000"],
        &["0", "315360001", "1h", "-1"],
    ),
    (
        "CACHE_ANYTHING_TTL",
        &["1", "315360000"],
        &["0", "315360001", "1h", "-1"],
    ),
    (
        "CACHE_MAX_STALENESS_MS",
        &["0", "50", "60000"],
        &["1", "49", "60001"],
    ),
    (
        "CACHE_QUARANTINE_TTL_MS",
        &["1000", "600000"],
        &["0", "999", "600001"],
    ),
    ("CACHE_LEASE_TTL_MS", &["100", "60000"], &["99", "60001"]),
    ("CACHE_LOAD_TIMEOUT_MS", &["1", "600000"], &["0", "600001"]),
    ("CACHE_JOURNAL_POLL_MS", &["50", "60000"], &["49", "60001"]),
    (
        "CACHE_SOURCE_CONCURRENCY",
        &["1", "100000"],
        &["0", "100001"],
    ),
    (
        "CACHE_MAX_VALUE_BYTES",
        &["1", "512MiB"],
        &["0", "513MiB", "lots"],
    ),
    (
        "CACHE_COMPRESS_ABOVE_BYTES",
        &["0", "off", "Off # yet", "512MiB"],
        &["513MiB", "on"],
    ),
    (
        "CACHE_L1_CAPACITY",
        &["1", "1024GiB"],
        &["0", "1025GiB", "64 parsecs"],
    ),
    ("REDIS_ENABLED", &["yes", "OFF"], &["enabled", "2"]),
    (
        "CACHE_NAMESPACE",
        &["prod", "a-b_9", "aside-2"],
        &["aside", "Prod", "a:b", "a b", "é", "*"],
    ),
    (
        "CACHE_AUDIT_SHARE",
        &["0", "0.01", "1"],
        &["-0.1", "1.01", "NaN", "inf", "5%"],
    ),
    (
        "CACHE_HEARTBEAT_MS",
        &["0", "100", "60000"],
        &["99", "60001", "-1"],
    ),
    (
        "CACHE_INSTANCE_NAME",
        &["api-1", "Маша 2"],
        &[
            "a\u{7}b",
            "a name of more than sixty-four characters, which fills no column of a table",
        ],
    ),
    ("CACHE_PREFETCH", &["auto", "names", "Off"], &["on", "1"]),
    (
        "CACHE_PREFETCH_WASTE",
        &["0.001", "1"],
        &["0", "1.1", "NaN", "5%"],
    ),
    (
        "CACHE_PREFETCH_ROWS",
        &["8", "1000000"],
        &["7", "1000001", "-1"],
    ),
    (
        "CACHE_PREFETCH_MEMORY",
        &["64KiB", "1024MiB"],
        &["65535", "1025MiB", "lots"],
    ),
    (
        "CACHE_ANALYTICS_KEYS",
        &["0", "256", "1000000"],
        &["255", "1000001", "many"],
    ),
];

#[test]
fn numbers_stay_within_their_limits() {
    for (name, accepted, refused) in LIMITS {
        for value in *accepted {
            assert!(read(&[(name, value)]).is_ok(), "{name}={value}");
        }
        for value in *refused {
            let refusal = refusal(&[(name, value)]);
            assert!(refusal.starts_with(&format!("{name} is `")), "{refusal}");
            assert_eq!(refusal.lines().count(), 1, "{refusal}");
        }
    }
}

#[test]
fn every_problem_shows_the_value_and_the_allowed_range() {
    assert_eq!(
        refusal(&[
            ("REDIS_MAX_CONNECTIONS", "1"),
            ("CACHE_HERO_TTL", "1h"),
            ("CACHE_NAMESPACE", "aside"),
            ("REDIS_URL", "redis://:hunter2@h:0"),
        ]),
        "CACHE_HERO_TTL is `1h`: seconds, 1 to 315360000 (ten years)\n\
         REDIS_URL cannot be used (it is not shown): a port from 1 to 65535\n\
         REDIS_MAX_CONNECTIONS is `1`: 2 to 10000 (at least one for commands and one to hear \
         invalidations)\n\
         CACHE_NAMESPACE is `aside`: letters a to z, digits, `_` and `-`, or empty, and not \
         `aside`",
    );
}

#[test]
fn an_operation_ends_before_its_quarantine() {
    let pairs = |timeout| {
        [
            ("CACHE_OPERATION_TIMEOUT_MS", timeout),
            ("CACHE_QUARANTINE_TTL_MS", "5000"),
        ]
    };
    assert!(read(&pairs("4999")).is_ok());
    assert!(refusal(&pairs("5000")).contains("below CACHE_QUARANTINE_TTL_MS"));
    // A lease may outlive the quarantine: it only delays another load.
    assert!(
        read(&[
            ("CACHE_LEASE_TTL_MS", "60000"),
            ("CACHE_QUARANTINE_TTL_MS", "1000")
        ])
        .is_ok()
    );
}

#[test]
fn a_literal_configuration_has_the_same_limits() {
    let config = CacheConfig {
        redis_max_connections: 1,
        l1_capacity_bytes: 0,
        ttls: BTreeMap::from([("dark-story".to_owned(), Duration::ZERO)]),
        ..CacheConfig::default()
    };
    let error = config.validate().unwrap_err();
    assert_eq!(error.problems().len(), 3, "{error}");
    assert!(
        error.to_string().contains("CACHE_DARK_STORY_TTL is `0`"),
        "{error}"
    );
}
