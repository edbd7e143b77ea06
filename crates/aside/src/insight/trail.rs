//! The trail: the latest events of recently used keys, always on.
//!
//! A fixed table of 1 MiB, with 64 bytes for a key: its hash and seven events. A
//! key takes the place of another with the same lower bits. All accesses are
//! relaxed, and two writers at once may lose an event: reasons and explanations
//! are a best guess. Keys are identified by their hash, which every message
//! carries. Names would be copies of user input.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::RwLock;

use crate::answer::Missed;
use crate::protocol::message::Why;
use crate::runtime::clock::micros;

const SLOTS: usize = 16_384;
const EVENTS_PER_KEY: usize = 7;

/// The audit asks for the events of the last minute.
const MINUTE: Duration = Duration::from_secs(60);

/// The bits of the time in an event: microseconds of this process, for 8 years.
const TIME_BITS: u32 = 48;
const DETAIL_BITS: u32 = 12;
const MAX_DETAIL: u64 = (1 << DETAIL_BITS) - 1;

/// An event of a key, as this instance saw it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// QUARANTINE was acknowledged.
    Quarantined,
    /// QUARANTINE was not acknowledged: the key is unreleased here.
    Unquarantined,
    /// RELEASE left the new row, for a time.
    ReleasedWithValue(Duration),
    /// RELEASE left nothing.
    Released,
    /// RELEASE found its quarantine gone.
    ReleasedLost,
    /// RELEASE was not acknowledged, and is retried.
    Unreleased,
    /// A value was filled, for a time.
    Filled(Duration),
    FillRefused,
    /// A message of this instance arrived: it writes or invalidates the key.
    Heard(Why, u64),
}

/// An event, and how long ago it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Noted {
    pub(crate) event: Event,
    pub(crate) ago: Duration,
}

impl Event {
    /// Returns its description in an explanation and in the log.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Quarantined => "quarantined",
            Self::Unquarantined => "quarantine not acknowledged",
            Self::ReleasedWithValue(_) => "released with its new row",
            Self::Released => "released",
            Self::ReleasedLost => "released, but its quarantine was lost",
            Self::Unreleased => "release not acknowledged",
            Self::Filled(_) => "filled",
            Self::FillRefused => "fill refused",
            Self::Heard(..) => "invalidation heard",
        }
    }

    /// Returns true if the event belongs to a write or an invalidation.
    fn is_of_a_write(self) -> bool {
        matches!(
            self,
            Self::Quarantined | Self::Unquarantined | Self::Heard(..)
        )
    }

    /// Returns how long the value lives that the event left.
    fn leaves_for(self) -> Option<Duration> {
        match self {
            Self::Filled(ttl) | Self::ReleasedWithValue(ttl) => Some(ttl),
            _ => None,
        }
    }
}

/// One key. Its size is that of a cache line.
#[derive(Debug, Default)]
#[repr(align(64))]
struct Slot {
    hash: AtomicU64,
    events: [AtomicU64; EVENTS_PER_KEY],
}

/// The trail of one service.
pub(crate) struct Trail {
    slots: Box<[Slot]>,
    /// Senders of messages, by the number that stands for them in an event, less one.
    senders: RwLock<Vec<u64>>,
}

impl std::fmt::Debug for Trail {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Trail").finish_non_exhaustive()
    }
}

impl Trail {
    pub(crate) fn new() -> Self {
        Self {
            slots: (0..SLOTS).map(|_| Slot::default()).collect(),
            senders: RwLock::default(),
        }
    }

    pub(crate) fn note(&self, hash: u64, event: Event) {
        self.note_at(hash, event, micros());
    }

    fn note_at(&self, hash: u64, event: Event, now: u64) {
        let slot = self.slot(hash);
        if slot.hash.load(Ordering::Relaxed) != hash {
            slot.hash.store(hash, Ordering::Relaxed);
            for event in &slot.events {
                event.store(0, Ordering::Relaxed);
            }
        }
        // The empty and the oldest come first, by their time.
        let times = slot.events.iter();
        let times = times.map(|event| event.load(Ordering::Relaxed) & ((1 << TIME_BITS) - 1));
        let oldest = times.enumerate().min_by_key(|(_, time)| *time);
        let at = oldest.map_or(0, |(at, _)| at);
        // Later than zero, which is no event.
        let packed = self.pack(event) << TIME_BITS | (now + 1);
        slot.events[at].store(packed, Ordering::Relaxed);
    }

    /// Returns the events of a key, oldest first.
    pub(crate) fn events(&self, hash: u64) -> Vec<Noted> {
        self.events_at(hash, micros())
    }

    fn events_at(&self, hash: u64, now: u64) -> Vec<Noted> {
        let slot = self.slot(hash);
        if slot.hash.load(Ordering::Relaxed) != hash {
            return Vec::new();
        }
        let packed = slot.events.iter();
        let packed = packed.map(|event| event.load(Ordering::Relaxed));
        let mut noted: Vec<Noted> = packed
            .filter_map(|packed| {
                let time = packed & ((1 << TIME_BITS) - 1);
                Some(Noted {
                    event: self.unpack(packed >> TIME_BITS)?,
                    ago: Duration::from_micros((now + 1).saturating_sub(time)),
                })
            })
            .collect();
        noted.sort_by_key(|event| std::cmp::Reverse(event.ago));
        noted
    }

    /// Returns why Redis has no value of a key, if its latest event tells.
    pub(crate) fn why_gone(&self, hash: u64) -> Option<Missed> {
        let latest = self.events(hash).pop()?;
        Some(match latest.event.leaves_for() {
            Some(ttl) if ttl <= latest.ago => Missed::Expired,
            Some(_) => Missed::Evicted,
            None => Missed::Invalidated,
        })
    }

    /// Formats the events of a key within the last minute, oldest first.
    pub(crate) fn tell(&self, hash: u64) -> String {
        tell(&self.events(hash))
    }

    fn slot(&self, hash: u64) -> &Slot {
        // The number of slots is a power of two.
        let at = usize::try_from(hash % SLOTS as u64).unwrap_or(0);
        &self.slots[at]
    }

    /// Returns four bits for the event and twelve for its detail.
    fn pack(&self, event: Event) -> u64 {
        let (code, detail) = match event {
            Event::Quarantined => (1, 0),
            Event::Unquarantined => (2, 0),
            Event::ReleasedWithValue(ttl) => (3, packed_time(ttl)),
            Event::Released => (4, 0),
            Event::ReleasedLost => (5, 0),
            Event::Unreleased => (6, 0),
            Event::Filled(ttl) => (7, packed_time(ttl)),
            Event::FillRefused => (8, 0),
            Event::Heard(why, by) => (9 + why.number(), self.number_of(by)),
        };
        code << DETAIL_BITS | detail
    }

    fn unpack(&self, packed: u64) -> Option<Event> {
        let detail = packed & MAX_DETAIL;
        Some(match packed >> DETAIL_BITS {
            0 => return None,
            1 => Event::Quarantined,
            2 => Event::Unquarantined,
            3 => Event::ReleasedWithValue(unpacked_time(detail)),
            4 => Event::Released,
            5 => Event::ReleasedLost,
            6 => Event::Unreleased,
            7 => Event::Filled(unpacked_time(detail)),
            8 => Event::FillRefused,
            heard => Event::Heard(Why::of(heard - 9), self.sender(detail)),
        })
    }

    /// Returns the number of a sender; zero if there are too many.
    fn number_of(&self, sender: u64) -> u64 {
        let place = |senders: &[u64]| senders.iter().position(|known| *known == sender);
        let known = place(&self.senders.read());
        let place = known.or_else(|| {
            let mut senders = self.senders.write();
            place(&senders).or_else(|| {
                let has_room = (senders.len() as u64) < MAX_DETAIL;
                has_room.then(|| {
                    senders.push(sender);
                    senders.len() - 1
                })
            })
        });
        place.map_or(0, |place| place as u64 + 1)
    }

    /// Returns the sender of a number; zero for an unknown one.
    fn sender(&self, number: u64) -> u64 {
        let senders = self.senders.read();
        let place = usize::try_from(number).ok();
        let place = place.and_then(|number| number.checked_sub(1));
        let sender = place.and_then(|place| senders.get(place));
        sender.copied().unwrap_or(0)
    }
}

fn tell(noted: &[Noted]) -> String {
    let recent = noted.iter().filter(|noted| noted.ago <= MINUTE);
    if !recent.clone().any(|noted| noted.event.is_of_a_write()) {
        return "none: the key was not written through any cache within a minute".to_owned();
    }
    let mut told = String::new();
    for noted in recent {
        let separator = if told.is_empty() { "" } else { ", " };
        let ago = noted.ago.as_millis();
        let _ = write!(told, "{separator}{ago} ms ago {}", noted.event.as_str());
    }
    told
}

/// Packs a time into twelve bits: a power of two, and eight bits of it in quarters
/// of a second. It is at most half a percent too short.
fn packed_time(time: Duration) -> u64 {
    let quarters = u64::try_from(time.as_millis() / 250).unwrap_or(u64::MAX);
    let shift = (64 - quarters.leading_zeros()).saturating_sub(8);
    match shift {
        0..=15 => u64::from(shift) << 8 | quarters >> shift,
        _ => MAX_DETAIL,
    }
}

fn unpacked_time(packed: u64) -> Duration {
    Duration::from_millis(((packed & 0xff) << (packed >> 8)) * 250)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000;
    const TTL: Duration = Duration::from_secs(3600);

    fn told(trail: &Trail, hash: u64, now: u64) -> String {
        tell(&trail.events_at(hash, now))
    }

    #[test]
    fn a_slot_is_one_cache_line() {
        assert_eq!(size_of::<Slot>(), 64);
    }

    #[test]
    fn events_of_a_written_key_are_listed_in_order() {
        let trail = Trail::new();
        let heard = Event::Heard(Why::Write, 17);
        for (event, millis) in [
            (Event::Quarantined, 0),
            (heard, 5),
            (Event::Released, 20),
            (Event::Filled(TTL), 100),
        ] {
            trail.note_at(7, event, millis * 1000);
        }
        assert_eq!(
            told(&trail, 7, SECOND),
            "1000 ms ago quarantined, 995 ms ago invalidation heard, 980 ms ago released, \
             900 ms ago filled"
        );
        let events = trail.events_at(7, SECOND);
        let events: Vec<_> = events.iter().map(|noted| noted.event).collect();
        assert_eq!(events[1], heard);
        assert!(matches!(events[3], Event::Filled(ttl) if TTL * 99 / 100 < ttl && ttl <= TTL));
    }

    #[test]
    fn the_oldest_event_makes_room() {
        let trail = Trail::new();
        for step in 0..100 {
            trail.note_at(7, Event::Heard(Why::Request, step), step);
        }
        let senders = trail.events_at(7, 100).into_iter();
        let senders = senders.map(|noted| match noted.event {
            Event::Heard(Why::Request, by) => by,
            other => panic!("{other:?}"),
        });
        assert!(senders.eq(93..100));
    }

    #[test]
    fn a_key_is_not_told_with_the_events_of_another() {
        let trail = Trail::new();
        trail.note_at(7, Event::Quarantined, 0);
        let other = 7 + SLOTS as u64;
        assert_eq!(trail.events_at(other, 0), []);
        trail.note_at(other, Event::Released, 0);
        assert_eq!(trail.events_at(7, 0), []);
    }

    #[test]
    fn the_audit_hears_of_the_last_minute_only() {
        let trail = Trail::new();
        trail.note_at(7, Event::Filled(TTL), 0);
        assert!(told(&trail, 7, 0).starts_with("none"));
        trail.note_at(7, Event::Heard(Why::Unknown, 1), 50 * SECOND);
        assert!(told(&trail, 7, 109 * SECOND).ends_with("invalidation heard"));
        assert!(!told(&trail, 7, 109 * SECOND).contains("filled"));
        assert!(told(&trail, 7, 111 * SECOND).starts_with("none"));
    }

    #[test]
    fn the_latest_event_tells_why_a_value_is_gone() {
        let trail = Trail::new();
        assert_eq!(trail.why_gone(7), None);
        trail.note(7, Event::Filled(TTL));
        assert_eq!(trail.why_gone(7), Some(Missed::Evicted));
        trail.note(7, Event::Heard(Why::Write, 1));
        assert_eq!(trail.why_gone(7), Some(Missed::Invalidated));
        trail.note(8, Event::Filled(Duration::ZERO));
        assert_eq!(trail.why_gone(8), Some(Missed::Expired));
    }

    #[test]
    fn a_time_is_packed_within_half_a_percent() {
        for millis in [0, 250, 999, 60_000, 3_600_000, 86_400_000, 2_000_000_000] {
            let time = Duration::from_millis(millis);
            let read = unpacked_time(packed_time(time));
            let lost = time - read;
            assert!(lost <= time / 128 + Duration::from_millis(250), "{time:?}");
        }
        let longest = unpacked_time(packed_time(Duration::MAX));
        assert!(Duration::from_secs(2_000_000) < longest);
    }

    #[test]
    fn further_senders_are_unknown() {
        let trail = Trail::new();
        for sender in 1..=MAX_DETAIL + 10 {
            trail.note_at(7, Event::Heard(Why::Write, sender), sender);
        }
        let last = trail.events_at(7, 0).pop();
        let Some(Event::Heard(_, by)) = last.map(|noted| noted.event) else {
            panic!("{last:?}");
        };
        assert_eq!(by, 0);
    }
}
