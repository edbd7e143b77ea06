//! One round: servers, instances, faults, and the verdict.

use std::env;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use aside::Repository as _;
use aside_testkit::history::{Recording, State};
use aside_testkit::{PostgresServer, RedisSentinel, RedisServer, StartError};
use tale_generator::sql::{Database, SqlHeroes};
use tempfile::TempDir;

use crate::clusters;
use crate::fleet::Fleet;
use crate::heroes::{self, HEROES, LANGUAGES, Place, list_key, place_of, row_key};
use crate::instance::command;
use crate::judgement::Judgement;
use crate::plan::{Faults, Plan, Storm};
use crate::servers::Servers;

/// The variable with a seed that replaces every other.
const SEED: &str = "ASIDE_CHAOS_SEED";

/// A round to be run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Round {
    /// The test as which the children are started.
    pub(crate) test: &'static str,
    pub(crate) place: Place,
    pub(crate) plan: Plan,
    pub(crate) seed: u64,
    pub(crate) lasting: Duration,
}

/// Returns the seed in the environment, if a round is to be replayed.
pub(crate) fn seed_to_replay() -> Option<u64> {
    let seed = env::var(SEED).ok()?;
    Some(seed.parse().expect("a seed is a number"))
}

impl Round {
    /// Runs the round. Returns `None` if its database is not installed.
    pub(crate) fn run(&self) -> Option<Judgement> {
        println!("{SEED}={} {:?} {:?}", self.seed, self.place, self.plan);
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .expect("a runtime");
        runtime.block_on(self.play())
    }

    async fn play(&self) -> Option<Judgement> {
        let directory = TempDir::new().expect("a directory");
        let url = match self.place {
            Place::Postgres => postgres_database()?,
            Place::Sqlite => format!("sqlite:{}", directory.path().join("tales.db").display()),
        };
        let recording = Recording::new();
        let recorder = recording.recorder("the parent");
        let database = Database::open(&url, heroes::options()).await;
        let source = SqlHeroes::new(database.expect("the database can be opened"));
        for number in 0..HEROES {
            let hero = source.save(heroes::hero(number)).await;
            let hero = hero.expect("a hero is added");
            recorder.initial(&row_key(number), State::Row(hero.version));
            for list in LANGUAGES {
                recorder.initial(&list_key(list, number), place_of(&hero, list));
            }
        }
        let judgement = match self.plan {
            Plan::Sentinels => {
                let group = RedisSentinel::start().expect("Redis starts");
                self.endure(group, &url, &directory, &recording).await
            }
            Plan::Cluster => {
                let cluster = clusters::start().expect("Redis starts");
                self.endure(cluster, &url, &directory, &recording).await
            }
            Plan::Instances | Plan::Redis => {
                let redis = RedisServer::start().expect("Redis starts");
                self.endure(redis, &url, &directory, &recording).await
            }
        };
        Some(judgement)
    }

    /// Lets the instances work while their servers fail, and judges them.
    async fn endure<S: Servers>(
        &self,
        servers: S,
        url: &str,
        directory: &TempDir,
        recording: &Recording,
    ) -> Judgement
    where
        for<'a> Storm<'a, S>: Faults,
    {
        let mut fleet = Fleet::start(self.test, &servers, url, directory.path()).await;
        let recorder = recording.recorder("the parent");
        let mut storm = Storm::new(&mut fleet, servers, recorder, self.seed);
        storm.rage(self.plan, self.lasting).await;
        let Storm {
            outages,
            returns,
            // Until the instances have been compared.
            servers: _servers,
            ..
        } = storm;
        // All faults are healed, all writes end, and all pending keys are
        // acknowledged. A value that is stale now would stay stale until its
        // TTL.
        fleet.all(command::HALT);
        fleet.all(command::SETTLE);
        tokio::time::sleep(crate::instance::MAX_STALENESS).await;
        fleet.all(command::COMPARE);
        let (mut history, windows) = fleet.recorded();
        history.merge(recording.history());
        Judgement {
            returns,
            ..Judgement::of(&history, windows, &outages, self.plan)
        }
    }
}

/// Returns the URL of an empty database on a server that all rounds share.
/// Returns `None` if PostgreSQL is not installed and the tests may skip it.
fn postgres_database() -> Option<String> {
    static SERVER: OnceLock<Option<PostgresServer>> = OnceLock::new();
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let server = SERVER.get_or_init(|| match PostgresServer::start() {
        Ok(server) => Some(server),
        Err(StartError::Missing { .. }) if env::var_os("CI").is_none() => {
            eprintln!("skipped on PostgreSQL, which is not installed");
            None
        }
        Err(error) => panic!("{error}"),
    });
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    Some(server.as_ref()?.create_database(&format!("tales{number}")))
}
