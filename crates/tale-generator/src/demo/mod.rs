//! The guided example.

use std::io;

/// Shows it; answers whether everything held.
///
/// # Errors
/// The terminal's own.
pub async fn run() -> io::Result<bool> {
    Ok(true)
}
