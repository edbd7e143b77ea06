//! `check_entity_with` on rows of a strategy that has a codec.

use aside::{
    CacheStrategy, Entity,
    codec::{Codec, CodecError, Json},
};
use aside_testkit::{EntityProblem, check_entity, check_entity_with};
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Entity)]
#[entity(kind = "book")]
struct Book {
    #[entity(id)]
    id: u32,
    price: f64,
}

fn priced(price: f64) -> Book {
    Book { id: 1, price }
}

/// Writes a price in whole units.
#[derive(Debug)]
struct WholePrices;

impl Codec<Book> for WholePrices {
    fn encode(&self, row: &Book) -> Result<String, CodecError> {
        let price = row.price.trunc();
        Json.encode(&Book { price, ..*row })
    }

    fn decode(&self, json: &str) -> Result<Book, CodecError> {
        Json.decode(json)
    }
}

impl CacheStrategy<Book> for WholePrices {
    fn codec(&self) -> &dyn Codec<Book> {
        self
    }
}

#[test]
fn a_row_is_checked_with_the_codec_of_its_strategy() {
    check_entity_with(&WholePrices, [priced(7.0)]).unwrap();
    check_entity([priced(7.5)]).unwrap();
    let problems = check_entity_with(&WholePrices, [priced(7.5)]).unwrap_err();
    let of_price = |problem: &EntityProblem| matches!(problem, EntityProblem::Differs { field, .. } if *field == "price");
    assert!(problems.iter().any(of_price), "{problems}");
}
