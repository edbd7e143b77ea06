use aside::Entity;
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, Entity)]
#[entity(kind = "hero")]
struct Hero {
    #[entity(id)]
    id: u64,
    #[entity(index = "all")]
    language: String,
}

fn main() {}
