//! The usual first cache-aside, and the race that it loses.

use std::collections::HashMap;
use std::sync::mpsc::channel;
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use aside_testkit::history::{Bounds, Check, ReadKind, Recorder, Recording, Time};

const KEY: &str = "hero:1";

/// Get; on a miss load and set. Write; then delete from the cache.
#[derive(Default)]
struct CacheAside {
    database: Mutex<HashMap<&'static str, u64>>,
    cache: Mutex<HashMap<&'static str, u64>>,
}

impl CacheAside {
    /// Reads, and pauses between the load and the fill.
    fn read(&self, recorder: &Recorder, pause: impl FnOnce()) {
        let started = Time::now();
        let cached = self.cache.lock().unwrap().get(KEY).copied();
        let found = cached.or_else(|| {
            let loaded = self.database.lock().unwrap().get(KEY).copied();
            pause();
            if let Some(loaded) = loaded {
                self.cache.lock().unwrap().insert(KEY, loaded);
            }
            loaded
        });
        recorder.read(KEY, ReadKind::Strict, started, found);
    }

    fn write(&self, recorder: &Recorder) {
        let write = recorder.begin_write(KEY);
        {
            let mut database = self.database.lock().unwrap_or_else(PoisonError::into_inner);
            let version = database.entry(KEY).or_default();
            *version += 1;
            write.learned(*version);
        }
        self.cache.lock().unwrap().remove(KEY);
        write.returned();
    }
}

#[test]
fn a_slow_reader_of_a_plain_cache_aside_is_caught() {
    let recording = Recording::new();
    let cache = CacheAside::default();
    let writer = recording.recorder("writer");
    cache.write(&writer);

    let (loaded, has_loaded) = channel();
    let (written, has_written) = channel();
    thread::scope(|scope| {
        let slow = recording.recorder("slow reader");
        let cache = &cache;
        scope.spawn(move || {
            cache.read(&slow, || {
                loaded.send(()).unwrap();
                has_written.recv().unwrap();
            });
        });
        has_loaded.recv().unwrap();
        cache.write(&writer);
        written.send(()).unwrap();
    });
    // The slow reader itself is correct, because it began before the write.
    let report = recording.history().check(&Bounds::new(Duration::ZERO));
    report.assert_clean();

    let reader = recording.recorder("next reader");
    cache.read(&reader, || {});
    reader.settled(
        KEY,
        cache.cache.lock().unwrap()[KEY],
        cache.database.lock().unwrap()[KEY],
    );
    let report = recording.history().check(&Bounds::new(Duration::ZERO));
    let found = (
        report.violations_of(Check::Stale),
        report.still_stale_keys(),
    );
    assert_eq!(found, (1, 1), "{report}");
}

#[test]
fn the_same_cache_with_sequential_readers_is_clean() {
    let recording = Recording::new();
    let cache = CacheAside::default();
    let recorder = recording.recorder("a");
    for _ in 0..10 {
        cache.read(&recorder, || {});
        cache.write(&recorder);
        cache.read(&recorder, || {});
    }
    let report = recording.history().check(&Bounds::new(Duration::ZERO));
    report.assert_clean();
    assert_eq!((report.reads, report.writes), (20, 10));
}
