use aside::Entity;
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, Entity)]
#[entity(kind = "hero")]
#[serde(rename_all(serialize = "UPPERCASE"))]
struct Hero {
    #[entity(id)]
    id: u64,
    #[serde(default, rename(deserialize = "n"))]
    name: String,
}

fn main() {}
