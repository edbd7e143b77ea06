//! The latest events of keys written within the last minute.
//!
//! Needed only if the audit finds such a key to be wrong, so memory is bounded
//! twice: by a number of keys, and by a number of events per key. Keys are
//! identified by their hash, which every message carries. Names would be copies
//! of user input.

use std::collections::{HashMap, VecDeque};
use std::fmt::Write as _;
use std::time::Duration;

use parking_lot::Mutex;

use crate::runtime::clock::Moment;

/// How long a key is remembered after its last write.
const REMEMBERED: Duration = Duration::from_secs(60);

const MAX_KEYS: usize = 4096;
const EVENTS_PER_KEY: usize = 16;

/// An event of a key, as this instance saw it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// QUARANTINE was acknowledged.
    Quarantined,
    /// QUARANTINE was not acknowledged: the key is unreleased here.
    Unquarantined,
    /// RELEASE left the new row.
    ReleasedWithValue,
    /// RELEASE left nothing.
    Released,
    /// RELEASE found its quarantine gone.
    ReleasedLost,
    /// RELEASE was not acknowledged, and is retried.
    Unreleased,
    /// A message arrived: some instance writes or invalidates the key.
    Heard,
    Filled,
    FillRefused,
}

impl Event {
    fn as_str(self) -> &'static str {
        match self {
            Self::Quarantined => "quarantined",
            Self::Unquarantined => "quarantine not acknowledged",
            Self::ReleasedWithValue => "released with its new row",
            Self::Released => "released",
            Self::ReleasedLost => "released, but its quarantine was lost",
            Self::Unreleased => "release not acknowledged",
            Self::Heard => "invalidation heard",
            Self::Filled => "filled",
            Self::FillRefused => "fill refused",
        }
    }

    /// Returns true if the event belongs to a write, so that the key is
    /// remembered.
    fn is_of_a_write(self) -> bool {
        matches!(self, Self::Quarantined | Self::Unquarantined | Self::Heard)
    }
}

#[derive(Debug, Default)]
pub(crate) struct Events {
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    trails: HashMap<u64, Trail, foldhash::fast::RandomState>,
    /// The keys in the order of a write; each once, and perhaps written again
    /// since.
    order: VecDeque<(Moment, u64)>,
}

#[derive(Debug)]
struct Trail {
    written: Moment,
    events: VecDeque<(Moment, Event)>,
}

impl Events {
    pub(crate) fn record_event(&self, hash: u64, event: Event, now: Moment) {
        let mut kept = self.kept.lock();
        kept.forget_old(now);
        if event.is_of_a_write() && !kept.trails.contains_key(&hash) {
            kept.make_room();
            kept.order.push_back((now, hash));
            let trail = Trail {
                written: now,
                events: VecDeque::new(),
            };
            kept.trails.insert(hash, trail);
        }
        let Some(trail) = kept.trails.get_mut(&hash) else {
            return;
        };
        if event.is_of_a_write() {
            trail.written = now;
        }
        if trail.events.len() == EVENTS_PER_KEY {
            trail.events.pop_front();
        }
        trail.events.push_back((now, event));
    }

    /// Formats the events of a key, oldest first.
    pub(crate) fn tell(&self, hash: u64, now: Moment) -> String {
        let mut kept = self.kept.lock();
        kept.forget_old(now);
        let trail = kept.trails.get(&hash);
        let Some(trail) = trail.filter(|trail| now.since(trail.written) <= REMEMBERED) else {
            return "none: the key was not written through any cache within a minute".to_owned();
        };
        let mut told = String::new();
        for (at, event) in &trail.events {
            let separator = if told.is_empty() { "" } else { ", " };
            let ago = now.since(*at).as_millis();
            let _ = write!(told, "{separator}{ago} ms ago {}", event.as_str());
        }
        told
    }
}

impl Kept {
    /// Removes the keys that were not written for a minute.
    fn forget_old(&mut self, now: Moment) {
        while let Some((looked, hash)) = self.order.front().copied()
            && now.since(looked) > REMEMBERED
        {
            self.order.pop_front();
            match self.trails.get(&hash).map(|trail| trail.written) {
                Some(written) if now.since(written) <= REMEMBERED => {
                    self.order.push_back((written, hash));
                }
                _ => {
                    self.trails.remove(&hash);
                }
            }
        }
    }

    fn make_room(&mut self) {
        if self.trails.len() >= MAX_KEYS
            && let Some((_, hash)) = self.order.pop_front()
        {
            self.trails.remove(&hash);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Moment {
        Moment::from_millis(1_000_000 + millis)
    }

    #[test]
    fn events_of_a_written_key_are_listed_in_order() {
        let events = Events::default();
        events.record_event(7, Event::Quarantined, at(0));
        events.record_event(7, Event::Heard, at(5));
        events.record_event(7, Event::Released, at(20));
        events.record_event(7, Event::Filled, at(100));
        assert_eq!(
            events.tell(7, at(1_000)),
            "1000 ms ago quarantined, 995 ms ago invalidation heard, 980 ms ago released, \
             900 ms ago filled"
        );
    }

    #[test]
    fn a_key_without_a_write_is_not_remembered() {
        let events = Events::default();
        events.record_event(7, Event::Filled, at(0));
        assert!(events.tell(7, at(0)).starts_with("none"));
    }

    #[test]
    fn a_key_is_forgotten_a_minute_after_its_last_write() {
        let events = Events::default();
        events.record_event(7, Event::Heard, at(0));
        events.record_event(7, Event::Heard, at(50_000));
        events.record_event(8, Event::Heard, at(50_000));
        events.record_event(7, Event::Filled, at(100_000));
        assert!(events.tell(7, at(110_000)).contains("filled"));
        assert!(events.tell(7, at(110_001)).starts_with("none"));
        assert!(events.kept.lock().trails.is_empty());
    }

    #[test]
    fn memory_is_bounded_by_keys_and_by_events_per_key() {
        let events = Events::default();
        for step in 0..10 * MAX_KEYS as u64 {
            events.record_event(step, Event::Heard, at(0));
            events.record_event(step, Event::Filled, at(step % 100));
        }
        for step in 0..100 {
            events.record_event(u64::MAX, Event::Heard, at(step));
        }
        let kept = events.kept.lock();
        assert_eq!((kept.trails.len(), kept.order.len()), (MAX_KEYS, MAX_KEYS));
        assert_eq!(kept.trails[&u64::MAX].events.len(), EVENTS_PER_KEY);
    }
}
