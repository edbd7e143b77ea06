use aside::Entity;
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, Entity)]
#[entity(kind = "aside")]
struct Hero {
    #[entity(id)]
    id: u64,
}

fn main() {}
