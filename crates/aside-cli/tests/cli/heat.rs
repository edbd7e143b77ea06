//! `aside hot` and `aside curve`.

use crate::answers::{good, one_instance};
use crate::program::aside;

#[test]
fn hot_names_the_most_read_keys_of_an_instance() {
    let (redis, instance) = one_instance();
    let url = redis.url();
    let shown = good(aside(&url, &["hot", "--limit", "1", "--at", &instance.url]));
    let lines: Vec<&str> = shown.out.lines().collect();
    assert!(
        lines[0].contains("sampled reads, one of 64; 0 dropped"),
        "{shown:?}"
    );
    assert!(lines[1].starts_with("KEY"), "{shown:?}");
    assert!(lines[2].starts_with("hero:1 "), "{shown:?}");
    assert_eq!(lines.len(), 3, "{shown:?}");

    let unknown = aside(&url, &["hot", "--kind", "dragon", "--at", &instance.url]);
    assert_eq!(unknown.code, Some(2), "{unknown:?}");
    assert!(unknown.err.contains("possible: hero"), "{unknown:?}");
    let wrong = aside(&url, &["hot", "--limit", "0", "--at", &instance.url]);
    assert_eq!(wrong.code, Some(2), "{wrong:?}");
}

#[test]
fn curve_draws_a_bar_for_each_pool() {
    let (redis, instance) = one_instance();
    let url = redis.url();
    let shown = good(aside(&url, &["curve", "--at", &instance.url]));
    assert!(shown.out.contains("rows: hits of "), "{shown:?}");
    assert!(shown.out.contains("x1  "), "{shown:?}");
    let rows = good(aside(&url, &["curve", "rows", "--at", &instance.url]));
    assert!(!rows.out.contains("lists:"), "{rows:?}");
    let wrong = aside(&url, &["curve", "rowes", "--at", &instance.url]);
    assert_eq!(wrong.code, Some(2), "{wrong:?}");
}

#[test]
fn by_redis_both_say_that_they_need_an_instance() {
    let (redis, _instance) = one_instance();
    for command in ["hot", "curve"] {
        let refused = aside(&redis.url(), &[command]);
        assert_eq!(refused.code, Some(2), "{refused:?}");
        assert!(
            refused.err.contains("try: --at http://HOST:PORT"),
            "{refused:?}"
        );
    }
}
