use aside::Entity;
use serde::{Deserialize, Serialize};

#[derive(Clone, Serialize, Deserialize, Entity)]
#[entity(kind = "page")]
struct Page<T> {
    #[entity(id)]
    id: T,
}

#[derive(Clone, Serialize, Deserialize, Entity)]
#[entity(kind = "name")]
struct Name<'a> {
    #[entity(id)]
    id: &'a str,
}

#[derive(Clone, Serialize, Deserialize, Entity)]
#[entity(kind = "array")]
struct Array<const N: usize> {
    #[entity(id)]
    id: u8,
}

fn main() {}
