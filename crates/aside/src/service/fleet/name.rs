//! The name of an instance.

use crate::config::CacheConfig;

/// Returns the name of the settings, or the host's name and the process id.
pub(crate) fn of(config: &CacheConfig) -> String {
    config.instance_name.clone().unwrap_or_else(|| {
        let host = rustix::system::uname();
        let host = host.nodename().to_string_lossy();
        let host: String = host.chars().filter(|c| !c.is_control()).take(48).collect();
        format!("{host}:{}", std::process::id())
    })
}
