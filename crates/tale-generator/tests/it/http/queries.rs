//! Refused paths and queries; each response names the problem.

use super::api::{Api, hero};

#[tokio::test]
async fn every_wrong_parameter_is_named() {
    let api = Api::in_memory().await;
    for (path, field) in [
        ("/heroes?colour=red", "colour"),
        ("/heroes?language=en&language=en", "language"),
        ("/heroes?language=en&name=Ada", "name"),
        ("/heroes?language=de", "language"),
        ("/heroes?language=EN", "language"),
        ("/heroes?name=", "name"),
        ("/heroes?name", "name"),
        ("/heroes?name=%20", "name"),
        ("/heroes?name=a%00b", "name"),
        ("/heroes?name=%FF", "name"),
        ("/children?age=7", "age"),
        ("/children/match?name=Max&age=7", "gender"),
        ("/children/match?name=Max&age=0&gender=male", "age"),
        ("/children/match?name=Max&age=seven&gender=male", "age"),
        ("/children/match?name=Max&age=%2B7&gender=male", "age"),
        ("/children/match?name=Max&age=7&gender=dragon", "gender"),
        ("/children/match?name=Max&age=7&gender=male&x=1", "x"),
        ("/stories?child_id=7", "child_id"),
        ("/stories?child_name=Max&language=en", "language"),
        (
            "/stories?child_id=67e5504410b1426f9247bb680e5fe0c8",
            "child_id",
        ),
        (
            "/heroes/67e55044-10b1-426f-9247-bb680e5fe0c8?name=Ada",
            "name",
        ),
        ("/heroes/seven", "id"),
        ("/heroes/%FF", "id"),
        ("/stories/67e55044-10b1-426f-9247-bb680e5fe0c", "id"),
    ] {
        let reply = api.get(path).await;
        assert_eq!(reply.status, 400, "{path}: {}", reply.text);
        reply.is_problem(400, &[field]);
    }
    let posted = api.post("/heroes?dry_run=1", &hero("Ada")).await;
    posted.is_problem(400, &["dry_run"]);
    let deleted = api.delete("/heroes/all").await;
    deleted.is_problem(400, &["id"]);
}

#[tokio::test]
async fn user_input_never_matches_another_lookup() {
    let api = Api::in_memory().await;
    for name in [
        "all",
        "*",
        "a:b",
        "100%",
        "name:Ada",
        "Ада #1",
        "a&b=c",
        "a+b",
    ] {
        let ada = api.added("/heroes", &hero(name)).await;
        let query: String = name.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let found = api.get(&format!("/heroes?name={query}")).await.json();
        assert_eq!(found, serde_json::json!([ada]), "{name}");
    }
    let short = api.get("/heroes?name=100%").await.json();
    assert_eq!(short.as_array().unwrap().len(), 1);
}
