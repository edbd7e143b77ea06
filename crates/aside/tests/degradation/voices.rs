//! Counters and log lines of a fault: once per change, not per request.

use tracing::Level;

use super::listener::Listener;
use super::*;

/// The lines about Redis. Writes log their invalidations with and without
/// Redis.
const OF_REDIS: &[&str] = &["Redis ", "no connection to Redis"];

/// Makes many requests that Redis cannot serve.
async fn insist(instance: &Instance) {
    for turn in 0..300 {
        instance.tier(turn % 3 + 1).await;
        if turn % 10 == 0 {
            let change = instance.books.update(Book::new(2, format!("turn {turn}")));
            change.await.unwrap();
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

fn of(level: Level, heard: &[(Level, String)]) -> usize {
    heard.iter().filter(|(own, _)| *own == level).count()
}

#[tokio::test]
async fn an_outage_is_logged_at_its_start_and_end_and_counted() {
    let listener = Listener::of(Level::INFO, OF_REDIS);
    // Tasks run on this thread, so their log lines reach this subscriber.
    let _installed = tracing::subscriber::set_default(listener.clone());
    let redis = redis();
    let library = Library::of(3);
    let instance = Instance::in_step(at(&redis.url()), &library).await;
    assert_eq!(of(Level::ERROR, &listener.heard()), 0);

    redis.stop();
    insist(&instance).await;
    let heard = listener.heard();
    assert_eq!(of(Level::ERROR, &heard), 1, "{heard:?}");
    assert!(heard.len() <= 2, "{heard:?}");
    assert!(instance.errors("redis_timeout") > 0);

    redis.cont();
    instance.caches(1).await;
    let heard = listener.heard();
    assert_eq!(of(Level::ERROR, &heard), 0, "{heard:?}");
    assert_eq!(of(Level::INFO, &heard), 1, "{heard:?}");
}

#[tokio::test]
async fn a_lost_connection_is_logged_once_across_all_retries() {
    let listener = Listener::of(Level::INFO, OF_REDIS);
    let _installed = tracing::subscriber::set_default(listener.clone());
    let redis = redis();
    let library = Library::of(3);
    let instance = Instance::in_step(at(&redis.url()), &library).await;
    listener.heard();
    redis.kill();
    insist(&instance).await;
    let heard = listener.heard();
    // One line for the loss, and one for the failed reconnection.
    assert_eq!(of(Level::ERROR, &heard), 2, "{heard:?}");
    assert_eq!(heard.len(), 2, "{heard:?}");
}

#[tokio::test]
async fn refused_scripts_are_logged_once_despite_answered_pings() {
    let listener = Listener::of(Level::INFO, OF_REDIS);
    let _installed = tracing::subscriber::set_default(listener.clone());
    let redis = redis();
    let library = Library::of(3);
    let instance = Instance::in_step(at(&redis.url()), &library).await;
    listener.heard();
    redis.command(&["ACL", "SETUSER", "default", "-eval", "-evalsha"]);
    insist(&instance).await;
    let heard = listener.heard();
    assert_eq!(of(Level::ERROR, &heard), 1, "{heard:?}");
    assert_eq!(heard.len(), 1, "{heard:?}");
    assert!(instance.errors("redis_refused") > 0);
}

#[tokio::test]
async fn a_wrong_password_is_logged_once_and_never_shown() {
    let listener = Listener::of(Level::INFO, OF_REDIS);
    let _installed = tracing::subscriber::set_default(listener.clone());
    let redis = redis();
    redis.set_config("requirepass", "right");
    let library = Library::of(3);
    let config = CacheConfig {
        redis_password: Some(Secret::new("open-sesame")),
        ..at(&redis.url())
    };
    let instance = Instance::start(config, &library).await;
    insist(&instance).await;
    let heard = listener.heard();
    assert_eq!(heard.len(), 1, "{heard:?}");
    assert!(!format!("{heard:?}").contains("sesame"), "{heard:?}");
}
