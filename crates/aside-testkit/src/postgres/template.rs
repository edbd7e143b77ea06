//! One `initdb` for many clusters.
//!
//! `initdb` takes a second or more, and under a runner that gives each test a
//! process of its own every test would pay it. So the first one keeps what
//! `initdb` made beside the test programs, in cargo's target directory, and
//! the others copy it, which takes a tenth of that.

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

/// How clusters are made.
const ARGUMENTS: &[&str] = &[
    "--username=postgres",
    "--auth=trust",
    "--encoding=UTF8",
    "--locale=C",
    "--no-sync",
    // Of 1 MB instead of 16: there is hardly more to copy than these.
    "--wal-segsize=1",
];

/// Settings of the character type, best first.
///
/// With plain `C` only ASCII letters have a lower case. Nothing else would sort
/// alike on every machine, and not every machine has the first.
const CHARACTER_TYPES: &[&str] = &["C.UTF-8", "C"];

/// Makes `data` a fresh cluster that belongs to `user`.
pub(super) fn create_cluster(
    programs: &Path,
    user: Option<User>,
    data: &Path,
) -> Result<(), StartError> {
    // Whoever is first makes the template, the others wait here for it.
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

/// The directory of templates and the lock on it, if there can be one.
fn lock_cache() -> Option<(PathBuf, File)> {
    let cache = cache_directory()?;
    fs::create_dir_all(&cache).ok()?;
    let lock = File::create(cache.join("lock")).ok()?;
    lock.lock().ok()?;
    Some((cache, lock))
}

/// The target directory cargo runs us from, where `cargo clean` cleans up.
///
/// A program that does not run from one pays for its own `initdb`: in a
/// directory that others can write to, a template would have to be distrusted.
fn cache_directory() -> Option<PathBuf> {
    let program = env::current_exe().ok()?;
    let target = program
        .ancestors()
        .find(|it| it.join("CACHEDIR.TAG").is_file())?;
    Some(target.join("aside-testkit"))
}

/// A name that changes with all that a template depends on.
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
    // Half a template must never be taken for one, so it gets its name last.
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

/// Copies a directory with all below it and gives it to `owner`.
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
