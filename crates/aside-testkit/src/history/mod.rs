//! Records concurrent reads and writes, and checks them for consistency.
//!
//! A cache may return a wrong value for microseconds, on one machine, once a
//! day. A test that arranges a race finds only the races that its author
//! imagined. This module records the results of many concurrent readers and
//! writers, and checks them afterwards.
//!
//! The check is cheap because every key has a version. The database raises it
//! in the transaction of each write (`update .. set v = v + 1 .. returning v`).
//! The order of all writes is therefore known, and no search for one is needed:
//!
//! - **C1** no read returns a version older than the newest write that had
//!   returned more than a bound before the read began;
//! - **C2** no read returns a version that was rolled back, or whose write had
//!   not begun when the read ended;
//! - **C3** versions never go backwards: strict reads are compared across all
//!   instances, lenient reads on each instance.
//!
//! C1 never demands a write of unknown fate (its writer crashed). Once a read
//! has seen the write, it has happened for C3. Deletes are writes too, and the
//! version continues when the row is created again. A list has a separate
//! version, raised with every change of its members, and the members are
//! compared too.
//!
//! ```
//! use std::collections::HashMap;
//! use std::time::Duration;
//! use aside_testkit::history::{Bounds, Check, ReadKind, Recording, Time};
//!
//! let recording = Recording::new();
//! let recorder = recording.recorder("instance 1"); // one for every task
//! let (mut database, mut cache) = (HashMap::new(), HashMap::new());
//!
//! let write = recorder.begin_write("hero:1"); // before it could commit
//! database.insert("hero:1", 1);
//! write.learned(1); // what `returning v` says, before the commit
//! write.returned();
//!
//! for _ in 0..2 {
//!     let started = Time::now();
//!     let version = *cache.entry("hero:1").or_insert_with(|| database["hero:1"]);
//!     recorder.read("hero:1", ReadKind::Strict, started, version);
//! }
//! let report = recording.history().check(&Bounds::new(Duration::ZERO));
//! assert_eq!(report.reads, 2);
//! report.assert_clean();
//!
//! // This cache is not invalidated by a write.
//! let write = recorder.begin_write("hero:1");
//! database.insert("hero:1", 2);
//! write.learned(2);
//! write.returned();
//! let started = Time::now();
//! recorder.read("hero:1", ReadKind::Strict, started, cache["hero:1"]);
//!
//! let report = recording.history().check(&Bounds::new(Duration::ZERO));
//! assert_eq!(report.violations_of(Check::Stale), 1);
//! println!("{report}"); // the write, the read, and what came before
//! ```
//!
//! Several processes of one machine record into files
//! ([`Recording::appending_to`]). The surviving process combines them
//! ([`History::read_from`], [`History::merge`]). [`Time`] is the same clock in
//! all of them.
//!
//! Limits: a version that was rolled back is assigned again. A read of it is
//! therefore detected only until the next writer of that version begins. A
//! checker that never complains proves little, so also run it on a cache that
//! is broken on purpose.

mod time;
pub use time::Time;

mod event;
pub use event::{Event, Fate, Fault, History, Read, ReadKind, Settled, State, Write};

mod lines;

mod parse;
pub use parse::LineError;

mod recorder;
pub use recorder::{PendingWrite, Recorder, Recording};

mod bounds;
pub use bounds::Bounds;

mod versions;

mod explain;

mod sweep;

mod report;
pub use report::{Check, Report, Violation};

mod judge;

mod check;
