//! The reads of instance A.

use super::{Entry, OwnStage, Reader, ReaderStage, Skipping, State, TwoInstances, value};
use crate::explore::Steps;
use crate::scripts::Key;

impl State {
    fn done(mut self, i: usize, version: u8) -> Self {
        self.readers[i] = Reader {
            stage: ReaderStage::Done,
            ..Reader::default()
        };
        self.seen = self.seen.max(version);
        self
    }

    /// The entry that would be served.
    fn current(&self) -> Option<Entry> {
        self.entry
            .filter(|entry| entry.generation == self.generation)
    }
}

impl TwoInstances {
    pub(super) fn read(&self, at: &State, i: usize, steps: &mut Steps<State>) {
        let (n, reader) = (i as u8, at.readers[i]);
        match reader.stage {
            ReaderStage::Idle => self.begin(at, i, steps),
            ReaderStage::Sent => match at.key {
                Key::Value { version, .. } => {
                    if version < reader.floor {
                        let numbers = [n, version, reader.floor];
                        steps.broken("r# is served v#, and w0 had returned with v#", numbers);
                    }
                    let to = answered(at, i, version);
                    steps.to("r#: GET finds v#", [n, version], to);
                }
                Key::Absent => {
                    let mut to = answered(at, i, at.row);
                    to.key = value(at.row);
                    steps.to("r#: loads and fills v#", [n, at.row], to);
                }
                Key::Lease { .. } | Key::Quarantine { .. } => {
                    steps.to("r#: GET finds Q, loads v#", [n, at.row], at.done(i, at.row));
                }
            },
            ReaderStage::Answered => {
                let Reader {
                    version,
                    generation,
                    ..
                } = reader;
                let mut to = at.done(i, version);
                if generation == at.generation && !at.is_suspect {
                    to.entry = Some(Entry {
                        version,
                        generation,
                    });
                }
                steps.to("r#: returns v#, inserts if current", [n, version], to);
            }
            ReaderStage::Skipped => {
                let mut to = at.done(i, reader.version);
                let held = at.current().map(|entry| entry.version);
                let differs = held.is_some_and(|held| held != reader.version);
                to.generation += u8::from(match self.skipping {
                    Skipping::Nothing => false,
                    Skipping::ForgetsIfRedisDiffers => reader.from_redis && differs,
                    Skipping::ForgetsIfOtherHeld => differs,
                    Skipping::ForgetsUnlessSameHeld => held != Some(reader.version),
                });
                steps.to("r#: returns v#", [n, reader.version], to);
            }
            ReaderStage::Done => {}
        }
    }

    fn begin(&self, at: &State, i: usize, steps: &mut Steps<State>) {
        let n = i as u8;
        let is_held = self.holds
            && matches!(
                at.own,
                OwnStage::Lost | OwnStage::LostCommitted | OwnStage::LostReturned
            );
        if at.is_suspect || is_held {
            steps.to(
                "r#: passes Redis by, loads v#",
                [n, at.row],
                at.done(i, at.row),
            );
            return;
        }
        if let Some(Entry { version, .. }) = at.current() {
            if version < at.returned {
                let numbers = [n, version, at.returned];
                steps.broken(
                    "r# is served v# locally, and w0 had returned with v#",
                    numbers,
                );
            }
            if self.in_order && version < at.seen {
                let numbers = [n, version, at.seen];
                steps.broken("r# is served v# locally, and v# had been seen", numbers);
            }
            steps.to(
                "r#: is served v# locally",
                [n, version],
                at.done(i, version),
            );
        } else if !at.readers.iter().any(Reader::is_under_way) {
            let mut to = *at;
            to.readers[i] = Reader {
                stage: ReaderStage::Sent,
                generation: at.generation,
                floor: at.returned,
                ..Reader::default()
            };
            steps.to("r#: sends GET under g#", [n, at.generation], to);
        }
        if at.skips_left > 0 {
            let mut to = *at;
            to.skips_left -= 1;
            to.readers[i].stage = ReaderStage::Skipped;
            if let Key::Value { version, .. } = at.key {
                to.readers[i].version = version;
                to.readers[i].from_redis = true;
                steps.to("r#, skipping the tier, finds v#", [n, version], to);
            } else if !(self.skips_in_turn && at.readers.iter().any(Reader::is_under_way)) {
                to.readers[i].version = at.row;
                steps.to("r#, skipping the tier, loads v#", [n, at.row], to);
            }
        }
    }
}

impl Reader {
    /// Returns true if it is the one read below the tier.
    fn is_under_way(&self) -> bool {
        matches!(self.stage, ReaderStage::Sent | ReaderStage::Answered)
    }
}

fn answered(at: &State, i: usize, version: u8) -> State {
    let mut to = *at;
    to.readers[i].stage = ReaderStage::Answered;
    to.readers[i].version = version;
    to
}
