//! One `initdb` for many clusters.
//!
//! `initdb` takes a second or more, and under a runner that gives each test a
//! process of its own every test would pay it. So the first one keeps what
//! `initdb` made beside the test programs, in cargo's target directory, and
//! the others copy it, which takes a tenth of that.

use std::env;
use std::fs::{self, File, Permissions};
use std::io;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::directory;
use crate::error::StartError;
use crate::process::User;

/// To be raised whenever the arguments of `initdb` change.
const FORMAT: u32 = 2;

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
    let Some(cache) = cache_directory() else {
        return init(programs, user, data);
    };
    fs::create_dir_all(&cache)?;
    let template = cache.join(format!("postgres-{}-{FORMAT}", version(programs)?));
    // Whoever is first makes the template, the others wait here for it.
    let lock = File::create(cache.join("lock"))?;
    lock.lock()?;
    if !template.exists() {
        make_template(programs, user, &template)?;
    }
    lock.unlock()?;
    copy_tree(&template, data, user)?;
    Ok(())
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

/// The version of PostgreSQL, for example `17.2`.
fn version(programs: &Path) -> io::Result<String> {
    let output = Command::new(programs.join("postgres"))
        .arg("--version")
        .output()?;
    // `postgres (PostgreSQL) 17.2 (Debian 17.2-1.pgdg120+1)`
    let text = String::from_utf8_lossy(&output.stdout);
    let version = text
        .split_whitespace()
        .nth(2)
        .filter(|version| !version.contains('/'));
    version
        .map(Into::into)
        .ok_or_else(|| io::Error::other(format!("not a version: {text:?}")))
}

fn make_template(programs: &Path, user: Option<User>, template: &Path) -> Result<(), StartError> {
    let directory = directory::create("initdb", user)?;
    let data = directory.path().join("data");
    init(programs, user, &data)?;
    // Half a template must never be taken for one, so it gets its name last.
    let unfinished = template.with_added_extension("unfinished");
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
            .args([
                "--username=postgres",
                "--auth=trust",
                "--encoding=UTF8",
                "--no-sync",
            ])
            .args(["--locale=C", &format!("--lc-ctype={character_type}")])
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
