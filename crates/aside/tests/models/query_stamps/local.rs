//! Readers with an entry in their process, under the generation of the
//! dependency. With no message on its way, an entry must show every write that
//! has returned.

use super::{Dependency, Kept, Local, Query, QueryStamps, Reader, ReaderStage, Sealed, State};
use crate::explore::Steps;

impl QueryStamps {
    pub(super) fn read_locally(local: Local, at: &State, i: usize, steps: &mut Steps<State>) {
        let (n, reader) = (i as u8, at.readers[i]);
        let mut to = *at;
        match reader.stage {
            ReaderStage::Idle => match Self::entry(local, at, n, steps) {
                Some(version) => {
                    to.readers[i] = Reader::at(ReaderStage::Again);
                    steps.to("r#: is served v# locally", [n, version], to);
                }
                None => {
                    to.readers[i] = Reader {
                        generation: at.generation,
                        ..Reader::at(ReaderStage::Looking)
                    };
                    steps.to("r#: takes the generation", [n], to);
                }
            },
            // A second read by the same task.
            ReaderStage::Again => {
                Self::entry(local, at, n, steps);
                to.readers[i] = Reader::at(ReaderStage::Done);
                steps.to("r#: reads again", [n], to);
            }
            ReaderStage::Looking => Self::look_locally(local, at, i, steps),
            ReaderStage::Stamping => Self::stamp_locally(local, at, i, steps),
            ReaderStage::Loading => {
                to.readers[i].stage = ReaderStage::Filling;
                to.readers[i].version = at.row;
                steps.to("r#: loads v#", [n, at.row], to);
            }
            ReaderStage::Filling => {
                to.readers[i] = Reader::at(ReaderStage::Again);
                let sealed = match (reader.stamp, local.sealed) {
                    (Some(_), Sealed::AfterTheLoad) => at.generation,
                    _ => reader.generation,
                };
                let kept = match reader.stamp {
                    Some(stamp) => to.fill(reader.token, reader.version, stamp),
                    None => {
                        to.abandon(reader.token);
                        true
                    }
                };
                if kept {
                    to.keep(reader.version, sealed);
                }
                steps.to("r#: FILL v#", [n, reader.version], to);
            }
            ReaderStage::Missed
            | ReaderStage::SawQuery
            | ReaderStage::SawDependency
            | ReaderStage::Done => {}
        }
    }

    /// The version of the entry, if it may be served.
    fn entry(local: Local, at: &State, n: u8, steps: &mut Steps<State>) -> Option<u8> {
        let is_current = |kept: &Kept| {
            kept.generation == at.generation || local.sealed == Sealed::WithTheQueryAlone
        };
        let version = at.entry.filter(is_current)?.version;
        if at.messages == 0 && version < at.returned {
            let numbers = [n, version, at.returned];
            steps.broken("r# is served v# locally instead of v#", numbers);
        }
        Some(version)
    }

    fn look_locally(local: Local, at: &State, i: usize, steps: &mut Steps<State>) {
        let (n, generation) = (i as u8, at.readers[i].generation);
        let mut to = *at;
        if let Some(version) = State::hit(at.query, at.dependency) {
            to.readers[i] = Reader::at(ReaderStage::Again);
            to.keep(
                version,
                match local.sealed {
                    Sealed::AfterTheLook => at.generation,
                    _ => generation,
                },
            );
            steps.to("r#: is served v#", [n, version], to);
        } else if matches!(at.query, Query::Lease(_)) {
            to.readers[i] = Reader::at(ReaderStage::Done);
            steps.to("r#: loads without filling", [n], to);
        } else {
            let token = to.name();
            to.query = Query::Lease(token);
            to.readers[i] = Reader {
                token,
                generation,
                ..Reader::at(ReaderStage::Stamping)
            };
            steps.to("r#: ACQUIRE", [n], to);
        }
    }

    fn stamp_locally(local: Local, at: &State, i: usize, steps: &mut Steps<State>) {
        let (n, reader) = (i as u8, at.readers[i]);
        let mut to = *at;
        to.readers[i].stage = ReaderStage::Loading;
        match at.dependency {
            Dependency::Mark(stamp) => to.readers[i].stamp = Some(stamp),
            Dependency::Absent => {
                let stamp = to.name();
                to.dependency = Dependency::Mark(stamp);
                to.readers[i].stamp = Some(stamp);
            }
            Dependency::Quarantine(_) if local.keeps_quarantined => {
                to.readers[i].generation = at.generation;
            }
            Dependency::Quarantine(_) => {
                to.abandon(reader.token);
                to.readers[i] = Reader::at(ReaderStage::Done);
            }
        }
        steps.to("r#: STAMP", [n], to);
    }
}

impl State {
    fn keep(&mut self, version: u8, generation: u8) {
        self.entry = Some(Kept {
            version,
            generation,
        });
    }
}
