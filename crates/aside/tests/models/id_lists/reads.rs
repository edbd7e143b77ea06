//! The read of a list of ids, and of its rows.

use super::{IdLists, KeyStage, KeyState, LIST, Misfit, Reader, ReaderStage, State, number};
use crate::explore::Steps;

impl IdLists {
    pub(super) fn read(&self, at: &State, steps: &mut Steps<State>) {
        let mut to = *at;
        let reader = at.reader;
        match reader.stage {
            ReaderStage::Idle => {
                to.reader.stage = ReaderStage::AsksList;
                to.reader.owed = match (self.is_own, self.is_local) {
                    (true, _) => at.returned,
                    (false, true) => at.proved,
                    (false, false) => at.row,
                };
                steps.to(
                    "a read begins, which must show state #",
                    [to.reader.owed],
                    to,
                );
            }
            ReaderStage::AsksList => {
                to.reader.list = self.look(LIST, &mut to);
                to.reader.stage = ReaderStage::AsksRows;
                steps.to("the reader gets the list of state #", [to.reader.list], to);
            }
            ReaderStage::AsksRows => {
                let members = self.members(reader.list);
                match members.iter().find(|row| reader.rows[**row].is_none()) {
                    Some(row) => {
                        let version = self.look(row + 1, &mut to);
                        to.reader.rows[*row] = Some(version);
                        let told = [number(row + 1), version];
                        steps.to("the reader gets row # of state #", told, to);
                    }
                    None => self.answer(at, &members, steps),
                }
            }
        }
    }

    /// Reads a key, in this process or below it; a second time below it.
    fn look(&self, key: usize, to: &mut State) -> u8 {
        if self.is_local
            && !to.reader.is_again
            && let Some(version) = to.entries[key]
        {
            return version;
        }
        let KeyState { stage, version } = to.keys[key];
        let version = match stage {
            KeyStage::Quarantined => return to.row,
            KeyStage::Absent => to.row,
            KeyStage::Value => version,
        };
        to.keys[key] = KeyState {
            stage: KeyStage::Value,
            version,
        };
        if self.is_local {
            to.entries[key] = Some(version);
        }
        version
    }

    /// Judges the rows that the list names, and answers or asks again.
    fn answer(&self, at: &State, members: &[usize], steps: &mut Steps<State>) {
        let reader = at.reader;
        let content = |row: &usize| {
            let version = reader.rows[*row]?;
            self.states[usize::from(version)][*row]
        };
        let rank = |row: &usize| content(row).filter(|(is_in, _)| *is_in);
        let fits = |row: &usize| rank(row).is_some();
        let fitting: Vec<usize> = members.iter().copied().filter(fits).collect();
        let is_misfit =
            fitting.len() < members.len() || self.compares_ranks && !fitting.is_sorted_by_key(rank);
        let mut to = *at;
        to.reader = Reader::default();
        let leaves_out = match self.misfit {
            Misfit::LeftOut => true,
            Misfit::ListAgain | Misfit::BothAgain => reader.is_again,
            Misfit::Served | Misfit::Loaded => false,
        };
        let answer = if !is_misfit || leaves_out {
            fitting
        } else if self.misfit == Misfit::Served {
            members.to_vec()
        } else if reader.is_again {
            return steps.to("the reader loads the list", [], to);
        } else {
            let rows = match self.misfit {
                Misfit::ListAgain => reader.rows,
                _ => [None; 2],
            };
            to.reader = Reader {
                stage: ReaderStage::AsksList,
                owed: reader.owed,
                is_again: true,
                rows,
                ..Reader::default()
            };
            return steps.to("the reader asks again", [], to);
        };
        let was_so = (reader.owed..=at.row).any(|version| self.members(version) == answer);
        if !was_so {
            let told = [number(answer.len()), reader.owed, at.row];
            steps.broken(
                "the answer of # rows is the list of no state from # to #",
                told,
            );
        } else if !answer.iter().all(fits) || !answer.is_sorted_by_key(rank) {
            steps.broken(
                "an answered row is not in the list, or not in its place",
                [],
            );
        }
        steps.to("the reader answers", [], to);
    }
}
