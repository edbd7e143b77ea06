//! What is counted and logged of a fault: once per change, not per request.

use std::fmt;
use std::sync::{Arc, Mutex};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

use super::*;

/// What is said of Redis at INFO and above while it is installed. Writes say
/// what they invalidated, with Redis and without.
#[derive(Clone, Default)]
struct Listener(Arc<Mutex<Vec<(Level, String)>>>);

impl Listener {
    /// What was said since it was last asked.
    fn heard(&self) -> Vec<(Level, String)> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }
}

impl Subscriber for Listener {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= Level::INFO && metadata.target().starts_with("aside")
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut text = Text::default();
        event.record(&mut text);
        let heard = (*event.metadata().level(), text.0);
        if ["message=Redis ", "message=no connection to Redis"]
            .iter()
            .any(|of| heard.1.starts_with(of))
        {
            self.0.lock().unwrap().push(heard);
        }
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

#[derive(Default)]
struct Text(String);

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0 += &format!("{field}={value:?} ");
    }
}

/// Asks for many things that Redis cannot give.
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
async fn an_outage_is_logged_when_it_begins_and_when_it_ends_and_counted_in_between() {
    let listener = Listener::default();
    // Tasks run on this thread, and so does what they say.
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
async fn a_lost_connection_is_logged_once_however_often_it_is_tried_again() {
    let listener = Listener::default();
    let _installed = tracing::subscriber::set_default(listener.clone());
    let redis = redis();
    let library = Library::of(3);
    let instance = Instance::in_step(at(&redis.url()), &library).await;
    listener.heard();
    redis.kill();
    insist(&instance).await;
    let heard = listener.heard();
    // That it is lost, and why there is no other.
    assert_eq!(of(Level::ERROR, &heard), 2, "{heard:?}");
    assert_eq!(heard.len(), 2, "{heard:?}");
}

#[tokio::test]
async fn refused_scripts_are_logged_once_though_every_ping_is_answered() {
    let listener = Listener::default();
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
    let listener = Listener::default();
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
