//! Facts about the servers that only a check of all needs.

use std::collections::BTreeMap;
use std::time::Duration;

use aside_redis::{Call, WireReply};
use tokio::time::Instant;

use super::Ops;
use crate::tiers::shard::Shard;

/// The number of PINGs that are timed.
const PINGS: usize = 20;

/// The number of keys that are looked at.
const SAMPLE: usize = 1_000;

/// How many keys one SCAN returns, about.
const PAGE: usize = 250;

const OUTPUT_BUFFERS: &str = "client-output-buffer-limit";

/// Facts about one server; a text in place of a fact is the reason why it is not known.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ServerFacts {
    /// The server, as the log names it.
    pub server: String,
    /// The user of this connection; `None` if it may not ask.
    pub user: Option<String>,
    /// All fields of INFO.
    pub info: BTreeMap<String, String>,
    /// Its setting `client-output-buffer-limit`.
    pub output_buffers: Result<String, String>,
    /// The commands that a cache needs and this user may not run.
    pub refused: Vec<&'static str>,
    /// The number of connections that listen to invalidations.
    pub listeners: Result<u64, String>,
    /// The latest event of each kind that the server found slow.
    pub slow_events: Result<Vec<SlowEvent>, String>,
    /// The times of some PINGs, ascending.
    pub round_trips: Vec<Duration>,
    /// How many keys of the known kinds were looked at, a thousand at most.
    pub sampled_keys: usize,
    /// How many of them have no TTL.
    pub keys_without_ttl: usize,
}

/// An event that a server found slow, by LATENCY LATEST.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SlowEvent {
    /// Its name, such as `fork`.
    pub event: String,
    /// The time since it happened.
    pub age: Duration,
    /// How long it took.
    pub took: Duration,
}

impl Ops {
    /// Collects facts about each server that owns keys. Of a server that does not
    /// reply there are none. It writes two keys that a service ignores, and removes
    /// them again. Each round trip takes `CACHE_OPERATION_TIMEOUT_MS` at most.
    pub async fn server_facts(&self) -> Vec<ServerFacts> {
        let mut facts = Vec::new();
        for state in self.tiers().shard_states() {
            let shard = state.shard();
            let server = shard.link.server().to_owned();
            facts.extend(self.facts_of(shard, server).await);
        }
        facts
    }

    async fn facts_of(&self, shard: &Shard, server: String) -> Option<ServerFacts> {
        let channel = self.tiers().namespace().channel();
        let setting = |name| Call::command("CONFIG").text("GET").text(name);
        let calls = vec![
            Call::command("INFO"),
            setting(OUTPUT_BUFFERS),
            Call::command("PUBSUB").text("NUMSUB").text(&channel),
            Call::command("LATENCY").text("LATEST"),
            Call::command("TIME"),
            Call::command("ACL").text("WHOAMI"),
        ];
        let replies = ask(shard, calls).await?;
        let [info, buffers, listeners, slow, time, user] = replies.try_into().ok()?;
        let now = words(&time)?.first()?.parse().ok()?;
        let (sampled_keys, keys_without_ttl) = self.sample(shard).await?;
        Some(ServerFacts {
            server,
            user: word(&user),
            info: fields(&word(&info).unwrap_or_default()),
            output_buffers: known(&buffers, |reply| words(reply)?.into_iter().nth(1)),
            refused: self.refused(shard).await?,
            listeners: known(&listeners, |reply| match reply {
                WireReply::Array(parts) => parts.get(1).and_then(count),
                _ => None,
            }),
            slow_events: known(&slow, |reply| slow_events(reply, now)),
            round_trips: round_trips(shard).await?,
            sampled_keys,
            keys_without_ttl,
        })
    }

    /// Returns the commands of the documented user that this one may not run. Each is
    /// tried; a server checks the right before anything else.
    async fn refused(&self, shard: &Shard) -> Option<Vec<&'static str>> {
        let namespace = self.tiers().namespace();
        let key = namespace.own_key("echo:doctor");
        let hash = namespace.own_key("echo:doctor:hash");
        let on = |name: &'static str| Call::command(name).text(&key);
        let of = |name: &'static str| Call::command(name).text(&hash).text("field");
        let tried = vec![
            ("set", on("SET").text("1").text("PX").text("30000")),
            ("get", on("GET")),
            ("mget", on("MGET")),
            ("exists", on("EXISTS")),
            ("pttl", on("PTTL")),
            ("type", on("TYPE")),
            ("getrange", on("GETRANGE").text("0").text("0")),
            ("setrange", on("SETRANGE").text("0").text("2")),
            ("del", on("DEL")),
            ("hset", of("HSET").text("1")),
            ("hsetnx", of("HSETNX").text("1")),
            ("hget", of("HGET")),
            ("hgetall", Call::command("HGETALL").text(&hash)),
            ("hdel", of("HDEL")),
            ("time", Call::command("TIME")),
            ("scan", scan("0", "no:key")),
            (
                "evalsha",
                Call::command("EVALSHA").text(UNKNOWN_SCRIPT).text("0"),
            ),
            (
                "script|load",
                Call::command("SCRIPT").text("LOAD").text("return 1"),
            ),
        ];
        let (names, calls): (Vec<_>, Vec<_>) = tried.into_iter().unzip();
        let replies = ask(shard, calls).await?;
        let tried = names.into_iter().zip(&replies);
        let refused = tried.filter(|(_, reply)| reply.error_code() == Some("NOPERM"));
        Some(refused.map(|(name, _)| name).collect())
    }

    /// Returns the number of keys of known kinds that were found, and of those without
    /// a TTL.
    async fn sample(&self, shard: &Shard) -> Option<(usize, usize)> {
        let (mut found, mut without) = (0, 0);
        for kind in self.tiers().kinds().keys() {
            let pattern = self.tiers().prefix(kind) + "*";
            let mut cursor = "0".to_owned();
            for _ in 0..SAMPLE / PAGE {
                let page = ask(shard, vec![scan(&cursor, &pattern)]).await?;
                let Some(WireReply::Array(parts)) = page.into_iter().next() else {
                    return Some((found, without));
                };
                let keys = parts.get(1).and_then(words).unwrap_or_default();
                let keys = keys.iter().take(SAMPLE - found);
                let calls: Vec<_> = keys.map(|key| Call::command("PTTL").text(key)).collect();
                found += calls.len();
                let left = ask(shard, calls).await?;
                let is_forever = |reply: &&WireReply| matches!(reply, WireReply::Int(-1));
                without += left.iter().filter(is_forever).count();
                cursor = parts.first().and_then(word).unwrap_or_default();
                if cursor == "0" || cursor.is_empty() || SAMPLE <= found {
                    break;
                }
            }
        }
        Some((found, without))
    }
}

/// The hash of no script.
const UNKNOWN_SCRIPT: &str = "0000000000000000000000000000000000000000";

async fn ask(shard: &Shard, calls: Vec<Call<'_>>) -> Option<Vec<WireReply>> {
    match &shard.tier {
        Some(_) if calls.is_empty() => Some(Vec::new()),
        Some(tier) => tier.ask(calls).await,
        None => None,
    }
}

fn scan<'a>(cursor: &'a str, pattern: &'a str) -> Call<'a> {
    let call = Call::command("SCAN").text(cursor).text("MATCH");
    call.text(pattern).text("COUNT").shown(&PAGE)
}

async fn round_trips(shard: &Shard) -> Option<Vec<Duration>> {
    let mut times = Vec::with_capacity(PINGS);
    for _ in 0..PINGS {
        let begun = Instant::now();
        ask(shard, vec![Call::command("PING")]).await?;
        times.push(begun.elapsed());
    }
    times.sort_unstable();
    Some(times)
}

/// Returns a fact, or the reason why it is not known.
fn known<T>(reply: &WireReply, read: impl FnOnce(&WireReply) -> Option<T>) -> Result<T, String> {
    match reply.refusal() {
        Some(refusal) => Err(refusal.to_string()),
        None => read(reply).ok_or_else(|| "the reply has another form".to_owned()),
    }
}

fn word(reply: &WireReply) -> Option<String> {
    match reply {
        WireReply::Text(text) => Some(text.clone()),
        WireReply::Bytes(bytes) => Some(String::from_utf8_lossy(bytes).into_owned()),
        _ => None,
    }
}

fn words(reply: &WireReply) -> Option<Vec<String>> {
    match reply {
        WireReply::Array(parts) => parts.iter().map(word).collect(),
        _ => None,
    }
}

fn count(reply: &WireReply) -> Option<u64> {
    match reply {
        WireReply::Int(number) => u64::try_from(*number).ok(),
        _ => None,
    }
}

/// Returns the fields of a reply to INFO.
fn fields(text: &str) -> BTreeMap<String, String> {
    let fields = text.lines().filter_map(|line| line.split_once(':'));
    fields
        .map(|(name, value)| (name.to_owned(), value.trim().to_owned()))
        .collect()
}

fn slow_events(reply: &WireReply, now: u64) -> Option<Vec<SlowEvent>> {
    let WireReply::Array(events) = reply else {
        return None;
    };
    let event = |reply: &WireReply| {
        let WireReply::Array(parts) = reply else {
            return None;
        };
        let [name, at, took, ..] = &parts[..] else {
            return None;
        };
        Some(SlowEvent {
            event: word(name)?,
            age: Duration::from_secs(now.saturating_sub(count(at)?)),
            took: Duration::from_millis(count(took)?),
        })
    };
    events.iter().map(event).collect()
}
