//! The answers of the commands.

use std::io::Read as _;
use std::process::Stdio;

use aside_testkit::{RedisServer, eventually_blocking};
use serde_json::json;

use crate::SOON;
use crate::instance::Instance;
use crate::program::{Run, aside, program, run};

/// Starts a server with one instance that has announced its kind and its rows.
pub(crate) fn one_instance() -> (RedisServer, Instance) {
    let redis = RedisServer::start().unwrap();
    let instance = Instance::start(&redis.url(), "api-1");
    eventually_blocking(SOON, "the values and the kind", || {
        let found = redis.command(&[
            "EXISTS",
            "hero:1",
            "hero:all",
            "hero:name:ada",
            "aside:kinds",
        ]);
        found.integer() == Some(4)
    });
    (redis, instance)
}

pub(crate) fn good(run: Run) -> Run {
    assert_eq!(run.code, Some(0), "{run:?}");
    run
}

#[test]
fn get_prints_the_value_and_its_age() {
    let (redis, _instance) = one_instance();
    let got = good(aside(&redis.url(), &["get", "hero:1"]));
    assert!(
        got.out
            .contains(r#""entity":{"id":"1","language":"en","name":"Ada"}"#),
        "{got:?}"
    );
    assert!(got.err.contains("value, version 0, shape"), "{got:?}");

    let none = aside(&redis.url(), &["get", "hero:404"]);
    assert_eq!((none.code, &*none.out), (Some(1), ""), "{none:?}");
    assert!(
        none.err.contains("no value under `hero:404`: absent"),
        "{none:?}"
    );
}

#[test]
fn explain_tells_the_fate_of_the_next_read() {
    let (redis, instance) = one_instance();
    let url = redis.url();
    let served = good(aside(&url, &["explain", "hero:1"]));
    assert!(
        served.out.contains("next read  is served this value"),
        "{served:?}"
    );
    assert!(served.out.contains("same\n"), "{served:?}");

    let by_id = [
        "explain",
        "--kind",
        "hero",
        "--id",
        "1",
        "--at",
        &instance.url,
    ];
    let here = good(aside(&url, &by_id));
    assert!(
        here.out
            .starts_with("hero:1    of the kind hero\nlocal      a copy, "),
        "{here:?}"
    );
    for part in [
        " left, proved ",
        "next read  is served the copy in the process\n",
    ] {
        assert!(here.out.contains(part), "{part} {here:?}");
    }
    let cold = ["explain", "hero:404", "--at", &instance.url];
    let cold = good(aside(&url, &cold));
    assert!(
        cold.out.contains("\nlocal      no copy in this process\n"),
        "{cold:?}"
    );
    let by_index = ["explain", "--kind", "hero", "--index", "language=en"];
    let list = good(aside(&url, &by_index));
    assert!(list.out.starts_with("hero:lang:en "), "{list:?}");
    assert!(list.out.contains("a miss: it loads"), "{list:?}");

    let foreign = aside(&url, &["explain", "session:1"]);
    assert_eq!(foreign.code, Some(2), "{foreign:?}");
    assert!(foreign.err.contains("known: hero"), "{foreign:?}");
}

#[test]
fn invalidate_counts_before_it_removes_a_row_with_its_lists() {
    let (redis, _instance) = one_instance();
    let url = redis.url();
    let row = ["invalidate", "hero", "--id", "1", "--with-lists"];
    let counted = good(aside(&url, &[&row[..], &["--dry-run"]].concat()));
    assert_eq!(
        counted.out,
        "would invalidate 3 keys in Redis, and copies on 1 instance:  hero:1  hero:lang:en  \
         hero:name:ada  hero:all\n"
    );
    assert_eq!(redis.command(&["EXISTS", "hero:1"]).integer(), Some(1));

    let done = good(aside(&url, &row));
    assert_eq!(done.out, "invalidated: 3 keys; 1 instance confirmed\n");
    let left = redis.command(&["EXISTS", "hero:1", "hero:all"]);
    assert_eq!(left.integer(), Some(0));

    // It is not counted as an instance, and withdraws its name at its end.
    let fleet = good(aside(&url, &["fleet", "--json"])).json();
    assert_eq!(fleet["data"]["instances"].as_array().unwrap().len(), 1);
    let names = fleet["data"]["command_lines"].as_object().unwrap();
    assert_eq!(names.len(), 1, "{fleet}");
    assert!(
        names
            .values()
            .all(|name| name.as_str().unwrap().starts_with("cli@"))
    );
}

#[test]
fn a_whole_kind_needs_a_confirmation() {
    let (redis, instance) = one_instance();
    let url = redis.url();
    let refused = aside(&url, &["invalidate", "hero", "--all"]);
    assert_eq!(refused.code, Some(2), "{refused:?}");
    assert!(refused.err.contains("add --yes"), "{refused:?}");
    assert_eq!(redis.command(&["EXISTS", "hero:1"]).integer(), Some(1));

    let all = [
        "invalidate",
        "hero",
        "--all",
        "--yes",
        "--at",
        &instance.url,
    ];
    let done = good(aside(&url, &all));
    assert!(done.out.contains(", epoch 1"), "{done:?}");
    eventually_blocking(SOON, "the keys are removed", || {
        redis.command(&["EXISTS", "hero:1"]).integer() == Some(0)
    });
}

#[test]
fn an_unknown_kind_is_answered_with_the_known_ones() {
    let (redis, _instance) = one_instance();
    let wrong = aside(&redis.url(), &["invalidate", "heroes", "--id", "1"]);
    assert_eq!(wrong.code, Some(2), "{wrong:?}");
    assert!(
        wrong.err.contains("possible: hero. Did you mean `hero`?"),
        "{wrong:?}"
    );
}

#[test]
fn json_has_one_envelope_for_good_and_bad_answers() {
    let (redis, instance) = one_instance();
    let url = redis.url();
    for arguments in [
        &["health"][..],
        &["fleet"],
        &["stats"],
        &["explain", "hero:1"],
        &["get", "hero:1"],
        &["doctor"],
        &["invalidate", "hero", "--id", "1"],
    ] {
        let envelope = good(aside(&url, &[arguments, &["--json"]].concat())).json();
        assert_eq!(envelope["aside"], 1);
        assert_eq!(envelope["command"], arguments[0]);
        assert_eq!(
            (&envelope["ok"], &envelope["problems"]),
            (&json!(true), &json!([]))
        );
        let address = redis.address().to_string();
        assert_eq!(
            envelope["target"]["redis"],
            format!("{address}/0"),
            "{envelope}"
        );
        assert!(envelope["data"].is_object());
    }
    let at = ["fleet", "--json", "--at", &instance.url];
    assert_eq!(good(aside(&url, &at)).json()["target"]["at"], instance.url);
    let none = aside(&url, &["get", "hero:404", "--json"]);
    assert_eq!((none.code, &none.json()["ok"]), (Some(1), &json!(false)));
    let wrong = aside(&url, &["explain", "session:1", "--json"]);
    assert_eq!(wrong.json()["problems"][0]["code"], "usage", "{wrong:?}");
}

#[test]
fn a_closed_pipe_ends_it_quietly() {
    let (redis, _instance) = one_instance();
    let mut command = program(&redis.url(), &["fleet"]);
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let mut err = String::new();
    child
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut err)
        .unwrap();
    assert_eq!((child.wait().unwrap().code(), &*err), (Some(0), ""));
}

#[test]
fn colour_is_only_for_terminals_unless_it_is_asked_for() {
    let (redis, _instance) = one_instance();
    let url = redis.url();
    assert!(!good(aside(&url, &["health"])).out.contains('\x1b'));
    let always = good(aside(&url, &["health", "--color", "always"]));
    assert!(always.out.starts_with("\x1b[32mok "), "{always:?}");
}

#[test]
fn completions_and_pages_need_no_cache() {
    for shell in ["bash", "zsh", "fish"] {
        let done = good(aside("redis://127.0.0.1:1", &["completions", shell]));
        assert!(done.out.contains("invalidate"), "{shell}");
    }
    let directory = tempfile(&redis_free_name());
    let path = directory.to_str().unwrap();
    good(aside("redis://127.0.0.1:1", &["man", path]));
    let page = std::fs::read_to_string(directory.join("aside-invalidate.1")).unwrap();
    assert!(
        page.contains("--with-lists") || page.contains("\\-\\-with\\-lists"),
        "{page}"
    );
    std::fs::remove_dir_all(directory).unwrap();
    let mut nowhere = program("redis://127.0.0.1:1", &["man", "/nonexistent/directory"]);
    assert_eq!(run(&mut nowhere).code, Some(2));
}

fn redis_free_name() -> String {
    format!("aside-man-{}", std::process::id())
}

fn tempfile(name: &str) -> std::path::PathBuf {
    let directory = std::env::temp_dir().join(name);
    std::fs::create_dir_all(&directory).unwrap();
    directory
}

#[test]
fn a_list_is_named_and_judged_as_the_services_do() {
    let (redis, _instance) = one_instance();
    let url = redis.url();
    let list = ["explain", "--kind", "hero", "--index", "name=ADA"];
    let list = good(aside(&url, &list));
    assert!(list.out.starts_with("hero:name:ada "), "folded: {list:?}");
    let served = "next read  is served this value";
    assert!(list.out.contains(served), "it stores ids: {list:?}");
    let done = ["invalidate", "hero", "--index", "name=aDa"];
    let done = good(aside(&url, &done));
    assert!(done.out.starts_with("invalidated: 1 key;"), "{done:?}");
    assert_eq!(
        redis.command(&["EXISTS", "hero:name:ada"]).integer(),
        Some(0)
    );
}
