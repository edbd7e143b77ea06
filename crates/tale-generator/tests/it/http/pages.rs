//! Lists in pages: each row once, in order, for lists of every size.

use serde_json::{Value, json};
use tale_generator::domain::Row as _;

use super::api::{Api, Reply, child, hero, story};

const TOO_LARGE: &str = "aside; fwd=bypass; detail=too-large";

/// Returns the path of the next page.
fn next(reply: &Reply) -> Option<String> {
    let link = reply.header("link");
    let path = link.strip_prefix('<')?.strip_suffix(">; rel=\"next\"")?;
    Some(path.to_owned())
}

/// Returns all rows of a list, from the page at `path`, and the size of each
/// page.
async fn walk(api: &Api, path: &str, source: Option<&str>) -> (Vec<Value>, Vec<usize>) {
    let (mut rows, mut sizes) = (Vec::new(), Vec::new());
    let mut path = Some(path.to_owned());
    while let Some(here) = path {
        let reply = api.get(&here).await;
        assert_eq!(reply.status, 200, "{here}: {}", reply.text);
        if let Some(source) = source {
            assert_eq!(reply.source(), source, "{here}");
        }
        let page = reply.json();
        let page = page.as_array().unwrap();
        assert!(!page.is_empty() || sizes.is_empty(), "{here}");
        sizes.push(page.len());
        rows.extend_from_slice(page);
        path = next(&reply);
    }
    (rows, sizes)
}

async fn on_each(check: impl AsyncFn(Api)) {
    check(Api::in_memory().await).await;
    check(Api::with(&[("REDIS_ENABLED", "false")]).await).await;
    if let Some(api) = Api::on_postgres().await {
        check(api).await;
    }
}

#[tokio::test]
async fn pages_contain_each_row_once_and_in_order() {
    on_each(async |api| {
        let mut added = Vec::new();
        for at in 0..7 {
            let mut body = hero(&format!("Ada {}", at % 2));
            body["language"] = if at % 3 == 0 { "ru" } else { "en" }.into();
            added.push(api.added("/heroes", &body).await);
        }
        let of = |field: &str, value: &str| -> Vec<Value> {
            let wanted = |row: &&Value| row[field] == value;
            added.iter().filter(wanted).cloned().collect()
        };
        for _ in 0..2 {
            for (path, rows) in [
                ("/heroes?", added.clone()),
                ("/heroes?language=en&", of("language", "en")),
                ("/heroes?name=Ada%201&", of("name", "Ada 1")),
            ] {
                for limit in [1, 2, 3, 7, 1000] {
                    let path = format!("{path}limit={limit}");
                    let (walked, sizes) = walk(&api, &path, None).await;
                    assert_eq!(walked, rows, "{path}");
                    let expected = rows.len().div_ceil(limit);
                    assert_eq!(sizes.len(), expected, "{path}");
                }
            }
            assert_eq!(walk(&api, "/heroes", None).await.1, [7]);
        }
        assert_eq!(walk(&api, "/heroes?name=none&limit=1", None).await.1, [0]);
    })
    .await;
}

#[tokio::test]
async fn a_list_too_large_to_cache_has_pages_bounded_in_bytes() {
    on_each(async |api| {
        let max = api.added("/children", &child("Max")).await;
        let mut added = Vec::new();
        for at in 0..5 {
            let mut body = story(&format!("Story {at}"));
            body["content"] = "x".repeat(400_000).into();
            body["child_id"] = max["id"].clone();
            added.push(api.added("/stories", &body).await);
        }
        let of_max = format!("/stories?child_id={}", max["id"].as_str().unwrap());
        for path in [
            "/stories",
            "/stories?language=ru&limit=2",
            "/stories?child_name=Max&limit=1000",
            &of_max,
        ] {
            let (walked, sizes) = walk(&api, path, Some(TOO_LARGE)).await;
            assert_eq!(walked, added, "{path}");
            assert_eq!(sizes, [2, 2, 1], "{path}");
        }
        // The list is known to be too large now. A single row is read at any
        // size.
        let (walked, sizes) = walk(&api, "/stories?limit=1", Some(TOO_LARGE)).await;
        assert_eq!((walked, sizes), (added, vec![1; 5]));
    })
    .await;
}

#[tokio::test]
async fn a_row_larger_than_a_page_is_a_page() {
    let api = Api::in_memory().await;
    let mut body = story("A story");
    body["content"] = "x".repeat(1024 * 1024).into();
    for _ in 0..3 {
        api.added("/stories", &body).await;
    }
    let (_, sizes) = walk(&api, "/stories", Some(TOO_LARGE)).await;
    assert_eq!(sizes, [1, 1, 1]);
}

#[tokio::test]
async fn a_list_has_at_most_a_thousand_rows_and_a_next_link() {
    let api = Api::in_memory().await;
    let records: Vec<_> = (0..1003)
        .map(|at| {
            let mut draft = crate::databases::child_draft("Max");
            draft.name = format!("Max {at}");
            tale_generator::domain::Record::Child(tale_generator::domain::Child::new(draft))
        })
        .collect();
    for batch in records.chunks(tale_generator::sql::BATCH) {
        let mut write = aside::Write::uncached();
        let added = tale_generator::sql::insert_batch(&api.tales.database, batch, &mut write);
        added.await.unwrap();
    }
    let (walked, sizes) = walk(&api, "/children", None).await;
    assert_eq!((walked.len(), sizes), (1003, vec![1000, 3]));
    let mut ids: Vec<&Value> = walked.iter().map(|row| &row["id"]).collect();
    ids.sort_by_key(|id| id.to_string());
    ids.dedup();
    assert_eq!(ids.len(), 1003);
}

#[tokio::test]
async fn rows_added_or_deleted_between_pages_shift_no_other() {
    let api = Api::in_memory().await;
    let mut ids = Vec::new();
    for at in 0..6 {
        let added = api.added("/heroes", &hero(&format!("Ada {at}"))).await;
        ids.push(added["id"].as_str().unwrap().to_owned());
    }
    let first = api.get("/heroes?limit=3").await;
    for gone in [0, 2] {
        api.delete(&format!("/heroes/{}", ids[gone])).await;
    }
    let late = api.added("/heroes", &hero("Late")).await;
    let (rest, _) = walk(&api, &next(&first).unwrap(), None).await;
    let rest: Vec<&str> = rest.iter().filter_map(|row| row["id"].as_str()).collect();
    assert_eq!(rest[..3], [&ids[3], &ids[4], &ids[5]]);
    assert_eq!(rest[3..], [late["id"].as_str().unwrap()]);
}

#[tokio::test]
async fn a_wrong_limit_or_a_forged_position_is_named() {
    let api = Api::in_memory().await;
    for at in 0..3 {
        api.added("/heroes", &hero(&format!("Ada {at}"))).await;
    }
    let reply = api.get("/heroes?limit=1").await;
    let link = next(&reply).unwrap();
    let after = link.split("after=").nth(1).unwrap();
    let mut forged = after.to_owned();
    forged.replace_range(0..1, if after.starts_with('f') { "e" } else { "f" });
    for (path, field) in [
        ("/heroes?limit=0".to_owned(), "limit"),
        ("/heroes?limit=1001".to_owned(), "limit"),
        ("/heroes?limit=-1".to_owned(), "limit"),
        ("/heroes?limit=%2B1".to_owned(), "limit"),
        ("/heroes?limit=1.0".to_owned(), "limit"),
        ("/heroes?limit=".to_owned(), "limit"),
        ("/heroes?limit=99999999999999999999".to_owned(), "limit"),
        ("/heroes?limit=1&limit=1".to_owned(), "limit"),
        ("/heroes?after=".to_owned(), "after"),
        ("/heroes?after=x".to_owned(), "after"),
        (format!("/heroes?after={forged}"), "after"),
        (format!("/heroes?after={after}0"), "after"),
        (format!("/heroes?after={}", after.to_uppercase()), "after"),
        (format!("/heroes?after={after}&after={after}"), "after"),
        (format!("/heroes?language=en&after={after}"), "after"),
        (format!("/children?after={after}"), "after"),
        ("/heroes/match?limit=1".to_owned(), "id"),
        (
            "/children/match?name=M&age=7&gender=male&limit=1".to_owned(),
            "limit",
        ),
        (format!("/heroes/{}?limit=1", uuid()), "limit"),
        ("/heroes?language=en&name=Ada&limit=1".to_owned(), "name"),
    ] {
        let reply = api.get(&path).await;
        assert_eq!(reply.status, 400, "{path}: {}", reply.text);
        reply.is_problem(400, &[field]);
    }
    let posted = api.post("/heroes?limit=1", &hero("Eve")).await;
    posted.is_problem(400, &["limit"]);
}

fn uuid() -> &'static str {
    "67e55044-10b1-426f-9247-bb680e5fe0c8"
}

#[tokio::test]
async fn a_pages_tag_covers_its_rows_and_its_next_link() {
    let api = Api::in_memory().await;
    api.added("/heroes", &hero("Ada")).await;
    let alone = api.get("/heroes?limit=1").await;
    let tag = alone.header("etag").to_owned();
    let known = [("if-none-match", tag.as_str())];
    assert_eq!(
        api.ask("GET", "/heroes?limit=1", &known, None).await.status,
        304
    );
    api.added("/heroes", &hero("Eve")).await;
    // The rows are the same, but now more follow.
    let followed = api.ask("GET", "/heroes?limit=1", &known, None).await;
    assert_eq!(followed.status, 200);
    assert_eq!(followed.text, alone.text);
    assert!(next(&followed).is_some() && next(&alone).is_none());
    let second = api.get(&next(&followed).unwrap()).await;
    assert_ne!(second.header("etag"), followed.header("etag"));
}

#[tokio::test]
async fn a_large_response_has_its_announced_length_and_tag() {
    let api = Api::in_memory().await;
    let mut body = story("A story");
    body["content"] = "\u{416}".repeat(200_000).into();
    let added = api.added("/stories", &body).await;
    let path = format!("/stories/{}", added["id"].as_str().unwrap());
    for path in ["/stories", &path] {
        let reply = api.get(path).await;
        assert_eq!(reply.json().to_string().len(), reply.text.len(), "{path}");
        let tag = reply.header("etag").to_owned();
        let known = api.ask("GET", path, &[("if-none-match", &tag)], None).await;
        assert_eq!((known.status.as_u16(), known.text.as_str()), (304, ""));
    }
    assert_eq!(json!([added]), api.get("/stories").await.json());
}
