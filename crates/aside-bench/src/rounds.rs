//! Measuring several things alternately, so that whatever else the machine
//! does falls on all of them.

use std::time::Duration;

/// Something to measure: a name, and what runs it once and answers how long
/// all of its operations took together.
pub(crate) struct Contender<'a> {
    name: String,
    operations: u32,
    run: Box<dyn FnMut() -> Duration + 'a>,
}

impl<'a> Contender<'a> {
    /// `run` makes `operations` operations.
    pub(crate) fn new(name: &str, operations: u32, run: impl FnMut() -> Duration + 'a) -> Self {
        Self {
            name: name.to_owned(),
            operations,
            run: Box::new(run),
        }
    }
}

/// What one contender took per operation, in nanoseconds.
#[derive(Clone, Debug, serde::Serialize)]
pub(crate) struct Measured {
    pub(crate) name: String,
    /// Round by round; one place is one round of all contenders.
    pub(crate) rounds: Vec<f64>,
}

/// Runs every contender once per round, and each round in another order: what
/// one leaves in the processor's caches is not always the same one's gain. A
/// round before the first only warms up.
pub(crate) fn alternate(rounds: usize, mut contenders: Vec<Contender<'_>>) -> Vec<Measured> {
    let count = contenders.len();
    let mut taken = vec![Vec::new(); count];
    for round in 0..=rounds {
        for place in 0..count {
            let at = (place + round) % count;
            let contender = &mut contenders[at];
            let time = (contender.run)().as_secs_f64() * 1e9;
            if 0 < round {
                taken[at].push(time / f64::from(contender.operations));
            }
        }
    }
    let names = contenders.into_iter().map(|contender| contender.name);
    let measured = names.zip(taken);
    measured
        .map(|(name, rounds)| Measured { name, rounds })
        .collect()
}

/// The median, the least and the most of some figures.
pub(crate) fn spread(figures: impl IntoIterator<Item = f64>) -> [f64; 3] {
    let mut figures: Vec<f64> = figures.into_iter().collect();
    figures.sort_by(f64::total_cmp);
    [
        figures[figures.len() / 2],
        figures[0],
        figures[figures.len() - 1],
    ]
}
