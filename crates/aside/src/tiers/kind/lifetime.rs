//! The time to live of one value.
//!
//! It depends on nothing but settings and the id of the fill, which is random. So
//! every instance computes the same from the value, and no more randomness is needed.

use std::time::Duration;

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
    fn no_ttl_is_below_a_second() {
        for number in [0, 1, u64::MAX] {
            let ttl = jittered(MIN_TTL, 1.0, KeyStamp::from_number(number));
            assert_eq!(ttl, MIN_TTL);
        }
    }
}
