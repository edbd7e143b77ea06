use aside::Entity;
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, Entity)]
#[entity(kind = "hero")]
enum Hero {
    Strong,
}

#[derive(Clone, Serialize, Deserialize, Entity)]
#[entity(kind = "pair")]
struct Pair(u8, u8);

#[derive(Clone, Serialize, Deserialize, Entity)]
#[entity(kind = "unit")]
struct Unit;

#[derive(Clone, Copy, Entity)]
#[entity(kind = "bits")]
union Bits {
    word: u32,
    float: f32,
}

fn main() {}
