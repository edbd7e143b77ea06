use proptest::prelude::*;

use super::*;

#[test]
fn debug_prints_no_secret() {
    let config = CacheConfig {
        redis_url: Secret::new("redis://alice:hunter2@h"),
        redis_username: Some("alice".to_owned()),
        redis_password: Some(Secret::new("hunter2")),
        redis_sentinel_username: Some("alice".to_owned()),
        redis_sentinel_password: Some(Secret::new("hunter2")),
        ..CacheConfig::default()
    };
    for shown in [format!("{config:?}"), format!("{config:#?}")] {
        assert!(
            !shown.contains("hunter2") && !shown.contains("alice"),
            "{shown}"
        );
        assert!(shown.contains("redis_max_connections"), "{shown}");
    }
}

const NAMES: [&str; 31] = [
    "REDIS_URL",
    "REDIS_USERNAME",
    "REDIS_PASSWORD",
    "REDIS_PASSWORD_FILE",
    "REDIS_TLS_CA",
    "REDIS_TLS_CERT",
    "REDIS_TLS_KEY",
    "REDIS_TLS_SERVER_NAME",
    "REDIS_NODE_MAP",
    "REDIS_SENTINEL_USERNAME",
    "REDIS_SENTINEL_PASSWORD",
    "REDIS_SENTINEL_PASSWORD_FILE",
    "REDIS_HISTORY",
    "REDIS_DB",
    "REDIS_ENABLED",
    "REDIS_MAX_CONNECTIONS",
    "REDIS_SOCKET_TIMEOUT",
    "CACHE_OPERATION_TIMEOUT_MS",
    "CACHE_DEFAULT_TTL",
    "CACHE_HERO_TTL",
    "CACHE_MAX_STALENESS_MS",
    "CACHE_QUARANTINE_TTL_MS",
    "CACHE_LEASE_TTL_MS",
    "CACHE_LOAD_TIMEOUT_MS",
    "CACHE_JOURNAL_POLL_MS",
    "CACHE_SOURCE_CONCURRENCY",
    "CACHE_MAX_VALUE_BYTES",
    "CACHE_COMPRESS_ABOVE_BYTES",
    "CACHE_L1_CAPACITY",
    "CACHE_NAMESPACE",
    "CACHE_AUDIT_SHARE",
];

fn everything_said(pairs: &[(&str, &str)]) -> String {
    match read(pairs) {
        Ok(config) => match config.target() {
            Ok(target) => format!("{config:?} {target:?}"),
            Err(error) => format!("{config:?} {error} {error:?}"),
        },
        Err(error) => format!("{error} {error:?}"),
    }
}

proptest! {
    #[test]
    fn no_value_panics_or_reveals_the_password(
        at in 0..NAMES.len(),
        value in ".*|[0-9]{1,25}|[0-9]{1,4} ?[kKmMgG]?i?[bB]?|redis://.*",
    ) {
        let mut pairs = vec![("REDIS_URL", "redis://alice:hunter2@h"), ("REDIS_PASSWORD", "hunter2")];
        pairs.push((NAMES[at], &value));
        let said = everything_said(&pairs);
        prop_assert!(!said.contains("hunter2"), "{}", said);
    }

    #[test]
    fn no_broken_url_reveals_its_password(
        scheme in "redis|rediss|unix|redis\\+cluster|redis\\+sentinel|memory|http|",
        before in "[:/@?#&= a-z]{0,8}",
        after in "[:/@?#&= a-z0-9\\[\\]%]{0,12}",
    ) {
        let url = format!("{scheme}://{before}hunter2{after}");
        // Not its target, because a logged target shows the host.
        let said = match read(&[("REDIS_URL", &url)]) {
            Ok(config) => format!("{config:?}"),
            Err(error) => format!("{error} {error:?}"),
        };
        prop_assert!(!said.contains("hunter2"), "{}", said);
    }
}
