//! Each mistake of `#[table(...)]` is one error that names the place.
//!
//! They are tested here and not by compiling: that would compile sqlx once more.

use proc_macro2::TokenStream;
use quote::quote;

/// Returns the code of a struct, with its table's attribute and fields.
fn derived(attribute: &TokenStream, fields: &TokenStream) -> String {
    let input = quote! {
        #[entity(kind = "hero")]
        #attribute
        struct Hero { #fields }
    };
    super::derive(&syn::parse2(input).expect("a struct")).to_string()
}

/// Asserts that the derive makes one error with this text, beside an impl that compiles.
fn refused(attribute: &TokenStream, fields: &TokenStream, text: &str) {
    let code = derived(attribute, fields);
    assert_eq!(code.matches("compile_error").count(), 1, "{code}");
    assert!(code.contains(text), "{text}\n{code}");
    let stub = ":: aside_sqlx :: Table < D > for Hero";
    assert!(code.contains(stub), "{code}");
}

/// Does the same for a mistake of a field.
fn refused_field(field: &TokenStream, text: &str) {
    let table = quote!(#[table("hero", postgres)]);
    refused(&table, &quote!(#[entity(id)] id: i64, #field), text);
}

#[test]
fn a_table_has_a_name_and_a_database() {
    let id = quote!(#[entity(id)] id: i64);
    let refused = |attribute, text| refused(&attribute, &id, text);
    refused(quote!(), "a table needs its name and its database");
    refused(quote!(#[table(postgres)]), "begins with the table's name");
    refused(quote!(#[table("hero")]), "a table needs its database");
    refused(
        quote!(#[table("hero; DROP", postgres)]),
        "is no name of a table",
    );
    refused(
        quote!(#[table("hero", oracle, sqlite)]),
        "`oracle` has no meaning",
    );
    refused(
        quote!(#[table("hero", sqlite, sqlite)]),
        "`sqlite` is given twice",
    );
    refused(
        quote!(#[table("hero", sqlite, new = "a b")]),
        "`new` is the name of a type",
    );
}

#[test]
fn a_wrong_field_is_named() {
    refused_field(
        &quote!(#[table(computed)] name: String),
        "`computed` has no meaning",
    );
    refused_field(
        &quote!(#[table(column = "na me")] name: String),
        "is no name of a column",
    );
    refused_field(&quote!(größe: i32), "is no name of a column");
    refused_field(
        &quote!(name: String, #[table(column = "name")] nick: String),
        "`name` has the column `name` already",
    );
    refused_field(
        &quote!(#[table(generated, expr = "1")] name: String),
        "this one has `generated` already",
    );
    refused_field(
        &quote!(#[entity(version)] #[table(expr = "1")] version: i64),
        "`version` is the version",
    );
    refused_field(
        &quote!(#[entity(index)] #[table(expr = "1")] shelf: i64),
        "`shelf` is computed",
    );
    refused_field(
        &quote!(#[table(columns(first, last))] name: (String, String)),
        "`name` is one column",
    );
    refused_field(
        &quote!(#[table(as = "Text", json)] name: String),
        "it goes with neither `json` nor `columns`",
    );
    refused_field(
        &quote!(#[table(as = "a b")] name: String),
        "`as` names the type of the column",
    );
}

#[test]
fn a_wrong_id_is_named() {
    let refused = |field, text| refused(&quote!(#[table("hero", postgres)]), &field, text);
    refused(
        quote!(#[entity(id)] #[table(expr = "1")] id: i64),
        "`id` is the id",
    );
    refused(
        quote!(#[entity(id)] #[table(database)] id: i64),
        "write `generated`",
    );
    refused(
        quote!(#[entity(id)] #[table(columns(first, last))] id: (i64, i64, i64)),
        "the id has 3 parts, and 2 columns are named",
    );
}

#[test]
fn a_mistake_of_the_entity_is_left_to_its_own_derive() {
    let code = derived(
        &quote!(#[table("hero", postgres)]),
        &quote!(#[entity(di)] id: i64),
    );
    assert!(!code.contains("compile_error"), "{code}");
    assert!(code.contains("Table < D > for Hero"), "{code}");
}

#[test]
fn a_renamed_dependency_of_a_table_is_used_by_its_new_name() {
    let table = quote!(#[table("hero", postgres, crate = "my_sqlx")]);
    let code = derived(&table, &quote!(#[entity(id)] id: i64, name: String));
    assert!(!code.contains("aside_sqlx"), "{code}");
    assert!(code.contains("my_sqlx :: Table"), "{code}");
}
