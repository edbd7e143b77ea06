//! What a simulated world puts in the place of the machine: clocks, a network,
//! and processes that stop and die.
//!
//! The library asks here, in tests alone, where it would ask the machine:
//! `clock` for the time, `task` for a task, `shared/redis` for a connection.
//! Nothing in it is left to chance, the order of those who wait included.
//! Everything is a thread's own, so that a world, which runs on one thread,
//! disturbs no other test. Without a world the machine answers.
//!
//! A rule of the protocol can be left out as well. A simulation that never
//! finds anything proves little before it has been seen to find that.

pub(crate) mod watch;

use std::cell::{Cell, RefCell};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use jiff::Timestamp;
use parking_lot::Mutex;
use tokio::io::DuplexStream;
use tokio::task::{AbortHandle, JoinHandle};
use tokio::time::Instant;

/// The tick of the coarse clock.
const TICK: Duration = Duration::from_millis(4);

/// What the wall clocks say when a world begins, in seconds.
const BEGINNING: i64 = 1_800_000_000;

/// A connection to the simulated server in the making.
pub(crate) type Connecting =
    Pin<Box<dyn Future<Output = io::Result<DuplexStream>> + Send + 'static>>;

/// Where connections of a process come from.
pub(crate) type Network = Arc<dyn Fn(&Arc<Process>) -> Connecting>;

thread_local! {
    static BEGUN: Cell<Option<Instant>> = const { Cell::new(None) };
    static NETWORK: RefCell<Option<Network>> = const { RefCell::new(None) };
    static PROCESS: RefCell<Option<Arc<Process>>> = const { RefCell::new(None) };
    static WITHOUT: Cell<Option<Rule>> = const { Cell::new(None) };
}

/// Rules of the protocol that can be left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rule {
    /// Generations are taken before the GET is sent.
    GenerationsBeforeGet,
    /// Nobody joins a load that began before they asked.
    JoinInTime,
    /// A proof is good for H.
    ProofsAge,
    /// A value of another history is not served.
    HistoryTag,
    /// A value of an older epoch is not served.
    Epoch,
    /// Nothing is filled without the lease. (The server's.)
    LeaseToFill,
    /// Messages are applied. (The server's: it sends none.)
    Messages,
    /// What the journal holds is worked off. (The instances never ask for it.)
    Journal,
    /// Quarantined before the commit. (The repository's.)
    QuarantineBeforeCommit,
}

/// Whether this rule is left out in the world of this thread.
pub(crate) fn without(rule: Rule) -> bool {
    WITHOUT.get() == Some(rule)
}

/// Makes this thread a world of its own, until the guard is dropped.
pub(crate) fn begin(without: Option<Rule>) -> World {
    BEGUN.set(Some(Instant::now()));
    WITHOUT.set(without);
    World
}

/// A world as long as it lasts.
pub(crate) struct World;

impl World {
    /// Gives processes their connections from now on.
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
    }
}

/// How long the world has lasted.
pub(crate) fn elapsed() -> Option<Duration> {
    BEGUN.get().map(|begun| begun.elapsed())
}

/// The same by the coarse clock.
pub(crate) fn coarse() -> Option<Duration> {
    let ticks = elapsed()?.as_millis() / TICK.as_millis();
    Some(TICK * u32::try_from(ticks).ok()?)
}

/// What the wall clock of the process that runs now says.
pub(crate) fn wall() -> Option<Timestamp> {
    let ahead = PROCESS.with_borrow(|process| process.as_ref().map_or(0, |it| it.ahead_millis));
    let elapsed = i64::try_from(elapsed()?.as_millis()).ok()?;
    Timestamp::from_millisecond(BEGINNING * 1000 + elapsed + ahead).ok()
}

/// A connection for the process that runs now; `None` without a world.
pub(crate) fn connect() -> Option<Connecting> {
    let network = NETWORK.with_borrow(Option::clone)?;
    let process = PROCESS.with_borrow(Option::clone)?;
    Some(network(&process))
}

/// Starts a task, of the process that runs now where there is one.
pub(crate) fn spawn<F>(future: F) -> JoinHandle<F::Output>
where
    F: Future<Output: Send + 'static> + Send + 'static,
{
    match PROCESS.with_borrow(Option::clone) {
        Some(process) => process.spawn(future),
        None => tokio::spawn(future),
    }
}

/// A process of the world: an instance, with whatever tasks it starts.
#[derive(Debug)]
pub(crate) struct Process {
    pub(crate) number: usize,
    /// How far its wall clock is ahead.
    ahead_millis: i64,
    dead: AtomicBool,
    /// Who is to be woken when it goes on; `None` while it runs.
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

    /// No task of it runs from here on, and its connections end.
    pub(crate) fn kill(&self) {
        self.dead.store(true, Ordering::Relaxed);
        for task in self.tasks.lock().drain(..) {
            task.abort();
        }
    }

    /// No task of it runs until it goes on; its timers and sockets live.
    pub(crate) fn stop(&self) {
        self.stopped.lock().get_or_insert_default();
    }

    /// Goes on; its tasks find out in an order of `rng`'s.
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
            future: Box::pin(future),
        });
        let mut tasks = self.tasks.lock();
        if tasks.len() % 64 == 63 {
            tasks.retain(|task| !task.is_finished());
        }
        tasks.push(task.abort_handle());
        task
    }

    /// Whether nothing may run now; `waker` is called when that is over.
    fn is_still(&self, waker: &Waker) -> bool {
        if let Some(sleepers) = &mut *self.stopped.lock() {
            sleepers.push(waker.clone());
            return true;
        }
        self.is_dead()
    }
}

/// A future of one process: it runs while the process does.
struct Within<F> {
    process: Arc<Process>,
    future: Pin<Box<F>>,
}

impl<F: Future> Future for Within<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        if self.process.is_still(context.waker()) {
            return Poll::Pending;
        }
        let before = PROCESS.replace(Some(Arc::clone(&self.process)));
        let polled = self.future.as_mut().poll(context);
        PROCESS.set(before);
        polled
    }
}
