//! Measuring several things alternately, so that whatever else the machine
//! does falls on all of them.

use std::time::Duration;

/// Something to measure: a name, and what runs it once and answers how long
/// one operation took.
pub(crate) struct Contender<'a> {
    name: String,
    run: Box<dyn FnMut() -> Duration + 'a>,
}

impl<'a> Contender<'a> {
    /// `run` makes `operations` operations.
    pub(crate) fn new(name: &str, operations: u32, mut run: impl FnMut() -> Duration + 'a) -> Self {
        Self {
            name: name.to_owned(),
            run: Box::new(move || run() / operations),
        }
    }
}

/// What one contender took per operation, in nanoseconds.
#[derive(Clone, Debug, serde::Serialize)]
pub(crate) struct Measured {
    pub(crate) name: String,
    pub(crate) median: f64,
    pub(crate) least: f64,
    pub(crate) most: f64,
}

/// Runs every contender once per round, one after another; the first round
/// only warms up.
pub(crate) fn alternate(rounds: usize, mut contenders: Vec<Contender<'_>>) -> Vec<Measured> {
    let mut taken = vec![Vec::new(); contenders.len()];
    for round in 0..=rounds {
        for (contender, taken) in contenders.iter_mut().zip(&mut taken) {
            let time = (contender.run)().as_secs_f64() * 1e9;
            if 0 < round {
                taken.push(time);
            }
        }
    }
    let names = contenders.into_iter().map(|contender| contender.name);
    names
        .zip(taken)
        .map(|(name, taken)| Measured::of(name, taken))
        .collect()
}

impl Measured {
    fn of(name: String, mut taken: Vec<f64>) -> Self {
        taken.sort_by(f64::total_cmp);
        Self {
            name,
            median: taken[taken.len() / 2],
            least: taken[0],
            most: taken[taken.len() - 1],
        }
    }
}
