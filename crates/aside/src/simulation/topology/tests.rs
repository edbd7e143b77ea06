//! The simulated servers and Sentinels do as Redis does.

use std::time::Duration;

use aside_redis::WireReply;
use aside_redis::resp::Sent;
use aside_redis::sentinel::{Peer, Primary, Vote, read_address};
use bytes::Bytes;
use fastrand::Rng;
use tokio::time::{Instant, sleep};

use super::{Sentinels, Topology, sentinels};
use crate::runtime::simulated;
use crate::simulation::Trace;
use crate::simulation::host::Host;
use crate::simulation::plan::Scenario;

/// Runs a check in a world with a group under Sentinels, for several seeds.
fn each_world(check: &impl AsyncFn(&Sentinels, &mut Rng)) {
    for seed in 0..8 {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .expect("a runtime");
        let mut rng = Rng::with_seed(seed);
        runtime.block_on(async {
            let _world = simulated::begin(None);
            let trace = Trace(None, Instant::now());
            let topology = Topology::of(Scenario::Failovers, &mut rng, &trace);
            let sentinels = topology.sentinels.expect("Sentinels");
            // Until the replicas have their first copy.
            sleep(Duration::from_millis(150)).await;
            check(&sentinels, &mut rng).await;
        });
    }
}

fn ask(host: &dyn Host, command: &str) -> WireReply {
    let words: Vec<Bytes> = command
        .split(' ')
        .map(|word| Bytes::from(word.to_owned()))
        .collect();
    match host.execute(1, &words, &|| Box::new(|_| ())) {
        Sent::Reply(reply) => reply,
        push => panic!("{command}: {push:?}"),
    }
}

fn refuses(reply: &WireReply, code: &str) -> bool {
    matches!(reply, WireReply::Error(refusal) if refusal.code() == code)
}

/// Writes to a server. Returns true if it accepted that.
fn write(sentinels: &Sentinels, server: usize, kind: &str) -> bool {
    let command = format!("HSETNX aside:epochs {kind} 0000000000007");
    let reply = ask(&*sentinels.group.servers[server], &command);
    !refuses(&reply, "READONLY")
}

fn has(sentinels: &Sentinels, server: usize, kind: &str) -> bool {
    let reply = ask(
        &*sentinels.group.servers[server],
        &format!("HGET aside:epochs {kind}"),
    );
    reply != WireReply::Nil
}

fn replication_id(sentinels: &Sentinels, server: usize) -> String {
    sentinels.group.servers[server].replication_id()
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

/// Waits until a majority names another primary, and returns it.
async fn successor(sentinels: &Sentinels, of: usize) -> usize {
    watch_for(async || sentinels.undoubted().filter(|named| *named != of)).await
}

#[test]
fn a_killed_primary_is_replaced() {
    each_world(&async |sentinels, _| {
        let before = replication_id(sentinels, 0);
        sentinels.group.kill(0);
        let primary = successor(sentinels, 0).await;
        assert!(write(sentinels, primary, "hero"));
        assert_ne!(replication_id(sentinels, primary), before);
    });
}

#[test]
fn a_replica_refuses_writes_and_follows_its_primary() {
    each_world(&async |sentinels, _| {
        assert!(!write(sentinels, 1, "hero"));
        assert!(write(sentinels, 0, "hero"));
        watch_for(async || has(sentinels, 1, "hero").then_some(())).await;
        assert_eq!(replication_id(sentinels, 1), replication_id(sentinels, 0));
    });
}

#[test]
fn a_promotion_loses_the_tail() {
    each_world(&async |sentinels, _| {
        sentinels.group.mesh.isolate(&[0]);
        assert!(write(sentinels, 0, "tail"));
        let primary = successor(sentinels, 0).await;
        assert!(!has(sentinels, primary, "tail"));
    });
}

#[test]
fn a_deposed_primary_accepts_writes_until_it_is_told() {
    each_world(&async |sentinels, _| {
        sentinels.group.servers[0].machine().stop();
        let before = replication_id(sentinels, 0);
        let primary = successor(sentinels, 0).await;
        sentinels.group.servers[0].machine().go_on();
        assert!(write(sentinels, 0, "lost") && replication_id(sentinels, 0) == before);
        watch_for(async || (!write(sentinels, 0, "late")).then_some(())).await;
        let told = async || {
            let same = replication_id(sentinels, 0) == replication_id(sentinels, primary);
            (same && !has(sentinels, 0, "lost")).then_some(())
        };
        watch_for(told).await;
    });
}

#[test]
fn an_operator_replaces_a_working_primary() {
    each_world(&async |sentinels, rng| {
        // Again, because its packets may be lost.
        while sentinels.named() == Some(0) {
            sentinels.force(rng);
            sleep(Duration::from_millis(500)).await;
        }
        let primary = successor(sentinels, 0).await;
        assert!(write(sentinels, primary, "hero"));
    });
}

#[test]
fn a_minority_of_the_sentinels_promotes_nothing() {
    each_world(&async |sentinels, _| {
        sentinels.kill(1);
        sentinels.kill(2);
        sentinels.group.kill(0);
        sleep(Duration::from_secs(5)).await;
        assert_eq!(sentinels.named(), Some(0));
        sentinels.restart(1);
        successor(sentinels, 0).await;
    });
}

#[test]
fn replies_are_those_that_clients_read() {
    each_world(&async |sentinels, _| {
        sentinels.group.kill(0);
        let server = successor(sentinels, 0).await;
        let name = sentinels::name_of(server);
        let majority = async || {
            let names = sentinels.all.iter().filter(|sentinel| {
                let reply = ask(&***sentinel, "SENTINEL GET-MASTER-ADDR-BY-NAME world");
                read_address(&reply) == Ok(Some((name.clone(), 6379)))
            });
            (names.count() == sentinels.count()).then_some(())
        };
        watch_for(majority).await;
        let sentinel = &*sentinels.all[0];
        let read = || Primary::read(&ask(sentinel, "SENTINEL MASTER world")).expect("a primary");
        watch_for(async || (!read().health.is_failing_over).then_some(())).await;
        let primary = read();
        assert_eq!((primary.host, primary.port), (name.clone(), 6379));
        assert!(0 < primary.config_epoch && !primary.health.is_down);
        let others = ask(sentinel, "SENTINEL SENTINELS world");
        let others = Peer::read_all(&others).expect("other Sentinels");
        assert_eq!(others.len(), primary.num_other_sentinels);
        // A switch forgets the leader, and keeps the epoch.
        let vote = format!("SENTINEL IS-MASTER-DOWN-BY-ADDR {name} 6379 0 aside");
        let vote = Vote::read(&ask(sentinel, &vote)).expect("a vote");
        assert_eq!((vote.leader, vote.is_down), (None, false));
        let unknown = ask(sentinel, "SENTINEL MASTER other");
        assert!(refuses(&unknown, "ERR"));
    });
}
