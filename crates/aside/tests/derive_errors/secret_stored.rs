use aside::Entity;
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, Entity)]
#[entity(kind = "user")]
struct User {
    #[entity(id)]
    id: u64,
    #[entity(never)]
    password_hash: String,
    #[entity(never)]
    #[serde(skip_serializing)]
    token: String,
    #[entity(never)]
    #[serde(skip)]
    salt: String,
}

fn main() {}
