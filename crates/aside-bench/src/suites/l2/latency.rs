//! One read after the other, with server and client on one core.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use aside::{CachedRepository, Entity, Source};
use aside_testkit::RedisServer;
use redis::aio::MultiplexedConnection;
use tokio::runtime::{Builder, Runtime};
use uuid::Uuid;

use super::{HEROES, Stage, hero_key, on_one_core};
use crate::bare;
use crate::error::Wrong;
use crate::heroes::{Hero, InMemory, id};
use crate::rounds::{Contender, alternate_figures, percentiles};
use crate::socket::Socket;
use crate::table::{Bound, Table};

const SOCKET: &str = "blocking socket";
const SOCKET_DECODED: &str = "blocking socket, decoded";
const BARE: &str = "redis, decoded";
const ASIDE: &str = "aside";

/// Ids of one `find_many`.
const ROWS_PER_BATCH: u64 = 100;

trait Stream: Read + Write {}
impl<S: Read + Write> Stream for S {}

/// How long each measurement takes.
struct Extent {
    rounds: usize,
    rows: usize,
    lists: usize,
    batches: usize,
}

pub(super) fn run(
    redis: &RedisServer,
    transport: &str,
    url: &str,
    quick: bool,
) -> Result<Vec<Table>, Wrong> {
    let extent = if quick {
        Extent {
            rounds: 3,
            rows: 50,
            lists: 2,
            batches: 5,
        }
    } else {
        Extent {
            rounds: 21,
            rows: 500,
            lists: 12,
            batches: 60,
        }
    };
    on_one_core(redis, transport, |place| {
        One::set(redis, url, place)?.measure(&extent)
    })
}

/// All readers on one thread.
struct One {
    runtime: Runtime,
    stage: Stage,
    bare: MultiplexedConnection,
    stream: Box<dyn Fn() -> Socket<Box<dyn Stream>>>,
    place: String,
}

impl One {
    fn set(redis: &RedisServer, url: &str, place: String) -> Result<Self, Wrong> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let stage = runtime.block_on(Stage::set(url))?;
        let bare = runtime.block_on(bare::connect(url))?;
        let (address, path) = (redis.address(), redis.socket());
        let over_tcp = url.starts_with("redis:");
        let stream = move || -> Box<dyn Stream> {
            if over_tcp {
                let stream = TcpStream::connect(address).expect("the server runs");
                stream.set_nodelay(true).expect("a TCP socket has it");
                Box::new(stream)
            } else {
                Box::new(UnixStream::connect(&path).expect("the server is there"))
            }
        };
        Ok(Self {
            runtime,
            stage,
            bare,
            stream: Box::new(move || Socket::over(stream())),
            place,
        })
    }

    fn measure(&self, extent: &Extent) -> Result<Vec<Table>, Wrong> {
        let mut tables = Vec::new();
        let hero = hero_key(id(0));
        let rows = alternate_figures(
            extent.rounds,
            self.of_row(&self.stage.heroes, &hero, extent.rows),
        );
        tables.extend(self.tables("A hero of 600 bytes", rows).map(of_one_row));
        let story = format!("story:{}", id(0));
        let rows = alternate_figures(
            extent.rounds,
            self.of_row(&self.stage.stories, &story, extent.rows),
        );
        tables.extend(self.tables("A story of 5 KB", rows).map(of_one_row));
        let rows = alternate_figures(extent.rounds, self.of_many(extent.batches));
        let of_many = |table: Table| table.wanted(ASIDE, Bound::AtMost(1.1), BARE);
        tables.extend(
            self.tables("find_many of 100 heroes", rows)
                .map(of_many)
                .take(1),
        );
        let rows = alternate_figures(extent.rounds, self.of_list(extent.lists));
        let of_list = |table: Table| table.wanted(ASIDE, Bound::AtMost(1.15), BARE);
        tables.extend(
            self.tables("A list of 1,000 heroes", rows)
                .map(of_list)
                .take(1),
        );
        Ok(tables)
    }

    /// Returns one table for the medians and one for the tails.
    fn tables(
        &self,
        what: &str,
        figures: Vec<Vec<crate::rounds::Measured>>,
    ) -> impl Iterator<Item = Table> {
        let titles =
            ["p50", "p99"].map(|which| format!("{what} from Redis, {which}: {}", self.place));
        let tables = titles.into_iter().zip(figures);
        tables.map(|(title, rows)| Table::new(title, BARE, rows))
    }

    fn of_row<'a, E: Entity<Id = Uuid>>(
        &'a self,
        repository: &'a CachedRepository<InMemory<E>>,
        key: &'a str,
        operations: usize,
    ) -> Vec<Contender<'a>> {
        let (mut socket, asked) = ((self.stream)(), id(0));
        vec![
            blocking(SOCKET, operations, move || {
                assert!(!socket.get(key).expect("a reply").is_empty());
            }),
            self.bare(operations, async move |bare| {
                let row = bare::row::<E>(&get(bare, key).await);
                assert_eq!(*row.id(), asked, "another row");
            }),
            self.aside(operations, async move |_| {
                let Ok(row) = repository.find_by_id(&asked).await;
                assert!(row.is_some_and(|row| *row.id() == asked), "another row");
            }),
        ]
    }

    fn of_list(&self, operations: usize) -> Vec<Contender<'_>> {
        let mut socket = (self.stream)();
        let whole = |count: usize| assert_eq!(count as u64, HEROES, "another list");
        vec![
            blocking(SOCKET_DECODED, operations, move || {
                let value = socket.get("hero:all").expect("a reply");
                whole(bare::list::<Hero>(value).len());
            }),
            self.bare(operations, async move |bare| {
                whole(bare::list::<Hero>(&get(bare, "hero:all").await).len());
            }),
            self.aside(operations, async move |stage| {
                let Ok(rows) = stage.heroes.list_all().await;
                whole(rows.len());
            }),
        ]
    }

    fn of_many(&self, operations: usize) -> Vec<Contender<'_>> {
        let ids: Vec<Uuid> = (0..ROWS_PER_BATCH).map(id).collect();
        let keys: Vec<String> = ids.iter().copied().map(hero_key).collect();
        let mut socket = (self.stream)();
        let (in_order, words) = (ids.clone(), keys.clone());
        vec![
            blocking(SOCKET_DECODED, operations, move || {
                let words: Vec<&str> = words.iter().map(String::as_str).collect();
                let mut rows = Vec::with_capacity(words.len());
                let each = |value: &[u8]| rows.push(bare::row::<Hero>(value));
                socket.get_many(&words, each).expect("a reply");
                assert!(rows.iter().map(|row| row.id).eq(in_order.iter().copied()));
            }),
            self.bare(operations, {
                let ids = ids.clone();
                async move |bare| {
                    let values: Vec<Vec<u8>> = redis::cmd("MGET")
                        .arg(&keys)
                        .query_async(bare)
                        .await
                        .expect("a reply");
                    let rows = values.iter().map(|value| bare::row::<Hero>(value));
                    let rows: Vec<_> = rows.collect();
                    assert!(rows.iter().map(|row| row.id).eq(ids.iter().copied()));
                }
            }),
            self.aside(operations, async move |stage| {
                let Ok(rows) = stage.heroes.find_many(&ids).await;
                let found = rows.iter().flatten().map(|row| row.id);
                assert!(found.eq(ids.iter().copied()), "other rows");
            }),
        ]
    }

    fn bare<'a>(
        &'a self,
        operations: usize,
        mut operation: impl AsyncFnMut(&mut MultiplexedConnection) + 'a,
    ) -> Contender<'a> {
        let mut bare = self.bare.clone();
        Contender::with_figures(BARE, move || {
            self.runtime.block_on(async {
                let mut taken = Vec::with_capacity(operations);
                for _ in 0..operations {
                    let begun = Instant::now();
                    operation(&mut bare).await;
                    taken.push(begun.elapsed());
                }
                percentiles(taken)
            })
        })
    }

    fn aside<'a>(
        &'a self,
        operations: usize,
        mut operation: impl AsyncFnMut(&Stage) + 'a,
    ) -> Contender<'a> {
        Contender::with_figures(ASIDE, move || {
            let round = self.stage.all_hits(async || {
                let mut taken = Vec::with_capacity(operations);
                for _ in 0..operations {
                    let begun = Instant::now();
                    operation(&self.stage).await;
                    taken.push(begun.elapsed());
                }
                taken
            });
            percentiles(self.runtime.block_on(round))
        })
    }
}

fn of_one_row(table: Table) -> Table {
    if table.title.contains("p99") {
        return table;
    }
    table
        .wanted(ASIDE, Bound::AtMost(1.3), SOCKET)
        .wanted(ASIDE, Bound::AtMost(1.05), BARE)
}

fn blocking<'a>(name: &str, operations: usize, mut operation: impl FnMut() + 'a) -> Contender<'a> {
    Contender::with_figures(name, move || {
        let one = |_| {
            let begun = Instant::now();
            operation();
            begun.elapsed()
        };
        let taken: Vec<Duration> = (0..operations).map(one).collect();
        percentiles(taken)
    })
}

async fn get(bare: &mut MultiplexedConnection, key: &str) -> Vec<u8> {
    let reply = redis::cmd("GET").arg(key).query_async(bare).await;
    reply.expect("a reply")
}
