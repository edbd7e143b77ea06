use aside::Entity;
use serde::{Deserialize, Serialize, Serializer};

fn masked<S: Serializer>(_: &String, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str("***")
}

#[derive(Clone, Serialize, Deserialize, Entity)]
#[entity(kind = "account")]
struct Account {
    #[entity(id)]
    id: u32,
    #[serde(serialize_with = "masked")]
    password_hash: String,
}

fn main() {}
