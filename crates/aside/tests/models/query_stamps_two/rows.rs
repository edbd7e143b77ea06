//! Readers of rows under the second key, whose leases are stamps as well.

use super::{Dependency, Next, RowReader, RowStage, State, TwoDependencies};

/// The key that they read.
const OF: usize = 1;

impl TwoDependencies {
    pub(super) fn read_row(&self, at: &State, i: usize, next: &mut Next<'_>) {
        let (n, row) = (i as u8, at.row_readers[i]);
        let mut to = *at;
        match row.stage {
            RowStage::Idle => {
                let is_free = matches!(
                    at.dependencies[OF],
                    Dependency::Absent | Dependency::Mark { .. }
                );
                if is_free {
                    let token = match self.rules.fresh_tokens {
                        true => at.fresh(),
                        false => 1,
                    };
                    to.dependencies[OF] = Dependency::Lease { stamp: token };
                    to.row_readers[i] = RowReader {
                        stage: RowStage::Leased,
                        token,
                        epoch: at.known,
                    };
                    next.to("x#: ACQUIRE d1", [n], to);
                }
            }
            RowStage::Leased if at.dependencies[OF] == Dependency::Lease { stamp: row.token } => {
                let stamp = match self.rows_of_older_version {
                    true => at.fresh(),
                    false => row.token,
                };
                to.row_readers[i] = RowReader::at(RowStage::Done);
                to.dependencies[OF] = Dependency::Mark {
                    stamp,
                    epoch: row.epoch,
                };
                next.to("x#: FILL d1", [n], to);
                to.dependencies[OF] = Dependency::Absent;
                if !self.rules.fresh_tokens {
                    to.row_readers[i] = RowReader::default();
                }
                next.to("x#: ABANDON d1", [n], to);
            }
            RowStage::Leased => {
                to.row_readers[i] = RowReader::at(RowStage::Done);
                next.to("x#: FILL is refused", [n], to);
            }
            RowStage::Done => {}
        }
    }
}

impl RowReader {
    fn at(stage: RowStage) -> Self {
        Self {
            stage,
            ..Self::default()
        }
    }
}
