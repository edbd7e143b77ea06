use aside::Entity;
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, Entity)]
#[entity(kind = "hero")]
struct Hero {
    #[entity(id)]
    id: u64,
    #[entity(index = "lang:x")]
    language: String,
    #[entity(index)]
    Åge: u8,
}

fn main() {}
