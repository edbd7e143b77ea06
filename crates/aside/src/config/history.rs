//! How a failover of Redis is noticed.

/// How a failover of Redis is noticed: `REDIS_HISTORY`.
///
/// A failover may lose acknowledged commands, and with them invalidations. So
/// values of the old server must not be used with the new one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum RedisHistory {
    /// By the `master_replid` of INFO, which changes with every failover.
    #[default]
    Replid,
    /// By the loss of the connection that receives invalidations. Each loss
    /// invalidates every value. A failover that cuts no connection goes
    /// unnoticed.
    Reconnect,
}

impl RedisHistory {
    pub(super) fn parse(text: &str) -> Option<Self> {
        match text.to_ascii_lowercase().as_str() {
            "replid" => Some(Self::Replid),
            "reconnect" => Some(Self::Reconnect),
            _ => None,
        }
    }
}
