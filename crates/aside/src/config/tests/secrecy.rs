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
        at in 0..setting::ALL.len(),
        value in ".*|[0-9]{1,25}|[0-9]{1,4} ?[kKmMgG]?i?[bB]?|redis://.*",
    ) {
        let mut pairs = vec![("REDIS_URL", "redis://alice:hunter2@h"), ("REDIS_PASSWORD", "hunter2")];
        let name = setting::ALL[at].name.replace("{KIND}", "HERO");
        pairs.push((&name, &value));
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
