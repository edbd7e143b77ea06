//! Every suite in its quick form: it fails on a wrong result, never on time.

use std::fmt::Write as _;
use std::process::Command;

/// Runs the program. Returns its output.
fn bench(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_aside-bench"))
        .args(arguments)
        .output()
        .expect("the program starts");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {said}");
    String::from_utf8(output.stdout).expect("tables are text")
}

#[test]
fn local_hits_are_right_beside_every_store() {
    let directory = tempfile::tempdir().unwrap();
    let json = directory.path().join("l1.json");
    let page = bench(&["l1", "--quick", "--json", json.to_str().unwrap()]);
    for name in [
        "HashMap",
        "quick_cache",
        "moka",
        "moka get_with",
        "dashmap",
        "aside",
    ] {
        assert_eq!(page.matches(&format!("| {name} |")).count(), 4, "{page}");
    }
    let written = std::fs::read_to_string(json).unwrap();
    assert_eq!(written.matches("\"name\": \"aside\"").count(), 4);
    for known in [
        "processor",
        "rustc",
        "crates",
        "command",
        "load_before",
        "load_after",
    ] {
        assert!(
            written.contains(&format!("\"{known}\": ")),
            "{known}: {written}"
        );
    }
}

#[test]
fn hits_in_redis_are_right_beside_a_socket_and_a_client() {
    let page = bench(&["l2", "--quick"]);
    for transport in ["TCP", "unix socket"] {
        for title in [
            "### A hero of 600 bytes from Redis, p50: ",
            "### A hero of 600 bytes from Redis, p99: ",
            "### A story of 5 KB from Redis, p50: ",
            "### find_many of 100 heroes from Redis, p50: ",
            "### A list of 1,000 heroes from Redis, p50: ",
            "### Heroes of 600 bytes from Redis, 64 tasks: ",
            "### Heroes of 600 bytes from Redis, 256 tasks: ",
        ] {
            let title = format!("{title}{transport}");
            assert!(page.contains(&title), "{title}: {page}");
        }
    }
}

#[test]
fn every_update_is_kept_and_read_in_time() {
    let page = bench(&["write", "--quick"]);
    assert_eq!(page.matches("| aside |").count(), 4, "{page}");
    assert!(page.contains("| evalsha |"), "{page}");
}

#[test]
fn versions_never_go_back_in_any_mix_of_reads_and_writes() {
    let page = bench(&["mixed", "--quick"]);
    assert_eq!(page.matches("| both tiers |").count(), 4, "{page}");
}

#[test]
fn growing_sizes_are_measured_and_drawn() {
    let directory = tempfile::tempdir().unwrap();
    let svg = directory.path().join("scale.svg");
    let page = bench(&["scale", "--quick", "--svg", svg.to_str().unwrap()]);
    let drawn = std::fs::read_to_string(svg).unwrap();
    for title in [
        "A hit in process, by rows",
        "A hit in Redis, by rows",
        "A hit in process, by kinds",
        "A hit in Redis, by kinds",
        "A hit in process, by the size of a value",
        "A hit in Redis, by the size of a value",
        "An update, by indexes",
        "An update, by instances that hear of it",
    ] {
        assert!(page.contains(title), "{title}: {page}");
        assert!(drawn.contains(title), "{title}: {drawn}");
    }
}

#[test]
fn a_fleet_is_computed_and_simulated() {
    let size = [
        "--instances",
        "100",
        "--shards",
        "6",
        "--writes-per-s",
        "300",
    ];
    let page = bench(&[&["fleet", "--quick"], &size[..]].concat());
    for title in [
        "### 100 instances, one channel",
        "### 100 instances, shard channels",
        "### 100 instances on 6 primaries, 300 writes/s of 4 keys: designs",
        "### Instances at 25 % of a primary's core, 300 writes/s of 4 keys",
    ] {
        assert!(page.contains(title), "{title}: {page}");
    }
    assert_eq!(
        cells(&page, "| connections of a primary |"),
        [200.0, 200.0, 0.0],
        "{page}"
    );
}

#[test]
fn nothing_is_stale_while_primaries_die_and_slots_move() {
    let page = bench(&["cluster", "--quick"]);
    assert_eq!(page.matches("| three primaries |").count(), 5, "{page}");
    let hits = |row: &str| cells(&page, row)[0];
    assert!(0.0 < hits("| one replaced |"), "{page}");
    let [slots, _, keys, extra, ..] = cells(&page, "| 20 |")[..] else {
        panic!("{page}");
    };
    assert!(slots == 20.0 && 0.0 < keys && extra <= 1.1, "{page}");
}

#[test]
fn every_row_that_was_read_is_resident_and_counted() {
    let page = bench(&["memory", "--quick"]);
    assert!(page.contains("| 2000 entries |"), "{page}");
}

#[test]
fn a_crowd_for_one_cold_key_makes_one_database_read() {
    let page = bench(&["miss", "--quick"]);
    for row in [
        "| 1,000 readers |",
        "| 64 readers |",
        "| 3 processes of 16 readers |",
        "| a miss through aside |",
    ] {
        assert!(page.contains(row), "{row}: {page}");
    }
    // The measured versions and the machine.
    for known in [
        "rustc 1.",
        "aside 0.",
        "quick_cache 0.",
        "redis 1.",
        "-server ",
        "PostgreSQL 1",
        " before and ",
        "cargo run --release -p aside-bench -- miss --quick",
    ] {
        assert!(page.contains(known), "{known}: {page}");
    }
}

#[cfg(feature = "peers")]
#[test]
fn hits_of_other_libraries_are_right() {
    let in_process = [
        "amalgam-cache",
        "cachet",
        "cached",
        "hitbox",
        "multi-tier-cache",
    ];
    let in_redis = ["amalgam-cache", "hitbox-redis", "multi-tier-cache"];
    for (suite, names) in [("l1", &in_process[..]), ("l2-peers", &in_redis[..])] {
        let page = bench(&[suite, "--quick"]);
        for name in names {
            assert!(page.contains(&format!("| {name} |")), "{name}: {page}");
            // The crate's version.
            assert!(page.contains(&format!(", {name} ")), "{name}: {page}");
        }
        assert!(page.contains("--features peers -- "), "{page}");
    }
}

#[test]
fn aside_keeps_its_promise_and_a_plain_cache_aside_does_not() {
    let directory = tempfile::tempdir().unwrap();
    let json = directory.path().join("consistency.json");
    let page = bench(&["consistency", "--quick", "--json", json.to_str().unwrap()]);
    assert_eq!(page.matches("| kept |").count(), 2, "{page}");
    for name in ["by hand", "moka"] {
        let row = page
            .lines()
            .find(|line| line.starts_with(&format!("| {name}")));
        let row = row.unwrap_or_else(|| panic!("{page}"));
        let older = row.split('|').nth(5).map(str::trim);
        // Otherwise the workload has no race, and proves nothing about aside
        // either.
        assert_ne!(older, Some("0"), "{row}");
    }
    let written = std::fs::read_to_string(json).unwrap();
    assert_eq!(written.matches("\"kept\"").count(), 2, "{written}");
}

#[test]
fn a_trace_that_fits_is_loaded_once_per_key() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("trace.keys");
    let mut trace = String::new();
    for request in 0..1_000 {
        let _ = writeln!(trace, "order:{}:id", request % 100);
    }
    std::fs::write(&file, trace).unwrap();
    for suite in ["simulate", "trace"] {
        let json = directory.path().join("replay.json");
        let (file, json) = (file.to_str().unwrap(), json.to_str().unwrap());
        let page = bench(&[suite, file, "--capacity", "1000", "--json", json]);
        let [requests, unique, _, held, ..] = cells(&page, "| 1000 |")[..] else {
            panic!("{page}");
        };
        assert_eq!((requests, unique, held), (1000.0, 100.0, 100.0), "{page}");
        let [hits, below, loads, shared] = cells(&page, "| 1000 |")[4..8] else {
            panic!("{page}");
        };
        // A request may find the fill of an earlier one still in flight.
        let answered = (hits + below) * 10.0 + loads + shared;
        assert!((answered - 1000.0).abs() < 0.5, "{page}");
        assert!(loads >= 100.0, "{page}");
        if suite == "simulate" {
            assert_eq!(loads, 100.0, "a key was loaded twice: {page}");
        }
        let written = std::fs::read_to_string(json).unwrap();
        assert!(written.contains("\"hits in process\""), "{written}");
    }
}

#[test]
fn a_trace_that_exceeds_the_capacity_fills_it() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("trace.keys");
    let mut trace = String::new();
    for request in 0..6_000 {
        let _ = writeln!(trace, "order:{}:id", request * request % 1_999);
    }
    std::fs::write(&file, trace).unwrap();
    let page = bench(&["simulate", file.to_str().unwrap(), "--capacity", "500"]);
    let held = cells(&page, "| 6000 |")[3];
    assert!((482.0..=500.0).contains(&held), "{page}");
}

#[test]
fn a_simulation_counts_nearly_the_same_in_every_run() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("trace.csv");
    let mut trace = String::new();
    for request in 0..6_000 {
        let _ = writeln!(trace, "{request},{},300", request * request % 1_999);
    }
    std::fs::write(&file, trace).unwrap();
    let file = file.to_str().unwrap();
    let options = ["--capacity", "500", "--tasks", "16", "--seed", "7"];
    let simulate = |more: &[&str]| bench(&[&["simulate", file], &options[..], more].concat());
    let keys_read = |page: &str| {
        let (_, table) = page.split_once("### 16 task(s), runs of 50").unwrap();
        let row = table.lines().nth(4).unwrap_or_default();
        let cell = row.split_whitespace().nth(3).map(str::parse::<f64>);
        cell.and_then(Result::ok)
            .unwrap_or_else(|| panic!("{page}"))
    };
    let page = simulate(&[]);
    assert!(page.contains("| 6000 | 1000 | 500 |"), "{page}");
    let again = keys_read(&simulate(&[]));
    // The store draws its hash seed, which decides its evictions.
    assert!((again / keys_read(&page) - 1.0).abs() < 0.05, "{page}");
    let shuffled = keys_read(&simulate(&["--shuffle-second-half", "2000"]));
    assert!(1_000.0 < shuffled && shuffled < 6_000.0, "{shuffled}");
}

/// Returns the numbers of the row that begins with `begin`.
fn cells(page: &str, begin: &str) -> Vec<f64> {
    let row = page.lines().find(|line| line.starts_with(begin));
    let row = row.unwrap_or_else(|| panic!("{begin}: {page}"));
    let cells = row.trim_matches('|').split('|');
    let number = |cell: &str| cell.split_whitespace().next()?.parse().ok();
    cells.filter_map(number).collect()
}

#[test]
fn a_missing_file_is_named() {
    let output = Command::new(env!("CARGO_BIN_EXE_aside-bench"))
        .args(["simulate", "no-such-file.keys"])
        .output()
        .unwrap();
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("no-such-file.keys"));
}

/// This program, as the other build of a comparison.
const ITSELF: &str = env!("CARGO_BIN_EXE_aside-bench");

#[test]
fn two_builds_are_compared_figure_by_figure() {
    let page = bench(&["l1", "--quick", "--against", ITSELF, "--rounds", "2"]);
    for row in ["HashMap", "quick_cache", "aside"] {
        let rows = page
            .lines()
            .filter(|line| line.starts_with(&format!("| {row} |")));
        let rows: Vec<Vec<&str>> = rows.map(|row| row.split(" | ").collect()).collect();
        assert_eq!(rows.len(), 4, "{row}: {page}");
        for row in rows {
            // Name, two times, their ratio, the ratios of this build, the
            // verdict.
            let ratio: f64 = row[3].parse().unwrap();
            assert!(0.0 < ratio, "{page}");
            let (lowest, highest) = row[4].split_once(" to ").unwrap();
            let itself: [f64; 2] = [lowest, highest].map(|ratio| ratio.parse().unwrap());
            assert!(0.0 < itself[0] && itself[0] <= itself[1], "{page}");
            let verdicts = ["**slower** |", "within |", "faster |"];
            assert!(verdicts.contains(&row[5]), "{page}");
        }
    }
    assert!(page.contains("time, this / itself"), "{page}");
}

#[test]
fn a_build_that_cannot_be_compared_is_named() {
    for (arguments, named) in [
        (["l1", "--against", "no-such-build"], "no-such-build l1: "),
        (
            ["consistency", "--against", ITSELF],
            "--against needs a suite",
        ),
        // It does not know the suite.
        (["l1", "--against", "cat"], "cat l1: "),
    ] {
        let output = Command::new(ITSELF).arg("--quick").args(arguments).output();
        let output = output.unwrap();
        assert!(!output.status.success());
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.contains(named), "{said}");
    }
}

#[test]
fn kinds_of_a_trace_share_the_memory() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("trace.keys");
    let mut trace = String::new();
    // One kind has 90 keys, and the others one each.
    for request in 0..3_000 {
        let _ = writeln!(trace, "big:{}", request % 90);
        let _ = writeln!(trace, "small-{}:1", request % 3);
    }
    std::fs::write(&file, trace).unwrap();
    let page = bench(&[
        "simulate",
        file.to_str().unwrap(),
        "--capacity",
        "110",
        "--kinds",
    ]);
    assert!(page.contains("| 4 | 93 | 110 | 93 |"), "{page}");
}
