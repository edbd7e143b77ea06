//! Every route obeys the contract, on both databases.

use serde_json::{Value, json};

use super::api::{Api, child, hero, story};

async fn on_both_databases(test: impl AsyncFn(Api)) {
    test(Api::in_memory().await).await;
    if let Some(api) = Api::on_postgres().await {
        test(api).await;
    }
}

fn ids(list: &Value) -> Vec<&Value> {
    list.as_array()
        .unwrap()
        .iter()
        .map(|row| &row["id"])
        .collect()
}

#[tokio::test]
async fn heroes_are_added_found_replaced_and_deleted() {
    on_both_databases(async |api| {
        let reply = api.post("/heroes", &hero("Ада Лавлейс")).await;
        assert_eq!(reply.status, 201);
        let ada = reply.json();
        let path = format!("/heroes/{}", ada["id"].as_str().unwrap());
        assert_eq!(reply.header("location"), path);
        assert!(reply.header("etag").starts_with('"'));
        assert_eq!(ada["version"], 1);
        assert_eq!(ada["created_at"], ada["updated_at"]);

        assert_eq!(api.get(&path).await.json(), ada);
        for list in [
            "/heroes",
            "/heroes?language=en",
            "/heroes?name=%D0%90%D0%B4%D0%B0+%D0%9B%D0%B0%D0%B2%D0%BB%D0%B5%D0%B9%D1%81",
        ] {
            let reply = api.get(list).await;
            assert_eq!(
                (reply.status.as_u16(), reply.json()),
                (200, json!([ada])),
                "{list}"
            );
        }
        assert_eq!(api.get("/heroes?language=ru").await.json(), json!([]));

        let mut changed = hero("Ада Лавлейс");
        changed["language"] = json!("ru");
        let reply = api.put(&path, &changed).await;
        assert_eq!(
            (reply.status.as_u16(), &reply.json()["version"]),
            (200, &json!(2))
        );
        assert_eq!(api.get("/heroes?language=en").await.json(), json!([]));
        assert_eq!(
            ids(&api.get("/heroes?language=ru").await.json()),
            [&ada["id"]]
        );

        let reply = api.delete(&path).await;
        assert_eq!((reply.status.as_u16(), reply.text.as_str()), (204, ""));
        api.get(&path).await.is_problem(404, &[]);
        api.put(&path, &changed).await.is_problem(404, &[]);
        api.delete(&path).await.is_problem(404, &[]);
        assert_eq!(api.get("/heroes").await.json(), json!([]));
    })
    .await;
}

#[tokio::test]
async fn an_exact_child_lookup_returns_the_oldest_match() {
    on_both_databases(async |api| {
        let path = "/children/match?name=Max&age=7&gender=male";
        api.get(path).await.is_problem(404, &[]);
        let first = api.added("/children", &child("Max")).await;
        api.added("/children", &child("Max")).await;
        let reply = api.get(path).await;
        assert_eq!(reply.json()["id"], first["id"]);
        assert!(reply.header("cache-status").starts_with("aside; "));
        assert_eq!(
            api.get("/children?name=Max")
                .await
                .json()
                .as_array()
                .unwrap()
                .len(),
            2
        );
        api.get("/children/match?name=Max&age=8&gender=male")
            .await
            .is_problem(404, &[]);
    })
    .await;
}

#[tokio::test]
async fn renaming_and_deleting_a_child_updates_its_stories() {
    on_both_databases(async |api| {
        let max = api.added("/children", &child("Max")).await;
        let id = max["id"].as_str().unwrap();
        let mut draft = story("A story");
        (draft["child_id"], draft["child_name"]) = (json!(id), json!("somebody else"));
        let told = api.added("/stories", &draft).await;
        assert_eq!(told["child_name"], "Max");
        let path = format!("/stories/{}", told["id"].as_str().unwrap());
        for list in [
            format!("/stories?child_id={id}"),
            "/stories?child_name=Max".into(),
        ] {
            assert_eq!(ids(&api.get(&list).await.json()), [&told["id"]]);
        }
        assert_eq!(
            ids(&api.get("/stories?language=ru").await.json()),
            [&told["id"]]
        );

        let renamed = api.put(&format!("/children/{id}"), &child("Maxim")).await;
        assert_eq!(renamed.status, 200);
        let now = api.get(&path).await.json();
        assert_eq!(
            (&now["child_name"], &now["version"]),
            (&json!("Maxim"), &json!(2))
        );
        assert_eq!(api.get("/stories?child_name=Max").await.json(), json!([]));

        assert_eq!(api.delete(&format!("/children/{id}")).await.status, 204);
        let now = api.get(&path).await.json();
        assert_eq!(
            (&now["child_id"], &now["child_name"]),
            (&Value::Null, &json!("Maxim"))
        );
    })
    .await;
}

#[tokio::test]
async fn a_story_is_rated_and_must_name_an_existing_child() {
    on_both_databases(async |api| {
        let told = api.added("/stories", &story("A story")).await;
        let path = format!("/stories/{}", told["id"].as_str().unwrap());
        let reply = api
            .put(&format!("{path}/rating"), &json!({ "rating": 9 }))
            .await;
        assert_eq!(
            (reply.status.as_u16(), &reply.json()["rating"]),
            (200, &json!(9))
        );
        assert_eq!(api.get(&path).await.json()["rating"], 9);
        for (body, field) in [
            (json!({ "rating": 11 }), "rating"),
            (json!({ "rating": "9" }), "rating"),
            (json!({}), "rating"),
            (json!({ "rating": 9, "title": "t" }), "title"),
        ] {
            let refused = api.put(&format!("{path}/rating"), &body).await;
            refused.is_problem(400, &[field]);
        }
        for field in ["child_id", "hero_id"] {
            let mut draft = story("Another");
            draft[field] = json!("67e55044-10b1-426f-9247-bb680e5fe0c8");
            api.post("/stories", &draft).await.is_problem(422, &[field]);
            api.put(&path, &draft).await.is_problem(422, &[field]);
        }
    })
    .await;
}

#[tokio::test]
async fn unknown_routes_and_methods_are_problems_too() {
    let api = Api::in_memory().await;
    for path in ["/", "/nothing", "/heroes/", "/heroes/a/b", "/health/x"] {
        api.get(path).await.is_problem(404, &[]);
    }
    for (path, allowed) in [
        ("/heroes", "GET,HEAD,POST"),
        (
            "/heroes/67e55044-10b1-426f-9247-bb680e5fe0c8",
            "GET,HEAD,PUT,DELETE",
        ),
        ("/children/match", "GET,HEAD"),
        ("/health", "GET,HEAD"),
        ("/metrics", "GET,HEAD"),
    ] {
        let reply = api.ask("PATCH", path, &[], None).await;
        reply.is_problem(405, &[]);
        assert_eq!(reply.header("allow"), allowed, "{path}");
    }
}

#[tokio::test]
async fn head_returns_the_headers_of_get_without_a_body() {
    let api = Api::in_memory().await;
    api.added("/heroes", &hero("Ada")).await;
    let (get, head) = (
        api.get("/heroes").await,
        api.ask("HEAD", "/heroes", &[], None).await,
    );
    assert_eq!((head.status, head.text.as_str()), (get.status, ""));
    assert_eq!(head.header("etag"), get.header("etag"));
    assert_eq!(head.header("content-length"), get.text.len().to_string());
}
