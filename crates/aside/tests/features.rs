//! Without a feature, a setting that needs it is refused with the feature's name.
//!
//! `scripts/check-features` runs these without features; with all of them, only the
//! last test remains.

use aside::CacheConfig;
use aside::settings::Settings;

fn problems(pairs: &[(&str, &str)]) -> Vec<String> {
    let settings = Settings::from_pairs(pairs.iter().copied());
    match CacheConfig::from_settings(&settings) {
        Ok(_) => Vec::new(),
        Err(error) => error.problems().to_vec(),
    }
}

#[cfg(not(feature = "tls"))]
#[test]
fn an_encrypted_address_without_tls_is_refused() {
    for url in [
        "rediss://:s3cret@h",
        "rediss+cluster://:s3cret@h,i",
        "rediss+sentinel://:s3cret@h/m",
    ] {
        let problems = problems(&[("REDIS_URL", url)]);
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert!(problems[0].contains("the feature `tls`"), "{problems:?}");
        assert!(!problems[0].contains("s3cret"), "{problems:?}");
    }
    let problems = problems(&[("REDIS_TLS_SERVER_NAME", "h")]);
    assert!(
        problems.iter().any(|problem| {
            problem.contains("REDIS_TLS_SERVER_NAME") && problem.contains("`tls`")
        }),
        "{problems:?}"
    );
}

#[cfg(not(feature = "compression"))]
#[test]
fn compression_without_its_feature_is_refused() {
    let problems = problems(&[("CACHE_COMPRESS_ABOVE_BYTES", "8KiB")]);
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert!(problems[0].contains("the feature `compression`"));
}

/// Alone in its process, because the working directory is the process's.
#[cfg(not(feature = "config-file"))]
#[test]
fn a_settings_file_without_its_feature_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("aside.toml"), "redis_db = 1").unwrap();
    std::env::set_current_dir(&directory).unwrap();
    let problem = Settings::load().unwrap_err().to_string();
    assert!(problem.contains("the feature `config-file`"), "{problem}");
}

#[test]
fn settings_that_need_no_feature_are_accepted() {
    assert_eq!(
        problems(&[
            ("REDIS_URL", "redis://:pw@localhost:1/2"),
            ("CACHE_COMPRESS_ABOVE_BYTES", "off"),
        ]),
        [""; 0]
    );
}
