//! Values and replies that are far too large.

use std::convert::Infallible;
use std::sync::Arc;

use aside::{Entity, Rows, Write, repository::Index};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;

/// Returns the peak memory of this process, in megabytes.
fn most_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    let kilobytes = line.unwrap().split_whitespace().nth(1).unwrap();
    kilobytes.parse::<u64>().unwrap() / 1024
}

/// Makes the value of a key 40 MB large, behind its present contents.
fn swell(redis: &RedisServer, key: &str) {
    redis.command(&["SETRANGE", key, "40000000", "x"]);
    redis.command(&["PERSIST", key]);
}

async fn is_replaced_quietly(redis: &RedisServer) {
    let library = Library::of(3);
    let instance = Instance::in_step(at(&redis.url()), &library).await;
    instance.caches(2).await;
    let before = most_memory();
    eventually(EVENTUALLY, "the value replaced", async || {
        assert!(instance.cache.is_synced());
        instance.tier(1).await;
        // Other values are served as before.
        let tier = instance.tier(2).await;
        let reason = instance.cache.health_check().await.reason;
        assert_eq!(
            tier,
            Tier::Local,
            "{reason:?} {:?}",
            instance.cache.stats().errors
        );
        redis.command(&["STRLEN", "book:1"]).integer().unwrap() < 1_000
    })
    .await;
    instance.caches(1).await;
    assert!(instance.errors("value_too_large") > 0);
    assert_eq!(instance.errors("redis_timeout"), 0);
    let grown = most_memory() - before;
    assert!(grown < 25, "{grown} MB");
}

#[tokio::test]
async fn a_foreign_string_of_40_mb_is_replaced_without_suspicion() {
    let redis = redis();
    swell(&redis, "book:1");
    is_replaced_quietly(&redis).await;
}

#[tokio::test]
async fn a_value_with_a_header_and_40_mb_behind_it_is_replaced() {
    let redis = redis();
    let library = Library::of(3);
    let filler = Instance::in_step(at(&redis.url()), &library).await;
    filler.caches(1).await;
    filler.cache.close().await;
    swell(&redis, "book:1");
    is_replaced_quietly(&redis).await;
}

#[tokio::test]
async fn a_raw_value_that_is_too_large_counts_as_absent() {
    let redis = redis();
    redis.command(&["SET", "cart:1", &"x".repeat(117)]);
    redis.command(&["SETRANGE", "cart:2", "9000000", "x"]);
    let library = Library::of(1);
    let instance = Instance::in_step(at(&redis.url()), &library).await;
    let small = instance.cache.get("cart:1").await;
    assert_eq!(small.map(|bytes| bytes.len()), Some(117));
    assert_eq!(instance.cache.get("cart:2").await, None);
    assert!(instance.cache.exists("cart:2").await);
    assert!(instance.cache.is_synced());
}

/// A row with free JSON.
#[derive(Clone, Debug, Serialize, Deserialize, Entity)]
#[entity(kind = "note", list_all = false)]
struct Note {
    #[entity(id)]
    id: u32,
    body: serde_json::Value,
}

struct Notes;

impl Source for Notes {
    type Entity = Note;
    type Error = Infallible;

    async fn find_by_id(&self, id: &u32) -> Result<Option<Arc<Note>>, Infallible> {
        Ok(Some(Arc::new(Note {
            id: *id,
            body: serde_json::json!(["short"]),
        })))
    }

    async fn find_many(&self, ids: &[u32]) -> Result<Vec<Option<Arc<Note>>>, Infallible> {
        let mut rows = Vec::new();
        for id in ids {
            rows.push(self.find_by_id(id).await?);
        }
        Ok(rows)
    }

    async fn find_by(&self, _: &Index<Self>) -> Result<Rows<Note>, Infallible> {
        Ok(std::iter::empty().collect())
    }

    async fn list_all(&self) -> Result<Rows<Note>, Infallible> {
        Ok(std::iter::empty().collect())
    }

    fn overloaded(&self, _: aside::repository::Overloaded) -> Infallible {
        panic!("Redis is up")
    }
}

impl Repository for Notes {
    async fn save_in(&self, row: Note, _: &mut Write) -> Result<Arc<Note>, Infallible> {
        Ok(Arc::new(row))
    }

    async fn update_in(&self, _: Note, _: &mut Write) -> Result<Option<Arc<Note>>, Infallible> {
        Ok(None)
    }

    async fn delete_in(&self, _: &u32, _: &mut Write) -> Result<bool, Infallible> {
        Ok(false)
    }
}

#[tokio::test]
async fn a_value_too_large_once_decoded_is_replaced_unread() {
    let redis = redis();
    let cache = CacheService::connect(at(&redis.url())).await;
    let notes = CachedRepository::new(Notes, &cache);
    notes.find_by_id(&1).await.unwrap();
    let mut value = String::new();
    eventually(EVENTUALLY, "the fill", async || {
        let filled = redis.command(&["GET", "note:1"]);
        value = filled.text().unwrap_or_default().to_owned();
        value.contains("short")
    })
    .await;
    let swollen = value.replace("\"short\"", &format!("{}0", "{\"\":0},".repeat(1_150_000)));
    redis.command(&["SET", "note:1", &swollen, "EX", "3600"]);
    let before = most_memory();
    let answer = notes.find_by_id_with(&1, Freshness::Shared).await.unwrap();
    assert_eq!(answer.tier, Tier::Source);
    assert_eq!(answer.value.unwrap().body, serde_json::json!(["short"]));
    let grown = most_memory() - before;
    assert!(grown < 100, "{grown} MB");
    let errors = cache.stats().errors;
    assert!(errors.contains_key("value_too_large"), "{errors:?}");
}

#[tokio::test]
async fn a_reply_without_end_uses_little_memory() {
    for begins in ["*1000000000\r\n", "*1000000\r\n", "$500000000\r\n"] {
        let fake_server = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = fake_server.local_addr().unwrap();
        let talking = tokio::spawn(async move {
            while let Ok((mut client, _)) = fake_server.accept().await {
                tokio::spawn(async move {
                    let _ = client.read(&mut [0; 512]).await;
                    let _ = client.write_all(begins.as_bytes()).await;
                    let more = "$1000\r\n".to_owned() + &"x".repeat(1000) + "\r\n";
                    let more = more.repeat(100);
                    while client.write_all(more.as_bytes()).await.is_ok() {}
                });
            }
        });
        let before = most_memory();
        let library = Library::of(1);
        let instance = Instance::start(at(&format!("redis://{address}/0")), &library).await;
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_secs(2) {
            assert_eq!(instance.tier(1).await, Tier::Source);
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        talking.abort();
        let grown = most_memory() - before;
        // Five connections, each of which may have a whole reply.
        assert!(grown < 500, "{begins:?}: {grown} MB");
    }
}
