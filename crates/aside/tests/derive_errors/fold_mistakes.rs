use aside::Entity;
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, Entity)]
#[entity(kind = "user")]
struct User {
    #[entity(id)]
    id: u64,
    #[entity(unique, fold = uppercase)]
    email: String,
    #[entity(index, fold)]
    name: String,
    #[entity(fold = lowercase)]
    nick: String,
}

fn main() {}
