//! Errors on a machine without the servers.

use std::env;
use std::process::Command;

use aside_testkit::{PostgresOptions, PostgresServer, RedisServer, StartError};

/// Set in a second process, whose `PATH` is empty.
const NO_PATH: &str = "ASIDE_TESTKIT_WITHOUT_A_PATH";

#[test]
fn a_missing_redis_names_the_package_to_install() {
    if env::var_os(NO_PATH).is_some() {
        println!("{:?}", RedisServer::start().unwrap_err());
        return;
    }
    let output = Command::new(env::current_exe().unwrap())
        .args([
            "--exact",
            "a_missing_redis_names_the_package_to_install",
            "--nocapture",
        ])
        .env(NO_PATH, "1")
        .env("PATH", "/nonexistent")
        .output()
        .unwrap();
    let output = String::from_utf8(output.stdout).unwrap();
    assert!(
        output.contains("cannot find redis-server or valkey-server"),
        "{output}"
    );
    assert!(output.contains("apt-get install redis-server"), "{output}");
    assert!(output.contains("brew install redis"), "{output}");
}

#[test]
fn programs_missing_from_the_given_directory_are_an_error() {
    let programs = Some("/nonexistent".into());
    let error = PostgresServer::start_with(PostgresOptions {
        programs,
        ..Default::default()
    });
    assert!(matches!(error, Err(StartError::Io(_))), "{error:?}");
}
