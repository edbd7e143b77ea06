//! Instances that refresh a value before its end. The first is A.

use super::{Key, LocalEntry, Refresh, Refresher, RefresherStage, State, step};
use crate::explore::Steps;

const DONE: RefresherStage = RefresherStage::Done;

impl Refresh {
    pub(super) fn refresh(&self, at: &State, i: usize, steps: &mut Steps<State>) {
        match at.refreshers[i].stage {
            RefresherStage::Idle => self.judge(at, i, steps),
            RefresherStage::Judged => self.claim(at, i, steps),
            RefresherStage::Won => {
                let mut to = *at;
                let loaded = at.refreshers[i].loaded.unwrap_or(at.row);
                to.refreshers[i].loaded = Some(loaded);
                to.refreshers[i].stage = RefresherStage::Loaded;
                step(steps, "f#: loads v#", [i as u8, loaded], to);
                if i > 0 {
                    let mut to = *at;
                    to.end_refresh(i);
                    step(steps, "f#: dies", [i as u8], to);
                }
            }
            RefresherStage::Loaded => self.fill(at, i, steps),
            RefresherStage::Filled => self.keep(at, i, steps),
            RefresherStage::Done => {}
        }
    }

    fn is_of_a(&self, i: usize) -> bool {
        self.has_local_tier && i == 0
    }

    fn judge(&self, at: &State, i: usize, steps: &mut Steps<State>) {
        let Some(value) = at.acceptable() else {
            return;
        };
        let mut to = *at;
        if self.is_of_a(i) {
            if at.has_flight() {
                return;
            }
            to.local.below = false;
        }
        to.refreshers[i] = Refresher {
            stage: RefresherStage::Judged,
            name: value.fill,
            tag: at.known_history,
            epoch: at.known_epoch,
            generation: at.local.generation,
            loaded: None,
        };
        step(steps, "f#: judges v#", [i as u8, value.version], to);
    }

    fn claim(&self, at: &State, i: usize, steps: &mut Steps<State>) {
        let (n, refresher) = (i as u8, at.refreshers[i]);
        let mut to = *at;
        if !self.load_after && refresher.loaded.is_none() {
            to.refreshers[i].loaded = Some(at.row);
            step(steps, "f#: loads v#, REFRESH under way", [n, at.row], to);
            return;
        }
        match at.key {
            Key::Value(mut value)
                if value.claim == 0 && (value.fill == refresher.name || !self.header) =>
            {
                value.claim = at.new_name();
                to.key = Key::Value(value);
                to.refreshers[i].stage = RefresherStage::Won;
                to.refreshers[i].name = value.claim;
                step(steps, "f#: REFRESH wins", [n], to);
            }
            _ => {
                to.end_refresh(i);
                step(steps, "f#: REFRESH loses", [n], to);
            }
        }
    }

    fn fill(&self, at: &State, i: usize, steps: &mut Steps<State>) {
        let (n, refresher) = (i as u8, at.refreshers[i]);
        let version = refresher.loaded.unwrap_or_default();
        let mut to = *at;
        let is_own =
            |key| matches!(key, Key::Value(value) if value.claim == refresher.name || !self.claim);
        let is_taken = is_own(at.key);
        if is_taken {
            let marks = match self.known_before {
                true => (refresher.tag, refresher.epoch),
                false => (at.known_history, at.known_epoch),
            };
            to.key = at.new_value(version, marks);
        }
        if self.is_of_a(i) && (is_taken || !self.filled) {
            to.refreshers[i].stage = RefresherStage::Filled;
            to.refreshers[i].name = 0;
        } else {
            to.end_refresh(i);
        }
        let words = match is_taken {
            true => "f#: FILL v#",
            false => "f#: FILL v#, refused",
        };
        step(steps, words, [n, version], to);
    }

    fn keep(&self, at: &State, i: usize, steps: &mut Steps<State>) {
        let refresher = at.refreshers[i];
        let version = refresher.loaded.unwrap_or_default();
        let generation = match self.generations_before {
            true => refresher.generation,
            false => at.local.generation,
        };
        let overtaken = self.flight && (at.local.below || at.has_flight());
        let mut to = *at;
        to.end_refresh(i);
        if generation == at.local.generation && !overtaken {
            to.local.entry = Some(LocalEntry {
                version,
                generation,
            });
            step(steps, "f#: keeps v# locally", [i as u8, version], to);
        } else {
            step(steps, "f#: does not keep v#", [i as u8, version], to);
        }
    }
}

impl State {
    fn end_refresh(&mut self, i: usize) {
        self.refreshers[i] = Refresher {
            stage: DONE,
            ..Refresher::default()
        };
    }
}
