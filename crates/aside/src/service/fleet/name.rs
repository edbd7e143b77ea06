//! The name of an instance.

use crate::config::CacheConfig;

/// Returns the name of the settings, or the host's name and the process id.
pub(crate) fn of(config: &CacheConfig) -> String {
    let name = config.instance_name.clone();
    name.unwrap_or_else(|| format!("{}:{}", of_host(), std::process::id()))
}

/// Returns the name of this machine.
pub(crate) fn of_host() -> String {
    let host = rustix::system::uname();
    let host = host.nodename().to_string_lossy();
    host.chars().filter(|c| !c.is_control()).take(48).collect()
}
