//! Readers of other instances, without a local tier.

use super::{Key, Reader, ReaderStage, Refresh, State, step};
use crate::explore::Steps;

impl Refresh {
    pub(super) fn read(&self, at: &State, i: usize, steps: &mut Steps<State>) {
        let (n, reader) = (i as u8, at.readers[i]);
        let mut to = *at;
        match reader.stage {
            ReaderStage::Idle => {
                to.readers[i].stage = ReaderStage::Looking;
                to.readers[i].floor = self.owed(at);
                step(steps, "r#: begins", [n], to);
            }
            ReaderStage::Looking => self.look(at, i, steps),
            ReaderStage::Leased => {
                to.readers[i].stage = ReaderStage::Loaded;
                to.readers[i].loaded = at.row;
                step(steps, "r#: loads v#", [n, at.row], to);
            }
            ReaderStage::Loaded => {
                if at.key == Key::Lease(reader.token) {
                    to.key = at.new_value(reader.loaded, (reader.tag, reader.epoch));
                }
                to.end_read(i);
                step(steps, "r#: FILL v#", [n, reader.loaded], to);
            }
            ReaderStage::Done => {}
        }
    }

    fn look(&self, at: &State, i: usize, steps: &mut Steps<State>) {
        let (n, floor) = (i as u8, at.readers[i].floor);
        let mut to = *at;
        if let Some(value) = at.acceptable() {
            let knows_all = at.known_history == at.history && at.known_epoch == at.epoch;
            if value.version < floor && knows_all {
                let numbers = [n, value.version, floor];
                steps.broken("r# is served v#, and must not see less than v#", numbers);
            }
            to.end_read(i);
            step(steps, "r#: GET finds v#", [n, value.version], to);
        } else if matches!(at.key, Key::Absent | Key::Value(_)) {
            let token = at.new_name();
            to.key = Key::Lease(token);
            to.readers[i] = Reader {
                stage: ReaderStage::Leased,
                token,
                tag: at.known_history,
                epoch: at.known_epoch,
                ..Reader::default()
            };
            step(steps, "r#: ACQUIRE", [n], to);
        } else {
            to.end_read(i);
            step(steps, "r#: GET finds L or Q", [n], to);
        }
    }
}

impl State {
    fn end_read(&mut self, i: usize) {
        self.readers[i] = Reader {
            stage: ReaderStage::Done,
            ..Reader::default()
        };
    }
}
