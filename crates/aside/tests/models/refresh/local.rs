//! The local tier of A: messages and PONGs in order, and the tasks that read.
//!
//! A hit must show every write that had returned when the last answered PING was
//! sent, and no less than A has returned before.

use super::{Back, BackStage, Key, LocalEntry, PutBack, Refresh, State, Task, TaskStage, step};
use crate::explore::Steps;

impl Refresh {
    pub(super) fn run_local_tier(&self, at: &State, steps: &mut Steps<State>) {
        listen(at, steps);
        for i in 0..at.tasks.len() {
            self.run_task(at, i, steps);
        }
        if at.back.stage == BackStage::Taken {
            let taken = at.back.taken;
            let mut to = *at;
            to.back = Back {
                stage: BackStage::Done,
                ..Back::default()
            };
            to.local.entry = match self.back {
                PutBack::UnderPresentGenerations => Some(LocalEntry {
                    generation: at.local.generation,
                    ..taken
                }),
                PutBack::InPlaceOfAny => Some(taken),
                PutBack::InPlaceOfItself | PutBack::Never => at.local.entry,
            };
            step(steps, "v# is put back", [taken.version], to);
        }
    }

    fn run_task(&self, at: &State, i: usize, steps: &mut Steps<State>) {
        let n = i as u8;
        match at.tasks[i].stage {
            TaskStage::Idle => match at.local.valid() {
                Some(entry) => self.hit(at, i, entry, steps),
                None if at.has_flight() => {}
                None => {
                    let mut to = *at;
                    to.tasks[i].stage = TaskStage::Looking;
                    to.tasks[i].generation = at.local.generation;
                    step(steps, "t#: begins", [n], to);
                }
            },
            TaskStage::Looking => look(at, i, steps),
            TaskStage::Found => {
                let Task {
                    generation,
                    version,
                    ..
                } = at.tasks[i];
                let mut to = *at;
                to.end_task(i, version);
                to.local.below = true;
                if generation == at.local.generation {
                    to.local.entry = Some(LocalEntry {
                        version,
                        generation,
                    });
                }
                step(steps, "t#: returns v#", [n, version], to);
            }
            TaskStage::Done => {}
        }
    }

    fn hit(&self, at: &State, i: usize, entry: LocalEntry, steps: &mut Steps<State>) {
        let (n, version) = (i as u8, entry.version);
        if version < at.local.proved {
            let numbers = [n, version, at.local.proved];
            steps.broken("t# hits v# locally, and v# had returned", numbers);
        }
        if version < at.local.seen {
            let numbers = [n, version, at.local.seen];
            steps.broken("t# hits v# locally after v#", numbers);
        }
        let mut to = *at;
        to.end_task(i, version);
        step(steps, "t#: hits v# locally", [n, version], to);
        if self.back != PutBack::Never && at.back.stage == BackStage::Idle {
            let mut to = *at;
            to.back = Back {
                stage: BackStage::Taken,
                taken: entry,
            };
            step(steps, "past its soft end: v# is taken", [version], to);
        }
        let mut to = *at;
        to.local.entry = None;
        step(steps, "the entry is evicted locally", [], to);
    }
}

fn listen(at: &State, steps: &mut Steps<State>) {
    let mut to = *at;
    match at.local.channel.first() {
        Some(1) => {
            to.local.channel = at.local.channel.without_first();
            to.local.generation += 1;
            step(steps, "A applies a message", [], to);
        }
        Some(pong) => {
            to.local.channel = at.local.channel.without_first();
            to.local.proved = at.local.proved.max(pong - 2);
            to.local.pinged = false;
            step(steps, "A: PONG", [], to);
        }
        None => {}
    }
    if !at.local.pinged {
        let mut to = *at;
        to.local.channel.push(at.returned + 2);
        to.local.pinged = true;
        step(steps, "A: PING", [], to);
    }
}

fn look(at: &State, i: usize, steps: &mut Steps<State>) {
    let n = i as u8;
    let mut to = *at;
    to.tasks[i].stage = TaskStage::Found;
    match (at.acceptable(), at.key) {
        (Some(value), _) => {
            to.tasks[i].version = value.version;
            step(steps, "t#: GET finds v#", [n, value.version], to);
        }
        (None, Key::Absent | Key::Value(_)) => {
            to.key = at.new_value(at.row, (at.known_history, at.known_epoch));
            to.tasks[i].version = at.row;
            step(steps, "t#: loads and fills v#", [n, at.row], to);
        }
        _ => {
            to.end_task(i, at.row);
            to.local.below = true;
            step(steps, "t#: bypasses with v#", [n, at.row], to);
        }
    }
}

impl super::Local {
    /// Returns the entry, if it may be served.
    fn valid(&self) -> Option<LocalEntry> {
        self.entry
            .filter(|entry| entry.generation == self.generation)
    }
}

impl State {
    fn end_task(&mut self, i: usize, version: u8) {
        self.tasks[i] = Task {
            stage: TaskStage::Done,
            ..Task::default()
        };
        self.local.seen = self.local.seen.max(version);
    }
}
