//! The promises of a private cluster, on each major version of this machine.

use std::time::Duration;

use aside_testkit::servers::{self, Server};
use aside_testkit::{
    Authority, ClusterOptions, Direction, Failover, Mode, Proxy, RedisCluster, RedisOptions,
    RedisTls, Reply, eventually_blocking,
};

const SOON: Duration = Duration::from_secs(30);

/// Returns a slot and a key in it.
fn key(cluster: &RedisCluster) -> (u16, &'static str) {
    (cluster.slot_of("key"), "key")
}

/// Stores a key. Returns its slot, the key, its primary and another one.
fn stored(cluster: &RedisCluster) -> (u16, &'static str, usize, usize) {
    let (slot, key) = key(cluster);
    let from = cluster.primary_of(slot).unwrap();
    cluster.node(from).command(&["SET", key, "v"]);
    (slot, key, from, (from + 1) % 3)
}

fn start(server: &Server, replicas: usize) -> RedisCluster {
    let options = ClusterOptions {
        replicas,
        node: server.options(),
        ..ClusterOptions::default()
    };
    RedisCluster::start_with(options).unwrap_or_else(|error| panic!("{server}: {error}"))
}

/// Returns the error that a command gets.
#[track_caller]
fn refusal(reply: Reply) -> String {
    match reply {
        Reply::Error(text) => text,
        other => panic!("no refusal: {other:?}"),
    }
}

#[test]
fn a_cluster_is_formed_and_serves_every_slot() {
    for server in servers::newest() {
        let cluster = start(&server, 1);
        assert_eq!(cluster.nodes().len(), 6);
        assert_eq!(cluster.primaries(), [0, 1, 2]);
        for primary in 0..3 {
            assert_eq!(cluster.replicas_of(primary), [primary + 3]);
        }
        assert_eq!(cluster.primary_of(0), Some(0));
        assert_eq!(cluster.primary_of(16_383), Some(2));
        let (slot, key) = key(&cluster);
        let primary = cluster.primary_of(slot).unwrap();
        let set = cluster.node(primary).command(&["SET", key, "v"]);
        assert_eq!(set.text(), Some("OK"), "{server}");
        let other = cluster.node((primary + 1) % 3);
        let moved = refusal(other.command(&["GET", key]));
        let address = cluster.node(primary).address();
        assert_eq!(moved, format!("MOVED {slot} {address}"), "{server}");
        let addresses = cluster
            .nodes()
            .iter()
            .map(|node| node.address().to_string());
        let addresses: Vec<String> = addresses.collect();
        let url = format!("redis+cluster://{}", addresses.join(","));
        assert_eq!(cluster.url(), url);
    }
}

#[test]
fn a_killed_primary_is_replaced_and_returns_as_a_replica() {
    for server in servers::newest() {
        let cluster = start(&server, 1);
        let (slot, key) = key(&cluster);
        let primary = cluster.primary_of(slot).unwrap();
        cluster.node(primary).kill();
        let next = eventually_blocking(SOON, "a new primary", || cluster.primary_of(slot));
        assert_eq!(next, primary + 3, "{server}");
        cluster.wait_until_agreed();
        let set = cluster.node(next).command(&["SET", key, "v"]);
        assert_eq!(set.text(), Some("OK"), "{server}");

        cluster.node(primary).restart();
        eventually_blocking(SOON, "the old primary as a replica", || {
            cluster.replicas_of(next) == [primary]
        });
        cluster.wait_until_agreed();
    }
}

#[test]
fn a_stopped_primary_is_replaced_and_comes_back_as_a_replica() {
    let Some(server) = servers::newest().pop() else {
        return;
    };
    let cluster = start(&server, 1);
    cluster.node(1).stop();
    assert_eq!(cluster.running(), [0, 2, 3, 4, 5]);
    eventually_blocking(SOON, "a new primary", || cluster.primaries().contains(&4));
    cluster.node(1).cont();
    eventually_blocking(SOON, "a replica", || cluster.replicas_of(4) == [1]);
}

#[test]
fn each_kind_of_failover_promotes_the_replica() {
    for server in servers::newest() {
        let cluster = start(&server, 1);
        let (mut primary, mut replica) = (0, 3);
        for how in [Failover::Plain, Failover::Force, Failover::Takeover] {
            cluster.failover(replica, how);
            eventually_blocking(SOON, "a new primary", || {
                cluster.replicas_of(replica) == [primary]
            });
            cluster.wait_until_agreed();
            (primary, replica) = (replica, primary);
        }
    }
}

#[test]
fn a_migrating_slot_asks_and_a_moved_one_redirects() {
    for server in servers::newest() {
        let cluster = start(&server, 0);
        let (slot, key) = key(&cluster);
        let from = cluster.primary_of(slot).unwrap();
        let to = (from + 1) % 3;
        let [source, target] = [from, to].map(|node| cluster.node(node));
        source.command(&["SET", key, "v", "PX", "60000"]);

        let migration = cluster.migration(slot, from, to);
        migration.set_importing();
        migration.set_migrating();
        assert_eq!(source.command(&["GET", key]).text(), Some("v"), "{server}");
        assert_eq!(migration.keys(), [key]);
        migration.move_key(key);
        let ask = refusal(source.command(&["GET", key]));
        assert_eq!(ask, format!("ASK {slot} {}", target.address()), "{server}");
        let moved = refusal(target.command(&["GET", key]));
        assert_eq!(moved, format!("MOVED {slot} {}", source.address()));

        migration.finish();
        assert_eq!(cluster.primary_of(slot), Some(to), "{server}");
        cluster.wait_until_agreed();
        assert_eq!(target.command(&["GET", key]).text(), Some("v"));
        assert!(0 < target.command(&["PTTL", key]).integer().unwrap());
        let moved = refusal(source.command(&["GET", key]));
        assert_eq!(moved, format!("MOVED {slot} {}", target.address()));

        cluster.migrate_slot(slot, to, from);
        cluster.wait_until_agreed();
        assert_eq!(source.command(&["GET", key]).text(), Some("v"));
    }
}

#[test]
fn a_cancelled_migration_leaves_keys_that_a_later_one_replaces() {
    let Some(server) = servers::newest().pop() else {
        return;
    };
    let cluster = start(&server, 0);
    let (slot, key, from, to) = stored(&cluster);
    let migration = cluster.migration(slot, from, to);
    migration.set_importing();
    migration.set_migrating();
    migration.move_key(key);
    migration.cancel();
    assert!(cluster.node(from).command(&["GET", key]).is_nil());
    let counted = ["CLUSTER", "COUNTKEYSINSLOT", &slot.to_string()];
    assert_eq!(cluster.node(to).command(&counted), Reply::Integer(1));

    cluster.node(from).command(&["SET", key, "newer"]);
    migration.set_importing();
    migration.set_migrating();
    migration.replace_key(key);
    migration.finish();
    assert_eq!(
        cluster.node(to).command(&["GET", key]).text(),
        Some("newer")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_whose_move_was_cut_off_is_at_both_nodes() {
    let Some(server) = servers::newest().pop() else {
        return;
    };
    let cluster = start(&server, 0);
    let (slot, key, from, to) = stored(&cluster);
    let proxy = Proxy::start(cluster.node(to).address()).await.unwrap();
    proxy.set(Direction::ToClient, Mode::Blackhole);
    let migration = cluster.migration(slot, from, to);
    migration.set_importing();
    migration.set_migrating();
    let within = Duration::from_millis(200);
    let reply =
        tokio::task::block_in_place(|| migration.move_key_through(proxy.address(), key, within));
    assert!(refusal(reply).starts_with("IOERR"));
    for node in [from, to] {
        let counted = ["CLUSTER", "COUNTKEYSINSLOT", &slot.to_string()];
        assert_eq!(cluster.node(node).command(&counted), Reply::Integer(1));
    }
}

#[test]
fn an_added_node_takes_slots_and_can_be_forgotten() {
    let Some(server) = servers::newest().pop() else {
        return;
    };
    let mut cluster = start(&server, 0);
    let added = cluster.add_node().unwrap();
    cluster.migrate_slot(0, 0, added);
    cluster.wait_until_agreed();
    assert_eq!(cluster.primary_of(0), Some(added));
    cluster.migrate_slot(0, added, 0);
    cluster.wait_until_agreed();
    cluster.forget_node(added);
    assert_eq!(cluster.primaries(), [0, 1, 2]);
    cluster.wait_until_agreed();
}

#[test]
fn a_cluster_with_tls_and_a_password_migrates_and_fails_over() {
    let authority = Authority::new();
    for server in servers::newest_with_tls() {
        let tls = RedisTls {
            client_certificates: true,
            ..RedisTls::new(&authority)
        };
        let cluster = RedisCluster::start_with(ClusterOptions {
            node: RedisOptions {
                tls: Some(tls),
                password: Some("secret".into()),
                ..server.options()
            },
            ..ClusterOptions::default()
        });
        let cluster = cluster.unwrap_or_else(|error| panic!("{server}: {error}"));
        let url = cluster.url();
        assert!(
            url.starts_with("rediss+cluster://:secret@127.0.0.1:"),
            "{url}"
        );

        let (slot, key, from, to) = stored(&cluster);
        cluster.migrate_slot(slot, from, to);
        cluster.node(to).kill();
        eventually_blocking(SOON, "a new primary", || {
            cluster.primary_of(slot) == Some(to + 3)
        });
        let value = cluster.node(to + 3).command(&["GET", key]);
        assert_eq!(value.text(), Some("v"), "{server}");
    }
}
