use aside::Entity;
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, Entity)]
#[entity(kind = "hero")]
struct Hero {
    #[entity(id)]
    id: u64,
    #[serde(skip)]
    cached: u8,
    #[serde(default, skip_serializing)]
    written: u8,
    #[serde(skip_deserializing)]
    read: u8,
}

fn main() {}
