//! Measures several subjects alternately, so that other load on the machine
//! affects all of them.

use std::time::{Duration, Instant};

/// A subject: a name, and a function that runs it once and returns its figures.
pub(crate) struct Contender<'a> {
    name: String,
    run: Box<dyn FnMut() -> Vec<f64> + 'a>,
}

impl<'a> Contender<'a> {
    /// `run` performs `operations` operations and returns their total time; the
    /// figure is the nanoseconds of one.
    pub(crate) fn new(name: &str, operations: u32, mut run: impl FnMut() -> Duration + 'a) -> Self {
        Self::with_figures(name, move || {
            vec![run().as_secs_f64() * 1e9 / f64::from(operations)]
        })
    }

    /// `run` returns figures, the same number each time.
    pub(crate) fn with_figures(name: &str, run: impl FnMut() -> Vec<f64> + 'a) -> Self {
        Self {
            name: name.to_owned(),
            run: Box::new(run),
        }
    }
}

/// One figure of one contender.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub(crate) struct Measured {
    pub(crate) name: String,
    /// Round by round; one index is one round of all contenders.
    pub(crate) rounds: Vec<f64>,
}

/// The minimum number of rounds, and the time limit for further rounds.
const MIN_ROUNDS: usize = 5;
const MAX_TIME: Duration = Duration::from_secs(25);

/// Runs every contender once per round, and each round in another order, so
/// that the processor's caches favour no contender. A round before the first
/// only warms up. On a slow machine there are fewer rounds, but at least five.
///
/// Returns the first figure of each contender.
pub(crate) fn alternate(rounds: usize, contenders: Vec<Contender<'_>>) -> Vec<Measured> {
    alternate_figures(rounds, contenders).swap_remove(0)
}

/// As above for contenders with several figures each. Returns for each figure
/// all contenders.
pub(crate) fn alternate_figures(
    rounds: usize,
    mut contenders: Vec<Contender<'_>>,
) -> Vec<Vec<Measured>> {
    let count = contenders.len();
    let mut taken: Vec<Vec<Measured>> = Vec::new();
    let begun = Instant::now();
    for round in 0..=rounds {
        if MIN_ROUNDS < round && MAX_TIME < begun.elapsed() {
            break;
        }
        for place in 0..count {
            let at = (place + round) % count;
            let figures = (contenders[at].run)();
            if round == 0 {
                continue;
            }
            if taken.is_empty() {
                let none = contenders.iter().map(|contender| Measured {
                    name: contender.name.clone(),
                    rounds: Vec::with_capacity(rounds),
                });
                taken = vec![none.collect(); figures.len()];
            }
            for (all, figure) in taken.iter_mut().zip(figures) {
                all[at].rounds.push(figure);
            }
        }
    }
    taken
}

/// How often a disturbed round is repeated, and the pause before. A suspicion
/// of Redis ends with its next proof.
const ATTEMPTS: usize = 200;
const PAUSE: Duration = Duration::from_millis(50);

/// Repeats a round until it was undisturbed, that is `Some`.
///
/// If the machine is too busy for too long, the library bypasses Redis for a
/// while. That is correct, but not the subject of the measurement.
pub(crate) async fn undisturbed<T>(mut round: impl AsyncFnMut() -> Option<T>) -> T {
    for _ in 0..ATTEMPTS {
        if let Some(outcome) = round().await {
            return outcome;
        }
        tokio::time::sleep(PAUSE).await;
    }
    panic!("Redis was bypassed in each of {ATTEMPTS} rounds");
}

/// Returns the median, the minimum and the maximum of some figures.
pub(crate) fn spread(figures: impl IntoIterator<Item = f64>) -> [f64; 3] {
    let mut figures: Vec<f64> = figures.into_iter().collect();
    figures.sort_by(f64::total_cmp);
    [
        figures[figures.len() / 2],
        figures[0],
        figures[figures.len() - 1],
    ]
}

/// Returns the nanoseconds within which 50 and 99 of 100 operations returned.
pub(crate) fn percentiles(mut taken: Vec<Duration>) -> Vec<f64> {
    taken.sort_unstable();
    let within = |percent: usize| taken[(taken.len() - 1) * percent / 100].as_secs_f64() * 1e9;
    vec![within(50), within(99)]
}
