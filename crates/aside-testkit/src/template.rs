//! Prepares the files of a database once for many servers.
//!
//! Preparing them takes a second or more. Some runners start a process per test, so
//! every test would do it. Instead, the first test keeps the result beside the test
//! programs, in cargo's target directory. The others copy it, which takes a tenth of
//! that time.

use std::env;
use std::fs::{self, File, Permissions};
use std::io;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};

use crate::directory;
use crate::error::StartError;
use crate::process::User;

/// Makes `data` a fresh copy of the template `name`, which belongs to `user`. `init`
/// prepares a directory that does not exist yet, in one that does.
pub(crate) fn create(
    name: &str,
    user: Option<User>,
    data: &Path,
    init: impl Fn(&Path) -> Result<(), StartError>,
) -> Result<(), StartError> {
    // The first process makes the template; the others wait here for the lock.
    let Some((cache, lock)) = lock_cache() else {
        return init(data);
    };
    let template = cache.join(name);
    if !template.exists() {
        make_template(user, &template, init)?;
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
/// A program outside of such a directory prepares its own files. A template in a
/// directory that others can write to could not be trusted.
fn cache_directory() -> Option<PathBuf> {
    let program = env::current_exe().ok()?;
    let target = program
        .ancestors()
        .find(|it| it.join("CACHEDIR.TAG").is_file())?;
    Some(target.join("aside-testkit"))
}

fn make_template(
    user: Option<User>,
    template: &Path,
    init: impl Fn(&Path) -> Result<(), StartError>,
) -> Result<(), StartError> {
    let directory = directory::create_for_database("template", user)?;
    let data = directory.path().join("data");
    init(&data)?;
    // The template is renamed last, so that half of it is never used.
    let unfinished = template.with_extension("unfinished");
    if unfinished.exists() {
        fs::remove_dir_all(&unfinished)?;
    }
    copy_tree(&data, &unfinished, None)?;
    fs::rename(&unfinished, template)?;
    Ok(())
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
