//! What really happened, and whether it was allowed.
//!
//! A cache is wrong for microseconds, on one machine, once a day. Tests that
//! arrange a race find the races that somebody thought of. This records what
//! many readers and writers see while they run into each other, and judges
//! afterwards.
//!
//! Judging is cheap because every key has a version that the database raises
//! in the transaction of each write (`update .. set v = v + 1 .. returning v`),
//! so the order of all writes is known, and no search for one is needed:
//!
//! - **C1** no read returns a version older than the newest write that had
//!   returned more than a bound before the read began;
//! - **C2** no read returns a version that nobody had begun to write when the
//!   read ended, or that was rolled back;
//! - **C3** versions never go backwards, for strict reads over all instances,
//!   for lenient ones on each instance.
//!
//! A write of unknown fate (its writer crashed) is never demanded by C1, but
//! once seen it has happened, for C3. Deletes are writes like any other, and
//! the version goes on when the row is created again. A list has a version of
//! its own, raised with every change of its members, which are compared too.
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
//! // This cache is never told of a write.
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
//! ([`Recording::appending_to`]), and whoever survives puts them together
//! ([`History::read_from`], [`History::merge`]): [`Time`] is the same clock
//! for all of them.
//!
//! What it cannot see: a version that was rolled back is given out again, so
//! a read of it is only wrong until the next writer of that version begins.
//! And a checker that never complained proves little. Let it judge a cache
//! that is broken on purpose as well.

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
