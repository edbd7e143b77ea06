//! The promises of `#[derive(Entity)]` and `#[derive(Shape)]`.

// Represents a dependency that `Cargo.toml` renames.
extern crate aside as my_aside;

mod collisions;
mod fingerprints;
mod folded;
mod generated;
mod keys;
mod reads;

use aside::{Entity, entity::KeyWriter};

/// Returns the key of a row in Redis.
fn id_key<E: Entity>(id: &E::Id) -> String {
    let mut key = KeyWriter::new("", E::KIND);
    E::write_id(id, &mut key);
    key.as_str().to_owned()
}

/// Returns the key of a list in Redis.
fn index_key<E: Entity>(index: &E::Index) -> String {
    let mut key = KeyWriter::new("", E::KIND);
    E::write_index(index, &mut key);
    key.as_str().to_owned()
}

/// Returns the lists that contain a row.
fn lists<E: Entity>(row: &E) -> Vec<E::Index> {
    let mut lists = Vec::new();
    row.indexes(&mut |index| lists.push(index));
    lists
}

#[test]
fn every_mistake_is_explained_at_its_token() {
    trybuild::TestCases::new().compile_fail("tests/derive_errors/*.rs");
}
