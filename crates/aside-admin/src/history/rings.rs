//! The samples of the last five minutes, and of the last hour.

use std::collections::VecDeque;

use super::sample::Sample;

/// A sample for each of the last 300 seconds.
const MAX_SECONDS: usize = 300;

/// A sample for each of the last 240 spans of 15 seconds.
const MAX_QUARTERS: usize = 240;
const SECONDS_PER_QUARTER: usize = 15;

/// A range of history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Range {
    FiveMinutes,
    Hour,
}

impl Range {
    pub(crate) const ALL: [Self; 2] = [Self::FiveMinutes, Self::Hour];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::FiveMinutes => "5m",
            Self::Hour => "1h",
        }
    }

    pub(crate) fn step_seconds(self) -> usize {
        match self {
            Self::FiveMinutes => 1,
            Self::Hour => SECONDS_PER_QUARTER,
        }
    }
}

/// Two rings of samples: a fine one, and a coarse one that reaches further back.
#[derive(Debug, Default)]
pub(crate) struct Rings {
    seconds: VecDeque<Sample>,
    /// The last one grows until it has all its seconds.
    quarters: VecDeque<Sample>,
    seconds_in_last: usize,
}

impl Rings {
    /// Adds the sample of one second.
    pub(crate) fn push(&mut self, second: Sample) {
        match self.quarters.back_mut() {
            Some(last) if self.seconds_in_last < SECONDS_PER_QUARTER => {
                last.extend(&second);
                self.seconds_in_last += 1;
            }
            _ => {
                push(&mut self.quarters, second.clone(), MAX_QUARTERS);
                self.seconds_in_last = 1;
            }
        }
        push(&mut self.seconds, second, MAX_SECONDS);
    }

    /// Returns the samples of a range, oldest first.
    pub(crate) fn samples(&self, range: Range) -> Vec<Sample> {
        let ring = match range {
            Range::FiveMinutes => &self.seconds,
            Range::Hour => &self.quarters,
        };
        ring.iter().cloned().collect()
    }

    /// Returns the last 60 seconds as one sample; `None` before the first.
    pub(crate) fn last_minute(&self) -> Option<Sample> {
        let mut seconds = self
            .seconds
            .iter()
            .skip(self.seconds.len().saturating_sub(60));
        let mut all = seconds.next()?.clone();
        seconds.for_each(|second| all.extend(second));
        Some(all)
    }
}

fn push(ring: &mut VecDeque<Sample>, sample: Sample, max: usize) {
    if ring.len() == max {
        ring.pop_front();
    }
    ring.push_back(sample);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::sample::OfKind;

    fn after(seconds: u32) -> Rings {
        let mut rings = Rings::default();
        for second in 1..=seconds {
            let mut kind = OfKind::default();
            kind.counts[0] = 1;
            rings.push(Sample {
                at: i64::from(second) * 1_000,
                millis: 1_000,
                kinds: [("hero", kind)].into(),
                ..Sample::default()
            });
        }
        rings
    }

    #[test]
    fn five_minutes_and_an_hour_are_kept_and_no_more() {
        let rings = after(2 * 3_600);
        let seconds = rings.samples(Range::FiveMinutes);
        assert_eq!((seconds.len(), seconds[0].at), (300, 6_901_000));
        let quarters = rings.samples(Range::Hour);
        assert_eq!((quarters.len(), quarters[0].at), (240, 3_615_000));
        for quarter in quarters {
            assert_eq!(
                (quarter.millis, quarter.kinds["hero"].counts[0]),
                (15_000, 15)
            );
        }
    }

    #[test]
    fn the_hour_includes_the_seconds_of_an_unfinished_span() {
        let quarters = after(17).samples(Range::Hour);
        let lengths: Vec<u32> = quarters.iter().map(|quarter| quarter.millis).collect();
        assert_eq!(lengths, [15_000, 2_000]);
    }

    #[test]
    fn the_last_minute_ends_now_and_may_be_shorter() {
        assert!(after(0).last_minute().is_none());
        assert_eq!(after(7).last_minute().unwrap().kinds["hero"].counts[0], 7);
        let minute = after(400).last_minute().unwrap();
        assert_eq!((minute.at, minute.millis), (400_000, 60_000));
        assert_eq!(minute.kinds["hero"].counts[0], 60);
    }
}
