//! The checks that ask each server: rights, times, persistence, replicas, buffers, keys and
//! listeners.

use std::time::Duration;

use aside::ops::ServerFacts;

use super::checks::{Checks, Severity};
use crate::commands::members::Fleet;
use crate::commands::times::{counted, span};
use crate::target::Target;

/// The names of the checks, and where their remedies are documented.
const RIGHTS: (&str, &str) = ("rights", "docs/operations.md#a-redis-user-for-aside");
const ROUND_TRIPS: (&str, &str) = ("round-trips", "docs/operations.md#messages-arrive-late");
const LATENCY: (&str, &str) = ("latency", "docs/operations.md#messages-arrive-late");
const PERSISTENCE: (&str, &str) = (
    "persistence",
    "docs/operations.md#redis-is-up-and-is-not-used",
);
const REPLICAS: (&str, &str) = ("replicas", "docs/topologies/README.md");
const BUFFERS: (&str, &str) = ("buffers", "docs/operations.md#messages-arrive-late");
const TTL: (&str, &str) = ("ttl", "docs/operations.md#high-memory");
const LISTENERS: (&str, &str) = ("listeners", "docs/operations.md#the-fleet");

const ALL: [(&str, &str); 8] = [
    RIGHTS,
    ROUND_TRIPS,
    LATENCY,
    PERSISTENCE,
    REPLICAS,
    BUFFERS,
    TTL,
    LISTENERS,
];

/// A round trip that takes more of the deadline leaves too little for a slow moment.
const PART_OF_DEADLINE: f64 = 0.25;

/// An older slow event is over.
const RECENT: Duration = Duration::from_secs(3600);

/// An event that took less delays nothing.
const SLOW: Duration = Duration::from_millis(100);

/// A replica that is further behind would lose so much at a failover, in seconds.
const LAG: u64 = 10;

/// A listener that stalls for less keeps its connection.
const STALL: Duration = Duration::from_secs(10);

/// About the size of a message with its key.
const BYTES_PER_MESSAGE: f64 = 100.0;

pub(super) async fn check(target: &impl Target, fleet: &Fleet, checks: &mut Checks) {
    if !ALL.iter().any(|(check, _)| checks.runs(check)) {
        return;
    }
    let Some(ops) = target.ops() else {
        let summary = "only Redis can be asked about its rights, times and keys: run it \
                       without --at";
        checks.finds(first_of(checks), Severity::Unknown, summary, RIGHTS.1);
        return;
    };
    let facts = ops.server_facts().await;
    if facts.is_empty() {
        // The check `reach` says why.
        return;
    }
    let deadline = ops.service().config().operation_timeout;
    rights(&facts, checks);
    round_trips(&facts, deadline, checks);
    latency(&facts, checks);
    persistence(&facts, checks);
    replicas(&facts, checks);
    buffers(&facts, messages_per_second(fleet), checks);
    keys(&facts, checks);
    listeners(&facts, fleet, checks);
}

/// Returns the first of these checks that runs.
fn first_of(checks: &Checks) -> &'static str {
    let mut names = ALL.iter().map(|(check, _)| *check);
    names.find(|check| checks.runs(check)).unwrap_or(RIGHTS.0)
}

/// Returns the servers of which `wrong` returns a text, as one text.
fn of_servers(
    facts: &[ServerFacts],
    wrong: impl Fn(&ServerFacts) -> Option<String>,
) -> Option<String> {
    let wrong = facts
        .iter()
        .filter_map(|it| Some(format!("{}: {}", it.server, wrong(it)?)));
    let wrong: Vec<String> = wrong.collect();
    (!wrong.is_empty()).then(|| wrong.join("; "))
}

/// Records a check that a server's refusal made impossible. Returns true if it did.
fn is_unknown<T>(
    facts: &[ServerFacts],
    (check, look): (&'static str, &'static str),
    fact: impl Fn(&ServerFacts) -> &Result<T, String>,
    checks: &mut Checks,
) -> bool {
    let refused = of_servers(facts, |it| fact(it).as_ref().err().cloned());
    let is_unknown = refused.is_some();
    if let Some(refused) = refused {
        checks.finds(check, Severity::Unknown, refused, look);
    }
    is_unknown
}

fn rights(facts: &[ServerFacts], checks: &mut Checks) {
    let refused = of_servers(facts, |it| {
        (!it.refused.is_empty()).then(|| format!("may not run {}", it.refused.join(", ")))
    });
    let wrong = refused.map(|refused| {
        let mut missing: Vec<_> = facts.iter().flat_map(|it| &it.refused).collect();
        missing.dedup();
        let missing: String = missing.iter().map(|name| format!(" +{name}")).collect();
        let user = facts[0].user.as_deref().unwrap_or("USER");
        let remedy = format!("ACL SETUSER {user}{missing}, and the keys of docs/operations.md");
        (format!("the user of Redis at {refused}"), remedy)
    });
    checks.judge(RIGHTS.0, Severity::Error, wrong, RIGHTS.1);
}

fn round_trips(facts: &[ServerFacts], deadline: Duration, checks: &mut Checks) {
    let limit = deadline.mul_f64(PART_OF_DEADLINE);
    let shown = |time: Duration| span(time.as_secs_f64() * 1e3);
    let slowest = |it: &ServerFacts| it.round_trips.last().copied().unwrap_or_default();
    let slow = of_servers(facts, |it| {
        (limit < slowest(it)).then(|| format!("a round trip took {}", shown(slowest(it))))
    });
    match slow {
        Some(slow) => {
            let summary = format!("{slow}, of {} that an operation may take", shown(deadline));
            let remedy = "a larger CACHE_OPERATION_TIMEOUT_MS, or a server that is nearer";
            checks.finds(
                ROUND_TRIPS.0,
                Severity::Warning,
                (summary, remedy),
                ROUND_TRIPS.1,
            );
        }
        None => {
            let slowest = facts.iter().map(slowest).max().unwrap_or_default();
            let detail = format!("{} of {}", shown(slowest), shown(deadline));
            checks.passes(ROUND_TRIPS.0, Some(detail));
        }
    }
}

fn latency(facts: &[ServerFacts], checks: &mut Checks) {
    if is_unknown(facts, LATENCY, |it| &it.slow_events, checks) {
        return;
    }
    let slow = of_servers(facts, |it| {
        let events = it.slow_events.as_ref().ok()?.iter();
        let slow = events.filter(|event| event.age < RECENT && SLOW <= event.took);
        let slow = slow.map(|event| {
            let took = span(event.took.as_secs_f64() * 1e3);
            let ago = span(event.age.as_secs_f64() * 1e3);
            format!("`{}` took {took}, {ago} ago", event.event)
        });
        let slow: Vec<String> = slow.collect();
        (!slow.is_empty()).then(|| slow.join(", "))
    });
    checks.judge(LATENCY.0, Severity::Warning, slow, LATENCY.1);
}

fn persistence(facts: &[ServerFacts], checks: &mut Checks) {
    let failed = of_servers(facts, |it| {
        let is_failed = |name: &str| it.info.get(name).is_some_and(|status| status != "ok");
        let saves = is_failed("rdb_last_bgsave_status").then_some("its last save failed");
        let appends =
            is_failed("aof_last_write_status").then_some("its append-only file is not written");
        let rewrites = is_failed("aof_last_bgrewrite_status").then_some("its last rewrite failed");
        saves.or(appends).or(rewrites).map(str::to_owned)
    });
    let wrong = failed.map(|failed| {
        let summary = format!("{failed}: it may refuse every write, and then nothing is cached");
        let remedy = "free its disk, or for a server of caches alone: CONFIG SET save \"\"";
        (summary, remedy)
    });
    checks.judge(PERSISTENCE.0, Severity::Error, wrong, PERSISTENCE.1);
}

fn replicas(facts: &[ServerFacts], checks: &mut Checks) {
    let behind = of_servers(facts, |it| {
        let replicas = it.info.iter().filter(|(name, _)| {
            name.strip_prefix("slave")
                .is_some_and(|number| number.parse::<u32>().is_ok())
        });
        let behind = replicas.filter_map(|(_, fields)| {
            let field = |name: &str| fields.split(',').find_map(|it| it.strip_prefix(name));
            let lag: u64 = field("lag=")?.parse().ok()?;
            let (host, port) = (field("ip=")?, field("port=")?);
            (LAG < lag).then(|| format!("its replica {host}:{port} is {lag} s behind"))
        });
        let behind: Vec<String> = behind.collect();
        (!behind.is_empty()).then(|| behind.join(", "))
    });
    let wrong =
        behind.map(|behind| format!("{behind}; a failover would lose the writes of that time"));
    checks.judge(REPLICAS.0, Severity::Warning, wrong, REPLICAS.1);
}

/// Returns the messages of the fleet in the last minute, per second.
fn messages_per_second(fleet: &Fleet) -> f64 {
    let members = fleet.members();
    let sent = members.iter().filter(|it| !it.is_silent()).map(|it| {
        let kinds = it.0["kinds"].as_object().into_iter().flatten();
        let counts = kinds.filter_map(|(_, kind)| kind["invalidations"].as_f64());
        counts.sum::<f64>()
    });
    sent.sum::<f64>() / 60.0
}

fn buffers(facts: &[ServerFacts], per_second: f64, checks: &mut Checks) {
    if is_unknown(facts, BUFFERS, |it| &it.output_buffers, checks) {
        return;
    }
    let bytes_per_second = per_second * BYTES_PER_MESSAGE;
    let small = of_servers(facts, |it| {
        let limits = it.output_buffers.as_ref().ok()?;
        let hard: f64 = limit_of_listeners(limits).filter(|limit| 0.0 < *limit)?;
        let stall = hard / bytes_per_second.max(1.0);
        (stall < STALL.as_secs_f64()).then(|| {
            format!(
                "at {per_second:.0} messages a second, a listener that stalls for {} is cut off",
                span(stall * 1e3)
            )
        })
    });
    let remedy = "CONFIG SET client-output-buffer-limit \"pubsub 256mb 64mb 60\"";
    let wrong = small.map(|small| (small, remedy));
    checks.judge(BUFFERS.0, Severity::Warning, wrong, BUFFERS.1);
}

/// Returns the bytes after which a listener is cut off; zero for none.
fn limit_of_listeners(limits: &str) -> Option<f64> {
    let words = limits.split_whitespace();
    words
        .skip_while(|word| *word != "pubsub")
        .nth(1)?
        .parse()
        .ok()
}

fn keys(facts: &[ServerFacts], checks: &mut Checks) {
    let forever = of_servers(facts, |it| {
        let (without, all) = (it.keys_without_ttl as u64, it.sampled_keys as u64);
        (0 < without).then(|| format!("{without} of {} have no TTL", counted(all, "sampled key")))
    });
    let wrong =
        forever.map(|forever| format!("{forever}: another program has written or restored them"));
    checks.judge(TTL.0, Severity::Warning, wrong, TTL.1);
}

fn listeners(facts: &[ServerFacts], fleet: &Fleet, checks: &mut Checks) {
    if is_unknown(facts, LISTENERS, |it| &it.listeners, checks) {
        return;
    }
    let lines = fleet.0["command_lines"].as_object();
    let known = fleet.members().len() + lines.map_or(0, serde_json::Map::len);
    let strangers = of_servers(facts, |it| {
        let listening = *it.listeners.as_ref().ok()?;
        let strangers = listening.saturating_sub(known as u64);
        (0 < strangers).then(|| format!("{} without a report", counted(strangers, "listener")))
    });
    let wrong = strangers.map(|strangers| {
        let summary = format!(
            "{strangers}: instances of an older version or with CACHE_HEARTBEAT_MS=0, or another \
             program"
        );
        (summary, "CACHE_HEARTBEAT_MS=5000 at every instance")
    });
    checks.judge(LISTENERS.0, Severity::Warning, wrong, LISTENERS.1);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_of_listeners_is_read_among_others() {
        let limits = "normal 0 0 0 slave 268435456 67108864 60 pubsub 33554432 8388608 60";
        assert_eq!(limit_of_listeners(limits), Some(33_554_432.0));
        assert_eq!(limit_of_listeners("normal 0 0 0"), None);
    }
}
