//! `#[derive(Table)]`: the SQL table of an entity, for `aside-sqlx`.
//!
//! `head` parses the struct's attribute, and `columns` those of its fields. `generate`
//! writes the code, with the `conversion` of each value. The entity itself comes from `model`.

mod head;
mod columns;
mod conversion;
mod generate;
#[cfg(test)]
mod tests;

use proc_macro2::TokenStream;
use syn::DeriveInput;

use crate::errors::Errors;
use crate::model::Entity;
use columns::Column;
use head::Head;

/// The parts from which the code of one table is generated.
struct Table {
    entity: Entity,
    head: Head,
    columns: Vec<Column>,
}

/// Returns the code of the table of a struct, with its mistakes. Mistakes of the entity
/// itself are reported by its own derive.
pub(crate) fn derive(input: &DeriveInput) -> TokenStream {
    let (entity, of_entity) = Entity::read(input);
    let Some(entity) = entity else {
        return TokenStream::new();
    };
    let mut errors = Errors::default();
    let head = Head::read(input, &mut errors);
    let columns = columns::read(input, &entity, &mut errors);
    let table = Table {
        entity,
        head,
        columns,
    };
    let is_right = of_entity.is_empty() && errors.is_empty();
    let code = match is_right {
        true => generate::table(&table),
        false => generate::stub(&table),
    };
    errors.into_compile_errors(Some(&code))
}
