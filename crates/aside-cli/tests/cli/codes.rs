//! Every exit code is reached.

use aside_testkit::{RedisOptions, RedisServer, eventually_blocking};

use crate::SOON;
use crate::instance::Instance;
use crate::program::{aside, program, run};

#[test]
fn wrong_arguments_and_settings_exit_with_2() {
    let redis = RedisServer::start().unwrap();
    for arguments in [
        &["frobnicate"][..],
        &["explain"],
        &["invalidate", "hero"],
        &["invalidate", "hero", "--id", "1", "--all"],
        &["health", "--timeout", "5"],
        &["health", "--at", "host:80"],
        &["get", "hero:1", "--at", "http://127.0.0.1:1"],
    ] {
        let wrong = aside(&redis.url(), arguments);
        assert_eq!(
            (wrong.code, &*wrong.out),
            (Some(2), ""),
            "{arguments:?} {wrong:?}"
        );
        assert!(!wrong.err.is_empty(), "{arguments:?}");
    }
    let mut command = program(&redis.url(), &["health"]);
    let wrong = run(command.env("CACHE_MAX_STALENESS_MS", "soon"));
    assert_eq!(wrong.code, Some(2), "{wrong:?}");
    assert!(
        wrong.err.contains("CACHE_MAX_STALENESS_MS is `soon`"),
        "{wrong:?}"
    );
}

#[test]
fn a_target_that_does_not_answer_exits_with_3() {
    let gone = aside(
        "redis://:hidden@127.0.0.1:1",
        &["health", "--timeout", "300ms"],
    );
    assert_eq!(gone.code, Some(3), "{gone:?}");
    assert!(
        gone.err.contains("cannot reach Redis at 127.0.0.1:1"),
        "{gone:?}"
    );
    assert!(gone.err.contains("try: --at"), "{gone:?}");
    assert!(!gone.err.contains("hidden"), "{gone:?}");
    let at = ["health", "--at", "http://127.0.0.1:1"];
    let gone = aside("redis://127.0.0.1:1", &at);
    assert_eq!(gone.code, Some(3), "{gone:?}");
    assert!(gone.err.contains("http://127.0.0.1:1"), "{gone:?}");
}

#[test]
fn a_refused_user_or_token_exits_with_4() {
    let redis = RedisServer::start_with(RedisOptions {
        password: Some("secret".to_owned()),
        ..RedisOptions::default()
    });
    let redis = redis.unwrap();
    let port = redis.port();
    for url in [
        format!("redis://127.0.0.1:{port}"),
        format!("redis://:wrong@127.0.0.1:{port}"),
    ] {
        let refused = aside(&url, &["health"]);
        assert_eq!(refused.code, Some(4), "{refused:?}");
        assert!(!refused.err.contains("wrong@"), "{refused:?}");
    }
    let open = RedisServer::start().unwrap();
    let instance = Instance::start(&open.url(), "api-1");
    let mut command = program(&open.url(), &["health", "--at", &instance.url]);
    let refused = run(command.env("ADMIN_TOKEN", "another token, also long"));
    assert_eq!(refused.code, Some(4), "{refused:?}");
    assert!(refused.err.contains("ADMIN_TOKEN"), "{refused:?}");
}

#[test]
fn an_invalidation_that_redis_refuses_exits_with_5() {
    let redis = RedisServer::start().unwrap();
    let _instance = Instance::start(&redis.url(), "api-1");
    eventually_blocking(SOON, "the kind is announced", || {
        redis.command(&["EXISTS", "aside:kinds"]).integer() == Some(1)
    });
    let user = "ACL SETUSER ops on >secret ~aside:* %R~hero:* &* +@all";
    redis.command(&user.split(' ').collect::<Vec<_>>());
    let url = format!("redis://ops:secret@127.0.0.1:{}", redis.port());

    let refused = aside(&url, &["invalidate", "hero", "--id", "1"]);

    assert_eq!(refused.code, Some(5), "{refused:?}");
    assert!(refused.out.contains("not acknowledged"), "{refused:?}");
}
