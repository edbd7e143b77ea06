use aside::Entity;
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, Entity)]
#[entity(kind = "Hero", shpae = 2)]
#[entity(list_all = no)]
struct Hero {
    id: u64,
    #[entity(index = "all", nested, nested)]
    name: String,
    #[entity(version)]
    #[serde(skip)]
    version: bool,
}

fn main() {}
