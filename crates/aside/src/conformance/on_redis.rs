//! The promises on Redis, and additional ones.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use aside_redis::WireReply;
use aside_testkit::{RedisOptions, RedisServer, servers};
use parking_lot::Mutex;

use super::client::{Client, Connection};
use super::{Case, LONG, Subject, conformance_tests, fill, tokens};
use crate::protocol::{Acquired, BoxFuture, Op, Released, Reply, SharedTier, Token};

/// One server for all tests of this process; each test uses its own keys and
/// channels.
static SERVER: LazyLock<RedisServer> =
    LazyLock::new(|| RedisServer::start().expect("redis-server or valkey-server"));

static CHANNELS: AtomicU64 = AtomicU64::new(0);

/// A real server, and a subscription to it.
pub(super) struct OnRedis {
    client: Client,
    listener: Mutex<Connection>,
}

impl OnRedis {
    pub(super) fn open(server: &RedisServer) -> Self {
        let number = CHANNELS.fetch_add(1, Ordering::Relaxed);
        let channel = format!("test{number}:aside:invalidate");
        let mut listener = Connection::open(server.address());
        listener.ask("SUBSCRIBE", &[&channel]);
        Self {
            client: Client::open(server.address(), &channel),
            listener: Mutex::new(listener),
        }
    }

    pub(super) fn shared() -> Self {
        Self::open(&SERVER)
    }
}

impl Subject for OnRedis {
    fn tier(&self) -> &dyn SharedTier {
        &self.client
    }

    fn pass(&self, time: Duration) -> BoxFuture<'_, ()> {
        Box::pin(tokio::time::sleep(time))
    }

    fn heard(&self) -> BoxFuture<'_, Vec<String>> {
        let mut listener = self.listener.lock();
        let mut heard = Vec::new();
        // Messages published before the PING arrive before its reply.
        let mut reply = listener.ask("PING", &[]);
        while let WireReply::Array(parts) = &reply
            && let [WireReply::Bytes(kind), .., WireReply::Bytes(text)] = &parts[..]
            && kind == "message"
        {
            heard.push(String::from_utf8(text.to_vec()).expect("a message of the library"));
            reply = listener.receive();
        }
        Box::pin(async { heard })
    }
}

conformance_tests!(async { super::on_redis::OnRedis::shared() });

/// Returns each server of this machine, with its memory exhausted and
/// `noeviction`.
fn full() -> impl Iterator<Item = RedisServer> {
    servers::all().into_iter().map(|server| {
        println!("{server}");
        fill_up(server.options())
    })
}

fn fill_up(options: RedisOptions) -> RedisServer {
    let server = RedisServer::start_with(RedisOptions {
        maxmemory_policy: Some("noeviction".into()),
        ..options
    });
    let server = server.expect("redis-server or valkey-server");
    let ballast = "x".repeat(100_000);
    for number in 0..30 {
        server.command(&["SET", &format!("ballast{number}"), &ballast]);
    }
    server.set_config("maxmemory", "2mb");
    server
}

#[tokio::test]
async fn a_full_server_refuses_values_with_an_error() {
    for server in full() {
        let case = Case::new(OnRedis::open(&server));
        let key = case.key("k");
        let token = Token::random();
        assert_eq!(case.acquire(&key, token).await, Acquired::Granted);

        let filled = case.try_run(fill(&key, token, b"V1", LONG)).await;
        assert!(filled.unwrap_err().is_out_of_memory());
        assert_eq!(case.holds(&key).await, 'L');
        case.abandon(&key, token).await;
        assert_eq!(case.holds(&key).await, '.');

        let (value, ttl) = (b"x".to_vec(), None);
        let set = case.try_run(Op::Set { key, value, ttl }).await;
        assert!(set.unwrap_err().is_out_of_memory());
    }
}

#[tokio::test]
async fn a_full_server_still_quarantines_releases_and_invalidates() {
    for server in full() {
        let case = Case::new(OnRedis::open(&server));
        let key = case.key("k");
        let [one, two] = tokens();
        case.quarantined_by(&key, one, LONG).await;
        case.quarantined_by(&key, two, LONG).await;
        assert_eq!(case.release(&key, one, None).await, Released::Intact);
        case.invalidate(&key).await;
        assert_eq!(case.quarantine(&key).await, (false, vec![two.to_string()]));
        assert_eq!(case.release(&key, two, None).await, Released::Intact);
        assert_eq!(case.holds(&key).await, '.');
    }
}

#[tokio::test]
async fn a_release_without_memory_for_its_value_still_counts() {
    for server in full() {
        let case = Case::new(OnRedis::open(&server));
        let key = case.key("k");
        let writer = Token::random();
        case.quarantined_by(&key, writer, LONG).await;
        let released = case.release(&key, writer, Some(b"Vnew")).await;
        assert_eq!(released, Released::Intact);
        assert_eq!(case.holds(&key).await, '.');
    }
}

#[tokio::test]
async fn a_key_of_another_type_counts_as_absent() {
    let case = Case::new(OnRedis::shared());
    let key = case.key("k");
    let name = key.as_str();
    let hash = || SERVER.command(&["HSET", name, "field", "value"]);
    let [token, writer] = tokens();

    hash();
    assert_eq!(case.get(&key).await, None);
    let keys = vec![key.clone()];
    let read = case.run(Op::GetMany { keys }).await;
    assert_eq!(read, Reply::Values(vec![None]));
    assert!(!case.fill(&key, token, b"V1").await);
    case.abandon(&key, token).await;
    assert_eq!(SERVER.command(&["TYPE", name]).text(), Some("hash"));

    assert_eq!(case.acquire(&key, token).await, Acquired::Granted);
    case.abandon(&key, token).await;
    hash();
    case.quarantined_by(&key, writer, LONG).await;
    let clean = (true, vec![writer.to_string()]);
    assert_eq!(case.quarantine(&key).await, clean);
    case.release(&key, writer, None).await;
    hash();
    let released = case.release(&key, writer, Some(b"V1")).await;
    assert_eq!(released, Released::Lost);
    hash();
    case.invalidate(&key).await;
    assert_eq!(SERVER.command(&["TYPE", name]).text(), Some("hash"));
}
