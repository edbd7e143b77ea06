use aside::Entity;
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, Entity)]
#[entity(kind = "hero", index(exact = (name)))]
struct Hero {
    #[entity(id)]
    id: u64,
    name: String,
}

fn main() {}
