use aside::Entity;
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, Entity)]
#[entity(kind = "hero", index(name = (first, last)))]
struct Hero {
    #[entity(id)]
    id: u64,
    #[entity(index = "name")]
    first: String,
    #[entity(index = "name")]
    last: String,
}

fn main() {}
