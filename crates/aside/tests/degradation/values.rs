//! Values that this service did not write, or can no longer read.

use super::*;

/// Puts a value under a key, and checks that the first read replaces it.
async fn is_replaced(content: &[&str]) {
    let redis = redis();
    let library = Library::of(3);
    let instance = Instance::in_step(at(&redis.url()), &library).await;
    let mut command = content.to_vec();
    command.insert(1, "book:1");
    redis.command(&command);
    assert_eq!(instance.tier(1).await, Tier::Source, "{content:?}");
    let misses = instance.cache.stats().kinds[0].misses;
    assert_eq!(misses, 1, "{content:?}");
    // The read returns before the fill.
    eventually(EVENTUALLY, "the new value", async || {
        let shared = instance.books.find_by_id_with(&1, Freshness::Shared).await;
        shared.unwrap().tier == Tier::Shared
    })
    .await;

    // The same for several keys at once.
    command[1] = "book:2";
    redis.command(&command);
    let read = instance.books.find_many(&[2, 3]).await.unwrap();
    assert_eq!(read[0].as_ref().unwrap().title, "tale 2");
    eventually(EVENTUALLY, "the new value", async || {
        let reply = redis.command(&["GET", "book:2"]);
        reply.text().is_some_and(|text| text.contains("tale 2"))
    })
    .await;
    assert!(instance.cache.is_synced());
}

#[tokio::test]
async fn foreign_values_are_counted_misses_and_are_replaced() {
    is_replaced(&["SET", "somebody else's"]).await;
    is_replaced(&["SET", ""]).await;
    is_replaced(&["HSET", "field", "value"]).await;
    is_replaced(&["LPUSH", "element"]).await;
}

#[tokio::test]
async fn corrupt_values_are_counted_misses_and_are_replaced() {
    is_replaced(&["SET", "V"]).await;
    is_replaced(&["SET", "Vcut off in the middle of the header"]).await;
    is_replaced(&["SET", "Q without records"]).await;
    is_replaced(&["SET", "L"]).await;
}

/// Returns the header of a value in Redis, and the text behind it.
async fn stored(redis: &RedisServer) -> (String, String) {
    let library = Library::of(3);
    let writer = Instance::in_step(at(&redis.url()), &library).await;
    writer.caches(1).await;
    let reply = redis.command(&["GET", "book:1"]);
    let (header, payload) = reply.text().unwrap().split_once('\n').unwrap();
    (header.to_owned(), payload.to_owned())
}

#[tokio::test]
async fn a_value_of_another_shape_is_a_counted_miss_and_is_replaced() {
    let (header, payload) = stored(&redis()).await;
    // V, sixteen digits of the history, thirteen of the epoch, sixteen of the
    // shape.
    let other = format!(
        "{}{}{}\n{payload}",
        &header[..30],
        "0".repeat(16),
        &header[46..]
    );
    is_replaced(&["SET", &other]).await;
}

#[tokio::test]
async fn a_value_with_damaged_text_is_a_counted_miss_and_replaced() {
    let (header, payload) = stored(&redis()).await;
    for damaged in [
        format!("{header}\n"),
        format!("{header}\n{}", &payload[..payload.len() / 2]),
        format!("{header}\n{}", payload.replace("title", "tilte")),
        format!("{header}\n{}", payload.replace("\"id\":1", "\"id\":7")),
        format!("{header}\n{}", payload.replace("cached_at", "cached_ta")),
    ] {
        is_replaced(&["SET", &damaged]).await;
    }
}
