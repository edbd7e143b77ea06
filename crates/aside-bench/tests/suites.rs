//! Every suite in its quick form: it fails on a wrong result, never on time.

use std::fmt::Write as _;
use std::process::Command;

/// Runs the program, and gives what it printed.
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
fn hits_in_process_are_right_beside_every_store() {
    let directory = tempfile::tempdir().unwrap();
    let json = directory.path().join("l1.json");
    let page = bench(&["l1", "--quick", "--json", json.to_str().unwrap()]);
    for name in ["HashMap", "quick_cache", "moka", "dashmap", "aside"] {
        assert_eq!(page.matches(&format!("| {name} |")).count(), 3, "{page}");
    }
    let written = std::fs::read_to_string(json).unwrap();
    assert_eq!(written.matches("\"aside\"").count(), 3);
}

#[test]
fn a_crowd_for_one_cold_key_makes_one_database_read() {
    assert!(bench(&["miss", "--quick"]).contains("| 1,000 readers |"));
}

#[test]
fn a_trace_that_fits_is_loaded_once_per_key_with_redis_and_without() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("trace.keys");
    let mut trace = String::new();
    for request in 0..1_000 {
        let _ = writeln!(trace, "order:{}:id", request % 100);
    }
    std::fs::write(&file, trace).unwrap();
    for suite in ["simulate", "trace"] {
        let page = bench(&[suite, file.to_str().unwrap(), "--capacity", "1000"]);
        let row = page.lines().find(|line| line.starts_with("| 1000 |"));
        let row = row.unwrap_or_else(|| panic!("{page}"));
        assert!(row.starts_with("| 1000 | 100 | 1000 | "), "{row}");
        assert!(row.contains("| 100 |"), "{row}");
    }
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let output = Command::new(env!("CARGO_BIN_EXE_aside-bench"))
        .args(["simulate", "no-such-file.keys"])
        .output()
        .unwrap();
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("no-such-file.keys"));
}
