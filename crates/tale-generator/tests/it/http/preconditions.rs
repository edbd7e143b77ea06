//! Entity tags: known copies on reads, and expected states on writes.

use serde_json::json;

use super::api::{Api, child, hero, story};

#[tokio::test]
async fn a_client_with_the_current_tag_gets_304() {
    let api = Api::in_memory().await;
    let ada = api.added("/heroes", &hero("Ada")).await;
    let one = format!("/heroes/{}", ada["id"].as_str().unwrap());
    for path in ["/heroes", "/heroes?language=en", &one] {
        let tag = api.get(path).await.header("etag").to_owned();
        assert!(
            tag.starts_with('"') && tag.ends_with('"'),
            "{tag} is strong"
        );
        for known in [tag.clone(), "*".into(), format!("\"a\", W/{tag}")] {
            let reply = api
                .ask("GET", path, &[("if-none-match", &known)], None)
                .await;
            assert_eq!(
                (reply.status.as_u16(), reply.text.as_str()),
                (304, ""),
                "{known}"
            );
            assert_eq!(reply.header("etag"), tag);
            assert!(reply.header("cache-status").starts_with("aside; hit"));
        }
        for other in ["\"a\"", "a"] {
            let reply = api
                .ask("GET", path, &[("if-none-match", other)], None)
                .await;
            assert_eq!(reply.status, 200);
        }
        assert_eq!(api.put(&one, &hero("Ada")).await.status, 200);
        let reply = api.ask("GET", path, &[("if-none-match", &tag)], None).await;
        assert_eq!(reply.status, 200, "{path} has changed");
    }
}

#[tokio::test]
async fn a_write_proceeds_only_on_the_version_its_author_saw() {
    let api = Api::in_memory().await;
    for (collection, body) in [
        ("/heroes", hero("Ada")),
        ("/children", child("Max")),
        ("/stories", story("A story")),
    ] {
        let added = api.post(collection, &body).await;
        let (path, first) = (added.header("location"), added.header("etag"));
        let replaced = api
            .ask("PUT", path, &[("if-match", first)], Some(&body))
            .await;
        assert_eq!(replaced.status, 200);
        let second = replaced.header("etag");
        assert_eq!(api.get(path).await.header("etag"), second);

        // The body says version 1 too, but the response reports the tag.
        let (row, weak) = (added.json(), format!("W/{second}"));
        for stale in [first, "\"other\"", &weak, "\"a\", \"b\""] {
            let reply = api
                .ask("PUT", path, &[("if-match", stale)], Some(&row))
                .await;
            reply.is_problem(412, &[]);
            let reply = api.ask("DELETE", path, &[("if-match", stale)], None).await;
            reply.is_problem(412, &[]);
        }
        for malformed in ["1", "\"a", "\"a\" \"b\"", ""] {
            let reply = api
                .ask("DELETE", path, &[("if-match", malformed)], None)
                .await;
            reply.is_problem(400, &["If-Match"]);
        }
        let absent_only = [("if-none-match", "*")];
        let reply = api.ask("PUT", path, &absent_only, Some(&body)).await;
        reply.is_problem(412, &[]);

        let either = format!("{first}, {second}");
        let reply = api
            .ask("PUT", path, &[("if-match", &either)], Some(&body))
            .await;
        assert_eq!(
            (reply.status.as_u16(), &reply.json()["version"]),
            (200, &json!(3))
        );
        let reply = api.ask("DELETE", path, &[("if-match", "*")], None).await;
        assert_eq!(reply.status, 204);
        let reply = api.ask("DELETE", path, &[("if-match", first)], None).await;
        reply.is_problem(404, &[]);
    }
}

#[tokio::test]
async fn a_rating_obeys_if_match_too() {
    let api = Api::in_memory().await;
    let added = api.post("/stories", &story("A story")).await;
    let (path, tag) = (
        format!("{}/rating", added.header("location")),
        added.header("etag"),
    );
    let body = json!({ "rating": 5 });
    let rated = api
        .ask("PUT", &path, &[("if-match", tag)], Some(&body))
        .await;
    assert_eq!(rated.status, 200);
    let again = api
        .ask("PUT", &path, &[("if-match", tag)], Some(&body))
        .await;
    again.is_problem(412, &[]);
}

#[tokio::test]
async fn of_many_writers_of_one_version_one_succeeds() {
    let api = Api::in_memory().await;
    let added = api.post("/heroes", &hero("Ada")).await;
    let (path, tag) = (added.header("location"), added.header("etag"));
    let body = hero("Grace");
    let headers = [("if-match", tag)];
    let writers = (0..10).map(|_| api.ask("PUT", path, &headers, Some(&body)));
    let statuses = futures_util::future::join_all(writers).await;
    let done = statuses.iter().filter(|reply| reply.status == 200).count();
    let refused = statuses.iter().filter(|reply| reply.status == 412).count();
    assert_eq!((done, refused), (1, 9));
}

#[tokio::test]
async fn a_reused_version_with_another_row_has_another_tag() {
    for postgres in [false, true] {
        let path = tempfile::TempDir::new().unwrap();
        let url = format!("sqlite:{}", path.path().join("tales.db").display());
        let url = match postgres {
            false => url,
            true => match crate::databases::postgres_database() {
                Some(url) => url,
                None => continue,
            },
        };
        let settings = aside::settings::Settings::from_pairs([("REDIS_ENABLED", "false")]);
        let config = aside::CacheConfig::from_settings(&settings).unwrap();
        let cache = aside::CacheService::connect(config).await;
        let api = Api::over(&url, crate::databases::patient(), cache).await;
        let added = api.post("/heroes", &hero("Ada")).await;
        let path = added.header("location").to_owned();
        let tag = added.header("etag").to_owned();
        // Another program, or a restore, leaves it with the same version.
        const CHANGE: &str = "UPDATE heroes SET name = 'Eve'";
        if postgres {
            let other = sqlx::PgPool::connect(&url).await.unwrap();
            sqlx::query(CHANGE).execute(&other).await.unwrap();
        } else {
            let other = sqlx::SqlitePool::connect(&url).await.unwrap();
            sqlx::query(CHANGE).execute(&other).await.unwrap();
        }
        let read = api
            .ask("GET", &path, &[("if-none-match", &tag)], None)
            .await;
        assert_eq!(read.status, 200);
        assert_eq!(read.json()["version"], 1);
        assert_ne!(read.header("etag"), tag);
        for (method, body) in [("PUT", Some(hero("Zoe"))), ("DELETE", None)] {
            let reply = api
                .ask(method, &path, &[("if-match", &tag)], body.as_ref())
                .await;
            reply.is_problem(412, &[]);
        }
        let now = read.header("etag");
        let body = hero("Zoe");
        let reply = api
            .ask("PUT", &path, &[("if-match", now)], Some(&body))
            .await;
        assert_eq!(reply.status, 200);
    }
}
