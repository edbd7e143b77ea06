//! A register that is correct by construction. Every operation happens at one
//! moment between its start and its end. Lenient readers use a copy whose lag
//! is less than the bound.

use std::collections::BTreeMap;

use aside_testkit::history::{Fate, History, Read, ReadKind, State, Time, Write};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::scenario::{H, KEY};

/// One operation, before its result is known.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    what: What,
    instance: usize,
    start: u64,
    /// From its start to the moment in which it happens.
    before: u64,
    /// From that moment to its end.
    after: u64,
}

#[derive(Clone, Debug)]
enum What {
    Read(ReadKind),
    Write { deletes: bool, fate: Planned },
}

#[derive(Clone, Copy, Debug)]
enum Planned {
    Returns,
    Fails,
    /// The booleans say if it happens, and if its version is learned.
    IsLost(bool, bool),
}

/// Operations of three instances, and the lag of each instance's copy.
#[derive(Clone, Debug)]
pub(crate) struct Simulation {
    plans: Vec<Plan>,
    lags: [u64; 3],
    lists: bool,
}

/// Generates simulations, with or without writers that are lost before they
/// learn their version.
pub(crate) fn simulations(with_unlearned: bool) -> impl Strategy<Value = Simulation> {
    let fate = prop_oneof![
        8 => Just(Planned::Returns),
        1 => Just(Planned::Fails),
        1 => (any::<bool>(), any::<bool>())
            .prop_map(move |(happens, learned)| Planned::IsLost(happens, learned || !with_unlearned)),
    ];
    let write =
        (prop::bool::weighted(0.2), fate).prop_map(|(deletes, fate)| What::Write { deletes, fate });
    let kind = prop_oneof![Just(ReadKind::Strict), Just(ReadKind::Lenient)];
    let what = prop_oneof![2 => kind.prop_map(What::Read), 1 => write];
    let plan = (what, 0..3_usize, 1..2000_u64, 0..100_u64, 0..100_u64).prop_map(
        |(what, instance, start, before, after)| Plan {
            what,
            instance,
            start,
            before,
            after,
        },
    );
    (vec(plan, 0..80), [0..=H, 0..=H, 0..=H], any::<bool>())
        .prop_map(|(plans, lags, lists)| Simulation { plans, lags, lists })
}

impl Simulation {
    /// Turns the rows into lists.
    pub(crate) fn of_lists(self) -> Self {
        Self {
            lists: true,
            ..self
        }
    }

    pub(crate) fn run(&self) -> History {
        let mut plans: Vec<&Plan> = self.plans.iter().collect();
        plans.sort_by_key(|plan| plan.start + plan.before);
        let mut history = History::default();
        // The start of each version, with its state.
        let mut versions = vec![(0, self.state(0, true))];
        // The writes of each instance: when they returned, and their version.
        let mut own: BTreeMap<usize, Vec<(u64, usize)>> = BTreeMap::new();
        for plan in plans {
            let moment = plan.start + plan.before;
            let end = moment + plan.after;
            let instance = format!("instance {}", plan.instance).into();
            match plan.what {
                What::Read(kind) => {
                    let version = match kind {
                        ReadKind::Strict => versions.len() - 1,
                        ReadKind::Lenient => {
                            let seen = moment.saturating_sub(self.lags[plan.instance]);
                            let copied = versions.partition_point(|(at, _)| *at <= seen) - 1;
                            let own = own.get(&plan.instance).into_iter().flatten();
                            let own = own.filter(|(end, _)| *end < plan.start);
                            own.map(|it| it.1).fold(copied, usize::max)
                        }
                    };
                    let state = match &versions[version].1 {
                        State::Absent(_) => State::Absent(None),
                        state => state.clone(),
                    };
                    history.reads.push(Read {
                        instance,
                        key: KEY.into(),
                        kind,
                        start: Time::from_nanos(plan.start),
                        end: Time::from_nanos(end),
                        state,
                    });
                }
                What::Write { deletes, fate } => {
                    let state = self.state(versions.len() as u64, deletes);
                    let (happens, learned, fate) = match fate {
                        Planned::Returns => (true, true, Fate::Returned(Time::from_nanos(end))),
                        Planned::Fails => (false, true, Fate::Failed(Time::from_nanos(end))),
                        Planned::IsLost(happens, learned) => (happens, learned, Fate::Unknown),
                    };
                    if happens {
                        versions.push((moment, state.clone()));
                    }
                    if let Fate::Returned(_) = fate {
                        let own = own.entry(plan.instance).or_default();
                        own.push((end, versions.len() - 1));
                    }
                    history.writes.push(Write {
                        instance,
                        key: KEY.into(),
                        start: Time::from_nanos(plan.start),
                        fate,
                        state: learned.then_some(state),
                    });
                }
            }
        }
        history
    }

    fn state(&self, version: u64, deletes: bool) -> State {
        match (self.lists, deletes) {
            (true, true) => State::list(version, [""; 0]),
            (true, false) => State::list(version, [version, version / 2]),
            (false, true) => State::Absent(Some(version)),
            (false, false) => State::Row(version),
        }
    }
}
