//! What was measured on, and what it was doing besides.

use std::fs;

/// Prints the machine, its load and the command, to stand above the tables.
pub(crate) fn print() {
    let cpu = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu.lines().find_map(|line| line.strip_prefix("model name"));
    let model = model.map_or("unknown", |rest| rest.trim_start_matches([' ', '\t', ':']));
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split(' ').next().unwrap_or("unknown").to_owned();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    println!(
        "{model}, {cores} cores, load {load}, aside {}",
        env!("CARGO_PKG_VERSION")
    );
    println!(
        "`cargo run --release -p aside-bench -- {}`",
        arguments.join(" ")
    );
    if cfg!(debug_assertions) {
        println!("not optimised: these figures mean nothing");
    }
}
