//! The value of a column as the value of its field, and back.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Ident, Path, Type};

use super::columns::Column;
use crate::index::option_inner;
use crate::index_code::local;

/// Returns the code that reads the column `name` of a row.
pub(super) fn read(library: &Path, column: &Column, name: &str, row: &Ident) -> TokenStream {
    let ty = column.ty();
    if let Some(column_type) = &column.column_type {
        let (get, value) = match option_inner(ty) {
            Some(inner) => (quote!(get_optional_as), inner),
            None => (quote!(get_as), ty),
        };
        return quote_spanned! {ty.span()=>
            #library::for_macros::#get::<#column_type, #value, _>(#row, #name)?
        };
    }
    let get = quote_spanned! {ty.span()=>
        #library::for_macros::sqlx::Row::try_get(#row, #name)?
    };
    if !column.is_json {
        return get;
    }
    let value = local("json");
    quote_spanned!(ty.span()=> {
        let #library::for_macros::sqlx::types::Json(#value) = #get;
        #value
    })
}

/// Returns the code of the value to bind for a field.
pub(super) fn bound(library: &Path, column: &Column, value: &TokenStream) -> TokenStream {
    let ty = column.ty();
    if let Some(column_type) = &column.column_type {
        let Some(inner) = option_inner(ty) else {
            return converted(library, column_type, ty, &quote!(&#value));
        };
        let part = local("part");
        let converted = converted(library, column_type, inner, &quote!(#part));
        return quote_spanned! {ty.span()=>
            match &#value {
                ::core::option::Option::Some(#part) => ::core::option::Option::Some(#converted),
                ::core::option::Option::None => ::core::option::Option::None,
            }
        };
    }
    if column.is_json {
        quote!(#library::for_macros::sqlx::types::Json(&#value))
    } else {
        quote!(&#value)
    }
}

/// Returns the code of the value to bind for a part of an index, which is never absent.
pub(super) fn bound_part(
    library: &Path,
    column: Option<&Column>,
    ty: &Type,
    value: &Ident,
) -> TokenStream {
    let value = quote!(#value);
    match column.and_then(|column| column.column_type.as_ref()) {
        Some(column_type) => converted(library, column_type, ty, &value),
        None => value,
    }
}

fn converted(library: &Path, column_type: &Type, ty: &Type, value: &TokenStream) -> TokenStream {
    quote_spanned! {ty.span()=>
        <#column_type as #library::ColumnAs<#ty>>::from_value(#value)?
    }
}
