//! The simulated machine: clocks, a network, and processes that stop and die.
//!
//! In tests the library asks this module instead of the machine: `clock` for
//! the time, `task` for a task, `redis/endpoint` for a connection. Everything
//! is deterministic, including the order in which waiters wake.
//!
//! All state is per thread. A world runs on one thread, so it does not disturb
//! other tests. A thread without a world uses the real machine.
//!
//! A rule of the protocol can be left out, because a simulation that finds
//! nothing proves little until it has been seen to find that.

pub(crate) mod watch;

use std::cell::{Cell, RefCell};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Duration;

use aside_redis::Address;
use jiff::Timestamp;
use parking_lot::Mutex;
use tokio::io::DuplexStream;
use tokio::task::{AbortHandle, JoinHandle};
use tokio::time::Instant;

/// The tick of the coarse clock.
const TICK: Duration = Duration::from_millis(4);

/// The time of the wall clocks at the beginning of a world, in seconds.
const BEGINNING: i64 = 1_800_000_000;

/// A future that connects to a simulated server.
pub(crate) type Connecting =
    Pin<Box<dyn Future<Output = io::Result<DuplexStream>> + Send + 'static>>;

/// Opens connections for a process.
pub(crate) type Network = Arc<dyn Fn(&Arc<Process>, &Address) -> Connecting>;

thread_local! {
    static BEGUN: Cell<Option<Instant>> = const { Cell::new(None) };
    static NETWORK: RefCell<Option<Network>> = const { RefCell::new(None) };
    static PROCESS: RefCell<Option<Arc<Process>>> = const { RefCell::new(None) };
    static WITHOUT: Cell<Option<Rule>> = const { Cell::new(None) };
    /// Whether a task outside every process has asked for a connection.
    static STRAYED: Cell<bool> = const { Cell::new(false) };
}

/// Rules of the protocol that can be left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rule {
    /// Generations are taken before the GET is sent.
    GenerationsBeforeGet,
    /// A reader does not join a load that began before its request.
    JoinInTime,
    /// A proof expires after H.
    ProofsAge,
    /// A value of another history is not served.
    HistoryTag,
    /// A value of an older epoch is not served.
    Epoch,
    /// A fill needs the lease. (Left out in the server.)
    LeaseToFill,
    /// REFRESH claims the value that was judged, and the load begins after it. (Left
    /// out in the server and the library.)
    RefreshHeader,
    /// FILL replaces a value only if it carries its token. (Left out in the server.)
    RefreshClaim,
    /// A refreshed value has the history and the epoch known before REFRESH.
    RefreshKnownBefore,
    /// Messages are applied. (Left out in the server, which sends none.)
    Messages,
    /// Journal entries are applied. (Left out in the instances, which do not
    /// poll.)
    Journal,
    /// Keys are quarantined before the commit. (Left out in the repository.)
    QuarantineBeforeCommit,
    /// A primary is trusted no longer than a majority of the Sentinels names it.
    Votes,
    /// A primary is left when any Sentinel names a later one.
    ///
    /// No world needs it, because [`Votes`](Self::Votes) covers it: a later primary has
    /// the votes of a majority, so trust in the earlier one ends within H. In the model
    /// `slot_migration` an instance may stay for as long as it likes. The rule only
    /// shortens the time without Redis.
    LeaveAtOnce,
    /// Writes that only a replaced server acknowledged are released again.
    ConfirmWrites,
    /// Rows of the journal that only a replaced server acknowledged are applied again.
    ConfirmRows,
    /// A node's changed line about itself invalidates the local entries of its keys.
    OwnLine,
    /// An epoch that no node has as its config epoch ends trust.
    UnresolvedEpoch,
    /// Reads, and values, do not follow redirections.
    ReadsStay,
    /// Writes follow redirections.
    ///
    /// Without it a refused key is in the journal, and no read is later than the bound of
    /// such writes. So it keeps the smaller bound, H, and saves a row of the journal.
    WritesFollow,
    /// A write that followed an `ASK` is published at the node that gave it.
    TellAsker,
    /// A release is published there although it found its quarantine.
    TellAlways,
    /// A quarantine counts only if its shard was trusted when it was sent.
    TrustToQuarantine,
    /// A copy of a message is not applied.
    ///
    /// To apply a message twice is safe, because it only invalidates. The rule keeps the
    /// entries that were read since the first one.
    MessageNames,
    /// The end of trust in a shard invalidates its local entries for good.
    ShardGeneration,
    /// A row that is fetched on a guess is kept only if its fill was accepted.
    PrefetchOnlyFills,
    /// A row of the buffer is served only while its generations hold.
    BufferStamped,
    /// A query's value in Redis is compared with the stamps of its dependencies.
    QueryStamps,
    /// A query's local value is compared with the generations of its dependencies.
    QueryGenerations,
}

impl Rule {
    /// Returns the rule of this name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        let all = [
            Self::GenerationsBeforeGet,
            Self::JoinInTime,
            Self::ProofsAge,
            Self::HistoryTag,
            Self::Epoch,
            Self::LeaseToFill,
            Self::RefreshHeader,
            Self::RefreshClaim,
            Self::RefreshKnownBefore,
            Self::Messages,
            Self::Journal,
            Self::QuarantineBeforeCommit,
            Self::Votes,
            Self::LeaveAtOnce,
            Self::ConfirmWrites,
            Self::ConfirmRows,
            Self::OwnLine,
            Self::UnresolvedEpoch,
            Self::ReadsStay,
            Self::WritesFollow,
            Self::TellAsker,
            Self::TellAlways,
            Self::TrustToQuarantine,
            Self::MessageNames,
            Self::ShardGeneration,
            Self::PrefetchOnlyFills,
            Self::BufferStamped,
            Self::QueryStamps,
            Self::QueryGenerations,
        ];
        all.into_iter().find(|rule| format!("{rule:?}") == name)
    }
}

/// Returns true if this thread's world leaves `rule` out.
pub(crate) fn without(rule: Rule) -> bool {
    WITHOUT.get() == Some(rule)
}

/// Makes this thread a separate world until the guard is dropped.
pub(crate) fn begin(without: Option<Rule>) -> World {
    BEGUN.set(Some(Instant::now()));
    WITHOUT.set(without);
    World
}

/// Ends the world when dropped.
pub(crate) struct World;

impl World {
    /// Sets the network that opens connections for processes.
    pub(crate) fn connects_by(&self, network: Network) {
        NETWORK.set(Some(network));
    }
}

impl Drop for World {
    fn drop(&mut self) {
        BEGUN.set(None);
        NETWORK.set(None);
        PROCESS.set(None);
        WITHOUT.set(None);
        let strayed = STRAYED.replace(false);
        if !thread::panicking() {
            assert!(!strayed, "a task outside every process opened a connection");
        }
    }
}

/// Returns the time since the world began.
pub(crate) fn elapsed() -> Option<Duration> {
    BEGUN.get().map(|begun| begun.elapsed())
}

/// Returns the time since the world began by the coarse clock.
pub(crate) fn coarse() -> Option<Duration> {
    let ticks = elapsed()?.as_millis() / TICK.as_millis();
    Some(TICK * u32::try_from(ticks).ok()?)
}

/// Returns the wall clock's time in the process that runs now.
pub(crate) fn wall() -> Option<Timestamp> {
    let ahead = PROCESS.with_borrow(|process| process.as_ref().map_or(0, |it| it.ahead_millis));
    let elapsed = i64::try_from(elapsed()?.as_millis()).ok()?;
    Timestamp::from_millisecond(BEGINNING * 1000 + elapsed + ahead).ok()
}

/// Opens a connection for the process that runs now; `None` without a world.
pub(crate) fn connect(address: &Address) -> Option<Connecting> {
    let network = NETWORK.with_borrow(Option::clone)?;
    let process = PROCESS.with_borrow(Option::clone);
    // Such a task would go on to the real network, and wait for it in real time.
    STRAYED.set(STRAYED.get() || process.is_none());
    Some(network(&process?, address))
}

/// Starts a task, in the process that runs now if there is one.
pub(crate) fn spawn<F>(future: F) -> JoinHandle<F::Output>
where
    F: Future<Output: Send + 'static> + Send + 'static,
{
    match PROCESS.with_borrow(Option::clone) {
        Some(process) => process.spawn(future),
        None => tokio::spawn(future),
    }
}

/// A process of the world: one instance and its tasks.
#[derive(Debug)]
pub(crate) struct Process {
    pub(crate) number: usize,
    /// How far its wall clock is ahead.
    ahead_millis: i64,
    dead: AtomicBool,
    /// Tasks to wake when the process continues; `None` while it runs.
    stopped: Mutex<Option<Vec<Waker>>>,
    tasks: Mutex<Vec<AbortHandle>>,
}

impl Process {
    pub(crate) fn new(number: usize, ahead_millis: i64) -> Arc<Self> {
        Arc::new(Self {
            number,
            ahead_millis,
            dead: AtomicBool::new(false),
            stopped: Mutex::new(None),
            tasks: Mutex::default(),
        })
    }

    pub(crate) fn is_dead(&self) -> bool {
        self.dead.load(Ordering::Relaxed)
    }

    /// Stops all tasks for good and ends the connections.
    pub(crate) fn kill(&self) {
        self.dead.store(true, Ordering::Relaxed);
        for task in self.tasks.lock().drain(..) {
            task.abort();
        }
    }

    /// Suspends all tasks; timers and sockets stay alive.
    pub(crate) fn stop(&self) {
        self.stopped.lock().get_or_insert_default();
    }

    /// Continues the process and wakes its tasks in an order drawn from `rng`.
    pub(crate) fn go_on(&self, rng: &mut fastrand::Rng) {
        let mut sleepers = self.stopped.lock().take().unwrap_or_default();
        rng.shuffle(&mut sleepers);
        for sleeper in sleepers {
            sleeper.wake();
        }
    }

    /// Starts a task of this process.
    pub(crate) fn spawn<F>(self: &Arc<Self>, future: F) -> JoinHandle<F::Output>
    where
        F: Future<Output: Send + 'static> + Send + 'static,
    {
        let task = tokio::spawn(Within {
            process: Arc::clone(self),
            future: Some(Box::pin(future)),
        });
        let mut tasks = self.tasks.lock();
        if tasks.len() % 64 == 63 {
            tasks.retain(|task| !task.is_finished());
        }
        tasks.push(task.abort_handle());
        task
    }

    /// Returns true if no task may run now; `waker` is called when it may.
    fn is_still(&self, waker: &Waker) -> bool {
        if let Some(sleepers) = &mut *self.stopped.lock() {
            sleepers.push(waker.clone());
            return true;
        }
        self.is_dead()
    }
}

/// A future that is polled only while its process runs.
struct Within<F> {
    process: Arc<Process>,
    /// `None` after it has been dropped.
    future: Option<Pin<Box<F>>>,
}

impl<F> Within<F> {
    fn run<T>(&mut self, run: impl FnOnce(&mut Option<Pin<Box<F>>>) -> T) -> T {
        let before = PROCESS.replace(Some(Arc::clone(&self.process)));
        let result = run(&mut self.future);
        PROCESS.set(before);
        result
    }
}

/// In its process as well: dropped futures start tasks, and tasks of a killed process
/// must not run.
impl<F> Drop for Within<F> {
    fn drop(&mut self) {
        self.run(|future| *future = None);
    }
}

impl<F: Future> Future for Within<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        if self.process.is_still(context.waker()) {
            return Poll::Pending;
        }
        self.run(|future| match future {
            Some(future) => future.as_mut().poll(context),
            None => Poll::Pending,
        })
    }
}
