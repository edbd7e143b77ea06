//! Directories for servers.

use std::env;
use std::io;
use std::os::unix::fs::chown;
use std::path::Path;

use tempfile::TempDir;

use crate::process::User;

/// The longest directory in which a socket still has room.
///
/// The path of a unix socket may have 104 bytes on macOS and 108 on Linux.
const LONGEST_BYTES: usize = 70;

/// A fresh directory, removed when dropped.
///
/// It stands in the usual place for temporary files unless that has too long a
/// name for the sockets in it, or somebody else must be able to reach it.
pub(crate) fn create(server: &str, user: Option<User>) -> io::Result<TempDir> {
    let usual = env::temp_dir();
    let fits = usual.as_os_str().len() <= LONGEST_BYTES && user.is_none();
    let parent = if fits { &usual } else { Path::new("/tmp") };
    let directory = tempfile::Builder::new()
        .prefix(&format!("aside-{server}-"))
        .tempdir_in(parent)?;
    if let Some(user) = user {
        chown(directory.path(), Some(user.id), Some(user.group))?;
    }
    Ok(directory)
}
