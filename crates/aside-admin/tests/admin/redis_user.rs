//! The Redis user that `docs/operations.md` recommends can do everything the
//! cache needs, and nothing else.

use std::path::Path;
use std::time::Duration;

use aside::{
    CacheConfig, Repository, Source,
    report::{Ttl, WarmUpOptions},
};
use aside_admin::{Access, Admin};
use aside_testkit::{RedisOptions, RedisServer, Reply, eventually};

use crate::SOON;
use crate::asking::{delete, get};
use crate::heroes::{HeroIndex, Heroes, Instance, hero};

/// Returns the line of the page, with a password for the tests.
fn recommended() -> String {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/operations.md");
    let page = std::fs::read_to_string(page).unwrap();
    let mut lines = page.lines().filter(|line| line.starts_with("user aside "));
    let line = lines.next().expect("the page has a line for redis.conf");
    assert_eq!(lines.next(), None, "and only one");
    line.replace("PASSWORD", "secret")
}

fn start() -> RedisServer {
    RedisServer::start_with(RedisOptions {
        config: vec![recommended()],
        ..RedisOptions::default()
    })
    .unwrap()
}

#[tokio::test]
async fn the_cache_works_in_full_under_the_recommended_user() {
    let redis = start();
    let url = format!("redis://aside:secret@127.0.0.1:{}/0", redis.port());
    let source = Heroes::with([hero("1", "Ada", "en"), hero("2", "Маша", "ru")]);
    let here = Instance::start(&url, &source).await;
    let there = Instance::start(&url, &source).await;
    assert!(here.cache.is_synced() && there.cache.is_synced());
    let admin = Admin::new(here.cache.clone(), Access::local_only());

    // Reads, absences and lists are filled, and another instance finds them.
    let Ok(_) = here.heroes.warm_up(WarmUpOptions::default(), |_| ()).await;
    here.name_of("404").await;
    for key in ["hero:1", "hero:2", "hero:all", "hero:404", "hero:lang:en"] {
        here.wait_for(key).await;
    }
    let ids = ["1", "2", "404"].map(str::to_owned);
    let Ok(_) = there.heroes.find_many(&ids).await;
    assert_eq!(there.cache.stats().kinds[0].misses, 0);

    // The other instance receives the invalidations of writes.
    let Ok(_) = here.heroes.update(hero("1", "Grace", "ru")).await;
    eventually(SOON, "the other has heard it", async || {
        there.name_of("1").await.as_deref() == Some("Grace")
    })
    .await;
    let Ok(russian) = there
        .heroes
        .find_by(&HeroIndex::Language("ru".into()))
        .await;
    assert_eq!(russian.len(), 2);
    let Ok(_) = here.heroes.save(hero("3", "Bo", "en")).await;
    let Ok(_) = here.heroes.delete(&"3".to_owned()).await;

    // The service's own operations, and those of operators.
    there.cache_row("1", "hero:1").await;
    assert!(matches!(here.cache.ttl("hero:1").await, Ttl::Left(_)));
    assert_eq!(here.cache.health_check().await.status.as_str(), "healthy");
    assert_eq!(
        get(&admin, "/cache/explain?key=hero:1").await.body["state"],
        "value"
    );
    eventually(SOON, "a fleet of two", async || {
        let fleet = get(&admin, "/cache/fleet").await.body;
        (fleet["counts"]["in-step"] == 2).then_some(()).ok_or(fleet)
    })
    .await;
    let probed = here.cache.probe_fleet(SOON).await.unwrap();
    assert!(probed.heard.values().all(Option::is_some), "{probed:?}");
    let keys = get(&admin, "/cache/keys").await.body;
    assert_eq!(keys["kinds"]["hero"]["at_least"], false);
    assert_eq!(delete(&admin, "/cache/hero/1").await.body["invalidated"], 1);
    assert!(here.cache.delete_pattern("hero:l*").await > 0);
    assert!(delete(&admin, "/cache/hero").await.body["invalidated"].as_u64() > Some(0));
}

#[tokio::test]
async fn every_command_of_the_cache_is_allowed() {
    let redis = start();
    let url = format!("redis://aside:secret@127.0.0.1:{}/0", redis.port());
    let source = Heroes::with([hero("1", "Ada", "en")]);
    let config = CacheConfig {
        max_staleness: Duration::ZERO,
        ..CacheConfig::default()
    };
    let instance = Instance::start_with(config, &url, &source).await;
    instance.cache_row("1", "hero:1").await;
    let Ok(_) = instance.heroes.update(hero("1", "Grace", "en")).await;
    let Ok(_) = instance.heroes.list_all().await;
    let Ok(_) = instance
        .heroes
        .find_many(&["1".to_owned(), "2".to_owned()])
        .await;
    instance.cache.flush().await;
    instance.cache.health_check().await;
    eventually(SOON, "a heartbeat with the kinds", async || {
        let fleet = instance.cache.fleet().await;
        fleet.is_some_and(|fleet| !fleet.kinds.is_empty())
    })
    .await;
    instance.cache.close().await;
    assert_eq!(redis.command(&["ACL", "LOG"]), Reply::Array(Vec::new()));
}

#[tokio::test]
async fn the_recommended_user_cannot_do_more() {
    let redis = start();
    let user = "aside";
    for (command, allowed) in [
        (&["GET", "hero:1"][..], true),
        (&["GET", "session:1"], false),
        (&["SET", "session:1", "x"], false),
        (&["PUBLISH", "aside:invalidate", "x"], true),
        (&["PUBLISH", "other", "x"], false),
        (&["KEYS", "*"], false),
        (&["FLUSHDB"], false),
        (&["FLUSHALL"], false),
        (&["EVAL", "return 1", "0"], false),
        (&["CONFIG", "GET", "*"], false),
        (&["ACL", "LIST"], false),
        (&["CLIENT", "KILL", "TYPE", "normal"], false),
        (&["SHUTDOWN"], false),
        (&["DEBUG", "SLEEP", "1"], false),
        (&["MONITOR"], false),
        (&["REPLICAOF", "NO", "ONE"], false),
    ] {
        let words: Vec<&str> = ["ACL", "DRYRUN", user]
            .iter()
            .chain(command)
            .copied()
            .collect();
        let answered = redis.command(&words);
        assert_eq!(
            answered.text() == Some("OK"),
            allowed,
            "{command:?}: {answered:?}"
        );
    }
}
