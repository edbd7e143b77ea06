//! A real Redis, `memory://` and the model, driven side by side by the same
//! random operations: they answer alike, hold alike and say alike.
//!
//! A hundred thousand operations, on keys that take turns at random, so that
//! one that touched another's key would be found as well. They come from
//! seeds: what fails names its own, and `ASIDE_LOCKSTEP_SEED` set to it runs
//! the same operations again. `ASIDE_SOAK=1` draws new seeds, ten times as
//! many.

use super::model::{Held, Model};
use super::on_memory::OnMemory;
use super::on_redis::OnRedis;
use super::{Case, LONG};
use crate::key::Key;
use crate::shared::memory::MemoryTier;
use crate::shared::state::State;
use crate::shared::{Op, Reply, Token};

const SEEDS: u64 = 10;
const STEPS: u64 = 10_000;
/// How many operations travel as one pipeline.
const BATCH: u64 = 500;
const KEYS: usize = 3;

/// What others may have put under a key of ours; none of it is state.
const FOREIGN: [&[u8]; 8] = [
    b"",
    b"Q",
    b"Qjunk",
    b"L",
    b"Ljunk",
    b"\xff\x00",
    b"Qcaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa999999999999",
    b"v1",
];

/// Few enough writers and tokens that they meet.
fn random_op(random: &mut fastrand::Rng, key: &Key, step: u64) -> Op {
    let key = key.clone();
    let name = Token::from_number(random.u128(1..5));
    let value = format!("V{} {step}", random.u8(0..2)).into_bytes();
    let message = step.to_string();
    match random.u32(0..100) {
        0..24 => Op::Acquire {
            key,
            token: name,
            lease: LONG,
            observed: random
                .bool()
                .then(|| format!("V{} ", random.u8(0..2)).into()),
        },
        24..44 => Op::Fill {
            key,
            token: name,
            value,
            ttl: LONG,
        },
        44..50 => Op::Abandon { key, token: name },
        50..66 => Op::Quarantine {
            key,
            writer: name,
            ttl: LONG,
            message,
        },
        66..90 => Op::Release {
            key,
            writer: name,
            message,
            value: random.bool().then_some((value, LONG)),
        },
        90..95 => Op::Invalidate { key, message },
        // An eviction, or a server that lost its memory.
        95..98 => Op::Delete { key },
        _ => Op::Set {
            key,
            value: FOREIGN[random.usize(0..FOREIGN.len())].to_vec(),
            ttl: random.bool().then_some(LONG),
        },
    }
}

/// The bytes of a key as the model speaks of them: no deadlines.
fn held(reply: &Reply) -> Held {
    let Reply::Value(bytes) = reply else {
        panic!("GET answered {reply:?}");
    };
    let Some(bytes) = bytes else {
        return Held::Nothing;
    };
    let token = |hex: &str| Token::from_number(u128::from_str_radix(hex, 16).expect("hex"));
    match State::of(bytes, true) {
        State::Absent => Held::Foreign(bytes.clone()),
        State::Value => Held::Value(bytes.clone()),
        State::Lease(name) => Held::Lease(token(name)),
        State::Quarantine(found) => {
            let writers = found.records.iter().map(|record| token(&record.writer));
            Held::Writers(writers.collect(), found.clean)
        }
    }
}

/// Replies and resulting states of `ops` on a tier.
async fn results(case: &Case, ops: &[(Key, Op)]) -> Vec<(Reply, Held)> {
    let pipeline = ops
        .iter()
        .flat_map(|(key, op)| [op.clone(), Op::Get { key: key.clone() }]);
    let replies = case.pipeline(pipeline.collect()).await;
    let replies: Vec<_> = replies
        .into_iter()
        .map(|reply| reply.expect("no error"))
        .collect();
    let (pairs, _) = replies.as_chunks::<2>();
    pairs
        .iter()
        .map(|[reply, get]| (reply.clone(), held(get)))
        .collect()
}

/// The seeds to run.
fn seeds() -> Vec<u64> {
    let set = |name| std::env::var(name).ok();
    if let Some(seed) = set("ASIDE_LOCKSTEP_SEED") {
        return vec![seed.parse().expect("ASIDE_LOCKSTEP_SEED is a number")];
    }
    match set("ASIDE_SOAK").as_deref() {
        Some("1") => (0..10 * SEEDS).map(|_| fastrand::u64(..)).collect(),
        _ => (1..=SEEDS).collect(),
    }
}

#[tokio::test]
async fn redis_and_memory_do_what_the_protocol_says() {
    let redis = Case::new(OnRedis::shared());
    let memory = Case::new(OnMemory::open(MemoryTier::private(1 << 20)));
    for seed in seeds() {
        let random = &mut fastrand::Rng::with_seed(seed);
        let keys: [Key; KEYS] =
            std::array::from_fn(|number| redis.key(&format!("{seed}-{number}")));
        let mut models: [Model; KEYS] = Default::default();
        for batch in 0..STEPS / BATCH {
            let steps = batch * BATCH..(batch + 1) * BATCH;
            let chosen: Vec<usize> = steps.clone().map(|_| random.usize(0..KEYS)).collect();
            let ops: Vec<_> = steps
                .zip(&chosen)
                .map(|(step, chosen)| {
                    let key = &keys[*chosen];
                    (key.clone(), random_op(random, key, step))
                })
                .collect();
            let on_redis = results(&redis, &ops).await;
            let on_memory = results(&memory, &ops).await;
            let mut said = Vec::new();
            for (number, ((_, op), chosen)) in ops.iter().zip(&chosen).enumerate() {
                let model = &mut models[*chosen];
                let before = format!("{:?}", model.held);
                let expected = (model.run(op), model.held.clone());
                said.append(&mut model.said);
                let place =
                    || format!("ASIDE_LOCKSTEP_SEED={seed}, batch {batch}: {op:?} on {before}");
                assert_eq!(on_redis[number], expected, "redis, {}", place());
                assert_eq!(on_memory[number], expected, "memory, {}", place());
            }
            let seed = format!("ASIDE_LOCKSTEP_SEED={seed}, batch {batch}");
            assert_eq!(redis.heard().await, said, "redis, {seed}");
            assert_eq!(memory.heard().await, said, "memory, {seed}");
        }
    }
}
