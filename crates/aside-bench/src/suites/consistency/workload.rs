//! The workload of every candidate, and its recording.

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use aside_testkit::history::{History, PendingWrite, ReadKind, Recording, Time};

use super::database::Database;

/// How many keys are hot at a time.
const HOT: u64 = 8;
/// How many tasks use each node.
const TASKS: u64 = 16;
/// The pause of a task after every operation. Candidates that read from memory
/// then make as many operations as others and do not overload the machine.
const PAUSE: Duration = Duration::from_millis(1);

/// An error of a cache.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct Refused(pub(super) String);

/// One instance of a service, with its cache and the common database.
pub(super) trait Node: Send + Sync + 'static {
    /// Reads the version of the row.
    fn read(&self, key: u64) -> impl Future<Output = Result<u64, Refused>> + Send;

    /// Raises the version by one and invalidates the caches; records the new
    /// version in `write` before the commit.
    fn write(
        &self,
        key: u64,
        write: &PendingWrite,
    ) -> impl Future<Output = Result<(), Refused>> + Send;
}

/// How the keys are used.
#[derive(Clone, Copy, Debug)]
pub(super) struct Setting {
    pub(super) lasting: Duration,
    /// How long the same keys are hot. A service keeps serving the last entry
    /// of a key that is no longer hot.
    pub(super) hot_for: Duration,
    pub(super) percent_writes: u8,
}

impl Setting {
    /// Returns how many keys are hot at some time.
    pub(super) fn keys(&self) -> u64 {
        let sets = self.lasting.as_nanos().div_ceil(self.hot_for.as_nanos());
        HOT * u64::try_from(sets).unwrap_or(u64::MAX)
    }
}

/// Runs the workload on these nodes, and reads every key once more a second
/// after the last write ended.
pub(super) async fn run<N: Node>(
    setting: Setting,
    kind: ReadKind,
    database: &Database,
    nodes: Vec<N>,
) -> History {
    let recording = Recording::new();
    let names: Arc<[String]> = (0..setting.keys())
        .map(|key| format!("row:{key}"))
        .collect();
    let first = recording.recorder("the database");
    for name in &*names {
        first.initial(name, 1);
    }
    let nodes: Vec<Arc<N>> = nodes.into_iter().map(Arc::new).collect();
    let begun = Instant::now();
    let mut running = Vec::new();
    for (number, node) in nodes.iter().enumerate() {
        for task in 0..TASKS {
            let recorder = recording.recorder(&format!("node {number}"));
            let (node, names) = (Arc::clone(node), Arc::clone(&names));
            let mut random = fastrand::Rng::with_seed(number as u64 * TASKS + task);
            running.push(tokio::spawn(async move {
                loop {
                    let elapsed = begun.elapsed();
                    if setting.lasting <= elapsed {
                        break;
                    }
                    let set = elapsed.as_nanos() / setting.hot_for.as_nanos();
                    let key = set as u64 * HOT + random.u64(..HOT);
                    let name = &names[key as usize];
                    if random.u8(..100) < setting.percent_writes {
                        let write = recorder.begin_write(name);
                        if node.write(key, &write).await.is_ok() {
                            write.returned();
                        }
                    } else {
                        let started = Time::now();
                        match node.read(key).await {
                            Ok(version) => recorder.read(name, kind, started, version),
                            Err(_) => recorder.failed_read(),
                        }
                    }
                    tokio::time::sleep(PAUSE).await;
                }
            }));
        }
    }
    for task in running {
        task.await.expect("no task panics");
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    let mut looking = Vec::new();
    for (number, node) in nodes.into_iter().enumerate() {
        let recorder = recording.recorder(&format!("node {number}"));
        let (database, names) = (database.clone(), Arc::clone(&names));
        looking.push(tokio::spawn(async move {
            for (key, name) in (0..).zip(&*names) {
                if let Ok(seen) = node.read(key).await {
                    recorder.settled(name, seen, database.version(key));
                }
            }
        }));
    }
    for task in looking {
        task.await.expect("no task panics");
    }
    recording.history()
}
