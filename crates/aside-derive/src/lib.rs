//! The derive macros of `aside`: `Entity` and `Shape`.
//!
//! They are documented where they are re-exported, in `aside`, so that their
//! examples compile against the real library; use them from there.
//!
//! The way of one `#[derive(Entity)]` through the modules: `attribute` reads
//! the words inside `#[entity(...)]`, `model` turns the struct and its words
//! into an entity that is known to be sound, `index` does so for the indexes,
//! `serde_attributes` and `fingerprint` boil the serialized form down to a
//! number, and `generate` writes the code. Every module reports what is wrong
//! into `errors`, so that one build shows all of it.

mod attribute;
mod errors;
mod fingerprint;
mod generate;
mod index;
mod model;
mod serde_attributes;
mod shape;

use proc_macro::TokenStream;
use syn::{DeriveInput, parse_macro_input};

// The text lives at the re-export in `aside`; a second one here would be
// shown below it.
#[allow(missing_docs)]
#[proc_macro_derive(Entity, attributes(entity))]
pub fn derive_entity(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    match model::Entity::read(&input) {
        Ok(entity) => generate::entity(&entity).into(),
        Err(errors) => errors.into_compile_errors().into(),
    }
}

#[allow(missing_docs)]
#[proc_macro_derive(Shape, attributes(shape))]
pub fn derive_shape(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    match shape::Shape::read(&input) {
        Ok(shape) => generate::shape(&shape).into(),
        Err(errors) => errors.into_compile_errors().into(),
    }
}
