//! Directories for servers.

use std::env;
use std::io;
use std::os::unix::fs::chown;
use std::path::Path;

use rustix::fs::statvfs;
use tempfile::TempDir;

use crate::process::User;

/// The longest directory path that leaves room for a socket's name.
///
/// The path of a unix socket may have 104 bytes on macOS and 108 on Linux.
const MAX_BYTES: usize = 70;

/// A directory in memory that every user can reach, on Linux.
const MEMORY: &str = "/dev/shm";

/// The free memory that is needed before a database is put there.
///
/// Containers often have 64 MB, which one database would fill.
const MEMORY_BYTES: u64 = 1 << 30;

/// Creates a directory for a small server, removed when dropped.
///
/// It is in the usual place for temporary files, unless the path of that place
/// is too long for the sockets in it.
pub(crate) fn create(server: &str) -> io::Result<TempDir> {
    let usual = env::temp_dir();
    let fits = usual.as_os_str().len() <= MAX_BYTES;
    create_in(if fits { &usual } else { Path::new("/tmp") }, server)
}

/// Creates a directory for a database of `user`, removed when dropped.
///
/// It is in memory if there is room. A cluster is a thousand files, and writing
/// them to a disk takes ten times as long.
pub(crate) fn create_for_database(server: &str, user: Option<User>) -> io::Result<TempDir> {
    let directory = match (has_room(MEMORY), user) {
        (true, _) => create_in(Path::new(MEMORY), server)?,
        // Only the current user may be able to reach the usual place.
        (false, Some(_)) => create_in(Path::new("/tmp"), server)?,
        (false, None) => create(server)?,
    };
    if let Some(user) = user {
        chown(directory.path(), Some(user.id), Some(user.group))?;
    }
    Ok(directory)
}

fn create_in(parent: &Path, server: &str) -> io::Result<TempDir> {
    tempfile::Builder::new()
        .prefix(&format!("aside-{server}-"))
        .tempdir_in(parent)
}

fn has_room(directory: &str) -> bool {
    statvfs(directory).is_ok_and(|it| MEMORY_BYTES <= it.f_bavail.saturating_mul(it.f_frsize))
}
