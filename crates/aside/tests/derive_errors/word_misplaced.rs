use aside::Entity;
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, Entity)]
#[entity(kind = "hero", id)]
struct Hero {
    #[entity(id, kind = "hero")]
    id: u64,
}

fn main() {}
