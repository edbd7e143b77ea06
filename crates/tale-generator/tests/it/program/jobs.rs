//! `tales seed`, `warm`, `export` and `import`

use std::fs;

use aside_testkit::RedisServer;
use tempfile::TempDir;

use super::{run, tales};

pub(super) const SEED: &[&str] = &["seed", "--heroes", "4", "--children", "3", "--stories", "5"];

#[test]
fn an_export_is_the_same_after_its_import_elsewhere() {
    let (from, to) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let in_memory = |directory: &TempDir, arguments: &[&str]| {
        run(tales(directory.path(), arguments).env("REDIS_URL", "memory://"))
    };
    let (code, out, err) = in_memory(&from, SEED);
    assert_eq!(code, 0, "{err}");
    assert!(
        out.starts_with("12 rows added, 0 were there already"),
        "{out}"
    );
    let (_, out, _) = in_memory(&from, SEED);
    assert!(
        out.starts_with("0 rows added, 12 were there already"),
        "{out}"
    );

    let (code, out, err) = in_memory(&from, &["export"]);
    assert_eq!((code, out.lines().count()), (0, 12), "{err}");
    let (code, ..) = in_memory(&from, &["export", "tales.jsonl"]);
    let file = from.path().join("tales.jsonl");
    assert_eq!((code, fs::read_to_string(&file).unwrap()), (0, out.clone()));

    let file = file.to_str().unwrap();
    let (code, told, _) = in_memory(&to, &["import", "--check", file]);
    assert_eq!((code, told.as_str()), (0, "12 rows can be read\n"));
    let (code, told, err) = in_memory(&to, &["import", file]);
    assert_eq!(code, 0, "{err}");
    assert!(told.starts_with("12 rows added"), "{told}");
    assert_eq!(in_memory(&to, &["export"]).1, out);

    fs::write(file, format!("{out}{{\"kind\":\"dragon\"}}\n")).unwrap();
    let empty = TempDir::new().unwrap();
    let (code, _, err) = in_memory(&empty, &["import", file]);
    assert_eq!(code, 1);
    assert!(err.contains("line 13"), "{err}");
    assert_eq!(in_memory(&empty, &["export"]).1, "", "nothing was written");
}

#[test]
fn warming_fills_redis_or_reports_that_it_cannot() {
    let directory = TempDir::new().unwrap();
    let redis = RedisServer::start().unwrap();
    let url = redis.url();
    let (code, ..) = run(tales(directory.path(), SEED).env("REDIS_URL", &url));
    assert_eq!(code, 0);
    let (code, out, err) = run(tales(directory.path(), &["warm"]).env("REDIS_URL", &url));
    assert_eq!(code, 0, "{err}");
    assert_eq!(out.lines().count(), 3, "{out}");
    for key in ["hero:all", "child:all", "story:all", "hero:lang:en"] {
        assert_eq!(redis.command(&["EXISTS", key]).integer(), Some(1), "{key}");
    }
    redis.kill();
    let (code, _, err) = run(tales(directory.path(), &["warm"]).env("REDIS_URL", &url));
    assert_eq!(code, 1);
    assert!(err.contains("Redis is unavailable"), "{err}");
}

#[test]
fn warming_from_the_hot_set_reads_what_it_names() {
    let directory = TempDir::new().unwrap();
    let redis = RedisServer::start().unwrap();
    let warm = |arguments: &[&str]| {
        let mut command = tales(directory.path(), arguments);
        let (code, out, err) = run(command.env("REDIS_URL", redis.url()));
        assert_eq!(code, 0, "{err}");
        out
    };
    warm(SEED);
    redis.command(&["SET", "aside:hot:hero", "lang:en\n"]);
    let out = warm(&["warm"]);
    assert!(out.starts_with("heroes: 1 rows and lists"), "{out}");
    let exists = |key| redis.command(&["EXISTS", key]).integer();
    assert_eq!(exists("hero:lang:en"), Some(1));
    assert_eq!(
        (exists("hero:all"), exists("story:all")),
        (Some(0), Some(0))
    );

    warm(&["warm", "--from", "all"]);
    assert_eq!(
        (exists("hero:all"), exists("story:all")),
        (Some(1), Some(1))
    );
    // The command has read everything, and callers have not.
    let hot = redis.command(&["GET", "aside:hot:hero"]);
    assert_eq!(hot.text(), Some("lang:en\n"));
}

#[tokio::test]
async fn triggers_are_installed_and_removed_by_a_command() {
    let directory = TempDir::new().unwrap();
    let in_memory = |arguments: &[&str]| {
        let (code, out, err) =
            run(tales(directory.path(), arguments).env("REDIS_URL", "memory://"));
        assert_eq!(code, 0, "{err}");
        out
    };
    in_memory(SEED);
    let file = directory.path().join("tales.db");
    let url = format!("sqlite:{}", file.display());
    let database = sqlx::SqlitePool::connect(&url).await.unwrap();
    let recorded = async || -> i64 {
        let change = sqlx::query("UPDATE heroes SET age = age + 1");
        change.execute(&database).await.unwrap();
        let count = sqlx::query_scalar("SELECT count(*) FROM cache_journal");
        let count = count.fetch_one(&database).await.unwrap();
        let clear = sqlx::query("DELETE FROM cache_journal");
        clear.execute(&database).await.unwrap();
        count
    };
    assert_eq!(recorded().await, 0);
    assert!(in_memory(&["triggers", "install"]).contains("every instance"));
    assert!(recorded().await > 0);
    assert!(in_memory(&["triggers", "remove"]).contains("no longer notified"));
    assert_eq!(recorded().await, 0);
}
