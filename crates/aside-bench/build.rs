//! Records the versions that the program was built from, because figures
//! without versions cannot be compared with later ones.

use std::env;
use std::fs;
use std::path::Path;
use std::process::Command;

/// The crates whose versions are shown above the tables: the measured ones, the
/// ones compared with, and their common dependencies.
const SHOWN: [&str; 8] = [
    "aside",
    "dashmap",
    "moka",
    "quick_cache",
    "redis",
    "serde_json",
    "sqlx",
    "tokio",
];

/// The same for the feature `peers`.
const PEERS: [&str; 8] = [
    "amalgam-cache",
    "cached",
    "cachet",
    "hitbox",
    "hitbox-backend",
    "hitbox-moka",
    "hitbox-redis",
    "multi-tier-cache",
];

fn main() {
    let root = env::var("CARGO_MANIFEST_DIR").expect("cargo sets it");
    let lock = Path::new(&root).join("../../Cargo.lock");
    println!("cargo:rerun-if-changed={}", lock.display());
    let lock = fs::read_to_string(&lock).expect("the workspace has a lock file");
    let peers = env::var_os("CARGO_FEATURE_PEERS").map(|_| PEERS);
    let shown = SHOWN.into_iter().chain(peers.into_iter().flatten());
    let versions: Vec<String> = shown.flat_map(|name| locked(&lock, name)).collect();
    println!("cargo:rustc-env=ASIDE_BENCH_CRATES={}", versions.join(", "));

    let rustc = env::var_os("RUSTC").expect("cargo sets it");
    let said = Command::new(rustc).arg("--version").output();
    let said = said.expect("the compiler that builds this runs").stdout;
    let said = String::from_utf8_lossy(&said);
    println!("cargo:rustc-env=ASIDE_BENCH_RUSTC={}", said.trim());
}

/// Returns `name version` for each version of a crate in the lock file.
fn locked(lock: &str, name: &str) -> Vec<String> {
    let named = format!("name = \"{name}\"");
    let mut found = Vec::new();
    let mut lines = lock.lines();
    while let Some(line) = lines.next() {
        if line == named {
            let version = lines.next().and_then(|line| line.split('"').nth(1));
            found.push(format!(
                "{name} {}",
                version.unwrap_or("of unknown version")
            ));
        }
    }
    found
}
