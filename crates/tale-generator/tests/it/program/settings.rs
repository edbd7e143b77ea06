//! Settings and arguments that cannot work.

use tempfile::TempDir;

use super::{run, tales};

#[test]
fn every_wrong_setting_is_one_line_without_secrets() {
    let directory = TempDir::new().unwrap();
    let mut command = tales(directory.path(), &["serve"]);
    for (name, value) in [
        ("REDIS_URL", "redis://user:hunter2@[::1"),
        ("REDIS_MAX_CONNECTIONS", "one"),
        ("CACHE_HERO_TTL", "-5"),
        ("DATABASE_URL", "mysql://user:hunter2@host/tales"),
        ("LOG_LEVEL", "loud"),
        ("LOG_FORMAT", "xml"),
        ("ADMIN_TOKEN", "hunter2"),
    ] {
        command.env(name, value);
    }
    let (code, out, err) = run(&mut command);
    assert_eq!((code, out.as_str()), (2, ""), "{err}");
    for name in [
        "REDIS_URL",
        "REDIS_MAX_CONNECTIONS is `one`",
        "CACHE_HERO_TTL is `-5`",
        "DATABASE_URL",
        "LOG_LEVEL is `loud`",
        "LOG_FORMAT is `xml`",
        "ADMIN_TOKEN",
    ] {
        let lines = err.lines().filter(|line| line.contains(name)).count();
        assert_eq!(lines, 1, "{name} in {err}");
    }
    assert_eq!(err.lines().count(), 7, "{err}");
    assert!(!err.contains("hunter2"), "{err}");
}

#[test]
fn wrong_arguments_and_unreachable_databases_are_reported() {
    let directory = TempDir::new().unwrap();
    let (code, ..) = run(&mut tales(directory.path(), &["serve", "--listen", "here"]));
    assert_eq!(code, 2);
    let arguments = ["serve", "--database", "mysql://user:hunter2@host/tales"];
    let (code, _, err) = run(&mut tales(directory.path(), &arguments));
    assert_eq!(code, 2);
    assert!(
        err.contains("--database") && !err.contains("hunter2"),
        "{err}"
    );

    let unreachable = "postgres://user:hunter2@127.0.0.1:1/tales";
    let arguments = ["warm", "--database", unreachable];
    let (code, _, err) = run(&mut tales(directory.path(), &arguments));
    assert_eq!(code, 1);
    assert!(!err.contains("hunter2"), "{err}");
    assert!(err.contains("refused"), "{err}");
    assert!(
        err.contains("DATABASE_URL") && err.contains("127.0.0.1:1"),
        "{err}"
    );
    let arguments = ["warm", "--database", "sqlite:nowhere/tales.db"];
    let (code, _, err) = run(&mut tales(directory.path(), &arguments));
    assert_eq!(code, 1);
    assert!(err.contains("its directory must exist"), "{err}");
    for nameless in ["sqlite:", "sqlite://", "sqlite:?mode=rwc"] {
        let arguments = ["warm", "--database", nameless];
        let (code, _, err) = run(&mut tales(directory.path(), &arguments));
        assert_eq!(code, 2, "{nameless}: {err}");
    }
}

#[test]
fn logs_are_json_if_configured() {
    let directory = TempDir::new().unwrap();
    let mut command = tales(directory.path(), &["seed", "--heroes", "1"]);
    command
        .env("REDIS_URL", "memory://")
        .env("LOG_FORMAT", "json");
    let (code, _, err) = run(&mut command);
    assert_eq!(code, 0, "{err}");
    assert!(!err.is_empty());
    for line in err.lines() {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        assert!(line["level"].is_string() && line["message"].is_string());
    }
}
