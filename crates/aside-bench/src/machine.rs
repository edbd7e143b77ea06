//! The machine, the program, and the other load on the machine.

use std::fs;
use std::time::Instant;

use serde::Serialize;

use crate::servers;

/// The machine and the program; shown above the tables.
#[derive(Debug, Serialize)]
pub(crate) struct Machine {
    processor: String,
    cores: usize,
    system: String,
    rustc: &'static str,
    crates: &'static str,
    command: String,
    optimised: bool,
    /// How many processes wanted to run, over the last minute.
    load_before: f64,
    #[serde(skip)]
    begun: Instant,
}

/// The facts that are known only after the measurements.
#[derive(Debug, Serialize)]
pub(crate) struct Afterwards {
    load_after: f64,
    seconds: f64,
    servers: Vec<String>,
}

impl Machine {
    /// Returns the state before the measurements.
    pub(crate) fn now() -> Self {
        let cpu = read("/proc/cpuinfo");
        let model = cpu.lines().find_map(|line| line.strip_prefix("model name"));
        let model = model.map_or("unknown processor", |rest| {
            rest.trim_start_matches([' ', '\t', ':'])
        });
        let arguments: Vec<String> = std::env::args().skip(1).collect();
        let features = match cfg!(feature = "peers") {
            true => " --features peers",
            false => "",
        };
        let system = read("/proc/sys/kernel/osrelease");
        Self {
            processor: model.to_owned(),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            system: format!("{} {}", std::env::consts::OS, system.trim()),
            rustc: env!("ASIDE_BENCH_RUSTC"),
            crates: env!("ASIDE_BENCH_CRATES"),
            command: format!(
                "cargo run --release -p aside-bench{features} -- {}",
                arguments.join(" ")
            ),
            optimised: !cfg!(debug_assertions),
            load_before: load(),
            begun: Instant::now(),
        }
    }

    pub(crate) fn print(&self) {
        println!(
            "{}, {} cores, {}\n{}; {}",
            self.processor, self.cores, self.system, self.rustc, self.crates
        );
        println!("\n```\n{}\n```", self.command);
        if !self.optimised {
            println!("\nnot optimised: these figures mean nothing");
        }
    }

    /// Returns the state after the measurements.
    pub(crate) fn afterwards(&self) -> Afterwards {
        Afterwards {
            load_after: load(),
            seconds: self.begun.elapsed().as_secs_f64(),
            servers: servers::started(),
        }
    }

    pub(crate) fn print_afterwards(&self, afterwards: &Afterwards) {
        let servers = match afterwards.servers.join(", ") {
            none if none.is_empty() => "no server".to_owned(),
            servers => servers,
        };
        println!(
            "\n{servers}; load {:.2} before and {:.2} after; {:.0} s",
            self.load_before, afterwards.load_after, afterwards.seconds
        );
    }
}

fn load() -> f64 {
    let load = read("/proc/loadavg");
    let first = load.split(' ').next().and_then(|load| load.parse().ok());
    first.unwrap_or(f64::NAN)
}

/// Returns the text of a file of Linux; on other systems it is empty.
fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default()
}
