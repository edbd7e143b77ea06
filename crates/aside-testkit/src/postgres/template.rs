//! One `initdb` for many clusters.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::io;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use crate::error::StartError;
use crate::process::User;
use crate::template;

/// The arguments of `initdb`.
const ARGUMENTS: &[&str] = &[
    "--username=postgres",
    "--auth=trust",
    "--encoding=UTF8",
    "--locale=C",
    "--no-sync",
    // 1 MB instead of 16, because these files are most of the data to copy.
    "--wal-segsize=1",
];

/// Settings of the character type, best first.
///
/// With plain `C` only ASCII letters have a lower case. No other setting sorts
/// alike on every machine, and not every machine has the first.
const CHARACTER_TYPES: &[&str] = &["C.UTF-8", "C"];

/// Makes `data` a fresh cluster that belongs to `user`.
pub(super) fn create_cluster(
    programs: &Path,
    user: Option<User>,
    data: &Path,
) -> Result<(), StartError> {
    let name = template_name(programs)?;
    template::create(&name, user, data, |data| init(programs, user, data))
}

/// Returns a name that depends on everything that affects a template.
fn template_name(programs: &Path) -> io::Result<String> {
    let version = Command::new(programs.join("postgres"))
        .arg("--version")
        .output()?
        .stdout;
    let mut hasher = DefaultHasher::new();
    (version, programs, ARGUMENTS, CHARACTER_TYPES).hash(&mut hasher);
    Ok(format!("postgres-{:016x}", hasher.finish()))
}

fn init(programs: &Path, user: Option<User>, data: &Path) -> Result<(), StartError> {
    let mut log = String::new();
    for character_type in CHARACTER_TYPES {
        let mut initdb = Command::new(programs.join("initdb"));
        initdb
            .args(ARGUMENTS)
            .arg(format!("--lc-ctype={character_type}"))
            .arg("--pgdata")
            .arg(data)
            .current_dir(data.parent().unwrap_or(Path::new("/")));
        if let Some(user) = user {
            initdb.uid(user.id).gid(user.group);
        }
        let output = initdb.output()?;
        if output.status.success() {
            return Ok(());
        }
        log = String::from_utf8_lossy(&output.stderr).trim().into();
    }
    Err(StartError::Failed {
        server: "PostgreSQL",
        reason: "initdb failed".into(),
        log,
    })
}
