use aside::Entity;
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, Entity)]
#[entity(kind = "hero", kind = "heroes")]
struct Hero {
    #[entity(id)]
    id: u64,
}

fn main() {}
