//! The servers of this machine.

use std::env;
use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;

use aside_testkit::{RedisServer, servers};

/// Set in a second process, which has its own folder of servers.
const OWN_FOLDER: &str = "ASIDE_TESTKIT_HAS_ITS_OWN_SERVERS";

#[test]
fn every_server_starts_and_is_the_version_that_it_is_named() {
    let all = servers::all();
    assert!(!all.is_empty(), "redis-server or valkey-server");
    for server in all {
        let redis = RedisServer::start_with(server.options())
            .unwrap_or_else(|error| panic!("{server}: {error}"));
        let info = redis.info("server");
        // Valkey also names the version of Redis that it is compatible with.
        let valkey = info.get("valkey_version").map(|it| format!("valkey-{it}"));
        let redis = format!("redis-{}", info["redis_version"]);
        let version = valkey.unwrap_or(redis);
        assert!(server.name().starts_with(&version), "{server}: {version}");
        println!("{server} replies");
    }
}

#[test]
fn one_server_of_each_major_version_is_the_newest() {
    let newest = servers::newest();
    for server in &newest {
        assert!(server.is(server.name()));
        let major = server.name().split('.').next().unwrap();
        let same = newest.iter().filter(|other| other.is(major));
        assert_eq!(same.count(), 1, "{newest:?}");
    }
    for name in servers::missing() {
        assert!(newest.iter().all(|server| server.name() != name));
    }
}

#[test]
fn a_missing_server_is_named_with_the_command_that_fetches_it() {
    if env::var_os(OWN_FOLDER).is_some() {
        assert!(servers::all_of("redis-6.2").is_empty());
        let found = servers::all_of("redis-8").pop().expect("a link");
        assert_eq!(found.name(), "redis-8.2.3");
        assert!(found.is("redis-8.2") && !found.is("redis-8.20"));
        assert!(!servers::missing().contains(&"redis-8.2.3"));
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let bin = folder.path().join("redis-8.2.3/bin");
    fs::create_dir_all(&bin).unwrap();
    symlink("/bin/true", bin.join("redis-server")).unwrap();
    let output = Command::new(env::current_exe().unwrap())
        .args(["--exact", "--nocapture"])
        .arg("a_missing_server_is_named_with_the_command_that_fetches_it")
        .env(OWN_FOLDER, "1")
        .env("PATH", "/nonexistent")
        .env("ASIDE_SERVERS", folder.path())
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let printed = String::from_utf8(output.stderr).unwrap();
    let line = "skipped: redis-6.2 is not on this machine; `scripts/servers redis-6.2` fetches it";
    assert!(printed.contains(line), "{printed}");
}
