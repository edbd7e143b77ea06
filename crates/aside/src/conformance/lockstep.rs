//! Lock-step test: Redis, `memory://` and the model run the same random
//! operations. Replies, stored states and messages must be equal.
//!
//! A hundred thousand steps, each on a random key, so that an effect on another
//! key is found as well. Operations of a write mostly concern several keys,
//! sometimes one key twice, in one call. A failure names its seed, and
//! `ASIDE_LOCKSTEP_SEED` repeats it. `ASIDE_SOAK=1` draws ten times as many new
//! seeds.

use super::model::{Held, Model};
use super::on_memory::OnMemory;
use super::on_redis::OnRedis;
use super::{Case, LONG};
use crate::entity::key::Key;
use crate::entity::lookup::Member;
use crate::memory::MemoryTier;
use crate::protocol::state::State;
use crate::protocol::value::{self, Envelope, FillContext, KeyStamp, StampContext};
use crate::protocol::{Acquired, Op, Reply, Token};

const SEEDS: u64 = 10;
const STEPS: u64 = 10_000;
/// The number of steps per pipeline.
const BATCH: u64 = 500;
const KEYS: usize = 3;
/// The version field of a header, which holds the end of a mark.
const END: std::ops::Range<usize> = 62..82;

/// Bytes of other programs; none is valid state.
const FOREIGN: [&[u8]; 9] = [
    b"",
    b"Q",
    b"Qjunk",
    b"L",
    b"Ljunk",
    b"\xff\x00",
    b"Qcaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa999999999999",
    b"v1",
    b"Vienna",
];

/// Returns conditions under which few stamps count.
fn random_context(random: &mut fastrand::Rng) -> StampContext {
    StampContext {
        history: random.u64(1..3) << 60,
        epoch: random.u64(1..3),
    }
}

/// Returns a value with a header of these conditions.
fn value_of(context: StampContext, step: u64) -> Vec<u8> {
    let filled = FillContext {
        history: context.history,
        epoch: context.epoch,
        shape: 1,
    };
    let envelope = Envelope {
        body: "null",
        cached_at: jiff::Timestamp::UNIX_EPOCH,
        ttl: LONG,
    };
    // Apart from the stamps of marks.
    let fill = KeyStamp::from_number(step + (1 << 40));
    value::encode(filled, fill, 0, Member::Entity, envelope, None).bytes
}

/// Returns a random operation with few writers and tokens, so that they
/// interact.
fn random_op(random: &mut fastrand::Rng, key: Key, name: Token, step: u64) -> Op {
    let value = match random.bool() {
        true => format!("V{}{:046} {step}", random.u8(0..2), 0).into_bytes(),
        false => value_of(random_context(random), step),
    };
    let message = step.to_string();
    match random.u32(0..110) {
        // Of one of the last values, or of a mark.
        100.. => Op::Refresh {
            key,
            fill: match random.bool() {
                true => (step - random.u64(0..step.min(8) + 1)) + (1 << 40),
                false => step - random.u64(0..step.min(8) + 1),
            },
            token: name,
        },
        0..12 => Op::Stamp {
            key,
            context: random_context(random),
            stamp: KeyStamp::from_number(step + 1),
            ttl: LONG,
        },
        12..24 => Op::Acquire {
            key,
            token: name,
            lease: LONG,
            observed: random
                .bool()
                .then(|| format!("V{}", random.u8(0..2)).into()),
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
        // An eviction, or a server that lost its data.
        95..98 => Op::Delete { key },
        _ => Op::Set {
            key,
            value: FOREIGN[random.usize(0..FOREIGN.len())].to_vec(),
            ttl: random.bool().then_some(LONG),
        },
    }
}

/// Returns one step: an operation, or the same one on several keys.
fn random_step(random: &mut fastrand::Rng, keys: &[Key; KEYS], step: u64) -> Vec<(usize, Op)> {
    let name = Token::from_number(random.u128(1..5));
    let chosen = random.usize(0..KEYS);
    let mut ops = vec![(chosen, random_op(random, keys[chosen].clone(), name, step))];
    for more in 0..random.u64(0..3) {
        let another = random.usize(0..KEYS);
        let message = format!("{step}+{more}");
        let key = keys[another].clone();
        let op = match &ops[0].1 {
            Op::Quarantine { writer, ttl, .. } => Op::Quarantine {
                key,
                writer: *writer,
                ttl: *ttl,
                message,
            },
            Op::Release { writer, .. } => Op::Release {
                key,
                writer: *writer,
                value: random
                    .bool()
                    .then(|| (format!("V0{:046} {message}", 0).into(), LONG)),
                message,
            },
            Op::Invalidate { .. } => Op::Invalidate { key, message },
            _ => break,
        };
        ops.push((another, op));
    }
    ops
}

/// Sets the end of a mark, which depends on the time, to zero.
fn without_end(mut bytes: Vec<u8>) -> Vec<u8> {
    if value::is_mark(&bytes) {
        bytes[END].fill(b'0');
    }
    bytes
}

fn timeless(reply: Reply) -> Reply {
    match reply {
        Reply::Acquired(Acquired::Value(bytes)) => {
            Reply::Acquired(Acquired::Value(without_end(bytes)))
        }
        reply => reply,
    }
}

/// Converts a key's bytes to the model's form, without deadlines.
fn held(reply: &Reply) -> Held {
    let Reply::Value(bytes) = reply else {
        panic!("GET answered {reply:?}");
    };
    let Some(bytes) = bytes else {
        return Held::Nothing;
    };
    let token = |hex: &str| Token::from_number(u128::from_str_radix(hex, 16).expect("hex"));
    match State::of(bytes, true) {
        State::Absent => Held::Foreign(bytes.to_vec()),
        State::Value => Held::Value(without_end(bytes.to_vec())),
        State::Lease(name) => Held::Lease(token(name)),
        State::Quarantine(found) => {
            let writers = found.records.iter().map(|record| token(&record.writer));
            Held::Writers(writers.collect(), found.clean)
        }
    }
}

/// Returns the replies to each step, and the state of every key after it.
async fn results(
    case: &Case,
    keys: &[Key; KEYS],
    steps: &[Vec<(usize, Op)>],
) -> Vec<(Vec<Reply>, [Held; KEYS])> {
    let pipeline = steps.iter().flat_map(|ops| {
        let ops = ops.iter().map(|(_, op)| op.clone());
        ops.chain(keys.iter().map(|key| Op::Get { key: key.clone() }))
    });
    let replies = case.pipeline(pipeline.collect()).await;
    let mut replies = replies.into_iter().map(|reply| reply.expect("no error"));
    let result = |ops: &Vec<_>| {
        let said = replies.by_ref().take(ops.len()).map(timeless).collect();
        let mut next = || held(&replies.next().expect("a reply for each"));
        (said, std::array::from_fn(|_| next()))
    };
    steps.iter().map(result).collect()
}

/// Returns the seeds to run.
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
async fn redis_and_memory_follow_the_model() {
    let redis = Case::new(OnRedis::shared());
    let memory = Case::new(OnMemory::open(MemoryTier::private(1 << 20)));
    for seed in seeds() {
        let random = &mut fastrand::Rng::with_seed(seed);
        let keys: [Key; KEYS] =
            std::array::from_fn(|number| redis.key(&format!("{seed}-{number}")));
        let mut models: [Model; KEYS] = Default::default();
        for batch in 0..STEPS / BATCH {
            let numbers = batch * BATCH..(batch + 1) * BATCH;
            let steps: Vec<_> = numbers
                .map(|step| random_step(random, &keys, step))
                .collect();
            let on_redis = results(&redis, &keys, &steps).await;
            let on_memory = results(&memory, &keys, &steps).await;
            let mut said = Vec::new();
            for (number, ops) in steps.iter().enumerate() {
                let before = format!("{:?}", models.each_ref().map(|model| &model.held));
                let run = |(chosen, op): &(usize, Op)| {
                    let model = &mut models[*chosen];
                    let reply = model.run(op);
                    said.append(&mut model.said);
                    reply
                };
                let replies = ops.iter().map(run).collect();
                let expected = (replies, models.each_ref().map(|model| model.held.clone()));
                let place =
                    || format!("ASIDE_LOCKSTEP_SEED={seed}, batch {batch}: {ops:?} on {before}");
                assert_eq!(on_redis[number], expected, "redis, {}", place());
                assert_eq!(on_memory[number], expected, "memory, {}", place());
            }
            let seed = format!("ASIDE_LOCKSTEP_SEED={seed}, batch {batch}");
            assert_eq!(redis.heard().await, said, "redis, {seed}");
            assert_eq!(memory.heard().await, said, "memory, {seed}");
        }
    }
}
