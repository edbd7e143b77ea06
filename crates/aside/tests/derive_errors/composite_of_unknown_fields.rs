use aside::Entity;
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, Entity)]
#[entity(kind = "hero", index(exact = (name, agee, genderr)))]
struct Hero {
    #[entity(id)]
    id: u64,
    name: String,
    age: u8,
}

fn main() {}
