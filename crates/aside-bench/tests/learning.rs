//! The suites of a restart and of long lists, on small traces.

use std::fmt::Write as _;
use std::path::Path;
use std::process::{Command, Output};

fn run(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_aside-bench"))
        .args(arguments)
        .output()
        .expect("the program starts")
}

/// Runs the program. Returns its output.
fn bench(arguments: &[&str]) -> String {
    let output = run(arguments);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {said}");
    String::from_utf8(output.stdout).expect("tables are text")
}

/// Writes a trace of so many requests of so many keys, some of them more often.
fn trace(directory: &Path, requests: u64, keys: u64) -> String {
    let mut trace = String::new();
    for request in 0..requests {
        let key = (request * request / 7 + request) % keys;
        let _ = writeln!(trace, "order:{key}");
    }
    let file = directory.join("trace.keys");
    std::fs::write(&file, trace).unwrap();
    file.to_str().unwrap().to_owned()
}

/// Returns the numbers of the first row that begins with `begin`, after a title.
fn cells(page: &str, title: &str, begin: &str) -> Vec<f64> {
    let (_, page) = page.split_once(title).unwrap_or_else(|| panic!("{page}"));
    let row = page.lines().find(|line| line.starts_with(begin));
    let row = row.unwrap_or_else(|| panic!("{begin}: {page}"));
    let cells = row.trim_matches('|').split('|');
    let number = |cell: &str| cell.split_whitespace().next()?.parse().ok();
    cells.filter_map(number).collect()
}

#[test]
fn a_warm_start_hits_as_often_as_one_that_never_stopped() {
    let directory = tempfile::tempdir().unwrap();
    let file = trace(directory.path(), 8_000, 400);
    let page = bench(&["restart", &file, "--capacity", "500"]);
    let hits = |name| cells(&page, "### Restart of ", &format!("| {name} |"))[0];
    let (stayed, cold, warmed) = (hits("no restart"), hits("cold"), hits("warmed"));
    assert!(cold + 20.0 < stayed, "{page}");
    assert!(stayed - 5.0 <= warmed, "{page}");
    let emptied = "### The same after Redis was emptied";
    let loads = |name| cells(&page, emptied, &format!("| {name} |"))[0];
    assert!(100.0 < loads("cold"), "{page}");
    assert!(loads("warmed") < 0.1 * loads("cold"), "{page}");
}

#[test]
fn the_time_saved_is_that_of_rows_and_lists_that_hit() {
    let directory = tempfile::tempdir().unwrap();
    let file = trace(directory.path(), 6_000, 1_500);
    let page = bench(&["lists", &file, "--capacity-bytes", "16 MiB"]);
    let cells = cells(&page, "### Replay of ", "| 16777216 |");
    let [_, rows, lists, row_hits, list_hits, below, saved] = cells[..] else {
        panic!("{page}");
    };
    assert_eq!(rows, 6_000.0);
    assert!((60.0..200.0).contains(&lists), "{page}");
    assert!(50.0 < row_hits && 10.0 < list_hits, "{page}");
    let expected = (rows * row_hits + 15.0 * lists * list_hits) / (rows + 15.0 * lists);
    assert!((saved - expected).abs() < 0.1, "{page}");
    assert!(below < 0.02 * rows, "{page}");
}

#[test]
fn memory_that_is_no_number_of_bytes_is_refused() {
    let output = run(&["lists", "any.keys", "--capacity-bytes", "16 apples"]);
    assert!(!output.status.success());
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        said.contains("16 apples") && said.contains("16MiB"),
        "{said}"
    );
}
