use aside_redis::Address;

use std::fs;

use super::*;
use crate::config::settings::{ConfigError, Settings};

mod limits;
mod secrecy;
mod documents;

fn read(pairs: &[(&str, &str)]) -> Result<CacheConfig, ConfigError> {
    CacheConfig::from_settings(&Settings::from_pairs(pairs.iter().copied()))
}

fn refusal(pairs: &[(&str, &str)]) -> String {
    match read(pairs) {
        Ok(config) => panic!("{pairs:?} was accepted: {config:?}"),
        Err(error) => error.to_string(),
    }
}

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

#[test]
fn an_empty_environment_gives_the_defaults() {
    assert_eq!(CacheConfig::default().validate(), Ok(()));
    assert_eq!(read(&[]), Ok(CacheConfig::default()));
    // As `docker run --env-file` passes on a commented template.
    let block = [
        ("REDIS_URL", "redis://localhost:6379/0"),
        ("REDIS_PASSWORD", "  # optional"),
        ("REDIS_DB", "0"),
        ("REDIS_ENABLED", "true"),
        ("REDIS_MAX_CONNECTIONS", "10"),
        ("REDIS_SOCKET_TIMEOUT", "5"),
        ("CACHE_DEFAULT_TTL", "3600  # 1 hour"),
    ];
    assert_eq!(
        read(&block),
        Ok(CacheConfig {
            redis_db: Some(0),
            ..CacheConfig::default()
        }),
    );
}

#[test]
fn the_defaults_have_the_units_of_their_settings() {
    let config = CacheConfig::default();
    assert_eq!(config.redis_socket_timeout, secs(5));
    assert_eq!(config.operation_timeout, millis(250));
    assert_eq!(config.default_ttl, secs(3600));
    assert_eq!(config.quarantine_ttl, secs(30));
    assert_eq!(config.compress_above_bytes, None);
    assert_eq!(config.l1_capacity_bytes, 64 << 20);
}

#[test]
fn every_variable_reaches_its_field() {
    let directory = tempfile::tempdir().unwrap();
    let pem = directory.path().join("any.pem");
    fs::write(&pem, "").unwrap();
    let path = pem.to_str().unwrap();
    let config = read(&[
        ("REDIS_URL", "rediss://h"),
        ("REDIS_USERNAME", "app"),
        ("REDIS_PASSWORD", "pw # 1"),
        ("REDIS_TLS_CA", path),
        ("REDIS_TLS_CERT", path),
        ("REDIS_TLS_KEY", path),
        ("REDIS_TLS_SERVER_NAME", "cache.internal"),
        ("REDIS_NODE_MAP", "10.0.0.1:6379=localhost:7001"),
        ("REDIS_SENTINEL_USERNAME", "watch"),
        ("REDIS_SENTINEL_PASSWORD", "pw # 2"),
        ("REDIS_HISTORY", "reconnect"),
        ("REDIS_DB", "3"),
        ("REDIS_ENABLED", "no"),
        ("REDIS_MAX_CONNECTIONS", "2"),
        ("REDIS_SOCKET_TIMEOUT", "0.5"),
        ("CACHE_OPERATION_TIMEOUT_MS", "100"),
        ("CACHE_DEFAULT_TTL", "7"),
        ("CACHE_HERO_TTL", "8"),
        ("CACHE_TALE_HERO_TTL", "9"),
        ("CACHE_MAX_STALENESS_MS", "0"),
        ("CACHE_QUARANTINE_TTL_MS", "1000"),
        ("CACHE_LEASE_TTL_MS", "2000"),
        ("CACHE_LOAD_TIMEOUT_MS", "4000"),
        ("CACHE_JOURNAL_POLL_MS", "50"),
        ("CACHE_SOURCE_CONCURRENCY", "1"),
        ("CACHE_MAX_VALUE_BYTES", "1MiB"),
        ("CACHE_COMPRESS_ABOVE_BYTES", "8KiB"),
        ("CACHE_L1_CAPACITY", "64 MB"),
        ("CACHE_NAMESPACE", "prod-1_a"),
        ("CACHE_HOT_SET", "no"),
        ("CACHE_ANALYTICS", "off"),
        ("CACHE_WARM_UP", "all"),
        ("CACHE_WARM_UP_DEADLINE", "2.5"),
        ("CACHE_AUDIT_SHARE", "0.25"),
        ("CACHE_HEARTBEAT_MS", "0"),
        ("CACHE_INSTANCE_NAME", "api-1"),
        ("CACHE_PREFETCH", "names"),
        ("CACHE_PREFETCH_WASTE", "0.1"),
        ("CACHE_PREFETCH_ROWS", "99"),
        ("CACHE_PREFETCH_MEMORY", "1MiB"),
        ("CACHE_ANALYTICS_KEYS", "512"),
    ])
    .unwrap();
    let expected = CacheConfig {
        redis_url: Secret::new("rediss://h"),
        redis_username: Some("app".to_owned()),
        redis_password: Some(Secret::new("pw # 1")),
        redis_password_file: None,
        redis_tls_ca: Some(pem.clone()),
        redis_tls_cert: Some(pem.clone()),
        redis_tls_key: Some(pem),
        redis_tls_server_name: Some("cache.internal".to_owned()),
        redis_node_map: "10.0.0.1:6379=localhost:7001".parse().unwrap(),
        redis_sentinel_username: Some("watch".to_owned()),
        redis_sentinel_password: Some(Secret::new("pw # 2")),
        redis_sentinel_password_file: None,
        redis_history: RedisHistory::Reconnect,
        redis_db: Some(3),
        redis_enabled: false,
        redis_max_connections: 2,
        redis_socket_timeout: millis(500),
        operation_timeout: millis(100),
        default_ttl: secs(7),
        ttls: BTreeMap::from([
            ("hero".to_owned(), secs(8)),
            ("tale_hero".to_owned(), secs(9)),
        ]),
        max_staleness: Duration::ZERO,
        quarantine_ttl: millis(1000),
        lease_ttl: millis(2000),
        load_timeout: millis(4000),
        journal_poll: millis(50),
        source_concurrency: 1,
        max_value_bytes: 1 << 20,
        compress_above_bytes: Some(8192),
        l1_capacity_bytes: 64_000_000,
        namespace: "prod-1_a".to_owned(),
        hot_set: false,
        analytics: false,
        warm_up: Some(WarmUpFrom::All),
        warm_up_deadline: millis(2500),
        audit_share: 0.25,
        heartbeat: Duration::ZERO,
        instance_name: Some("api-1".to_owned()),
        prefetch: PrefetchMode::Names,
        prefetch_waste: 0.1,
        prefetch_rows: 99,
        prefetch_memory_bytes: 1 << 20,
        analytics_keys: 512,
        warnings: Vec::new(),
    };
    assert_eq!(config, expected);
}

#[test]
fn a_kind_has_the_operators_ttl_under_any_spelling_of_its_name() {
    let config = read(&[
        ("CACHE_DEFAULT_TTL", "10"),
        ("CACHE_HERO_TTL", "20"),
        ("CACHE_TALE_HERO_TTL", "30"),
    ])
    .unwrap();

    assert_eq!(config.ttl_of("hero"), Some(secs(20)));
    assert_eq!(config.ttl_of("tale-hero"), Some(secs(30)));
    assert_eq!(config.ttl_of("tale_hero"), Some(secs(30)));
    assert_eq!(config.ttl_of("other"), None);
    assert_eq!(config.default_ttl, secs(10));
}

#[test]
fn other_settings_ending_in_ttl_are_not_kinds() {
    let config = read(&[
        ("CACHE_DEFAULT_TTL", "10"),
        ("CACHE_QUARANTINE_TTL_MS", "5000"),
        ("CACHE_LEASE_TTL_MS", "5000"),
        ("CACHE__TTL", "1x"),
        ("CACHE_TTL", "1x"),
        ("cache_hero_ttl", "1x"),
        ("CACHE_hero_TTL", "1x"),
        ("CACHE_STORY_TTL", "  # the default"),
    ])
    .unwrap();
    assert!(config.ttls.is_empty());
    assert_eq!(config.ttl_of("default"), None);
}

#[test]
fn a_certificate_and_its_key_come_together() {
    let directory = tempfile::tempdir().unwrap();
    let pem = directory.path().join("any.pem");
    fs::write(&pem, "").unwrap();
    let pem = pem.to_str().unwrap();
    let url = ("REDIS_URL", "rediss://h");
    assert!(read(&[url, ("REDIS_TLS_CERT", pem), ("REDIS_TLS_KEY", pem)]).is_ok());
    assert!(refusal(&[url, ("REDIS_TLS_CERT", pem)]).contains("both or neither"));
    assert!(refusal(&[url, ("REDIS_TLS_KEY", pem)]).contains("both or neither"));
}

#[test]
fn a_certificate_that_cannot_be_read_is_refused_at_start() {
    let directory = tempfile::tempdir().unwrap();
    let missing = directory.path().join("missing.pem");
    for path in [missing.as_path(), directory.path()] {
        let refusal = refusal(&[
            ("REDIS_URL", "rediss://h"),
            ("REDIS_TLS_CA", path.to_str().unwrap()),
        ]);
        assert!(refusal.starts_with("REDIS_TLS_CA is `"), "{refusal}");
    }
}

#[test]
fn a_private_authority_needs_an_encrypted_address() {
    let directory = tempfile::tempdir().unwrap();
    let pem = directory.path().join("ca.pem");
    fs::write(&pem, "").unwrap();
    let ca = ("REDIS_TLS_CA", pem.to_str().unwrap());
    assert!(refusal(&[ca]).contains("rediss://"));
    assert!(read(&[ca, ("REDIS_URL", "rediss://h")]).is_ok());
    assert!(read(&[ca, ("REDIS_URL", "memory://")]).is_ok());
}

#[test]
fn a_server_name_is_a_name_on_an_encrypted_connection() {
    let url = ("REDIS_URL", "rediss://h");
    for name in ["cache.internal", "10.0.0.1", "::1"] {
        assert!(read(&[url, ("REDIS_TLS_SERVER_NAME", name)]).is_ok());
    }
    for name in ["cache.internal:6379", "a b", "-"] {
        let refusal = refusal(&[url, ("REDIS_TLS_SERVER_NAME", name)]);
        assert!(refusal.contains("without a port"), "{refusal}");
    }
    assert!(refusal(&[("REDIS_TLS_SERVER_NAME", "h")]).contains("rediss://"));
}

#[test]
fn a_wrong_pair_of_the_node_map_is_named() {
    let refusal = refusal(&[("REDIS_NODE_MAP", "a:1=b:2,c=d:3")]);
    assert!(
        refusal.starts_with("REDIS_NODE_MAP is wrong: pair 2 (`c=d:3`) "),
        "{refusal}"
    );
}

#[test]
fn sentinels_have_their_own_user_and_password() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("password");
    fs::write(&file, "pw\n").unwrap();
    let file = ("REDIS_SENTINEL_PASSWORD_FILE", file.to_str().unwrap());
    let user = ("REDIS_SENTINEL_USERNAME", "watch");
    let password = ("REDIS_SENTINEL_PASSWORD", "hunter2");

    assert!(refusal(&[user]).contains("REDIS_SENTINEL_PASSWORD_FILE as well"));
    assert!(refusal(&[password, file]).contains("are both set: one of them"));
    let missing = ("REDIS_SENTINEL_PASSWORD_FILE", "/nowhere/password");
    assert!(refusal(&[missing]).starts_with("REDIS_SENTINEL_PASSWORD_FILE is `"));
    for pairs in [&[user, password], &[user, file]] {
        let config = read(pairs).unwrap();
        let target = config.target().unwrap();
        assert_eq!((target.username, target.password), (None, None));
    }
}

#[test]
fn the_history_is_one_of_two() {
    for (text, history) in [
        ("replid", RedisHistory::Replid),
        ("Reconnect", RedisHistory::Reconnect),
    ] {
        let config = read(&[("REDIS_HISTORY", text)]).unwrap();
        assert_eq!(config.redis_history, history);
    }
    let refusal = refusal(&[("REDIS_HISTORY", "runid")]);
    assert_eq!(refusal, "REDIS_HISTORY is `runid`: replid or reconnect");
}

#[test]
fn the_overrides_win_over_the_url() {
    let url = ("REDIS_URL", "redis://u:p@h/1");
    let target = |pairs: &[(&str, &str)]| read(pairs).unwrap().target().unwrap();

    let plain = target(&[url]);
    assert_eq!(plain.username, Some(Secret::new("u")));
    assert_eq!(plain.password, Some(Secret::new("p")));
    assert_eq!(plain.db, Some(1));

    let overridden = target(&[
        url,
        ("REDIS_USERNAME", "v"),
        ("REDIS_PASSWORD", "q"),
        ("REDIS_DB", "0"),
    ]);
    assert_eq!(overridden.username, Some(Secret::new("v")));
    assert_eq!(overridden.password, Some(Secret::new("q")));
    assert_eq!(overridden.db, Some(0));
    assert_eq!(overridden.address, plain.address);

    let password_only = target(&[url, ("REDIS_PASSWORD", "q")]);
    assert_eq!(password_only.username, Some(Secret::new("u")));
}

#[test]
fn a_user_without_a_password_is_refused() {
    let refused = refusal(&[("REDIS_USERNAME", "alice")]);
    assert!(
        refused.contains("REDIS_PASSWORD") && !refused.contains("alice"),
        "{refused}"
    );
    assert!(read(&[("REDIS_USERNAME", "alice"), ("REDIS_PASSWORD", "x")]).is_ok());
}

#[test]
fn clusters_are_accepted() {
    for url in ["redis+cluster://h1:7001,h2", "rediss+cluster://h1"] {
        let config = read(&[("REDIS_URL", url)]).unwrap();
        let address = config.target().unwrap().address;
        assert!(matches!(address, Address::Cluster { .. }), "{address:?}");
    }
}

#[test]
fn a_url_that_means_a_cluster_is_told_its_scheme() {
    let refusal = refusal(&[("REDIS_URL", "cluster://h1")]);
    assert!(
        refusal.contains("redis+cluster://") && !refusal.contains("h1"),
        "{refusal}"
    );
}

#[test]
fn a_cluster_has_no_other_databases() {
    let cluster = ("REDIS_URL", "redis+cluster://h1");
    let refusal = refusal(&[cluster, ("REDIS_DB", "2")]);
    assert!(refusal.contains("REDIS_DB must be 0"), "{refusal}");
    assert!(read(&[cluster, ("REDIS_DB", "0")]).is_ok());
}

#[test]
fn sentinels_are_accepted() {
    for url in [
        "redis+sentinel://h1,h2/mymaster/0",
        "rediss+sentinel://h1:26380/mymaster",
    ] {
        let config = read(&[("REDIS_URL", url)]).unwrap();
        let address = config.target().unwrap().address;
        assert!(matches!(address, Address::Sentinel { .. }), "{address:?}");
    }
}

#[test]
fn an_unchecked_certificate_is_refused() {
    let refusal = refusal(&[("REDIS_URL", "rediss://:hunter2@h#insecure")]);
    assert!(
        refusal.contains("REDIS_URL") && !refusal.contains("hunter2"),
        "{refusal}"
    );
    assert!(read(&[("REDIS_URL", "rediss://h # insecure")]).is_ok());
}

#[test]
fn from_env_reads_the_environment_of_the_process() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(
        directory.path().join(".env"),
        "CACHE_HERO_TTL=20\nCACHE_CHILD_TTL=30\n",
    )
    .unwrap();
    fs::write(
        directory.path().join("aside.toml"),
        "cache_child_ttl = 40\ncache_story_ttl = 50\nredis_url = 'memory://'\n",
    )
    .unwrap();

    let printed = std::process::Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "config::tests::print_from_env",
            "--ignored",
            "--nocapture",
        ])
        .env_clear()
        .env("CACHE_HERO_TTL", "10  # ten")
        .current_dir(directory.path())
        .output()
        .unwrap();

    let printed = String::from_utf8(printed.stdout).unwrap();
    assert!(
        printed.contains(
            "child: Some(30s), hero: Some(10s), story: Some(50s); environment as it was: true"
        ),
        "{printed}"
    );
}

/// The child process of the test above, with a different environment.
#[test]
#[ignore = "run by another test"]
fn print_from_env() {
    let before: Vec<_> = std::env::vars_os().collect();
    if let Ok(config) = CacheConfig::from_env() {
        let after: Vec<_> = std::env::vars_os().collect();
        println!(
            "child: {:?}, hero: {:?}, story: {:?}; environment as it was: {}",
            config.ttl_of("child"),
            config.ttl_of("hero"),
            config.ttl_of("story"),
            before == after,
        );
    }
}
