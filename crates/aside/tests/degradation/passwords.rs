//! The password changes while the service runs.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use aside::settings::{Credentials, CredentialsError, CredentialsProvider};
use tracing::Level;

use super::listener::Listener;
use super::*;

const OF_REDIS: &[&str] = &["Redis ", "no connection to Redis"];

fn guarded(redis: &RedisServer, password: &str) {
    let words = ["ACL", "SETUSER", "tales", "on", "resetpass"];
    let word = format!(">{password}");
    redis.command(&[&words[..], &[&word, "~*", "&*", "+@all"]].concat());
}

/// Ends every connection of the services.
fn cut_all(redis: &RedisServer) {
    redis.command(&["CLIENT", "KILL", "USER", "tales"]);
}

async fn is_lost(instance: &Instance) {
    eventually(EVENTUALLY, "the loss to be noticed", async || {
        !instance.cache.is_synced()
    })
    .await;
}

#[tokio::test]
async fn a_password_in_a_file_is_read_again_at_each_connection() {
    let listener = Listener::of(Level::INFO, OF_REDIS);
    let _installed = tracing::subscriber::set_default(listener.clone());
    let redis = redis();
    guarded(&redis, "first-sesame");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("password");
    std::fs::write(&file, "first-sesame\n").unwrap();
    let config = CacheConfig {
        redis_username: Some("tales".into()),
        redis_password_file: Some(file.clone()),
        ..at(&redis.url())
    };
    assert!(config.validate().is_ok());
    let library = Library::of(3);
    let instance = Instance::in_step(config, &library).await;
    instance.caches(1).await;

    // Open connections continue.
    guarded(&redis, "second-sesame");
    instance
        .books
        .update(Book::new(1, "changed"))
        .await
        .unwrap();
    assert!(instance.cache.is_synced());

    cut_all(&redis);
    is_lost(&instance).await;
    instance.is_bypassed_because(&["WRONGPASS"]).await;
    std::fs::write(&file, "second-sesame\r\n").unwrap();
    instance.resumes().await;
    instance.caches(2).await;
    let said = format!("{:?}", listener.heard());
    assert!(!said.contains("sesame"), "{said}");
}

#[tokio::test]
async fn a_missing_password_file_is_logged_and_the_service_goes_on() {
    let redis = redis();
    guarded(&redis, "sesame");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("password");
    std::fs::write(&file, "sesame").unwrap();
    let config = CacheConfig {
        redis_username: Some("tales".into()),
        redis_password_file: Some(file.clone()),
        ..at(&redis.url())
    };
    let library = Library::of(3);
    let instance = Instance::in_step(config, &library).await;
    std::fs::remove_file(&file).unwrap();
    cut_all(&redis);
    is_lost(&instance).await;
    instance.is_bypassed_because(&["REDIS_PASSWORD_FILE"]).await;
    assert_eq!(instance.tier(1).await, Tier::Source);
    std::fs::write(&file, "sesame").unwrap();
    instance.resumes().await;
}

/// Provides tokens that are each valid for one connection, like the strictest
/// service.
#[derive(Clone)]
struct Tokens {
    redis: Arc<RedisServer>,
    asked: Arc<AtomicU32>,
    says: Arc<AtomicU32>,
}

const HANGS: u32 = 1;
const FAILS: u32 = 2;

impl CredentialsProvider for Tokens {
    async fn credentials(&self) -> Result<Credentials, CredentialsError> {
        match self.says.load(Ordering::SeqCst) {
            HANGS => std::future::pending().await,
            FAILS => Err("the token service \u{7}is down".into()),
            _ => {
                let number = self.asked.fetch_add(1, Ordering::SeqCst);
                let token = format!("token{number}");
                self.redis
                    .command(&["ACL", "SETUSER", "tales", &format!(">{token}")]);
                Ok(Credentials::of_user("tales", token))
            }
        }
    }
}

#[tokio::test]
async fn a_provider_is_called_per_connection_and_may_fail_or_hang() {
    let listener = Listener::of(Level::INFO, OF_REDIS);
    let _installed = tracing::subscriber::set_default(listener.clone());
    let redis = Arc::new(redis());
    guarded(&redis, "nobody knows this one");
    let tokens = Tokens {
        redis: Arc::clone(&redis),
        asked: Arc::default(),
        says: Arc::default(),
    };
    let config = CacheConfig {
        redis_socket_timeout: Duration::from_millis(300),
        ..at(&redis.url())
    };
    let cache = CacheService::connect_with(config, tokens.clone()).await;
    let books = CachedRepository::new(Library::of(3), &cache);
    let instance = Instance { cache, books };
    instance.resumes().await;
    eventually(EVENTUALLY, "every connection", async || {
        connections(&redis) == 5
    })
    .await;
    assert!(5 <= tokens.asked.load(Ordering::SeqCst));

    for (says, reason) in [(FAILS, "the token service"), (HANGS, "within the timeout")] {
        tokens.says.store(says, Ordering::SeqCst);
        cut_all(&redis);
        is_lost(&instance).await;
        instance.is_bypassed_because(&[reason]).await;
        assert_eq!(instance.tier(1).await, Tier::Source);
        tokens.says.store(0, Ordering::SeqCst);
        instance.resumes().await;
    }
    for (_, said) in listener.heard() {
        assert!(
            !said.contains("token0") && !said.contains('\u{7}'),
            "{said:?}"
        );
    }
}

#[test]
fn a_password_and_a_file_with_one_are_refused_together() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("password");
    let config = CacheConfig {
        redis_password: Some(Secret::new("sesame")),
        redis_password_file: Some(file.clone()),
        ..at("redis://localhost")
    };
    let refused = config.validate().unwrap_err().to_string();
    assert!(refused.contains("both set: one of them"), "{refused}");
    assert!(refused.contains("REDIS_PASSWORD_FILE is "), "{refused}");
    assert!(!refused.contains("sesame"), "{refused}");
    std::fs::write(&file, "sesame").unwrap();
    let config = CacheConfig {
        redis_password: None,
        ..config
    };
    assert_eq!(config.validate(), Ok(()));
}
