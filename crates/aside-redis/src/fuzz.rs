//! Bounded fuzzing: inputs from seeds, and the damage that is done to them.
//!
//! A failure prints its seed, and `ASIDE_FUZZ_SEED` set to it repeats the input.
//! `ASIDE_SOAK=1` draws 100 times as many, from new seeds.

use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use fastrand::Rng;

const SEEDS: u64 = 1_000;

/// Calls `check` with the generator of each seed.
pub(crate) fn each_seed(check: impl Fn(&mut Rng)) {
    for seed in seeds() {
        let checked = catch_unwind(AssertUnwindSafe(|| check(&mut Rng::with_seed(seed))));
        if let Err(panic) = checked {
            eprintln!("ASIDE_FUZZ_SEED={seed} repeats it");
            resume_unwind(panic);
        }
    }
}

fn seeds() -> Range<u64> {
    if let Ok(seed) = std::env::var("ASIDE_FUZZ_SEED") {
        let seed = seed.parse().expect("ASIDE_FUZZ_SEED is a number");
        return seed..seed + 1;
    }
    if std::env::var_os("ASIDE_SOAK").is_none() {
        return 0..SEEDS;
    }
    let first = fastrand::u64(..u64::MAX / 2);
    first..first + 100 * SEEDS
}

/// Changes one place of an input, or inserts one of the tokens.
pub(crate) fn damage(input: &mut Vec<u8>, random: &mut Rng, tokens: &[&str]) {
    let at = random.usize(..=input.len());
    let until = (at + random.usize(..30)).min(input.len());
    match random.u8(..6) {
        0 => input.truncate(until),
        1 => drop(input.drain(at..until)),
        2 => {
            let repeated = input[at..until].to_vec();
            input.splice(at..at, repeated);
        }
        3 if at < input.len() => input[at] ^= 1 << random.u8(..8),
        // Lines that do not end where they could.
        4 if random.u8(..8) == 0 => {
            let endless = vec![b'x'; random.usize(60_000..140_000)];
            input.splice(at..at, endless);
        }
        _ => {
            let token = tokens[random.usize(..tokens.len())];
            input.splice(at..at, token.bytes());
        }
    }
}
