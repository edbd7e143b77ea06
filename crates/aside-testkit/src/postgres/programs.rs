//! The location of PostgreSQL's programs, and the user that may run them.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use crate::error::StartError;
use crate::process::User;

const PROGRAMS: &[&str] = &["postgres", "initdb"];
const INSTALL: &str = "install PostgreSQL: `apt-get install postgresql` on Debian and Ubuntu, \
                       `brew install postgresql@17` on macOS";

/// Directories with one directory per version, and the prefix of its number.
///
/// Debian keeps the programs of a server off the `PATH`, and Homebrew those of
/// versioned formulas.
const VERSIONED: &[(&str, &str)] = &[
    ("/usr/lib/postgresql", ""),
    ("/opt/homebrew/opt", "postgresql@"),
    ("/usr/local/opt", "postgresql@"),
    ("/usr", "pgsql-"),
];

/// Returns the directory of `postgres` and `initdb`: from the `PATH`, else the
/// highest version in the directories that packages use.
pub(super) fn find() -> Result<PathBuf, StartError> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .chain(
            VERSIONED
                .iter()
                .flat_map(|(parent, prefix)| versions(Path::new(parent), prefix)),
        )
        .find(|directory| {
            PROGRAMS
                .iter()
                .all(|program| directory.join(program).is_file())
        })
        .ok_or(StartError::Missing {
            programs: PROGRAMS,
            install: INSTALL,
        })
}

/// Returns the `bin` directories below `parent`, highest version first.
fn versions(parent: &Path, prefix: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(parent).into_iter().flatten().flatten();
    let mut found: Vec<(u32, PathBuf)> = entries
        .filter_map(|entry| {
            let version = entry
                .file_name()
                .to_str()?
                .strip_prefix(prefix)?
                .parse()
                .ok()?;
            Some((version, entry.path().join("bin")))
        })
        .collect();
    found.sort_by(|one, other| other.cmp(one));
    found.into_iter().map(|(_, directory)| directory).collect()
}

/// Returns the user to run the server as, because PostgreSQL refuses to run as
/// root.
pub(super) fn unprivileged_user() -> Result<Option<User>, StartError> {
    if !rustix::process::geteuid().is_root() {
        return Ok(None);
    }
    let users = fs::read_to_string("/etc/passwd")?;
    let user = |name: &str| {
        let mut fields = users
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?
            .split(':');
        Some(User {
            id: fields.nth(1)?.parse().ok()?,
            group: fields.next()?.parse().ok()?,
        })
    };
    match user("postgres").or_else(|| user("nobody")) {
        Some(user) => Ok(Some(user)),
        None => Err(StartError::Failed {
            server: "PostgreSQL",
            reason: "it refuses to be run by root, and there is neither a user `postgres` nor \
                     `nobody` to run it as"
                .into(),
            log: String::new(),
        }),
    }
}
