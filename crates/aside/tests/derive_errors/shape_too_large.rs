use aside::Entity;
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, Entity)]
#[entity(kind = "hero", shape = 18446744073709551616)]
struct Hero {
    #[entity(id)]
    id: u64,
}

fn main() {}
