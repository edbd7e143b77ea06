//! The simulated nodes do as Redis does.

use std::sync::Arc;
use std::time::Duration;

use aside_redis::WireReply;
use aside_redis::cluster::{Info, Node as Line, RedirectKind, parse_nodes};
use aside_redis::resp::Sent;
use bytes::Bytes;
use fastrand::Rng;
use tokio::time::{Instant, sleep};

use super::Topology;
use crate::runtime::simulated;
use crate::simulation::Trace;
use crate::simulation::cluster::{Cluster, Migration, draw};
use crate::simulation::host::Host;
use crate::simulation::plan::Scenario;

/// Runs a check in a world with a cluster, for several seeds.
fn each_world(scenario: Scenario, check: &impl AsyncFn(&Arc<Cluster>, &mut Rng)) {
    for seed in 0..6 {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .expect("a runtime");
        let mut rng = Rng::with_seed(seed);
        runtime.block_on(async {
            let _world = simulated::begin(None);
            let trace = Trace(None, Instant::now());
            let topology = Topology::of(scenario, &mut rng, &trace);
            let cluster = topology.cluster.expect("a cluster");
            // Until the replicas have their first copy.
            sleep(Duration::from_millis(150)).await;
            check(&cluster, &mut rng).await;
        });
    }
}

fn ask(cluster: &Cluster, node: usize, command: &str) -> WireReply {
    let words: Vec<Bytes> = command
        .split(' ')
        .map(|word| Bytes::from(word.to_owned()))
        .collect();
    match cluster.nodes[node].execute(1, &words, &|| Box::new(|_| ())) {
        Sent::Reply(reply) => reply,
        push => panic!("{command}: {push:?}"),
    }
}

fn text(reply: WireReply) -> String {
    match reply {
        WireReply::Bytes(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        other => panic!("{other:?}"),
    }
}

fn nodes(cluster: &Cluster, node: usize) -> Vec<Line> {
    let nodes = text(ask(cluster, node, "CLUSTER NODES"));
    parse_nodes(&nodes).expect("lines of nodes")
}

fn info(cluster: &Cluster, node: usize) -> Info {
    Info::parse(&text(ask(cluster, node, "CLUSTER INFO"))).expect("a state")
}

fn redirection(reply: &WireReply) -> Option<RedirectKind> {
    match reply {
        WireReply::Redirect(redirect) => Some(redirect.kind),
        _ => None,
    }
}

/// Waits until something is there, and returns it.
async fn watch_for<T>(look: impl AsyncFn() -> Option<T>) -> T {
    for _ in 0..2_000 {
        match look().await {
            Some(found) => return found,
            None => sleep(Duration::from_millis(5)).await,
        }
    }
    panic!("not within ten seconds");
}

/// Returns the command that reads the key of a migration.
fn get(migration: &Migration<'_>) -> String {
    let cluster = migration.cluster;
    let key = cluster.layout.keys_in(migration.block).next();
    format!("GET {}", key.expect("a used slot").as_str())
}

#[test]
fn a_key_that_has_left_a_moving_slot_is_asked_for_elsewhere() {
    each_world(Scenario::Slots, &async |cluster, rng| {
        let migration = draw(cluster, rng).expect("a slot");
        let (from, to, get) = (migration.from, migration.to, get(&migration));
        assert_eq!(redirection(&ask(cluster, from, &get)), None);
        assert!(migration.begin().await);
        assert_eq!(
            redirection(&ask(cluster, from, &get)),
            Some(RedirectKind::Ask)
        );
        let moved = Some(RedirectKind::Moved);
        assert_eq!(redirection(&ask(cluster, to, &get)), moved);
        ask(cluster, to, "ASKING");
        assert_eq!(redirection(&ask(cluster, to, &get)), None);
        // One command uses it up.
        assert_eq!(redirection(&ask(cluster, to, &get)), moved);
        let own = |node| nodes(cluster, node)[node].clone();
        assert_eq!(own(from).migrating.len(), 1);
        assert_eq!(own(to).importing.len(), 1);
        migration.move_keys(false, true).await;
        migration.finish(false).await;
        assert_eq!(redirection(&ask(cluster, from, &get)), moved);
        assert_eq!(redirection(&ask(cluster, to, &get)), None);
        // The other nodes hear of that, and doubt nothing.
        watch_for(async || cluster.undoubted(&[])).await;
    });
}

#[test]
fn a_slot_that_returns_has_another_config_epoch() {
    each_world(Scenario::Slots, &async |cluster, rng| {
        let there = draw(cluster, rng).expect("a slot");
        let own = |node| nodes(cluster, node)[node].clone();
        let before = own(there.from);
        there.hand_over().await;
        watch_for(async || cluster.undoubted(&[])).await;
        let back = Migration {
            from: there.to,
            to: there.from,
            ..there
        };
        back.hand_over().await;
        let after = own(there.from);
        assert_eq!(before.slots, after.slots);
        assert!(before.config_epoch < after.config_epoch);
    });
}

#[test]
fn a_killed_primary_is_replaced_by_votes() {
    each_world(Scenario::Elections, &async |cluster, _| {
        if !cluster.notices_failures() {
            return;
        }
        let before = info(cluster, 1).current_epoch;
        cluster.kill(0);
        let owner = async || cluster.owner(0, &[0]).filter(|owner| *owner != 0);
        let successor = watch_for(owner).await;
        assert!(before < info(cluster, 1).current_epoch);
        let line = &nodes(cluster, successor)[successor];
        assert!(line.flags.primary && before < line.config_epoch);
        watch_for(async || info(cluster, successor).is_ok.then_some(())).await;
    });
}

#[test]
fn a_primary_alone_serves_nothing_and_gives_way() {
    each_world(Scenario::Elections, &async |cluster, _| {
        if !cluster.notices_failures() {
            return;
        }
        cluster.group.mesh.isolate(&[0]);
        assert!(info(cluster, 0).is_ok && nodes(cluster, 0)[0].flags.primary);
        watch_for(async || (!info(cluster, 0).is_ok).then_some(())).await;
        let owner = async || cluster.owner(0, &[0]).filter(|owner| *owner != 0);
        watch_for(owner).await;
        cluster.group.mesh.heal();
        watch_for(async || nodes(cluster, 0)[0].flags.replica.then_some(())).await;
        watch_for(async || cluster.undoubted(&[])).await;
    });
}

#[test]
fn an_operator_replaces_a_working_primary_of_a_cluster() {
    each_world(Scenario::Elections, &async |cluster, _| {
        for without_votes in [false, true] {
            watch_for(async || cluster.undoubted(&[])).await;
            let primary = cluster.owner(0, &[]).expect("an owner");
            let replica = async || cluster.replicas(primary).first().copied();
            let replica = watch_for(replica).await;
            while cluster.owner(0, &[]) != Some(replica) {
                match without_votes {
                    true => cluster.take_over(replica),
                    false => cluster.force(replica),
                }
                sleep(Duration::from_millis(500)).await;
            }
        }
    });
}
