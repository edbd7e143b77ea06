//! Advice for errors of a server: causes and remedies.

use aside_redis::Refusal;

pub(crate) const REPLICA: &str = "the server is a replica: REDIS_URL must name the primary, or \
     an address that follows it";

pub(crate) const CLUSTER: &str = "the server is a node of a cluster: REDIS_URL must name the \
     cluster, redis+cluster://HOST:PORT,HOST:PORT";

pub(crate) const NO_SLOTS: &str = "the nodes know no primary with slots: the cluster is not created \
     yet (redis-cli --cluster create), or REDIS_URL names nodes outside it";

pub(crate) const NOT_A_CLUSTER: &str = "the server is not in cluster mode: REDIS_URL must be \
     redis://HOST:PORT for one server, or name nodes of a cluster behind redis+cluster://";

pub(crate) const SENTINEL: &str = "the server is a Sentinel: REDIS_URL must name the primary, or be \
     redis+sentinel://HOST:PORT,HOST:PORT/SERVICE";

pub(crate) const NOT_A_SENTINEL: &str = "the server is no Sentinel: REDIS_URL must name Sentinels \
     behind redis+sentinel://, or one server behind redis://";

pub(crate) const NO_HISTORY: &str = "INFO replication of this server has no master_replid, so a \
     failover that loses invalidations would go unnoticed: use Redis 6.2 or later, or Valkey, or \
     set REDIS_HISTORY=reconnect (see CAVEATS.md)";

pub(crate) const DATABASE: &str = ": the number is that of REDIS_DB, or of the path of REDIS_URL";

pub(crate) const NO_ROLE: &str = "INFO replication of this server has no role, so a replica could \
     not be told from a primary: use Redis 6.2 or later, or Valkey";

pub(crate) const SENTINEL_PASSWORD: &str = "it does not accept this user and password: set \
     REDIS_SENTINEL_USERNAME and REDIS_SENTINEL_PASSWORD, which are apart from REDIS_PASSWORD";

pub(crate) const HELLO: &str = "to HELLO 3. aside needs Redis 6.2 or later, or Valkey, and no proxy \
     in between that supports fewer commands";

/// Formats an error reply with advice; `None` for a reply that is no error.
pub(crate) fn refusal(command: &str, refusal: Option<&Refusal>) -> String {
    let Some(refusal) = refusal else {
        return format!("the server answered nothing usable to {command}");
    };
    let advice = advice(refusal.code());
    format!("the server answered {refusal} to {command}{advice}")
}

/// Returns advice for an error code, to append to a message.
pub(crate) fn advice(code: &str) -> &'static str {
    match code {
        "NOPERM" => ": the user lacks rights; docs/operations.md lists them",
        "WRONGPASS" => ": the server does not accept this user and password",
        "NOAUTH" => ": it requires a password; set REDIS_PASSWORD",
        "CROSSSLOT" | "MOVED" | "ASK" => {
            ": it is a node of a cluster, which REDIS_URL must name by redis+cluster://"
        }
        "CLUSTERDOWN" => {
            ": its cluster does not serve all slots; CLUSTER INFO and CLUSTER NODES show which"
        }
        "READONLY" => ": it is a replica, and REDIS_URL must name the primary",
        "MISCONF" => ": it cannot save to disk, and refuses writes until it can",
        "LOADING" => ": it is still loading its data; retrying",
        "DENIED" => ": it is in protected mode: give it a password, or bind it to this machine",
        "ERR" => ": a command may be renamed or switched off there; docs/operations.md lists all",
        "NOREPLICAS" => ": it has fewer replicas than min-replicas-to-write",
        _ => "",
    }
}
