//! Readers of the query.

use super::{
    Dependency, JoinerStage, Next, Order, Query, Reader, ReaderStage, Stalled, State,
    TwoDependencies, Value,
};

/// The keys that a reader looks at.
#[derive(Clone, Copy)]
enum Key {
    Query,
    Dependency(usize),
}

impl TwoDependencies {
    /// The dependencies that a reader declares.
    fn declares(&self, reader: usize) -> [bool; 2] {
        [true, !(self.narrow && reader == 1)]
    }

    /// The epoch that a dependency's header must have.
    fn required(&self, dependency: usize, epoch: u8) -> u8 {
        match dependency == 1 && self.rules.compares_headers {
            true => epoch,
            false => 0,
        }
    }

    pub(super) fn read(&self, at: &State, i: usize, next: &mut Next<'_>) {
        let (n, reader) = (i as u8, at.readers[i]);
        let mut to = *at;
        match reader.stage {
            ReaderStage::Idle => {
                let declares = self.declares(i);
                let is_bypassed = |d: usize| declares[d] && self.is_unreleased(at, d);
                if !(self.rules.respects_unreleased && (is_bypassed(0) || is_bypassed(1))) {
                    to.readers[i] = Reader {
                        stage: ReaderStage::First,
                        epoch: at.known,
                        floor: at.floor(),
                        ..Reader::default()
                    };
                    next.to("r#: begins", [n], to);
                }
            }
            ReaderStage::First | ReaderStage::Second | ReaderStage::Third => {
                self.look(at, i, next);
            }
            ReaderStage::Missed => {
                if let Query::Lease(_) = at.query {
                    to.readers[i] = Reader::done();
                    next.to("r#: loads without filling", [n], to);
                } else {
                    let token = at.fresh();
                    to.query = Query::Lease(token);
                    to.readers[i].token = token;
                    to.readers[i].stage = ReaderStage::Stamping;
                    if !self.rules.stamps_before_load {
                        to.readers[i].stage = ReaderStage::Loaded;
                        to.readers[i].stamps = [0; 2];
                    }
                    next.to("r#: ACQUIRE", [n], to);
                }
            }
            ReaderStage::Stamping => self.stamp(at, i, next),
            ReaderStage::Loaded => {
                to.readers[i].stage = ReaderStage::Stamping;
                to.readers[i].stamps = [0; 2];
                to.readers[i].loaded = Some(at.rows);
                next.to("r#: loads before it stamps", [n], to);
            }
            ReaderStage::Filling => self.fill(at, i, next),
            ReaderStage::Done => {}
        }
    }

    fn look(&self, at: &State, i: usize, next: &mut Next<'_>) {
        let (n, mut reader) = (i as u8, at.readers[i]);
        let order = match self.order {
            Order::QueryFirst => [Key::Query, Key::Dependency(0), Key::Dependency(1)],
            Order::QueryLast => [Key::Dependency(0), Key::Dependency(1), Key::Query],
        };
        let (looked, stage) = match reader.stage {
            ReaderStage::First => (order[0], ReaderStage::Second),
            ReaderStage::Second => (order[1], ReaderStage::Third),
            _ => (order[2], ReaderStage::Missed),
        };
        match looked {
            Key::Query => reader.seen = at.query,
            Key::Dependency(d) if self.declares(i)[d] => {
                let required = self.required(d, reader.epoch);
                reader.stamps[d] = at.dependencies[d].stamp_of(required);
            }
            Key::Dependency(_) => {}
        }
        reader.stage = stage;
        let mut to = *at;
        if stage != ReaderStage::Missed {
            to.readers[i] = reader;
            next.to("r#: looks", [n], to);
            return;
        }
        if let Query::Value(value) = reader.seen
            && self.is_acceptable(i, &reader, &value)
        {
            self.check(i, &reader, value.versions, next);
            to.readers[i] = Reader::done();
            let [one, other] = value.versions;
            next.to("r#: is served v#, v#", [n, one, other], to);
            return;
        }
        reader.seen = Query::Absent;
        to.readers[i] = reader;
        next.to("r#: looks: a miss", [n], to);
    }

    fn is_acceptable(&self, i: usize, reader: &Reader, value: &Value) -> bool {
        let declares = self.declares(i);
        let compared = |d: usize| match self.rules.same_dependencies {
            true => declares[d],
            false => declares[d] && value.stamps[d] != 0,
        };
        let fits = |d: usize| value.stamps[d] != 0 && value.stamps[d] == reader.stamps[d];
        let mut compared = [0, 1].into_iter().filter(|d| compared(*d));
        let are_current = match self.rules.compares_all {
            true => {
                let same = |d: usize| (value.stamps[d] != 0) == declares[d];
                compared.all(fits) && (!self.rules.same_dependencies || same(0) && same(1))
            }
            false => compared.next().is_none_or(fits),
        };
        are_current && (reader.epoch <= value.epoch || !self.rules.compares_epochs)
    }

    /// Asks for the stamp of the first dependency without one.
    fn stamp(&self, at: &State, i: usize, next: &mut Next<'_>) {
        let (n, reader) = (i as u8, at.readers[i]);
        let declares = self.declares(i);
        let mut to = *at;
        let Some(d) = (0..2).find(|d| declares[*d] && reader.stamps[*d] == 0) else {
            to.readers[i].stage = ReaderStage::Filling;
            if self.rules.stamps_before_load {
                to.readers[i].loaded = Some(at.rows);
            }
            next.to("r#: loads", [n], to);
            return;
        };
        let key = at.dependencies[d];
        if matches!(key, Dependency::Quarantine { .. }) && self.rules.respects_quarantines {
            if at.query == Query::Lease(reader.token) {
                to.query = Query::Absent;
            }
            to.readers[i] = Reader::done();
            next.to("r#: STAMP d#: quarantined; ABANDON", [n, d as u8], to);
            return;
        }
        let known = key.stamp_of(self.required(d, reader.epoch));
        if known != 0 {
            to.readers[i].stamps[d] = known;
            next.to("r#: STAMP d#: there", [n, d as u8], to);
            return;
        }
        let stamp = at.fresh();
        let epoch = if d == 1 { reader.epoch } else { 0 };
        to.dependencies[d] = Dependency::Mark { stamp, epoch };
        to.readers[i].stamps[d] = stamp;
        next.to("r#: STAMP d#: a mark", [n, d as u8], to);
        if !(self.rules.stamps_once && self.rules.prolongs_in_place) && at.stalled.is_none() {
            to.stalled = Some(Stalled {
                dependency: d as u8,
                stamp,
                epoch,
            });
            next.to(
                "r#: STAMP d#: a mark, to be written again",
                [n, d as u8],
                to,
            );
        }
    }

    fn fill(&self, at: &State, i: usize, next: &mut Next<'_>) {
        let (n, reader) = (i as u8, at.readers[i]);
        let versions = reader.loaded.unwrap_or_default();
        let mut to = *at;
        self.check(i, &reader, versions, next);
        to.readers[i] = Reader::done();
        let is_joined = at.joiner.stage == JoinerStage::Joined && i == 0;
        if is_joined {
            to.joiner.stage = JoinerStage::Done;
            to.joiner.floor = [0; 2];
        }
        if at.query != Query::Lease(reader.token) {
            next.to("r#: FILL is refused", [n], to);
            return;
        }
        let floor = at.joiner.floor;
        if is_joined && (versions[0] < floor[0] || versions[1] < floor[1]) {
            let numbers = [versions[0], versions[1], floor[0], floor[1]];
            next.broken("the joiner is served v#, v# instead of v#, v#", numbers);
        }
        to.query = Query::Value(Value {
            versions,
            stamps: reader.stamps,
            epoch: match self.rules.epoch_of_begin {
                true => reader.epoch,
                false => at.known,
            },
        });
        next.to("r#: FILL", [n], to);
    }

    fn check(&self, i: usize, reader: &Reader, versions: [u8; 2], next: &mut Next<'_>) {
        let declares = self.declares(i);
        let is_old = |d: usize| declares[d] && versions[d] < reader.floor[d];
        if is_old(0) || is_old(1) {
            let numbers = [i as u8, versions[0], versions[1], reader.floor[1]];
            next.broken("r# is served v#, v#; the second should be v#", numbers);
        }
    }
}
