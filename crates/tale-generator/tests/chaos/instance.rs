//! The role of a child: an instance of the service until its parent ends.

use std::io::{self, BufRead as _};
use std::path::PathBuf;
use std::process;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use aside::{CacheConfig, CacheService, CachedRepository, settings::Settings};
use aside_testkit::eventually;
use aside_testkit::history::{Recorder, Recording, Time};
use serde::{Deserialize, Serialize};
use tale_generator::sql::{Database, SqlHeroes};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use crate::heroes::{self, QUARANTINE, Watched};
use crate::operations::Work;
use crate::steps::Step;
use crate::windows::Windows;

/// The variable with the [`Role`] of a child.
pub(crate) const ROLE: &str = "ASIDE_CHAOS_INSTANCE";

/// The prefix of every reply to the parent, because the test harness prints
/// too.
pub(crate) const SAYS: &str = "chaos: ";

/// H. One more tick of the coarse clock may pass.
pub(crate) const MAX_STALENESS: Duration = Duration::from_millis(500);
pub(crate) const TICK: Duration = Duration::from_millis(10);

/// The maximum time until all is in step again after the last fault. The
/// promise is two seconds, on a machine that is not busy.
const HEALS_WITHIN: Duration = Duration::from_secs(60);

/// How often an instance checks whether it trusts Redis.
const LOOKS_EVERY: Duration = Duration::from_millis(2);

/// The number of tasks that read and write.
const TASKS: usize = 6;

/// The number of additional tasks that only read. Half of the other tasks'
/// operations are writes.
const ONLOOKERS: usize = 3;

/// The filter for the children's log to standard error, such as `info` or
/// `aside=debug`. Default: no log.
const LOG: &str = "ASIDE_CHAOS_LOG";

/// The settings with which an instance reaches its Redis.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Reach {
    pub(crate) url: String,
    pub(crate) node_map: String,
}

/// The role of a child.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Role {
    pub(crate) name: String,
    pub(crate) redis: Reach,
    pub(crate) database_url: String,
    pub(crate) history: PathBuf,
    pub(crate) windows: PathBuf,
    /// The begin of the round, in nanoseconds of the machine's clock.
    pub(crate) begun: u64,
}

/// The parent's commands. The reply to each is its name, except for `OWED`.
pub(crate) mod command {
    /// The reply is the number of keys that Redis does not know about.
    pub(crate) const OWED: &str = "owed";
    /// Waits until Redis is trusted.
    pub(crate) const TRUST: &str = "trust";
    /// Ends all operations.
    pub(crate) const HALT: &str = "halt";
    /// Waits until Redis is trusted and has acknowledged every key.
    pub(crate) const SETTLE: &str = "settle";
    /// Compares everything readable with the database.
    pub(crate) const COMPARE: &str = "compare";
}

/// Returns true if this process is a child.
pub(crate) fn is_one() -> bool {
    std::env::var_os(ROLE).is_some()
}

/// Runs an instance until the parent ends or closes the standard input.
pub(crate) fn run() -> ! {
    let role = std::env::var(ROLE).expect("a child has a role");
    let role: Role = serde_json::from_str(&role).expect("a role is JSON");
    if let Ok(filter) = std::env::var(LOG) {
        let logs = tracing_subscriber::fmt().with_writer(io::stderr);
        logs.with_env_filter(filter).init();
        tracing::info!(name = role.name, pid = process::id(), "an instance");
    }
    let (sender, commands) = unbounded_channel();
    // A separate thread, so that the end of the parent is noticed even while
    // the tasks are busy.
    thread::spawn(move || {
        for line in io::stdin().lock().lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                break;
            }
        }
        process::exit(0);
    });
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(serve(&role, commands));
    process::exit(0)
}

async fn serve(role: &Role, mut commands: UnboundedReceiver<String>) {
    let recording = Recording::appending_to(&role.history).expect("the history can be written");
    let windows = Arc::new(Windows::appending_to(&role.windows));
    // On a busy machine other instances hold the lock of a SQLite file for longer
    // than one attempt waits.
    let database = eventually(HEALS_WITHIN, "an open database", async || {
        Database::open(&role.database_url, heroes::options()).await
    })
    .await;
    let cache = CacheService::connect(config(role)).await;
    database.journal_for(&cache).await;
    let source = Watched {
        heroes: SqlHeroes::new(database),
        windows: Arc::clone(&windows),
    };
    let work = Work {
        heroes: Arc::new(CachedRepository::new(source, &cache)),
        begun: Time::from_nanos(role.begun),
        halted: Arc::new(AtomicBool::new(false)),
    };
    let closing = cache.clone();
    tokio::spawn(async move { windows.close_when_paid(&closing).await });
    let tasks = (0..TASKS).map(|_| {
        let recorder = recording.recorder(&role.name);
        tokio::spawn(work.clone().go_on(recorder))
    });
    let onlookers = (0..ONLOOKERS).map(|_| {
        let recorder = recording.recorder(&role.name);
        tokio::spawn(work.clone().look_on(recorder))
    });
    let mut tasks: Vec<_> = tasks.chain(onlookers).collect();
    let recorder = recording.recorder(&role.name);
    tasks.push(tokio::spawn(work.clone().survey(recorder)));
    say("ready");
    let recorder = recording.recorder(&role.name);
    while let Some(command) = commands.recv().await {
        if let Some(step) = Step::of_command(&command) {
            step.arm();
            continue;
        }
        if command == command::HALT {
            work.halted.store(true, Ordering::Release);
            for task in tasks.drain(..) {
                task.await.expect("no operation panics");
            }
        }
        say(&obey(&command, &cache, &work, &recorder).await);
    }
}

async fn obey(command: &str, cache: &CacheService, work: &Work, recorder: &Recorder) -> String {
    match command {
        command::OWED => return cache.health_check().await.unreleased_keys.to_string(),
        command::TRUST => {
            while !cache.is_synced() {
                tokio::time::sleep(LOOKS_EVERY).await;
            }
        }
        command::SETTLE => {
            eventually(HEALS_WITHIN, "Redis to be trusted again", async || {
                let before = cache.is_synced();
                let health = cache.health_check().await;
                // A health check that found Redis unavailable says nothing
                // about pending keys.
                let settled = before && health.unreleased_keys == 0 && cache.is_synced();
                settled.then_some(()).ok_or(health)
            })
            .await;
        }
        command::COMPARE => work.compare(recorder).await,
        _ => {}
    }
    command.to_owned()
}

fn say(what: &str) {
    println!("\n{SAYS}{what}");
}

fn config(role: &Role) -> CacheConfig {
    let quarantine = QUARANTINE.as_millis().to_string();
    let staleness = MAX_STALENESS.as_millis().to_string();
    let settings = Settings::from_pairs([
        ("REDIS_URL", role.redis.url.as_str()),
        ("REDIS_NODE_MAP", role.redis.node_map.as_str()),
        // A hung connection is replaced within a short round.
        ("REDIS_SOCKET_TIMEOUT", "1"),
        ("CACHE_QUARANTINE_TTL_MS", &quarantine),
        ("CACHE_MAX_STALENESS_MS", &staleness),
    ]);
    CacheConfig::from_settings(&settings).expect("the settings are right")
}
