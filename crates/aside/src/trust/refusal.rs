//! What a server refuses, in words that say what to do next.

pub(crate) const REPLICA: &str = "the server is a replica: REDIS_URL must name the primary, or \
     an address that follows it";

pub(crate) const CLUSTER: &str = "the server is in cluster mode: it takes the scheme redis+cluster://, which \
     this version does not speak yet, so use a server that is not in cluster mode";

pub(crate) const SENTINEL: &str = "the server is a Sentinel: it takes the scheme redis+sentinel://, which \
     this version does not speak yet, so name the primary itself";

pub(crate) const HELLO: &str = "to HELLO 3. aside needs Redis 6.2 or later, or Valkey, and between them no \
     proxy that knows fewer commands";

/// A refusal, and what its reader can do next.
pub(crate) fn refusal(command: &str, code: &str) -> String {
    format!("the server answered {code} to {command}{}", advice(code))
}

/// What the reader of an error's code can do next, to follow it.
pub(crate) fn advice(code: &str) -> &'static str {
    match code {
        "NOPERM" => ": the user lacks rights, which docs/operations.md lists",
        "WRONGPASS" => ": the user or the password is not one of the server's",
        "NOAUTH" => ": it wants a password, which REDIS_PASSWORD gives",
        "CROSSSLOT" | "MOVED" | "ASK" | "CLUSTERDOWN" => {
            ": it is in cluster mode, which takes the scheme redis+cluster:// and cannot be used yet"
        }
        "READONLY" => ": it is a replica, and REDIS_URL must name the primary",
        "MISCONF" => ": it cannot save to its disk, and refuses writes until it can",
        "LOADING" => ": it still loads its data, and is tried again",
        "DENIED" => ": it is in protected mode: give it a password, or bind it to this machine",
        "ERR" => ": a command may be renamed or switched off there; docs/operations.md lists all",
        "NOREPLICAS" => ": it has fewer replicas than min-replicas-to-write",
        _ => "",
    }
}
