//! The promises through a whole service, which routes operations to the nodes of a
//! cluster, or to the primary that Sentinels name.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use aside_redis::{Call, Connection, Event, Target, Tls, TlsClient};
use aside_testkit::{RedisServer, eventually};
use parking_lot::Mutex;

use super::{LONG, Subject};
use crate::config::credentials::Authentication;
use crate::config::history::RedisHistory;
use crate::protocol::{
    BoxFuture, Failure, Op, Refused, Replies, Reply, SharedTier, Traffic, Unanswered,
};
use crate::redis::endpoint::{Endpoint, Role};
use crate::redis::locator::Locator;
use crate::tiers::Tiers;
use crate::{CacheConfig, CacheService, Secret};

/// Separates the text of a message from the server that runs its operation. The nodes
/// of a cluster copy messages to each other, and only the first is in order.
const SENT_BY: &str = " sent by ";

/// The bits of a scan's cursor that belong to its node.
const CURSOR_BITS: u32 = 48;

/// A service, and a subscriber on each primary.
pub(super) struct OnService {
    /// Keeps its tasks running.
    _service: CacheService,
    routed: Routed,
    listeners: Vec<Connection>,
    heard: Heard,
    /// Messages about epochs, each of which has a text that no other has.
    numbers: Mutex<HashSet<String>>,
}

/// Messages, each with the server that sent it to this process.
type Heard = Arc<Mutex<Vec<(String, String)>>>;

/// The service's tiers as one shared tier.
#[derive(Debug)]
struct Routed(Arc<Tiers>);

impl OnService {
    /// Connects to `url`, whose primaries are these.
    pub(super) async fn open(url: &str, tls: &Tls, primaries: &[&RedisServer]) -> Self {
        let config = CacheConfig {
            redis_url: Secret::new(url),
            redis_tls_ca: tls.ca.clone(),
            redis_tls_cert: tls.cert.clone(),
            redis_tls_key: tls.key.clone(),
            operation_timeout: Duration::from_secs(5),
            ..CacheConfig::default()
        };
        let service = CacheService::connect(config).await;
        eventually(LONG, "the use of every primary", async || {
            service.is_synced()
        })
        .await;
        let channel = service.tiers().namespace().channel();
        let heard = Heard::default();
        let mut listeners = Vec::new();
        for primary in primaries {
            let role = match primaries {
                [_] => Role::Server,
                _ => Role::Node,
            };
            let listener = listen(primary, role, tls, Arc::clone(&heard)).await;
            listener.subscribe(&channel).await.expect("a subscription");
            listeners.push(listener);
        }
        let routed = Routed(Arc::clone(service.tiers()));
        Self {
            _service: service,
            routed,
            listeners,
            heard,
            numbers: Mutex::default(),
        }
    }
}

/// Connects to one server, and records the messages that it sends.
async fn listen(server: &RedisServer, role: Role, tls: &Tls, heard: Heard) -> Connection {
    let address = server.address().to_string();
    let target = Target::parse(&server.url()).expect("an address");
    let endpoint = Endpoint {
        locator: Locator::Fixed(target.address),
        role,
        db: None,
        tls: Arc::new(TlsClient::new(tls.clone())),
        socket_timeout: LONG,
        max_value_bytes: 1 << 23,
        authentication: Authentication::Fixed(None),
        history: RedisHistory::Replid,
    };
    let opened = endpoint.open(move |event| {
        if let Event::Message(text) = event {
            heard.lock().push((address.clone(), text.to_owned()));
        }
    });
    opened.await.expect("a connection").0
}

impl Routed {
    /// Adds the server of the key to the message of an operation.
    fn named(&self, mut op: Op) -> Op {
        let server = op
            .key()
            .map(|key| self.0.shard_of(key).link.server().to_owned());
        if let Op::Quarantine { message, .. }
        | Op::Release { message, .. }
        | Op::Invalidate { message, .. } = &mut op
        {
            message.push_str(SENT_BY);
            message.push_str(&server.unwrap_or_default());
        }
        op
    }

    /// Reads a page of the node that the cursor names, then goes on to the next node.
    async fn page(&self, op: Op) -> Result<Replies, Unanswered> {
        let Op::Scan {
            cursor,
            pattern,
            count,
        } = op
        else {
            unreachable!("the caller matches a scan");
        };
        let map = self.0.map();
        let node = cursor >> CURSOR_BITS;
        let of_node = Op::Scan {
            cursor: cursor & ((1 << CURSOR_BITS) - 1),
            pattern,
            count,
        };
        let shard = &map.shards()[usize::try_from(node).expect("a small number")];
        let mut replies = shard.send(Traffic::Others, vec![of_node]).await?;
        let Ok(Reply::Page { cursor, keys }) = replies.remove(0) else {
            panic!("SCAN answers with a page");
        };
        let is_last = node + 1 == map.shards().len() as u64;
        let cursor = match (cursor, is_last) {
            (0, true) => 0,
            (0, false) => (node + 1) << CURSOR_BITS,
            (cursor, _) => node << CURSOR_BITS | cursor,
        };
        Ok(vec![Ok(Reply::Page { cursor, keys })])
    }

    /// Reads keys of several nodes.
    async fn values(&self, op: Op) -> Result<Replies, Unanswered> {
        let Op::GetMany { keys } = op else {
            unreachable!("the caller matches a GET of many keys");
        };
        let found = self.0.get_many(Traffic::Rows, keys).await.into_iter();
        let values = found.collect::<Result<Vec<_>, _>>()?;
        Ok(vec![Ok(Reply::Values(values))])
    }
}

impl SharedTier for Routed {
    fn send(&self, traffic: Traffic, ops: Vec<Op>) -> BoxFuture<'_, Result<Replies, Unanswered>> {
        let mut ops: Vec<Op> = ops.into_iter().map(|op| self.named(op)).collect();
        Box::pin(async move {
            match (ops.first(), ops.len()) {
                (Some(Op::Scan { .. }), 1) => self.page(ops.remove(0)).await,
                (Some(Op::GetMany { .. }), 1) => self.values(ops.remove(0)).await,
                _ => {
                    let sent = self.0.send(traffic, ops).await.into_iter();
                    sent.map(refusal).collect()
                }
            }
        })
    }
}

/// Separates a refusal by a server from a missing reply.
fn refusal(sent: Result<Reply, Failure>) -> Result<Result<Reply, Refused>, Unanswered> {
    match sent {
        Ok(reply) => Ok(Ok(reply)),
        Err(Failure::Refused(refused)) => Ok(Err(refused)),
        Err(Failure::Unanswered(unanswered)) => Err(unanswered),
    }
}

impl Subject for OnService {
    fn tier(&self) -> &dyn SharedTier {
        &self.routed
    }

    fn pass(&self, time: Duration) -> BoxFuture<'_, ()> {
        Box::pin(tokio::time::sleep(time))
    }

    fn heard(&self) -> BoxFuture<'_, Vec<String>> {
        Box::pin(async {
            for listener in &self.listeners {
                let ping = Call::command("PING");
                listener.call(&[ping]).await.expect("an answer");
            }
            let is_single = self.listeners.len() == 1;
            let mut numbers = self.numbers.lock();
            let mut heard = Vec::new();
            for (server, text) in self.heard.lock().drain(..) {
                let is_new = match text.split_once(SENT_BY) {
                    Some((_, sender)) => is_single || sender == server,
                    // The service itself checks that its servers can be written.
                    None if text.contains("aside:probe") => false,
                    None => numbers.insert(text.clone()),
                };
                if is_new {
                    let (text, _) = text.split_once(SENT_BY).unwrap_or((&text, ""));
                    heard.push(text.to_owned());
                }
            }
            heard
        })
    }
}
