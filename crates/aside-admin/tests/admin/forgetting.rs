//! `DELETE /cache/...`.

use aside::{CacheConfig, Source};
use aside_admin::{Access, Admin};
use aside_testkit::{Direction, Mode, Proxy, RedisServer, eventually};
use axum::http::StatusCode;
use serde_json::json;

use crate::SOON;
use crate::asking::{delete, get, post};
use crate::heroes::{HeroIndex, Heroes, Instance, hero};

async fn in_memory(source: &Heroes) -> (Instance, Admin) {
    let instance = Instance::start("memory://", source).await;
    let admin = Admin::new(instance.cache.clone(), Access::local_only());
    (instance, admin)
}

fn two_heroes() -> Heroes {
    Heroes::with([hero("1", "Ada", "en"), hero("2", "Маша", "ru")])
}

#[tokio::test]
async fn a_row_is_invalidated_by_its_id() {
    let source = two_heroes();
    let (instance, admin) = in_memory(&source).await;
    instance.cache_row("1", "hero:1").await;
    source.put(hero("1", "Grace", "en"));
    assert_eq!(instance.name_of("1").await.as_deref(), Some("Ada"));

    let answer = delete(&admin, "/cache/hero/1").await;

    assert_eq!(answer.status, StatusCode::OK);
    let one = json!({"invalidated": 1, "at_least": false, "epoch": null, "pending": false});
    assert_eq!(answer.body, one);
    assert_eq!(instance.name_of("1").await.as_deref(), Some("Grace"));
}

#[tokio::test]
async fn an_id_is_escaped_as_keys_are() {
    let awkward = [
        ("all", "all", "hero:%61ll"),
        ("a/b:c", "a%2Fb%3Ac", "hero:a/b%3Ac"),
        (
            "Маша и медведь",
            "%D0%9C%D0%B0%D1%88%D0%B0%20%D0%B8%20%D0%BC%D0%B5%D0%B4%D0%B2%D0%B5%D0%B4%D1%8C",
            "hero:Маша и медведь",
        ),
        ("50%", "50%25", "hero:50%25"),
        ("stats", "stats", "hero:stats"),
    ];
    let source = Heroes::with(awkward.map(|(id, _, _)| hero(id, "Ada", "en")));
    let (instance, admin) = in_memory(&source).await;
    for (id, in_url, key) in awkward {
        instance.cache_row(id, key).await;
        let answer = delete(&admin, &format!("/cache/hero/{in_url}")).await;
        assert_eq!(answer.status, StatusCode::OK, "{id}");
        assert!(!instance.cache.exists(key).await, "{id}");
    }
}

#[tokio::test]
async fn the_row_with_id_all_differs_from_the_list_of_all() {
    let source = Heroes::with([hero("all", "Ada", "en")]);
    let (instance, admin) = in_memory(&source).await;
    instance.cache_row("all", "hero:%61ll").await;
    let _ = instance.heroes.list_all().await;
    instance.wait_for("hero:all").await;

    delete(&admin, "/cache/hero/all").await;

    assert!(instance.cache.exists("hero:all").await);
}

#[tokio::test]
async fn a_list_is_invalidated_by_the_field_of_its_index() {
    let source = two_heroes();
    let (instance, admin) = in_memory(&source).await;
    let english = HeroIndex::Language("en".into());
    let _ = instance.heroes.find_by(&english).await;
    instance.wait_for("hero:lang:en").await;
    instance.cache_row("1", "hero:1").await;

    let answer = delete(&admin, "/cache/hero?language=en").await;

    assert_eq!(answer.body["invalidated"], 1);
    assert!(!instance.cache.exists("hero:lang:en").await);
    assert!(instance.cache.exists("hero:1").await);
}

#[tokio::test]
async fn the_fields_of_a_composite_index_come_in_any_order() {
    let source = Heroes::with([hero("1", "Ada & Bo: friends", "en")]);
    let (instance, admin) = in_memory(&source).await;
    let exact = HeroIndex::Exact {
        name: "Ada & Bo: friends".into(),
        age: 30,
    };
    for order in [
        "name=Ada+%26%20Bo%3A+friends&age=30",
        "age=30&name=Ada+%26%20Bo%3A+friends",
    ] {
        let _ = instance.heroes.find_by(&exact).await;
        instance.wait_for("hero:exact:Ada & Bo%3A friends:30").await;
        let answer = delete(&admin, &format!("/cache/hero?{order}")).await;
        assert_eq!(answer.status, StatusCode::OK, "{order}");
        let left = instance.cache.exists("hero:exact:Ada & Bo%3A friends:30");
        assert!(!left.await, "{order}");
    }
}

#[tokio::test]
async fn fields_of_no_index_are_refused_with_the_valid_ones() {
    let source = two_heroes();
    let (instance, admin) = in_memory(&source).await;
    instance.cache_row("1", "hero:1").await;
    for query in [
        "age=30",
        "lang=en",
        "name=Ada&language=en",
        "colour=red",
        "id=1",
    ] {
        let answer = delete(&admin, &format!("/cache/hero?{query}")).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{query}");
        let mut possible: Vec<&str> = answer.body["possible"]
            .as_array()
            .unwrap()
            .iter()
            .filter_map(|fields| fields.as_str())
            .collect();
        possible.sort_unstable();
        assert_eq!(possible, ["language", "name", "name&age"], "{query}");
    }
    for uri in ["/cache/hero?name=a&name=b", "/cache/hero/1?name=Ada"] {
        let answer = delete(&admin, uri).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{uri}");
    }
    assert!(instance.cache.exists("hero:1").await);
}

#[tokio::test]
async fn a_kind_is_invalidated_as_a_whole() {
    let source = two_heroes();
    let (instance, admin) = in_memory(&source).await;
    instance.cache_row("1", "hero:1").await;
    instance.cache_row("2", "hero:2").await;
    instance.cache.set("heroine:1", "theirs", None).await;

    let answer = delete(&admin, "/cache/hero").await;

    let epoch = answer.body["epoch"].clone();
    assert!(epoch.as_u64() > Some(1_700_000_000_000), "{epoch}");
    let all = json!({"invalidated": 2, "at_least": false, "epoch": epoch, "pending": false});
    assert_eq!(answer.body, all);
    assert!(!instance.cache.exists("hero:1").await);
    assert!(instance.cache.exists("heroine:1").await);
    let stats = get(&admin, "/cache/stats").await;
    assert_eq!(stats.body["kinds"]["hero"]["invalidations"], 2);
}

#[tokio::test]
async fn an_unknown_kind_is_not_found() {
    let (_instance, admin) = in_memory(&two_heroes()).await;
    for uri in [
        "/cache/villain",
        "/cache/villain/1",
        "/cache/villain?name=Ada",
        "/cache/stats",
        "/cache/aside",
        "/cache/her",
        "/cache/%2A",
    ] {
        let answer = delete(&admin, uri).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{uri}");
        assert_eq!(answer.body["possible"], json!(["hero"]), "{uri}");
    }
    let answer = delete(&admin, "/cache/hero/%FF").await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn a_namespace_prefixes_the_keys() {
    let config = CacheConfig {
        namespace: "prod".into(),
        ..CacheConfig::default()
    };
    let instance = Instance::start_with(config, "memory://", &two_heroes()).await;
    let admin = Admin::new(instance.cache.clone(), Access::local_only());
    instance.cache_row("1", "prod:hero:1").await;
    delete(&admin, "/cache/hero/1").await;
    assert!(!instance.cache.exists("prod:hero:1").await);
}

#[tokio::test]
async fn another_instance_invalidates_as_well() {
    let redis = RedisServer::start().unwrap();
    let source = two_heroes();
    let here = Instance::start(&redis.url(), &source).await;
    let there = Instance::start(&redis.url(), &source).await;
    let admin = Admin::new(here.cache.clone(), Access::local_only());
    for uri in ["/cache/hero/1", "/cache/hero"] {
        source.put(hero("1", "Ada", "en"));
        delete(&admin, "/cache/hero/1").await;
        there.cache_row("1", "hero:1").await;
        source.put(hero("1", "Grace", "en"));
        assert_eq!(there.name_of("1").await.as_deref(), Some("Ada"), "{uri}");

        let answer = delete(&admin, uri).await;

        assert_eq!(answer.body["invalidated"], 1, "{uri}");
        eventually(SOON, "the other instance has heard it", async || {
            there.name_of("1").await.as_deref() == Some("Grace")
        })
        .await;
    }
}

#[tokio::test]
async fn keys_that_redis_cannot_delete_now_are_pending() {
    let redis = RedisServer::start().unwrap();
    let source = two_heroes();
    let instance = Instance::start(&redis.url(), &source).await;
    let admin = Admin::new(instance.cache.clone(), Access::local_only());
    instance.cache_row("1", "hero:1").await;
    source.put(hero("1", "Grace", "en"));
    redis.stop();

    for uri in ["/cache/hero/1", "/cache/hero"] {
        let answer = delete(&admin, uri).await;
        assert_eq!(
            answer.body,
            json!({"invalidated": 0, "at_least": false, "epoch": null, "pending": true}),
            "{uri}"
        );
    }
    assert_eq!(instance.name_of("1").await.as_deref(), Some("Grace"));

    redis.cont();
    eventually(SOON, "the deletion in Redis", async || {
        redis.command(&["EXISTS", "hero:1"]).integer() == Some(0)
    })
    .await;
}

#[tokio::test]
async fn a_purge_of_nothing_removes_nothing() {
    let (_instance, admin) = in_memory(&two_heroes()).await;
    for uri in ["/cache/hero/nosuch", "/cache/hero?language=xx"] {
        let answer = delete(&admin, uri).await;
        assert_eq!(answer.body["invalidated"], 0, "{uri}");
        assert_eq!(answer.body["pending"], false, "{uri}");
    }
    // The epoch shows that the kind is invalidated all the same.
    let answer = delete(&admin, "/cache/hero").await;
    assert_eq!(answer.body["invalidated"], 0);
    assert!(answer.body["epoch"].is_u64());
    let again = delete(&admin, "/cache/hero").await;
    assert!(answer.body["epoch"].as_u64() < again.body["epoch"].as_u64());
}

#[tokio::test]
async fn a_purge_among_foreign_keys_says_that_it_goes_on() {
    let redis = RedisServer::start().unwrap();
    let proxy = Proxy::start(redis.address()).await.unwrap();
    let source = two_heroes();
    let url = format!("redis://{}/0", proxy.address());
    let instance = Instance::start(&url, &source).await;
    let admin = Admin::new(instance.cache.clone(), Access::local_only());
    instance.cache_row("1", "hero:1").await;
    let script = "for i = 1, 20000 do redis.call('SET', 's:' .. i, '') end";
    redis.command(&["EVAL", script, "0"]);
    eventually(SOON, "the service is in step with Redis", async || {
        instance.cache.is_synced()
    })
    .await;
    // Forty pages then take longer than one operation may.
    let delay = std::time::Duration::from_millis(30);
    proxy.set(Direction::ToClient, Mode::Delay(delay));

    let answer = delete(&admin, "/cache/hero").await;

    assert_eq!(answer.body["at_least"], true, "{}", answer.body);
    assert_eq!(answer.body["pending"], false);
    assert!(answer.body["epoch"].is_u64());
    proxy.set_both(Mode::Pass);
    eventually(SOON, "the deletion in Redis", async || {
        redis.command(&["EXISTS", "hero:1"]).integer() == Some(0)
    })
    .await;
}

#[tokio::test]
async fn a_purge_where_caching_is_off_is_refused() {
    let config = CacheConfig {
        redis_enabled: false,
        ..CacheConfig::default()
    };
    let instance = Instance::start_with(config, "memory://", &two_heroes()).await;
    let admin = Admin::new(instance.cache.clone(), Access::local_only())
        .with_repository(instance.heroes.clone());
    let mut answers = Vec::new();
    for uri in ["/cache/hero", "/cache/hero/1", "/cache/hero?language=en"] {
        answers.push(delete(&admin, uri).await);
    }
    answers.push(post(&admin, "/cache/warm", "").await);
    for answer in answers {
        assert_eq!(answer.status, StatusCode::CONFLICT);
        let detail = answer.body["detail"].as_str().unwrap();
        assert!(
            detail.contains("Caching is off in this instance"),
            "{detail}"
        );
    }
    // A mistake is named first.
    let unknown = delete(&admin, "/cache/villain").await;
    assert_eq!(unknown.status, StatusCode::NOT_FOUND);
}
