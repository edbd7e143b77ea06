//! The derive macros of `aside`: `Entity` and `Shape`, and `Table` of `aside-sqlx`.
//!
//! They are documented at their re-exports there, so that their examples
//! compile against the real library. Use them from there.
//!
//! Modules, in the order in which they handle one `#[derive(Entity)]`:
//! `attribute` parses the words inside `#[entity(...)]`. `model` turns the
//! struct and its words into a valid entity, `fields` its fields, and `index` the
//! indexes, with the `words` beside them. `serde_attributes` and `fingerprint` reduce
//! the serialized form to a number. `generate`, `index_code`, `read_code` and `id_lists`
//! write the code. `table` does the same for `#[derive(Table)]`. Every module reports mistakes
//! to `errors`, so that one build shows all of them.

mod errors;
mod attribute;
mod fingerprint;
mod index_options;
mod index;
mod words;
mod serde_attributes;
mod fields;
mod model;
mod shape;
mod id_lists;
mod index_code;
mod read_code;
mod generate;
mod table;

use proc_macro::TokenStream;
use syn::{DeriveInput, parse_macro_input};

// Documented at the re-export in `aside`; rustdoc would append a second text
// below it.
#[allow(missing_docs)]
#[proc_macro_derive(Entity, attributes(entity))]
pub fn derive_entity(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    let (entity, errors) = model::Entity::read(&input);
    if errors.is_empty() {
        return entity
            .map(|it| generate::entity(&it))
            .unwrap_or_default()
            .into();
    }
    let stub = entity.map(|it| generate::entity_stub(&it));
    errors.into_compile_errors(stub.as_ref()).into()
}

#[allow(missing_docs)]
#[proc_macro_derive(Shape, attributes(shape))]
pub fn derive_shape(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    let (shape, errors) = shape::Shape::read(&input);
    let code = shape.map(|it| generate::shape(&it));
    errors.into_compile_errors(code.as_ref()).into()
}

#[allow(missing_docs)]
#[proc_macro_derive(Table, attributes(table))]
pub fn derive_table(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    table::derive(&input).into()
}
