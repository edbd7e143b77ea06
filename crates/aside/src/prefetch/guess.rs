//! Guessing the keys ahead of a read, and sending them off to be fetched.

use super::flying::Chosen;
use super::learner::Learner;
use super::names::Launch;
use crate::config::prefetch::PrefetchMode;

/// The maximum number of rows in a guess, and of lists among them.
const MAX_BATCH: usize = 8;
const MAX_LISTS: usize = 2;

/// The maximum number of keys that a guess goes through, held ones included.
const MAX_STEPS: usize = 32;

impl Learner {
    /// Guesses the keys after that of a row. Returns the work that fetches them.
    pub(super) fn fire(&mut self, row: u32, mode: PrefetchMode) -> Vec<Launch> {
        let chosen = self.guess(row);
        if mode == PrefetchMode::Names || self.is_spent() {
            self.keep_names(&chosen);
            return Vec::new();
        }
        self.send(chosen)
    }

    /// Returns the work that fetches these keys. The middle one begins the next guess.
    pub(super) fn send(&mut self, mut chosen: Vec<Chosen>) -> Vec<Launch> {
        let middle = chosen.len() / 2;
        if let Some(middle) = chosen.get_mut(middle) {
            middle.has_marker = true;
        }
        let mut by_kind: Vec<(u8, Vec<Chosen>)> = Vec::new();
        for chosen in chosen {
            match by_kind.iter_mut().find(|(kind, _)| *kind == chosen.kind) {
                Some((_, batch)) => batch.push(chosen),
                None => by_kind.push((chosen.kind, vec![chosen])),
            }
        }
        let launches = by_kind.into_iter().filter_map(|(kind, batch)| {
            let rows: Vec<(u32, bool)> = batch
                .iter()
                .map(|chosen| (chosen.row, chosen.has_marker))
                .collect();
            let launch = self.names(kind).launch(batch)?;
            for (row, has_marker) in rows {
                self.takes_off(row, has_marker);
            }
            Some(launch)
        });
        launches.collect()
    }

    /// Returns the keys that are likely to be read next and are not held.
    fn guess(&self, from: u32) -> Vec<Chosen> {
        let Some(learnt) = &self.learnt else {
            return Vec::new();
        };
        let share = self.share();
        let (mut guessed, mut lists): (Vec<Chosen>, usize) = (Vec::new(), 0);
        let (mut at, mut sure) = (from, 1.0);
        for _ in 0..MAX_STEPS {
            let mut likeliest = None;
            for (next, followed) in learnt.table.likely(at, share) {
                likeliest = likeliest.or(Some((next, followed)));
                let row = learnt.table.row(next);
                let names = &self.kinds[usize::from(row.kind)].names;
                let is_new = next != from && guessed.iter().all(|known| known.row != next);
                let may_fetch = is_new && !row.is_ahead && !row.is_large;
                if guessed.len() < MAX_BATCH && may_fetch && !names.is_held(row.name) {
                    let is_list = names.is_list(row.name);
                    if !is_list || lists < MAX_LISTS {
                        lists += usize::from(is_list);
                        guessed.push(Chosen {
                            row: next,
                            kind: row.kind,
                            name: row.name,
                            has_marker: false,
                        });
                    }
                }
            }
            let Some((next, followed)) = likeliest else {
                break;
            };
            (at, sure) = (next, sure * followed);
            if guessed.len() == MAX_BATCH || sure < share / 2.0 || at == from {
                break;
            }
        }
        guessed
    }
}
