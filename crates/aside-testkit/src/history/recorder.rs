//! Records events while they happen, without affecting their order.
//!
//! Every task has a separate recorder, whose buffer and lock no other task
//! uses. Recording therefore adds no synchronisation: a checker that
//! synchronises its threads tests another program. The buffers are combined at
//! the end.
//!
//! A process that will be killed appends every event to a file as it happens.
//! The file survives the death of its writer, but not of the machine.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::event::{Fate, Fault, History, Read, ReadKind, Settled, State, Write};
use super::lines::{self, Line};
use super::parse::Names;
use super::time::Time;

/// A history being recorded. Clones record into the same history.
#[derive(Clone, Debug, Default)]
pub struct Recording {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    buffers: Mutex<Vec<Arc<Mutex<Buffer>>>>,
    file: Option<File>,
    /// Distinguishes the lines of one write from those of all others.
    next_write: AtomicU64,
}

#[derive(Debug, Default)]
struct Buffer {
    history: History,
    names: Names,
}

impl Recording {
    /// Creates a recording in memory.
    pub fn new() -> Self {
        Self::default()
    }

    /// Creates a recording in memory that also appends every event to a file at
    /// once.
    ///
    /// Use it in processes that will be killed, and let the surviving process
    /// collect with [`History::read_from`]. Every event costs a system call.
    ///
    /// # Errors
    ///
    /// If the file cannot be opened or created.
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

    /// Returns a recorder for one task of `instance`.
    ///
    /// Anything with a separate local tier is an instance.
    pub fn recorder(&self, instance: &str) -> Recorder {
        let buffer = Arc::default();
        lock(&self.shared.buffers).push(Arc::clone(&buffer));
        Recorder {
            shared: Arc::clone(&self.shared),
            buffer,
            instance: instance.into(),
        }
    }

    /// Returns all events recorded so far.
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

/// Records the events of one task of an instance.
///
/// Clones share a buffer and its lock, so use another recorder of the same
/// instance for another thread.
///
/// With a file, every method panics if the file cannot be written, because a
/// history with gaps produces false accusations.
#[derive(Clone, Debug)]
pub struct Recorder {
    shared: Arc<Shared>,
    buffer: Arc<Mutex<Buffer>>,
    instance: Arc<str>,
}

impl Recorder {
    /// Records a read that has just returned.
    ///
    /// `started` is a [`Time::now`] from before the read was sent. A read that
    /// was dropped before its result is not recorded.
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

    /// Records that a read returned an error.
    pub fn failed_read(&self) {
        self.append(|| Line::FailedReads(1));
        lock(&self.buffer).history.failed_reads += 1;
    }

    /// Records the state of a key before the first other event.
    ///
    /// Keys without this record are empty at first, at version 0.
    pub fn initial(&self, key: &str, state: impl Into<State>) {
        self.push(key, Time::ZERO, Fate::Initial, Some(state.into()));
    }

    /// Records that a write of `key` is about to begin.
    ///
    /// Call it before the transaction could commit. A transaction that writes a
    /// row and the lists that contain it is a write of each of these keys.
    ///
    /// The fate of the write is unknown until it is recorded. Dropping the
    /// value, or the death of the process, leaves it unknown.
    pub fn begin_write(&self, key: &str) -> PendingWrite {
        let (id, index) = self.push(key, Time::now(), Fate::Unknown, None);
        PendingWrite {
            recorder: self.clone(),
            id,
            index,
        }
    }

    /// Records that a fault has just been injected into the system under test.
    pub fn fault(&self, what: &str) {
        let fault = Fault {
            at: Time::now(),
            what: what.into(),
        };
        self.append(|| Line::Fault(&fault));
        lock(&self.buffer).history.faults.push(fault);
    }

    /// Records the states in the cache and in the database after all writes
    /// ended.
    ///
    /// This does not record a read of the cache.
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

    /// Records a write. Returns its id and its position in the buffer.
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
            // In one call, because lines of several threads must not mix.
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
    /// Records the state of the key if this write happens.
    ///
    /// Call it before the commit, with the version that the transaction has
    /// raised. If the writer dies in the commit, the checker then knows which
    /// version may exist. A write of unknown fate that learned nothing excuses
    /// one unknown version of its key, and every absence.
    pub fn learned(&self, state: impl Into<State>) {
        let state = state.into();
        self.change(|write| write.state = Some(state));
    }

    /// Records that the write has just returned; later reads may rely on it.
    ///
    /// # Panics
    ///
    /// If the version was not [`learned`](Self::learned).
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
    /// refused before it began, or had nothing to change.
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

/// A recording stays usable after a thread panicked, because it shows the
/// cause.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
