//! Writing down what happens, while it happens, without getting in the way.
//!
//! Every task has a recorder of its own, with a buffer and a lock that nobody
//! else wants, so that recording orders nothing that was not ordered before: a
//! checker that synchronises its threads tests another program. The buffers
//! are put together when all is over.
//!
//! A process that is to be killed appends every event to a file as it happens.
//! What was written to a file survives its writer, if not the machine.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::event::{Fate, Fault, History, Read, ReadKind, Settled, State, Write};
use super::lines::{self, Line};
use super::parse::Names;
use super::time::Time;

/// A history in the making. Clones record into the same history.
#[derive(Clone, Debug, Default)]
pub struct Recording {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    buffers: Mutex<Vec<Arc<Mutex<Buffer>>>>,
    file: Option<File>,
    /// Tells the lines of one write from those of all others.
    next_write: AtomicU64,
}

#[derive(Debug, Default)]
struct Buffer {
    history: History,
    names: Names,
}

impl Recording {
    /// A recording in memory.
    pub fn new() -> Self {
        Self::default()
    }

    /// A recording in memory that also appends every event to a file at once.
    ///
    /// Use it in processes that will be killed, and let the survivor collect
    /// with [`History::read_from`]. Every event costs a system call.
    ///
    /// # Errors
    ///
    /// When the file cannot be opened or created.
    pub fn appending_to(path: impl AsRef<Path>) -> io::Result<Self> {
        let file = File::options().create(true).append(true).open(path)?;
        let shared = Shared {
            file: Some(file),
            ..Shared::default()
        };
        Ok(Self {
            shared: Arc::new(shared),
        })
    }

    /// A recorder for one task of `instance`.
    ///
    /// An instance is whatever has an in-process cache of its own.
    pub fn recorder(&self, instance: &str) -> Recorder {
        let buffer = Arc::default();
        lock(&self.shared.buffers).push(Arc::clone(&buffer));
        Recorder {
            shared: Arc::clone(&self.shared),
            buffer,
            instance: instance.into(),
        }
    }

    /// Everything recorded so far.
    ///
    /// Writes that have not ended yet are of unknown fate.
    pub fn history(&self) -> History {
        let mut history = History::default();
        for buffer in lock(&self.shared.buffers).iter() {
            history.merge(lock(buffer).history.clone());
        }
        history
    }
}

/// Records what one task of an instance does.
///
/// Clones share a buffer and its lock; another recorder of the same instance
/// is the better choice for another thread.
///
/// With a file, every function here panics if that cannot be written: a
/// history with gaps accuses the innocent.
#[derive(Clone, Debug)]
pub struct Recorder {
    shared: Arc<Shared>,
    buffer: Arc<Mutex<Buffer>>,
    instance: Arc<str>,
}

impl Recorder {
    /// Records a read that was answered just now.
    ///
    /// `started` is a [`Time::now`] from before the read was sent. A read that
    /// was dropped before its answer is not recorded.
    pub fn read(&self, key: &str, kind: ReadKind, started: Time, state: impl Into<State>) {
        let end = Time::now();
        let mut buffer = lock(&self.buffer);
        let read = Read {
            instance: Arc::clone(&self.instance),
            key: buffer.names.intern(key),
            kind,
            start: started,
            end,
            state: state.into(),
        };
        self.append(|| Line::Read(&read));
        buffer.history.reads.push(read);
    }

    /// Records that a read was answered with an error.
    pub fn failed_read(&self) {
        self.append(|| Line::FailedReads(1));
        lock(&self.buffer).history.failed_reads += 1;
    }

    /// Records what a key held before anything else was recorded.
    ///
    /// Keys without this hold nothing at first, at version 0.
    pub fn initial(&self, key: &str, state: impl Into<State>) {
        self.push(key, Time::ZERO, Fate::Initial, Some(state.into()));
    }

    /// Records that a write of `key` is about to begin.
    ///
    /// Call it before the transaction could commit. A transaction that writes
    /// a row and the lists it stands in is a write of each of these keys.
    ///
    /// The write is of unknown fate until it is told otherwise: dropping it,
    /// or dying, is how to say that nobody knows.
    pub fn begin_write(&self, key: &str) -> PendingWrite {
        let (id, index) = self.push(key, Time::now(), Fate::Unknown, None);
        PendingWrite {
            recorder: self.clone(),
            id,
            index,
        }
    }

    /// Records that something was done to the system under test just now.
    pub fn fault(&self, what: &str) {
        let fault = Fault {
            at: Time::now(),
            what: what.into(),
        };
        self.append(|| Line::Fault(&fault));
        lock(&self.buffer).history.faults.push(fault);
    }

    /// Records what the cache and the database say after all writes ended.
    ///
    /// The read of the cache is not recorded by this as a read.
    pub fn settled(&self, key: &str, seen: impl Into<State>, truth: impl Into<State>) {
        let mut buffer = lock(&self.buffer);
        let settled = Settled {
            instance: Arc::clone(&self.instance),
            key: buffer.names.intern(key),
            seen: seen.into(),
            truth: truth.into(),
        };
        self.append(|| Line::Settled(&settled));
        buffer.history.settled.push(settled);
    }

    /// Records a write; where it stands in the file and in the buffer.
    fn push(&self, key: &str, start: Time, fate: Fate, state: Option<State>) -> (u64, usize) {
        let id = self.shared.next_write.fetch_add(1, Ordering::Relaxed);
        let mut buffer = lock(&self.buffer);
        let write = Write {
            instance: Arc::clone(&self.instance),
            key: buffer.names.intern(key),
            start,
            fate,
            state,
        };
        self.append(|| Line::Write(id, &write));
        buffer.history.writes.push(write);
        (id, buffer.history.writes.len() - 1)
    }

    /// Appends a line to the file, if there is one.
    fn append<'a>(&self, line: impl FnOnce() -> Line<'a>) {
        if let Some(mut file) = self.shared.file.as_ref() {
            // In one call: lines of several threads must not mix.
            file.write_all(lines::to_string(&line()).as_bytes())
                .expect("the file of the history can be written");
        }
    }
}

/// A write that has not ended yet.
#[derive(Debug)]
#[must_use = "a write that is dropped is of unknown fate"]
pub struct PendingWrite {
    recorder: Recorder,
    id: u64,
    index: usize,
}

impl PendingWrite {
    /// Records what the key will hold if this write happens.
    ///
    /// Call it before the commit, with the version that the transaction has
    /// raised: should the writer die in the commit, the checker then knows
    /// which version may or may not have come to be. A write of unknown fate
    /// that learned nothing excuses one unheard-of version of its key, and
    /// every absence.
    pub fn learned(&self, state: impl Into<State>) {
        let state = state.into();
        self.change(|write| write.state = Some(state));
    }

    /// Records that the write returned just now: readers may rely on it.
    ///
    /// # Panics
    ///
    /// When the version was not [`learned`](Self::learned).
    pub fn returned(self) {
        let end = Time::now();
        self.change(|write| {
            assert!(
                write.version().is_some(),
                "what was written to {} is learned before the write returns",
                write.key
            );
            write.fate = Fate::Returned(end);
        });
    }

    /// Records that the write certainly changed nothing: it was rolled back,
    /// refused before it began, or there was nothing to change.
    pub fn failed(self) {
        let end = Time::now();
        self.change(|write| write.fate = Fate::Failed(end));
    }

    fn change(&self, change: impl FnOnce(&mut Write)) {
        let mut buffer = lock(&self.recorder.buffer);
        let write = &mut buffer.history.writes[self.index];
        change(write);
        self.recorder.append(|| Line::Write(self.id, write));
    }
}

/// A recording outlives a thread that panicked: it says what led to it.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
