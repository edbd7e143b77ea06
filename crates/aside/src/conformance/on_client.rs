//! The promises on Redis, through the production client.

use std::sync::Arc;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use aside_redis::{Call, Connection, Event, Target, Tls, TlsClient};
use aside_testkit::{RedisServer, eventually};
use parking_lot::Mutex;
use tokio::task::AbortHandle;

use super::{Case, LONG, Subject, conformance_tests, quarantine, tokens};
use crate::config::credentials::Authentication;
use crate::config::history::RedisHistory;
use crate::protocol::{BoxFuture, Reply, SharedTier};
use crate::redis::endpoint::{Endpoint, Role};
use crate::redis::locator::Locator;
use crate::redis::pool::{self, RedisTier};
use crate::trust::link::Link;
use crate::trust::shard_trust::ShardTable;

/// One server for all tests of this process; each test uses its own keys and
/// channels.
static SERVER: LazyLock<RedisServer> =
    LazyLock::new(|| RedisServer::start().expect("redis-server or valkey-server"));

static CHANNELS: AtomicU64 = AtomicU64::new(0);

/// The connections of a service, and its watcher's connection.
pub(super) struct OnClient {
    tier: RedisTier,
    listener: Connection,
    heard: Arc<Mutex<Vec<String>>>,
    connections: Vec<AbortHandle>,
}

impl Drop for OnClient {
    fn drop(&mut self) {
        for pooled in &self.connections {
            pooled.abort();
        }
    }
}

impl OnClient {
    pub(super) async fn shared() -> Self {
        Self::open(&SERVER).await
    }

    pub(super) async fn open(server: &RedisServer) -> Self {
        Self::at(&server.url(), Tls::default()).await
    }

    /// Connects by a URL, with these files if it is one of TLS.
    pub(super) async fn at(url: &str, tls: Tls) -> Self {
        let number = CHANNELS.fetch_add(1, Ordering::Relaxed);
        let channel = format!("client{number}:aside:invalidate");
        let endpoint = Endpoint {
            locator: Locator::Fixed(Target::parse(url).expect("an address").address),
            role: Role::Server,
            db: None,
            tls: Arc::new(TlsClient::new(tls)),
            socket_timeout: LONG,
            max_value_bytes: 1 << 23,
            authentication: Authentication::Fixed(None),
            history: RedisHistory::Replid,
        };
        let heard = Arc::new(Mutex::new(Vec::new()));
        let hear = Arc::clone(&heard);
        let listener = endpoint.open(move |event| {
            if let Event::Message(text) = event {
                hear.lock().push(text.to_owned());
            }
        });
        let (listener, found) = listener.await.expect("a connection");
        listener.subscribe(&channel).await.expect("a subscription");

        let link = Arc::new(Link::new(ShardTable::new(LONG).take().expect("a shard")));
        link.learn_history(
            pool::ask_history(&listener, &found, RedisHistory::Replid)
                .await
                .expect("a history"),
        );
        let tier = RedisTier::new(1, channel, LONG, Arc::clone(&link));
        let open = |pooled: &_| {
            let (pooled, link) = (Arc::clone(pooled), Arc::clone(&link));
            tokio::spawn(pool::keep_open(pooled, endpoint.clone(), link)).abort_handle()
        };
        let connections = tier.connections().iter().map(open).collect();
        eventually(LONG, "a connection", async || tier.open() == 1).await;
        Self {
            tier,
            listener,
            heard,
            connections,
        }
    }
}

impl Subject for OnClient {
    fn tier(&self) -> &dyn SharedTier {
        &self.tier
    }

    fn pass(&self, time: Duration) -> BoxFuture<'_, ()> {
        Box::pin(tokio::time::sleep(time))
    }

    fn heard(&self) -> BoxFuture<'_, Vec<String>> {
        Box::pin(async {
            // The barrier that the watcher relies on: a message published
            // before the PING is handled before its reply.
            let ping = Call::command("PING");
            self.listener.call(&[ping]).await.expect("an answer");
            std::mem::take(&mut *self.heard.lock())
        })
    }
}

conformance_tests!(super::on_client::OnClient::shared());

#[tokio::test]
async fn lost_scripts_are_loaded_again() {
    // A separate server, because other tests would lose their scripts as well.
    let server = RedisServer::start().expect("redis-server or valkey-server");
    let case = Case::new(OnClient::open(&server).await);
    let (key, other) = (case.key("k"), case.key("other"));
    let [writer, another] = tokens();
    server.command(&["SCRIPT", "FLUSH"]);
    let ops = vec![
        quarantine(&key, writer, LONG),
        quarantine(&other, another, LONG),
    ];
    let replies = case.pipeline(ops).await;
    assert_eq!(replies, [Ok(Reply::Done), Ok(Reply::Done)]);
    let own = |writer: super::Token| (true, vec![writer.to_string()]);
    assert_eq!(case.quarantine(&key).await, own(writer));
    assert_eq!(case.quarantine(&other).await, own(another));
}
