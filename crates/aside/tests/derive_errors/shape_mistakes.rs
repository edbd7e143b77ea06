use aside::Shape;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize, Shape)]
#[shape(kind = "audio")]
struct Audio<T> {
    #[shape(index)]
    url: T,
    #[serde(skip)]
    cached: u8,
}

#[derive(Serialize, Deserialize, Shape)]
enum Format {
    #[shape(nested)]
    Mp3,
    #[serde(skip)]
    Wav,
    Ogg {
        #[serde(skip_serializing_if = "Option::is_none")]
        rate: Option<u8>,
    },
}

#[derive(Shape)]
union Bits {
    word: u32,
}

#[derive(Serialize, Deserialize, Shape)]
struct Tree {
    #[shape(nested)]
    children: Vec<Tree>,
}

fn main() {}
