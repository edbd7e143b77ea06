//! Readers of Redis alone.

use super::{Dependency, Look, Query, QueryStamps, Reader, ReaderStage, State};
use crate::explore::Steps;

impl QueryStamps {
    pub(super) fn read(&self, at: &State, i: usize, steps: &mut Steps<State>) {
        let (n, reader) = (i as u8, at.readers[i]);
        let mut to = *at;
        match reader.stage {
            ReaderStage::Idle => self.begin(at, i, steps),
            ReaderStage::SawQuery => {
                let hit = State::hit(reader.query, at.dependency);
                self.judge(at, i, hit, steps);
            }
            ReaderStage::SawDependency => {
                let hit = State::hit(at.query, reader.dependency);
                self.judge(at, i, hit, steps);
            }
            ReaderStage::Missed if matches!(at.query, Query::Lease(_)) => {
                to.readers[i] = Reader::at(ReaderStage::Done);
                steps.to("r#: loads without filling", [n], to);
            }
            ReaderStage::Missed => {
                let token = to.name();
                to.query = Query::Lease(token);
                to.readers[i] = Reader {
                    token,
                    ..Reader::at(match self.stamps_after_load {
                        true => ReaderStage::Loading,
                        false => ReaderStage::Stamping,
                    })
                };
                steps.to("r#: ACQUIRE", [n], to);
            }
            ReaderStage::Stamping => self.stamp(at, i, steps),
            ReaderStage::Loading => {
                to.readers[i].stage = ReaderStage::Filling;
                to.readers[i].version = at.row;
                steps.to("r#: loads v#", [n, at.row], to);
            }
            ReaderStage::Filling => Self::fill(at, i, steps),
            ReaderStage::Looking | ReaderStage::Again | ReaderStage::Done => {}
        }
    }

    fn begin(&self, at: &State, i: usize, steps: &mut Steps<State>) {
        let n = i as u8;
        let mut to = *at;
        let begun = Reader {
            committed: at.row,
            returned: at.returned,
            ..Reader::default()
        };
        to.readers[i] = begun;
        match self.look {
            Look::AtOnce => self.judge(&to, i, State::hit(at.query, at.dependency), steps),
            Look::QueryFirst => {
                to.readers[i].stage = ReaderStage::SawQuery;
                to.readers[i].query = at.query;
                steps.to("r#: looks at the query", [n], to);
            }
            Look::DependencyFirst => {
                to.readers[i].stage = ReaderStage::SawDependency;
                to.readers[i].dependency = at.dependency;
                steps.to("r#: looks at the dependency", [n], to);
            }
        }
    }

    fn judge(&self, at: &State, i: usize, hit: Option<u8>, steps: &mut Steps<State>) {
        let (n, reader) = (i as u8, at.readers[i]);
        let mut to = *at;
        if let Some(version) = hit {
            // A lost quarantine may let a value in until its write returns.
            let floor = match self.evictions {
                0 => reader.committed,
                _ => reader.returned,
            };
            if version < floor {
                steps.broken("r# is served v# instead of v#", [n, version, floor]);
            }
            to.readers[i] = Reader::at(ReaderStage::Done);
            steps.to("r#: is served v#", [n, version], to);
        } else {
            to.readers[i] = Reader {
                committed: reader.committed,
                returned: reader.returned,
                ..Reader::at(ReaderStage::Missed)
            };
            steps.to("r#: a miss", [n], to);
        }
    }

    fn stamp(&self, at: &State, i: usize, steps: &mut Steps<State>) {
        let (n, token) = (i as u8, at.readers[i].token);
        let mut to = *at;
        let stamp = match at.dependency {
            Dependency::Mark(stamp) => stamp,
            Dependency::Quarantine(_) if !self.marks_quarantined => {
                to.abandon(token);
                to.readers[i] = Reader::at(ReaderStage::Done);
                steps.to("r#: STAMP: quarantined; ABANDON", [n], to);
                return;
            }
            Dependency::Absent | Dependency::Quarantine(_) => {
                let stamp = to.name();
                to.dependency = Dependency::Mark(stamp);
                stamp
            }
        };
        to.readers[i] = Reader {
            token,
            stamp: Some(stamp),
            ..Reader::at(ReaderStage::Loading)
        };
        steps.to("r#: STAMP #", [n, stamp], to);
    }

    fn fill(at: &State, i: usize, steps: &mut Steps<State>) {
        let n = i as u8;
        let Reader {
            token,
            stamp,
            version,
            ..
        } = at.readers[i];
        let mut to = *at;
        to.readers[i] = Reader::at(ReaderStage::Done);
        let stamp = match (stamp, at.dependency) {
            (Some(stamp), _) | (None, Dependency::Mark(stamp)) => stamp,
            (None, Dependency::Quarantine(_)) => {
                steps.to("r#: STAMP after the load: quarantined", [n], to);
                return;
            }
            (None, Dependency::Absent) => {
                let stamp = to.name();
                to.dependency = Dependency::Mark(stamp);
                stamp
            }
        };
        to.fill(token, version, stamp);
        steps.to("r#: FILL v# under #", [n, version, stamp], to);
    }
}
