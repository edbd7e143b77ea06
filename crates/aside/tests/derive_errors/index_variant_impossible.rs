use aside::Entity;
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, Entity)]
#[entity(kind = "hero")]
struct Hero {
    #[entity(id)]
    id: u64,
    #[entity(index)]
    self_: String,
    #[entity(index = "first")]
    _1: String,
}

fn main() {}
