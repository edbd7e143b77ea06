//! The reads, on either instance.

use super::{Entry, Epochs, Reader, ReaderStage, Stamp, State};
use crate::explore::Steps;
use crate::scripts::Key;

impl State {
    fn reader(mut self, i: usize, stage: ReaderStage) -> Self {
        self.readers[i].stage = stage;
        if stage == ReaderStage::Done {
            self.readers[i] = Reader {
                stage,
                ..Reader::default()
            };
        }
        self
    }
}

impl Epochs {
    pub(super) fn read(&self, at: &State, i: usize, steps: &mut Steps<State>) {
        let (n, reader, home) = (i as u8, at.readers[i], self.homes[i]);
        let instance = at.instances[home];
        match reader.stage {
            ReaderStage::Idle => {
                let current = |entry: &Entry| entry.epoch >= instance.known;
                if let Some(Entry { version, .. }) = instance.entry.filter(current) {
                    if version < instance.proved {
                        let numbers = [n, version, instance.proved];
                        steps.broken("r# is served v# locally, v# was settled", numbers);
                    }
                    let to = at.reader(i, ReaderStage::Done);
                    steps.to("r#: is served v# locally", [n, version], to);
                    return;
                }
                let mut to = at.reader(i, ReaderStage::Sent);
                to.readers[i].floor = instance.proved;
                to.readers[i].known = instance.known;
                steps.to("r#: starts, knows e#", [n, instance.known], to);
            }
            ReaderStage::Sent | ReaderStage::Missed => look(at, i, steps),
            ReaderStage::Leased => {
                let mut to = at.reader(i, ReaderStage::Loaded);
                to.readers[i].version = at.row;
                steps.to("r#: loads v#", [n, at.row], to);
            }
            ReaderStage::Loaded => {
                let epoch = match self.fill {
                    Stamp::Early => reader.known,
                    Stamp::Late => instance.known,
                };
                if let Some(key) = at.key.filled(reader.token, reader.version, epoch) {
                    let mut to = at.reader(i, ReaderStage::Answered);
                    to.key = key;
                    to.readers[i].epoch = epoch;
                    steps.to("r#: FILL v# of e#", [n, reader.version, epoch], to);
                } else {
                    let to = at.reader(i, ReaderStage::Done);
                    steps.to("r#: FILL v#, refused", [n, reader.version], to);
                }
            }
            ReaderStage::Answered => {
                let mut to = at.reader(i, ReaderStage::Done);
                to.instances[home].entry = Some(Entry {
                    version: reader.version,
                    epoch: match self.entry {
                        Stamp::Early => reader.epoch,
                        Stamp::Late => reader.epoch.max(instance.known),
                    },
                });
                steps.to("r#: keeps v# locally", [n, reader.version], to);
            }
            ReaderStage::Done => {}
        }
    }
}

/// A reader's GET, or the ACQUIRE after it.
fn look(at: &State, i: usize, steps: &mut Steps<State>) {
    let (n, reader) = (i as u8, at.readers[i]);
    match at.key {
        Key::Value { version, mark } if mark >= reader.known => {
            if version < reader.floor {
                let numbers = [n, version, reader.floor];
                steps.broken("r# is served v#, v# was settled", numbers);
            }
            let mut to = at.reader(i, ReaderStage::Answered);
            to.readers[i].version = version;
            to.readers[i].epoch = mark;
            steps.to("r#: finds v# of e#", [n, version, mark], to);
        }
        // The row that it loads next is new enough, and is not shared.
        Key::Lease { .. } | Key::Quarantine { .. } => {
            steps.to("r#: finds L or Q", [n], at.reader(i, ReaderStage::Done));
        }
        _ if reader.stage == ReaderStage::Sent => {
            steps.to("r#: GET misses", [n], at.reader(i, ReaderStage::Missed));
        }
        _ => {
            let mut to = at.reader(i, ReaderStage::Leased);
            to.tokens += 1;
            to.readers[i].token = to.tokens;
            to.key = Key::Lease {
                token: to.tokens,
                mark: 0,
            };
            steps.to("r#: ACQUIRE grants t#", [n, to.tokens], to);
        }
    }
}
