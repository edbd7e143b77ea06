//! The promises of a private primary under Sentinels, on each major version of
//! this machine.

use std::time::Duration;

use aside_testkit::servers::{self, Server};
use aside_testkit::{
    Authority, RedisOptions, RedisSentinel, RedisTls, SentinelOptions, eventually_blocking,
};

const SOON: Duration = Duration::from_secs(40);

fn start(server: &Server) -> RedisSentinel {
    let options = SentinelOptions {
        server: server.options(),
        ..SentinelOptions::default()
    };
    RedisSentinel::start_with(options).unwrap_or_else(|error| panic!("{server}: {error}"))
}

/// Waits until the Sentinels name another primary that says so itself.
#[track_caller]
fn next_primary(sentinel: &RedisSentinel, old: usize) -> usize {
    eventually_blocking(SOON, "a new primary", || {
        let next = sentinel.primary().filter(|&it| it != old)?;
        let role = &sentinel.servers()[next].info("replication")["role"];
        (role == "master").then_some(next)
    })
}

#[test]
fn a_killed_primary_is_replaced_by_a_copy() {
    for server in servers::newest() {
        let sentinel = start(&server);
        assert_eq!(sentinel.primary(), Some(0));
        let address = Some(sentinel.servers()[0].address());
        assert_eq!(sentinel.primary_address(), address);
        sentinel.servers()[0].command(&["SET", "k", "v"]);
        eventually_blocking(SOON, "a copy at each replica", || {
            let replicas = sentinel.servers()[1..].iter();
            replicas
                .map(|it| it.command(&["GET", "k"]))
                .all(|value| value.text() == Some("v"))
        });

        sentinel.servers()[0].kill();
        let next = next_primary(&sentinel, 0);
        let primary = &sentinel.servers()[next];
        assert_eq!(primary.command(&["GET", "k"]).text(), Some("v"), "{server}");
    }
}

#[test]
fn a_killed_primary_returns_as_a_replica() {
    let Some(server) = servers::newest().pop() else {
        return;
    };
    let sentinel = start(&server);
    sentinel.servers()[0].kill();
    next_primary(&sentinel, 0);
    sentinel.servers()[0].restart();
    // The Sentinels tell it so only after about ten seconds.
    eventually_blocking(SOON, "the old primary as a replica", || {
        sentinel.servers()[0].info("replication")["role"] == "slave"
    });
}

#[test]
fn a_stopped_primary_is_replaced() {
    let Some(server) = servers::newest().pop() else {
        return;
    };
    let sentinel = start(&server);
    sentinel.servers()[0].stop();
    next_primary(&sentinel, 0);
    sentinel.servers()[0].cont();
    assert!(sentinel.servers()[0].is_running());
}

#[test]
fn a_requested_failover_promotes_a_replica() {
    let Some(server) = servers::newest().pop() else {
        return;
    };
    let sentinel = start(&server);
    sentinel.failover();
    next_primary(&sentinel, 0);
}

#[test]
fn a_minority_of_sentinels_names_no_primary() {
    let Some(server) = servers::newest().pop() else {
        return;
    };
    let sentinel = start(&server);
    sentinel.sentinels()[0].kill();
    assert_eq!(sentinel.primary(), Some(0));
    sentinel.sentinels()[1].stop();
    assert_eq!(sentinel.primary(), None);
    sentinel.sentinels()[0].restart();
    assert_eq!(sentinel.primary(), Some(0));
}

#[test]
fn passwords_of_servers_and_sentinels_differ() {
    let Some(server) = servers::newest().pop() else {
        return;
    };
    let sentinel = RedisSentinel::start_with(SentinelOptions {
        service: "cache".into(),
        sentinel_password: Some("theirs".into()),
        server: RedisOptions {
            password: Some("ours".into()),
            ..server.options()
        },
        ..SentinelOptions::default()
    })
    .unwrap();
    let ports: Vec<String> = sentinel
        .sentinels()
        .iter()
        .map(|it| it.address().to_string())
        .collect();
    let url = format!("redis+sentinel://:ours@{}/cache", ports.join(","));
    assert_eq!(sentinel.url(), url);
    sentinel.failover();
    next_primary(&sentinel, 0);
}

#[test]
fn sentinels_with_tls_replace_a_killed_primary() {
    let authority = Authority::new();
    for server in servers::newest_with_tls() {
        let tls = RedisTls {
            client_certificates: true,
            ..RedisTls::new(&authority)
        };
        let options = SentinelOptions {
            server: RedisOptions {
                tls: Some(tls),
                ..server.options()
            },
            ..SentinelOptions::default()
        };
        let sentinel = RedisSentinel::start_with(options);
        let sentinel = sentinel.unwrap_or_else(|error| panic!("{server}: {error}"));
        assert!(sentinel.url().starts_with("rediss+sentinel://127.0.0.1:"));
        sentinel.servers()[0].kill();
        next_primary(&sentinel, 0);
    }
}
