//! Clients of the instances: reads of every kind, and writes.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use aside_testkit::history::{Read, ReadKind, State, Time};
use fastrand::Rng;
use tokio::time::{Instant, sleep};

use super::World;
use super::database::{Change, Failure};
use super::hero::{Hero, KEYS, QUERY};
use super::instance::{Instance, row};
use crate::answer::Freshness;
use crate::cached_repository::Scope;
use crate::config::prefetch::PrefetchMode;
use crate::repository::{Repository, Source};

const IDS: [u64; 3] = [1, 2, 3];
const NAMES: [&str; 2] = ["a", "b"];

/// The number of clients per instance.
const CLIENTS: usize = 3;

/// The longest pause of a client, in milliseconds.
const PAUSE: u64 = 60;

/// Starts the clients of an instance; they end with the world or the instance. A directed
/// plan reads and writes itself.
pub(super) fn start(world: &Arc<World>, instance: &Arc<Instance>, mut rng: Rng) {
    if world.is_directed {
        return;
    }
    for _ in 0..CLIENTS {
        let client = Client::new(world, instance, rng.fork());
        instance.process.spawn(client.run());
    }
}

pub(super) struct Client {
    world: Arc<World>,
    instance: Arc<Instance>,
    rng: Rng,
    /// The number of single reads.
    reads: usize,
}

impl Client {
    pub(super) fn new(world: &Arc<World>, instance: &Arc<Instance>, rng: Rng) -> Self {
        Self {
            world: Arc::clone(world),
            instance: Arc::clone(instance),
            rng,
            reads: 0,
        }
    }

    async fn run(mut self) {
        while Instant::now() < self.world.until {
            sleep(Duration::from_millis(self.rng.u64(..PAUSE))).await;
            if self.rng.u32(..100) < self.world.writes {
                self.instance.writing.fetch_add(1, Ordering::Relaxed);
                self.write().await;
                self.instance.writing.fetch_sub(1, Ordering::Relaxed);
            } else if self.world.has_queries && self.rng.u32(..3) == 0 {
                self.read_key(QUERY, Freshness::Any).await;
            } else if self.rng.u32(..8) > 0 {
                self.read().await;
            } else {
                self.read_many().await;
            }
        }
    }

    async fn write(&mut self) {
        match self.rng.u32(..30) {
            ..18 => self.update().await,
            18..22 => self.save().await,
            22..27 => self.delete().await,
            27..29 if self.world.writes_all => self.write_all().await,
            27..29 => self.update().await,
            _ => {
                let id = self.rng.choice(IDS).expect("some");
                self.instance.heroes.invalidate(Scope::Row(&id)).await;
            }
        }
    }

    async fn read(&mut self) {
        let any = self.rng.choice(KEYS).expect("some");
        let key = match self.world.prefetch {
            PrefetchMode::Off => any,
            _ => KEYS[self.reads % KEYS.len()],
        };
        self.reads += 1;
        let freshness = match self.rng.u32(..10) {
            ..6 => Freshness::Any,
            6..9 => Freshness::Shared,
            _ => Freshness::Source,
        };
        self.read_key(key, freshness).await;
    }

    pub(super) async fn read_key(&self, key: &str, freshness: Freshness) {
        let kind = match freshness {
            Freshness::Any => ReadKind::Lenient,
            _ => ReadKind::Strict,
        };
        let start = self.world.clock.now();
        let answer = self.instance.read(key, freshness).await;
        self.record(key, kind, start, answer);
    }

    async fn read_many(&mut self) {
        let start = self.world.clock.now();
        let answer = self.instance.heroes.find_many(&IDS).await;
        match answer {
            Ok(rows) => {
                for (id, found) in IDS.into_iter().zip(rows) {
                    let key = format!("hero:{id}");
                    self.record(&key, ReadKind::Lenient, start, Ok(row(found)));
                }
            }
            Err(failure) => self.record("hero:1", ReadKind::Lenient, start, Err(failure)),
        }
    }

    fn record(&self, key: &str, kind: ReadKind, start: Time, answer: Result<State, Failure>) {
        let end = self.world.clock.now();
        let name = Instance::name(self.instance.process.number);
        self.world.trace.note(|text| {
            text.push_str(&format!("{name} {kind:?} read {key}: {answer:?}"));
        });
        let mut records = self.world.records.lock();
        match answer {
            Ok(state) => records.reads.push(Read {
                instance: name.into(),
                key: key.into(),
                kind,
                start,
                end,
                state,
            }),
            Err(_) => records.failed_reads += 1,
        }
    }

    fn hero(&mut self) -> Hero {
        let id = self.rng.choice(IDS).expect("some");
        Hero::new(id, self.rng.choice(NAMES).expect("some"))
    }

    async fn update(&mut self) {
        let hero = self.hero();
        self.put(hero).await;
    }

    pub(super) async fn put(&self, hero: Hero) {
        let key = format!("hero:{}", hero.id);
        if let Ok(Some(row)) = self.instance.heroes.update(hero).await {
            self.returned(&key, &State::Row(row.version));
        }
    }

    async fn save(&mut self) {
        let hero = self.hero();
        self.create(hero).await;
    }

    pub(super) async fn create(&self, hero: Hero) {
        let key = format!("hero:{}", hero.id);
        if let Ok(row) = self.instance.heroes.save(hero).await {
            self.returned(&key, &State::Row(row.version));
        }
    }

    async fn delete(&mut self) {
        let id = self.rng.choice(IDS).expect("some");
        let heroes = &self.instance.heroes;
        let database = &self.world.database;
        let since = database.commits().len();
        if heroes.delete(&id).await == Ok(true) {
            database.deletion_returned(self.instance.process.number, id, since);
        }
    }

    /// Renames every hero in one transaction of the caller.
    async fn write_all(&mut self) {
        let database = &self.world.database;
        let name = self.rng.choice(NAMES).expect("some");
        let mut write = self.instance.cache.write();
        let transaction = database.begin().await;
        let mut changes = Vec::new();
        for id in IDS {
            match transaction.lock(id).await {
                Ok((Some(row), version)) => changes.push(Change::Put(Hero {
                    name: name.to_owned(),
                    version,
                    ..row
                })),
                Ok((None, _)) => {}
                Err(_) => {
                    write.rolled_back();
                    return;
                }
            }
        }
        write.whole_kind::<Hero>();
        let heroes = self.instance.heroes.source();
        if let Ok(commit) = heroes.end(transaction, changes, &mut write).await {
            write.committed().await;
            database.returned(commit);
        }
    }

    fn returned(&self, key: &str, state: &State) {
        let database = &self.world.database;
        let commit = database.commit_of(key, |of| of == state);
        database.returned(commit.expect("a returned write was committed"));
    }
}
