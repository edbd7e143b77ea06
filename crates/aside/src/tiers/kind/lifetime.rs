//! The time to live of one value, and the moment from which reads refresh it.
//!
//! They depend on nothing but settings and the id of the fill, which is random. So
//! every instance computes the same from the value, and no more randomness is needed.
//!
//! A local entry ends at that moment. Its next reader sends a GET, which shows if
//! another instance refreshes the value, and keeps the entry until the end of its TTL.

use std::time::Duration;

use super::{Cached, Kind};
use crate::entity::Entity;
use crate::protocol::value::KeyStamp;

/// The shortest TTL of a value.
const MIN_TTL: Duration = Duration::from_secs(1);

/// Returns a TTL of which a random part, at most `jitter`, is subtracted, so that
/// values filled together do not expire together.
pub(super) fn jittered(full: Duration, jitter: f64, fill: KeyStamp) -> Duration {
    let jitter = jitter.clamp(0.0, 1.0);
    if jitter > 0.0 {
        full.mul_f64(1.0 - jitter * of_high_bits(fill)).max(MIN_TTL)
    } else {
        full.max(MIN_TTL)
    }
}

impl<E: Entity> Kind<E> {
    /// Returns how long a value is kept locally.
    pub(super) fn local_ttl(&self, stored: &Cached<E>) -> Duration {
        let own = self.strategy.local_ttl().unwrap_or(Duration::MAX);
        let ttl = match self.early(stored) {
            // By the clock of this instance it is past that moment, and has its reader.
            Some(early) => match stored.ttl.min(stored.lifetime).checked_sub(early) {
                Some(left) if !left.is_zero() => left,
                _ => stored.ttl,
            },
            None => stored.ttl,
        };
        ttl.min(own)
    }

    /// Returns true if a read is to refresh the value. A value beyond its end has an
    /// instance whose clock differs, which would have each value loaded at once.
    pub(crate) fn is_due(&self, cached: &Cached<E>) -> bool {
        let left = cached.ttl.min(cached.lifetime);
        let is_open = !cached.is_claimed && !left.is_zero();
        self.early(cached)
            .is_some_and(|early| is_open && left <= early)
    }

    /// Returns how long before its end a value is refreshed, if the strategy says so.
    fn early(&self, cached: &Cached<E>) -> Option<Duration> {
        let part = self.strategy.early_refresh()?;
        Some(early(cached.lifetime, part, self.pace.slow(), cached.fill))
    }
}

/// Returns how long before its end a value is refreshed.
fn early(lifetime: Duration, part: f64, slow: Duration, fill: u64) -> Duration {
    let part = if part.is_nan() {
        0.0
    } else {
        part.clamp(0.0, 0.5)
    };
    let most = lifetime.mul_f64(part).max(slow * 4).min(lifetime / 2);
    most.mul_f64((1.0 + of_low_bits(fill)) / 2.0)
}

/// Returns a number from 0 to 1, made of bits that a local entry keeps.
fn of_low_bits(fill: u64) -> f64 {
    f64::from(u16::try_from(fill & 0xffff).unwrap_or(u16::MAX)) / f64::from(u16::MAX)
}

/// Returns a number from 0 to 1, made of the bits that a local entry does not keep.
fn of_high_bits(fill: KeyStamp) -> f64 {
    f64::from(u16::try_from(fill.number() >> 48).unwrap_or(u16::MAX)) / f64::from(u16::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    #[test]
    fn ttls_are_spread_over_the_jitter_alone() {
        let ttls: Vec<_> = (0..1000)
            .map(|_| jittered(HOUR, 0.1, KeyStamp::random()))
            .collect();
        let (least, most) = (ttls.iter().min().unwrap(), ttls.iter().max().unwrap());
        assert!(HOUR.mul_f64(0.9) <= *least && *least < HOUR.mul_f64(0.91));
        assert!(HOUR.mul_f64(0.99) < *most && *most <= HOUR);
    }

    #[test]
    fn without_jitter_a_ttl_is_the_setting() {
        for jitter in [0.0, -1.0, f64::NAN] {
            assert_eq!(jittered(HOUR, jitter, KeyStamp::random()), HOUR);
        }
    }

    #[test]
    fn each_value_has_its_own_moment_before_its_end() {
        let slow = Duration::from_secs(1);
        let of = |fill| early(HOUR, 0.1, slow, fill);
        assert_eq!(of(0), HOUR / 20);
        assert_eq!(of(0xffff), HOUR / 10);
        assert!(of(0) < of(0x7fff) && of(0x7fff) < of(0xffff));
    }

    #[test]
    fn slow_loads_begin_earlier_within_half_of_the_ttl() {
        let of = |part, slow| early(HOUR, part, Duration::from_secs(slow), 0xffff);
        assert_eq!(of(0.0, 100), Duration::from_secs(400));
        assert_eq!(of(0.1, 3600), HOUR / 2);
        assert_eq!(of(7.0, 0), HOUR / 2);
        assert_eq!(of(f64::NAN, 0), Duration::ZERO);
    }

    #[test]
    fn no_ttl_is_below_a_second() {
        for number in [0, 1, u64::MAX] {
            let ttl = jittered(MIN_TTL, 1.0, KeyStamp::from_number(number));
            assert_eq!(ttl, MIN_TTL);
        }
    }
}
