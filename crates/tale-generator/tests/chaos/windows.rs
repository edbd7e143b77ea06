//! Windows in which other instances may read a hero that is older than
//! promised.
//!
//! A write that could not reach Redis is unknown to the other instances until
//! its own instance has reached Redis again (`CAVEATS.md`). Each instance
//! records such writes in the file beside its history. It also records when
//! Redis had acknowledged all of its keys. Reads by other instances are judged
//! without these writes. Reads by the instance itself are never excused.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use aside::CacheService;
use aside_testkit::history::Time;

/// How often an instance with pending keys checks whether they are
/// acknowledged.
const LOOKS_EVERY: Duration = Duration::from_millis(5);

/// The file to which an instance writes its windows.
#[derive(Debug)]
pub(crate) struct Windows {
    file: File,
    opened: AtomicUsize,
}

/// A time in which only the writing instance must know about a write.
#[derive(Clone, Debug)]
pub(crate) struct Window {
    pub(crate) instance: String,
    pub(crate) hero: usize,
    pub(crate) from: Time,
    /// `None` if the instance died before it could reach Redis.
    pub(crate) until: Option<Time>,
}

impl Windows {
    pub(crate) fn appending_to(path: &Path) -> Self {
        let file = File::options().create(true).append(true).open(path);
        Self {
            file: file.expect("the file of the windows can be opened"),
            opened: AtomicUsize::new(0),
        }
    }

    /// Records that a write of this hero may be unknown to others since then.
    pub(crate) fn open(&self, hero: usize, begun: Time) {
        self.append(&format!("open {hero} {}\n", begun.as_nanos()));
        self.opened.fetch_add(1, Ordering::AcqRel);
    }

    /// Closes windows whenever Redis has acknowledged all keys.
    pub(crate) async fn close_when_paid(&self, cache: &CacheService) {
        let mut closed = 0;
        loop {
            tokio::time::sleep(LOOKS_EVERY).await;
            // Keys become pending before their window opens. So the check
            // covers every window that was opened before it.
            let opened = self.opened.load(Ordering::Acquire);
            if closed < opened && cache.health_check().await.unreleased_keys == 0 {
                closed = opened;
                let now = Time::now().as_nanos();
                self.append(&format!("paid {opened} {now}\n"));
            }
        }
    }

    fn append(&self, line: &str) {
        (&self.file)
            .write_all(line.as_bytes())
            .expect("the file of the windows can be written");
    }
}

/// Returns the recorded windows of an instance, however it ended.
pub(crate) fn read_from(path: &Path, instance: &str) -> Vec<Window> {
    let text = fs::read_to_string(path).unwrap_or_default();
    let mut windows: Vec<Window> = Vec::new();
    // A last line without its end was cut off by a kill and is ignored.
    for line in text.split_inclusive('\n').filter(|it| it.ends_with('\n')) {
        let mut words = line.split_whitespace();
        let what = words.next().expect("a word");
        let mut number = || -> u64 {
            let word = words.next().expect("a number");
            word.parse().expect("a number")
        };
        let (count, at) = (number(), Time::from_nanos(number()));
        let count = usize::try_from(count).expect("a small number");
        if what == "open" {
            windows.push(Window {
                instance: instance.to_owned(),
                hero: count,
                from: at,
                until: None,
            });
            continue;
        }
        // Lines of two threads may have changed places, but the count is right.
        for window in windows.iter_mut().take(count) {
            window.until.get_or_insert(at);
        }
    }
    windows
}
