//! Directories for servers.

use std::env;
use std::io;
use std::path::Path;

use tempfile::TempDir;

/// The longest directory in which a socket still has room.
///
/// The path of a unix socket may have 104 bytes on macOS and 108 on Linux.
const LONGEST_BYTES: usize = 70;

/// A fresh directory, removed when dropped.
///
/// It stands in the usual place for temporary files unless that has too long a
/// name for the sockets in it.
pub(crate) fn create(server: &str) -> io::Result<TempDir> {
    let usual = env::temp_dir();
    let parent = if usual.as_os_str().len() <= LONGEST_BYTES {
        &usual
    } else {
        Path::new("/tmp")
    };
    tempfile::Builder::new()
        .prefix(&format!("aside-{server}-"))
        .tempdir_in(parent)
}
