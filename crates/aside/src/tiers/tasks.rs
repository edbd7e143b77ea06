//! Background tasks of a service.
//!
//! No caller awaits them, so a failure would go unnoticed. A task that panics
//! is restarted after a pause. If the runtime ends, all tasks end with it, as
//! when successive tests share a service in a `static`: they restart on the
//! runtime of the next caller. State that must survive, such as pending
//! operations, is kept outside the tasks.

use std::collections::BTreeSet;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use futures_util::FutureExt;
use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::task::AbortHandle;
use tokio::time::Instant;

use crate::insight::statistics::ServiceStatistics;
use crate::protocol::BoxFuture;
use crate::runtime::task;
use crate::tiers::shard_map::Shards;
use crate::trust::link::Suspicion;

/// The range of the pause after a panic.
const PAUSE: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

/// The tasks of one service.
pub(crate) struct Tasks {
    shards: Shards,
    statistics: Arc<ServiceStatistics>,
    known: Mutex<Vec<Task>>,
    running: Mutex<Vec<(Group, AbortHandle)>>,
    /// The groups that have ended. Not told by `known`, because a task may end while
    /// that is locked.
    ended: Mutex<BTreeSet<Group>>,
    /// The number of groups besides the service's.
    groups: AtomicU64,
    /// The number of starts.
    generation: AtomicU64,
    /// True if a runtime ended while it ran the tasks of this generation.
    taken: AtomicBool,
    closed: AtomicBool,
}

/// A task that can be started any number of times.
#[derive(Clone)]
struct Task {
    group: Group,
    name: &'static str,
    begin: Arc<dyn Fn() -> BoxFuture<'static, ()> + Send + Sync>,
}

/// Tasks that end together: those of one shard, or those of the service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Group(u64);

const SERVICE: Group = Group(0);

/// Detects that a runtime ended a task.
struct Taken {
    tasks: Weak<Tasks>,
    group: Group,
    generation: u64,
}

impl Tasks {
    pub(crate) fn new(shards: Shards, statistics: Arc<ServiceStatistics>) -> Arc<Self> {
        Arc::new(Self {
            shards,
            statistics,
            known: Mutex::default(),
            running: Mutex::default(),
            ended: Mutex::default(),
            groups: AtomicU64::new(0),
            generation: AtomicU64::new(0),
            taken: AtomicBool::new(false),
            closed: AtomicBool::new(false),
        })
    }

    /// Starts a task, here and on later runtimes. The future of `begin` ends
    /// only with the service.
    pub(crate) fn add<F>(
        self: &Arc<Self>,
        name: &'static str,
        begin: impl Fn() -> F + Send + Sync + 'static,
    ) where
        F: Future<Output = ()> + Send + 'static,
    {
        self.add_to(SERVICE, name, begin);
    }

    /// The same for a task that [`end`](Self::end) ends.
    pub(crate) fn add_to<F>(
        self: &Arc<Self>,
        group: Group,
        name: &'static str,
        begin: impl Fn() -> F + Send + Sync + 'static,
    ) where
        F: Future<Output = ()> + Send + 'static,
    {
        let begin = Arc::new(move || Box::pin(begin()) as BoxFuture<'static, ()>);
        let task = Task { group, name, begin };
        let mut known = self.known.lock();
        self.spawn(&task);
        known.push(task);
    }

    fn spawn(self: &Arc<Self>, task: &Task) {
        let taken = Taken {
            tasks: Arc::downgrade(self),
            group: task.group,
            generation: self.generation.load(Ordering::Acquire),
        };
        let running = task::spawn(keep_running(task.clone(), taken)).abort_handle();
        self.running.lock().push((task.group, running));
    }

    /// Returns another group, for the tasks of a shard.
    pub(crate) fn new_group(&self) -> Group {
        Group(self.groups.fetch_add(1, Ordering::Relaxed) + 1)
    }

    fn has_ended(&self, group: Group) -> bool {
        self.ended.lock().contains(&group)
    }

    /// Ends the tasks of a group for good.
    pub(crate) fn end(&self, group: Group) {
        self.ended.lock().insert(group);
        self.known.lock().retain(|task| task.group != group);
        self.running.lock().retain(|(of, task)| {
            let ends = *of == group;
            if ends {
                task.abort();
            }
            !ends
        });
    }

    /// Restarts the tasks if a runtime ended them. Call it when Redis is
    /// unusable, so that it costs nothing otherwise.
    pub(crate) fn revive(self: &Arc<Self>) {
        if self.taken.load(Ordering::Acquire) {
            self.begin_again();
        }
    }

    #[cold]
    fn begin_again(self: &Arc<Self>) {
        if self.closed.load(Ordering::Acquire) || Handle::try_current().is_err() {
            return;
        }
        let known = self.known.lock();
        if !self.taken.load(Ordering::Acquire) {
            return;
        }
        // Some old tasks may still be ending; their reports must not concern
        // the new ones.
        self.generation.fetch_add(1, Ordering::AcqRel);
        self.taken.store(false, Ordering::Release);
        let old = std::mem::take(&mut *self.running.lock());
        old.iter().for_each(|(_, task)| task.abort());
        known.iter().for_each(|task| self.spawn(task));
        drop(known);
        tracing::warn!("the tasks of this service restart on another runtime");
    }

    /// Ends trust in every shard.
    fn suspect(&self, why: &Suspicion) {
        for shard in self.shards.get().all() {
            shard.link.suspect(why);
        }
    }

    /// Ends the tasks for good.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::Release);
        let running = std::mem::take(&mut *self.running.lock());
        running.iter().for_each(|(_, task)| task.abort());
    }

    fn panicked(&self, name: &'static str, is_new: bool) {
        self.statistics.error("task_panicked");
        // A log that cannot be written may have caused the panic.
        let _ = catch_unwind(AssertUnwindSafe(|| {
            self.suspect(&Suspicion::TaskPanicked);
            if is_new {
                tracing::error!(task = name, "a background task panicked; it restarts");
            }
        }));
    }
}

/// Runs a task to its end, restarting it after each panic.
async fn keep_running(task: Task, mut taken: Taken) {
    let mut pause = PAUSE.0;
    loop {
        let begun = Instant::now();
        let running = async { (task.begin)().await };
        if AssertUnwindSafe(running).catch_unwind().await.is_ok() {
            break;
        }
        if PAUSE.1 < begun.elapsed() {
            pause = PAUSE.0;
        }
        let Some(tasks) = taken.tasks.upgrade() else {
            break;
        };
        tasks.panicked(task.name, pause == PAUSE.0);
        drop(tasks);
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(PAUSE.1);
    }
    taken.tasks = Weak::new();
}

impl Drop for Taken {
    fn drop(&mut self) {
        let Some(tasks) = self.tasks.upgrade() else {
            return;
        };
        let is_current = tasks.generation.load(Ordering::Acquire) == self.generation;
        if !is_current || tasks.closed.load(Ordering::Acquire) || tasks.has_ended(self.group) {
            return;
        }
        if !tasks.taken.swap(true, Ordering::AcqRel) {
            let _ = catch_unwind(AssertUnwindSafe(|| {
                tasks.suspect(&Suspicion::RuntimeEnded);
            }));
        }
    }
}

impl fmt::Debug for Tasks {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.known.lock();
        formatter
            .debug_list()
            .entries(names.iter().map(|task| task.name))
            .finish()
    }
}
