//! The reads, each of one key on one instance.

use super::{A, B, Entry, OtherStage, OwnStage, Reader, ReaderStage, State, TwoShards};
use crate::explore::Steps;
use crate::scripts::Key;

impl State {
    fn done(mut self, i: usize) -> Self {
        self.readers[i] = Reader {
            stage: ReaderStage::Done,
            ..Reader::default()
        };
        self
    }

    /// The oldest version that a read on this instance may return.
    fn floor(&self, instance: usize, shard: usize) -> u8 {
        let own = match instance {
            A if self.own == OwnStage::Returned => self.own_version,
            B if self.other == OtherStage::Returned => self.other_version,
            _ => 0,
        };
        own.max(self.instances[instance].links[shard].floor)
    }
}

impl TwoShards {
    pub(super) fn read(&self, at: &State, i: usize, steps: &mut Steps<State>) {
        let (n, reader, (instance, shard)) = (i as u8, at.readers[i], self.readers[i]);
        let link = at.instances[instance].links[shard];
        match reader.stage {
            ReaderStage::Idle => self.begin(at, i, steps),
            ReaderStage::Sent => match at.shards[shard].key {
                Key::Value { version, .. } => {
                    if version < reader.floor {
                        let numbers = [n, shard as u8, version, reader.floor];
                        steps.broken("r#: GET on s# finds v#, instead of v#", numbers);
                    }
                    let mut to = *at;
                    to.readers[i].stage = ReaderStage::Answered;
                    to.readers[i].version = version;
                    steps.to("r#: GET finds v#", [n, version], to);
                }
                // Load and FILL are one step, because the leases have a
                // separate model.
                Key::Absent => {
                    let mut to = *at;
                    to.readers[i].stage = ReaderStage::Answered;
                    to.readers[i].version = at.row;
                    to.shards[shard].key = Key::Value {
                        version: at.row,
                        mark: 0,
                    };
                    steps.to("r#: loads and fills v#", [n, at.row], to);
                }
                Key::Lease { .. } | Key::Quarantine { .. } => {
                    steps.to("r#: GET finds Q, loads", [n], at.done(i));
                }
            },
            ReaderStage::Answered => {
                let Reader {
                    version,
                    generation,
                    ..
                } = reader;
                let mut to = at.done(i);
                if generation == link.generation {
                    to.instances[instance].links[shard].entry = Some(Entry {
                        version,
                        generation,
                    });
                }
                steps.to("r#: returns v#, inserts if current", [n, version], to);
            }
            ReaderStage::Done => {}
        }
    }

    fn begin(&self, at: &State, i: usize, steps: &mut Steps<State>) {
        let (n, (instance, shard)) = (i as u8, self.readers[i]);
        let (link, floor) = (
            at.instances[instance].links[shard],
            at.floor(instance, shard),
        );
        let is_held =
            at.instances[instance].holds[shard] || (instance == A && at.is_held_by_writer(shard));
        if link.is_suspect || is_held {
            steps.to("r#: passes Redis by, loads", [n], at.done(i));
            return;
        }
        let current = |entry: &Entry| entry.generation == link.generation;
        if let Some(Entry { version, .. }) = link.entry.filter(current) {
            let floor = floor.max(link.proved);
            if version < floor {
                let numbers = [n, version, shard as u8, floor];
                steps.broken("r#: is served v# of s# locally, instead of v#", numbers);
            }
            steps.to("r#: is served v# locally", [n, version], at.done(i));
        } else {
            let mut to = *at;
            to.readers[i] = Reader {
                stage: ReaderStage::Sent,
                generation: link.generation,
                floor: floor.max(at.shards[shard].told),
                ..Reader::default()
            };
            steps.to("r#: sends GET to s#", [n, shard as u8], to);
        }
    }
}
