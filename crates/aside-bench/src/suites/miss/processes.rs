//! A crowd in ten processes of this program.

use std::io::{self, BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use aside::{CacheConfig, CacheService, CachedRepository, Secret, Source};
use aside_testkit::{PostgresServer, RedisServer};
use tokio::runtime::Handle;
use tokio::task::{JoinSet, block_in_place};

use super::{ALONE, bypasses};
use crate::error::Wrong;
use crate::heroes::id;
use crate::records::SqlRecords;
use crate::rounds::{Contender, alternate, undisturbed};
use crate::table::Table;

/// How many tasks read in each process.
const READERS: usize = 16;

const BYTES: usize = 500;

type Records = SqlRecords<0>;

pub(super) async fn run(
    redis: &RedisServer,
    postgres: &PostgresServer,
    quick: bool,
) -> Result<Table, Wrong> {
    let (processes, rounds) = if quick { (3, 2) } else { (10, 9) };
    let url = postgres.create_database("crowd");
    let records = Records::create(&url, 1, 10_000, BYTES).await?.slowly();
    let mut readers = Vec::new();
    for _ in 0..processes {
        readers.push(Reader::start(&redis.url(), &url).map_err(wrong)?);
    }
    let readers = parking_lot::Mutex::new(readers);
    let next = std::sync::atomic::AtomicU64::new(1);
    let crowd = async || {
        let number = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let before = records.slow_reads().await.expect("a reply of PostgreSQL");
        let begun = Instant::now();
        let passed_by = {
            let mut readers = readers.lock();
            for reader in readers.iter_mut() {
                reader.ask(number).expect("the process runs");
            }
            let answers = readers.iter_mut().map(Reader::answer);
            let answers: io::Result<u64> = answers.sum();
            answers.expect("every process finds the record")
        };
        let took = begun.elapsed();
        let reads = records.slow_reads().await.expect("a reply of PostgreSQL") - before;
        if passed_by > 0 {
            return None;
        }
        assert_eq!(
            reads, 1,
            "{processes} processes made {reads} reads of one key"
        );
        Some(took)
    };
    let alone = || {
        let read = async {
            let begun = Instant::now();
            let found = records
                .find_by_id(&id(0))
                .await
                .expect("a reply of PostgreSQL");
            assert_eq!(found.map(|row| row.number), Some(0));
            begun.elapsed()
        };
        block_in_place(|| Handle::current().block_on(read))
    };
    let crowds = format!("{processes} processes of {READERS} readers");
    let contenders = vec![
        Contender::new(ALONE, 1, alone),
        Contender::new(&crowds, 1, || {
            block_in_place(|| Handle::current().block_on(undisturbed(&crowd)))
        }),
    ];
    let rows = alternate(rounds, contenders);
    let title = "A crowd in several processes, PostgreSQL reads of 20ms: one read each time";
    Ok(Table::new(title.to_owned(), ALONE, rows))
}

/// A process that reads on request.
struct Reader {
    process: Child,
    /// `None` to make the process end.
    orders: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl Reader {
    fn start(redis: &str, postgres: &str) -> io::Result<Self> {
        let mut process = Command::new(std::env::current_exe()?)
            .args(["reader", "--redis", redis, "--postgres", postgres])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let missing = || io::Error::other("a pipe is missing");
        let orders = process.stdin.take().ok_or_else(missing)?;
        let answers = process.stdout.take().ok_or_else(missing)?;
        let mut reader = Self {
            process,
            orders: Some(orders),
            answers: BufReader::new(answers),
        };
        // The process reports when it is connected.
        reader.answer()?;
        Ok(reader)
    }

    fn ask(&mut self, number: u64) -> io::Result<()> {
        let orders = self.orders.as_mut();
        let orders = orders.ok_or_else(|| io::Error::other("the process was ended"))?;
        writeln!(orders, "{number}")
    }

    /// Returns how many of its reads bypassed Redis.
    fn answer(&mut self) -> io::Result<u64> {
        let mut line = String::new();
        self.answers.read_line(&mut line)?;
        let number = line.trim().parse();
        number.map_err(|_| io::Error::other(format!("the process said {line:?}")))
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        drop(self.orders.take());
        let _ = self.process.wait();
    }
}

/// The main function of such a process, until its input ends.
pub(crate) async fn read(redis: &str, postgres: &str) -> Result<(), Wrong> {
    let records = Records::open(postgres, 1).await?.slowly();
    let config = CacheConfig {
        redis_url: Secret::new(redis),
        operation_timeout: Duration::from_secs(5),
        ..CacheConfig::default()
    };
    let cache = CacheService::connect(config).await;
    let cached = CachedRepository::new(records, &cache);
    say(0).map_err(wrong)?;
    loop {
        let mut line = String::new();
        let read = block_in_place(|| io::stdin().read_line(&mut line));
        if read.map_err(wrong)? == 0 {
            return Ok(());
        }
        let number: u64 = line.trim().parse().map_err(wrong)?;
        let before = bypasses(&cached);
        let readers: JoinSet<_> = (0..READERS)
            .map(|_| {
                let cached = cached.clone();
                async move { cached.find_by_id(&id(number)).await }
            })
            .collect();
        for found in readers.join_all().await {
            let found = found.map_err(wrong)?.map(|row| row.number);
            if found != Some(number) {
                return Err(Wrong(format!("record {number} was read as {found:?}")));
            }
        }
        say(bypasses(&cached) - before).map_err(wrong)?;
    }
}

fn say(number: u64) -> io::Result<()> {
    let mut output = io::stdout().lock();
    writeln!(output, "{number}")?;
    output.flush()
}

fn wrong(error: impl std::fmt::Display) -> Wrong {
    Wrong(error.to_string())
}
