//! Facts about a server: its replies to HELLO, INFO and TIME, and its errors.

use std::borrow::Cow;

use aside_redis::{Call, Error, WireReply, printable};
use xxhash_rust::xxh3::xxh3_64;

use crate::config::history::RedisHistory;
use crate::redis::broken::Broken;
use crate::redis::tls;
use crate::trust::refusal::{
    CLUSTER, DATABASE, HELLO, NO_HISTORY, NO_ROLE, NOT_A_CLUSTER, SENTINEL, advice,
    refusal as refused,
};

/// Returns one field of a reply to INFO; empty if there is none.
pub(crate) fn field(answer: &WireReply, name: &str) -> String {
    let text = match answer {
        WireReply::Text(text) => Cow::from(text),
        WireReply::Bytes(bytes) => String::from_utf8_lossy(bytes),
        _ => return String::new(),
    };
    let value = text
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    value.unwrap_or_default().trim().to_owned()
}

/// Returns the call for the part of INFO that [`history`] parses.
pub(crate) fn info_replication() -> Call<'static> {
    Call::command("INFO").text("replication")
}

/// Returns the server's history.
///
/// A `master_replid` consists of 40 random hex digits, drawn whenever a server
/// starts or is promoted. Failover. A run id would not do, because a primary
/// that is demoted and promoted again keeps it, and may have lost writes in
/// between.
///
/// # Errors
/// It reports none, so a failover of it would go unnoticed.
pub(crate) fn history(answer: &WireReply, noticed: RedisHistory) -> Result<u64, Broken> {
    match (&*field(answer, "master_replid"), noticed) {
        // A new era takes its place after each loss of the watcher's connection.
        (_, RedisHistory::Reconnect) => Ok(1),
        ("", _) => Err(Broken::refused(NO_HISTORY)),
        // Never zero, which means an unknown history.
        (id, _) => Ok(xxh3_64(id.as_bytes()).max(1)),
    }
}

/// Returns the role that a server reports.
///
/// # Errors
/// It reports none.
pub(crate) fn role(answer: &WireReply) -> Result<String, Broken> {
    match field(answer, "role") {
        role if role.is_empty() => Err(Broken::refused(NO_ROLE)),
        role => Ok(role),
    }
}

/// Returns the server's product and version. Forks and other engines report
/// the version of Redis that they imitate, and theirs.
pub(crate) fn product(answer: &WireReply) -> String {
    let redis = field(answer, "redis_version");
    let others = ["valkey", "dragonfly", "garnet", "keydb"];
    let own = others.map(|name| (name, field(answer, &format!("{name}_version"))));
    let own = own.into_iter().find(|(_, version)| !version.is_empty());
    match own {
        Some((name, version)) => printable(&format!("{name} {version}")),
        None if redis.is_empty() => "a server without a version".to_owned(),
        None => printable(&format!("Redis {redis}")),
    }
}

/// Returns the server's time in milliseconds, from its reply to TIME.
pub(crate) fn millis(answer: &WireReply) -> Option<u64> {
    let WireReply::Array(parts) = answer else {
        return None;
    };
    let number = |part: &WireReply| match part {
        WireReply::Bytes(digits) => std::str::from_utf8(digits).ok()?.parse::<u64>().ok(),
        _ => None,
    };
    let [seconds, micros] = &parts[..] else {
        return None;
    };
    number(seconds)?
        .checked_mul(1000)?
        .checked_add(number(micros)? / 1000)
}

/// Returns why a server in this mode cannot be used; `is_node` if it is one of a
/// cluster's.
///
/// In cluster mode single keys work, but scripts on several keys are refused. A
/// partially usable server would leave old values with other instances.
pub(crate) fn unusable(mode: &str, is_node: bool) -> Option<Broken> {
    match mode {
        "cluster" if is_node => None,
        "cluster" => Some(Broken::refused(CLUSTER)),
        "sentinel" => Some(Broken::refused(SENTINEL)),
        _ if is_node => Some(Broken::refused(NOT_A_CLUSTER)),
        _ => None,
    }
}

/// Returns the server's mode, from its reply to INFO.
pub(crate) fn mode_by_info(answer: &WireReply) -> String {
    match &*field(answer, "cluster_enabled") {
        "1" => "cluster".to_owned(),
        _ => field(answer, "redis_mode"),
    }
}

impl From<Error> for Broken {
    fn from(error: Error) -> Self {
        let said = error.to_string();
        match error {
            Error::HungUp(refusal) if refusal.code() == "ERR" => {
                Self::because(&format!("{said}: it may have reached its maxclients"))
            }
            Error::NotGreeted => {
                Self::because(&format!("the connection was closed in reply {HELLO}"))
            }
            Error::Refused {
                command: "HELLO",
                refusal,
            } => Self::refused(&match refusal.code() {
                "ERR" | "NOPROTO" => format!("the server answered {refusal} {HELLO}"),
                _ => refused("HELLO", Some(&refusal)),
            }),
            // A cluster refuses every database but 0.
            Error::NotSelected { refusal, mode } => unusable(&mode, false).unwrap_or_else(|| {
                let advice = match refusal.code() {
                    "ERR" => DATABASE,
                    code => advice(code),
                };
                Self::refused(&format!("{said}{advice}"))
            }),
            Error::HungUp(refusal) | Error::Refused { refusal, .. } => {
                Self::because(&format!("{said}{}", advice(refusal.code())))
            }
            Error::Tls(problem) => tls::broken(&problem),
            Error::SpeaksTls => Self::refused(&format!("{said}{}", tls::ENCRYPTED)),
            _ => Self::because(&said),
        }
    }
}

/// Returns the error for a missing reply to INFO.
pub(crate) fn refused_info(answer: Option<&WireReply>) -> Broken {
    let refusal = answer.and_then(WireReply::refusal);
    Broken::refused(&refused("INFO", refusal.as_ref()))
}
