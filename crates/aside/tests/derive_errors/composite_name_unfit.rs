use aside::Entity;
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, Entity)]
#[entity(kind = "hero", index(Exact = (name, age)), unique("all" = (age, name)))]
struct Hero {
    #[entity(id)]
    id: u64,
    name: String,
    age: u8,
}

fn main() {}
