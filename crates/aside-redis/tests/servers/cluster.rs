//! Slots, nodes, redirections and shard channels of clusters.

use std::sync::LazyLock;

use aside_redis::cluster::{Info, Node, Redirect, RedirectKind, SLOTS, parse_nodes, slot_of};
use aside_redis::{Call, Script, WireReply};
use aside_testkit::servers::{self, Server};
use aside_testkit::{ClusterOptions, RedisCluster, RedisOptions, RedisServer, eventually};

use crate::client::{Client, SOON};

fn start(server: &Server) -> RedisCluster {
    let options = ClusterOptions {
        replicas: 0,
        node: server.options(),
        ..ClusterOptions::default()
    };
    RedisCluster::start_with(options).unwrap_or_else(|error| panic!("{server}: {error}"))
}

async fn nodes(client: &Client) -> Vec<Node> {
    let text = client.text(Call::command("CLUSTER").text("NODES")).await;
    parse_nodes(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// Returns the line of the node that is asked.
async fn own_line(client: &Client) -> Node {
    let mut nodes = nodes(client).await;
    nodes.retain(|node| node.flags.myself);
    nodes.pop().expect("its own line")
}

#[tokio::test]
async fn slots_are_those_of_the_server() {
    for server in servers::newest() {
        let mut options = server.options();
        options.config.push("cluster-enabled yes".to_owned());
        let redis = RedisServer::start_with(options).expect("a server");
        let client = Client::open(redis.address()).await;
        let mut random = fastrand::Rng::with_seed(7);
        let mut keys: Vec<Vec<u8>> = ["", "{}", "{}{a}", "a{b", "a}b{", "a{{b}}c", "{a}{b}"]
            .map(|key| key.as_bytes().to_vec())
            .into();
        keys.extend((0..2_000).map(|_| {
            let length = random.usize(..40);
            let byte = |random: &mut fastrand::Rng| match random.u8(..6) {
                0 => b'{',
                1 => b'}',
                _ => random.u8(..),
            };
            (0..length).map(|_| byte(&mut random)).collect()
        }));
        let call = |key| Call::command("CLUSTER").text("KEYSLOT").bytes(key);
        let calls: Vec<Call<'_>> = keys.iter().map(|key| call(key)).collect();
        let replies = client.connection.call(&calls).await.expect("replies");
        for (key, reply) in keys.iter().zip(replies) {
            let slot = i64::from(slot_of(key));
            assert_eq!(reply, WireReply::Int(slot), "{server}: {key:?}");
        }
    }
}

#[tokio::test]
async fn each_node_describes_itself_and_the_others() {
    for server in servers::newest() {
        let cluster = start(&server);
        let mut owned = vec![0; usize::from(SLOTS)];
        for number in 0..3 {
            let redis = cluster.node(number);
            let client = Client::open(redis.address()).await;
            let all = nodes(&client).await;
            assert_eq!(all.len(), 3, "{server}");
            for (other, node) in cluster.nodes().iter().enumerate() {
                let line = all.iter().find(|line| line.id == cluster.id(other));
                let address = &line.expect("its line").address;
                assert_eq!(address.host_or("127.0.0.1"), "127.0.0.1", "{server}");
                assert_eq!(address.port, node.port(), "{server}");
            }
            let own = own_line(&client).await;
            assert_eq!(own.id, cluster.id(number), "{server}");
            assert!(own.flags.primary && own.connected && own.primary.is_none());
            assert!(own.migrating.is_empty() && own.importing.is_empty());
            for slot in own.slots.iter().cloned().flatten() {
                owned[usize::from(slot)] += 1;
            }
            let info = client.text(Call::command("CLUSTER").text("INFO")).await;
            let info = Info::parse(&info).expect("a reply to CLUSTER INFO");
            assert!(info.is_ok && info.current_epoch >= own.config_epoch);
        }
        assert!(owned.iter().all(|owners| *owners == 1), "{server}");
    }
}

static ECHO: LazyLock<Script> = LazyLock::new(|| Script::new("echo", "return ARGV[1]"));

#[tokio::test]
async fn a_call_is_taken_while_its_slot_moves_only_behind_asking() {
    for server in servers::newest() {
        let cluster = start(&server);
        let key = "a key";
        let slot = slot_of(key.as_bytes());
        let from = cluster.primary_of(slot).expect("an owner");
        let to = (from + 1) % 3;
        let [source, target] = [from, to].map(|number| cluster.node(number).address());
        let [at_source, at_target] = [Client::open(source).await, Client::open(target).await];
        let redirect = |kind, port| {
            WireReply::Redirect(Redirect {
                kind,
                slot,
                host: Some("127.0.0.1".to_owned()),
                port,
            })
        };
        let get = || Call::command("GET").text(key);
        let moved = redirect(RedirectKind::Moved, source.port());
        assert_eq!(at_target.call(get()).await, moved, "{server}");

        let migration = cluster.migration(slot, from, to);
        migration.set_importing();
        migration.set_migrating();
        let (giving, taking) = (own_line(&at_source).await, own_line(&at_target).await);
        assert_eq!(giving.migrating, [(slot, cluster.id(to).to_owned())]);
        assert_eq!(taking.importing, [(slot, cluster.id(from).to_owned())]);

        let ask = redirect(RedirectKind::Ask, target.port());
        assert_eq!(at_source.call(get()).await, ask, "{server}");
        assert_eq!(at_target.call(get()).await, moved, "{server}");
        assert_eq!(at_target.call(get().asking()).await, WireReply::Nil);

        // The refused call uses ASKING up, and its repetition brings its own.
        let echo = Call::script(&ECHO, key.as_bytes()).text("said").asking();
        let unknown = at_target.call(echo.clone()).await;
        assert_eq!(unknown.error_code(), Some("NOSCRIPT"), "{server}");
        let load = Call::command("SCRIPT").text("LOAD").text(ECHO.source());
        at_target.call(load).await;
        assert_eq!(at_target.text(echo.clone()).await, "said", "{server}");
        // ASKING is for one call.
        assert_eq!(at_target.call(get()).await, moved, "{server}");

        migration.cancel();
        assert!(own_line(&at_source).await.migrating.is_empty());
        assert_eq!(at_source.call(get()).await, WireReply::Nil, "{server}");
        let refused = at_target.call(get().asking()).await;
        assert_eq!(refused, moved, "{server}");
    }
}

#[tokio::test]
async fn a_server_outside_of_a_cluster_refuses_asking() {
    let redis = RedisServer::start_with(RedisOptions::default()).expect("a server");
    let client = Client::open(redis.address()).await;
    let get = Call::command("GET").text("key").asking();
    // The call itself was not refused, so its reply counts.
    assert_eq!(client.call(get).await, WireReply::Nil);
    let wrong = Call::command("HGET").text("key").asking();
    assert_eq!(client.call(wrong).await.error_code(), Some("ERR"));
}

#[tokio::test]
async fn a_shard_channel_ends_when_its_slot_moves() {
    for server in servers::newest() {
        // Shard channels came with Redis 7.
        if server.is("redis-6") {
            continue;
        }
        let cluster = start(&server);
        let channel = "news";
        let slot = slot_of(channel.as_bytes());
        let from = cluster.primary_of(slot).expect("an owner");
        let to = (from + 1) % 3;
        let client = Client::open(cluster.node(from).address()).await;
        let others = Client::open(cluster.node(to).address()).await;
        let refused = others.connection.subscribe_shards(&[channel]).await;
        let refused = refused.unwrap_err().to_string();
        assert_eq!(refused, "the server answered MOVED to SSUBSCRIBE");

        let subscribed = client.connection.subscribe_shards(&[channel]).await;
        subscribed.unwrap_or_else(|error| panic!("{server}: {error}"));
        let publish = Call::command("SPUBLISH").text(channel).text("changed");
        assert_eq!(client.call(publish).await, WireReply::Int(1), "{server}");
        assert_eq!(client.events(), ["changed"], "{server}");

        cluster.migrate_slot(slot, from, to);
        let ended = ["changed", "unsubscribed from news"];
        eventually(SOON, "the end of the subscription", async || {
            client.events() == ended
        })
        .await;
        // The connection goes on, and no reply is out of place.
        assert_eq!(client.text(Call::command("PING")).await, "PONG");
    }
}
