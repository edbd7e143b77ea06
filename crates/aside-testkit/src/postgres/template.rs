//! One `initdb` for many clusters.
//!
//! `initdb` takes a second or more. Some runners start a process per test, so
//! every test would run it. Instead, the first test keeps the result of
//! `initdb` beside the test programs, in cargo's target directory. The others
//! copy it, which takes a tenth of that time.

use std::collections::hash_map::DefaultHasher;
use std::env;
use std::fs::{self, File, Permissions};
use std::hash::{Hash, Hasher};
use std::io;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::directory;
use crate::error::StartError;
use crate::process::User;

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
    // The first process makes the template; the others wait here for the lock.
    let Some((cache, lock)) = lock_cache() else {
        return init(programs, user, data);
    };
    let template = cache.join(template_name(programs)?);
    if !template.exists() {
        make_template(programs, user, &template)?;
    }
    lock.unlock()?;
    copy_tree(&template, data, user)?;
    Ok(())
}

/// Returns the directory of templates and the lock on it, if cargo's target
/// directory exists.
fn lock_cache() -> Option<(PathBuf, File)> {
    let cache = cache_directory()?;
    fs::create_dir_all(&cache).ok()?;
    let lock = File::create(cache.join("lock")).ok()?;
    lock.lock().ok()?;
    Some((cache, lock))
}

/// Returns cargo's target directory that contains this program. `cargo clean`
/// empties it.
///
/// A program outside of such a directory runs its own `initdb`. A template in a
/// directory that others can write to could not be trusted.
fn cache_directory() -> Option<PathBuf> {
    let program = env::current_exe().ok()?;
    let target = program
        .ancestors()
        .find(|it| it.join("CACHEDIR.TAG").is_file())?;
    Some(target.join("aside-testkit"))
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

fn make_template(programs: &Path, user: Option<User>, template: &Path) -> Result<(), StartError> {
    let directory = directory::create_for_database("initdb", user)?;
    let data = directory.path().join("data");
    init(programs, user, &data)?;
    // The template is renamed last, so that half of it is never used.
    let unfinished = template.with_extension("unfinished");
    if unfinished.exists() {
        fs::remove_dir_all(&unfinished)?;
    }
    copy_tree(&data, &unfinished, None)?;
    fs::rename(&unfinished, template)?;
    Ok(())
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

/// Copies a directory with its contents and gives it to `owner`.
fn copy_tree(from: &Path, to: &Path, owner: Option<User>) -> io::Result<()> {
    fs::create_dir(to)?;
    // PostgreSQL refuses a directory that others may read.
    fs::set_permissions(to, Permissions::from_mode(0o700))?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_tree(&entry.path(), &target, owner)?;
        } else {
            fs::copy(entry.path(), &target)?;
            give(&target, owner)?;
        }
    }
    give(to, owner)
}

fn give(path: &Path, owner: Option<User>) -> io::Result<()> {
    match owner {
        Some(owner) => chown(path, Some(owner.id), Some(owner.group)),
        None => Ok(()),
    }
}
