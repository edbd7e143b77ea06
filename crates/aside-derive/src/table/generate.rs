//! Generates the code of a table: its columns, and how values become rows.

use proc_macro2::{Ident, TokenStream};
use quote::{format_ident, quote, quote_spanned};
use syn::ext::IdentExt;
use syn::spanned::Spanned;
use syn::{Member, Path};

use super::Table;
use super::columns::{Column, Origin};
use super::conversion;
use super::head::Database;
use crate::errors::Errors;
use crate::index::locals;
use crate::index_code::{local, pattern};
use crate::serde_attributes;

/// Returns the struct of a new row, the function `table`, and an impl for each database.
pub(super) fn table(table: &Table) -> TokenStream {
    let (new, new_code) = new_row(table);
    let databases = table.head.databases.iter();
    let impls = databases.map(|database| table_impl(table, *database, &new));
    let function = function(table);
    quote! {
        #new_code
        #function
        #(#impls)*
    }
}

/// Returns the same after a mistake: an impl for every database that compiles, so that
/// code which uses the table adds no errors.
pub(super) fn stub(table: &Table) -> TokenStream {
    let (new, new_code) = new_row(table);
    let function = function(table);
    let Table { entity, head, .. } = table;
    let (ident, id_type, index_enum) = (&entity.ident, &entity.id_type, &entity.index_enum);
    let library = &head.library;
    let list = quote!(_: &mut <D as #library::for_macros::sqlx::Database>::Arguments);
    let result = result_of_add(library);
    let body = quote!({ ::core::unreachable!() });
    quote! {
        #new_code
        #function

        #[automatically_derived]
        #[allow(deprecated)]
        impl<D: #library::Tables> #library::Table<D> for #ident {
            type New = #new;

            const NAME: &'static ::core::primitive::str = "mistaken";
            const COLUMNS: &'static [#library::for_macros::Column] = &[];
            const ORDER: ::core::option::Option<&'static ::core::primitive::str> =
                ::core::option::Option::None;

            fn from_row(
                _: &<D as #library::for_macros::sqlx::Database>::Row,
            ) -> ::core::result::Result<Self, #library::for_macros::sqlx::Error> #body
            fn index_columns(
                _: &#index_enum,
            ) -> &'static [&'static ::core::primitive::str] #body
            fn add_id(_: &#id_type, #list) -> #result #body
            fn add_index(_: &#index_enum, #list) -> #result #body
            fn add_new(_: &#new, #list) -> #result #body
            fn add_new_id(_: &#new, #list) -> #result #body
            fn add_saved(_: &Self, #list) -> #result #body
            fn add_updated(_: &Self, #list) -> #result #body
            fn add_version(_: &Self, #list) -> #result #body
        }
    }
}

fn function(table: &Table) -> TokenStream {
    let ident = &table.entity.ident;
    let visibility = &table.entity.visibility;
    let library = &table.head.library;
    quote! {
        #[automatically_derived]
        impl #ident {
            /// Returns the table of these rows, as the source of a `CachedRepository`.
            #[allow(dead_code)]
            #visibility fn table<D>(pool: &#library::for_macros::sqlx::Pool<D>) -> #library::SqlTable<Self, D>
            where
                D: #library::Tables,
                Self: #library::Table<D>,
            {
                #library::SqlTable::new(pool)
            }
        }
    }
}

fn result_of_add(library: &Path) -> TokenStream {
    quote!(::core::result::Result<(), #library::for_macros::sqlx::error::BoxDynError>)
}

/// Returns the type of a row to insert, and its code if it is not the entity itself.
fn new_row(table: &Table) -> (Ident, Option<TokenStream>) {
    let ident = &table.entity.ident;
    let is_whole = table.columns.iter().all(Column::is_inserted);
    let name = match &table.head.new {
        Some(name) => name.clone(),
        None if is_whole => return (ident.clone(), None),
        None => format_ident!("New{}", ident.unraw(), span = ident.span()),
    };
    let visibility = &table.entity.visibility;
    let fields = table.columns.iter().filter(|it| it.is_inserted());
    let fields = fields.map(|column| {
        let (name, ty, visibility) = (&column.ident, column.ty(), &column.field.vis);
        let attributes = column.field.attrs.iter();
        let texts = attributes.filter(|it| it.path().is_ident("doc"));
        let text = format!("The row's `{}`.", name.unraw());
        quote! {
            #[doc = #text]
            #[doc = ""]
            #(#texts)*
            #visibility #name: #ty
        }
    });
    let text = format!("A new row of [`{ident}`], without the values that the database sets.");
    let code = quote! {
        #[doc = #text]
        #[derive(::core::clone::Clone, ::core::fmt::Debug)]
        #[allow(deprecated, dead_code)]
        #visibility struct #name {
            #(#fields),*
        }
    };
    (name, Some(code))
}

fn table_impl(table: &Table, database: Database, new: &Ident) -> TokenStream {
    let Table {
        entity,
        head,
        columns,
    } = table;
    let ident = &entity.ident;
    let (library, name) = (&head.library, &head.name);
    let database = format_ident!("{}", database.type_name());
    let database = quote!(#library::for_macros::sqlx::#database);
    let order = match &head.order {
        Some(sql) => quote!(::core::option::Option::Some(#sql)),
        None => quote!(::core::option::Option::None),
    };
    let described = columns.iter().flat_map(|column| describe(library, column));
    let read = columns.iter().map(|column| read(library, column));
    let row = local("row");
    let adds = adds(table, new, &database);
    quote! {
        #[automatically_derived]
        #[allow(deprecated, unused_variables)]
        impl #library::Table<#database> for #ident {
            type New = #new;

            const NAME: &'static ::core::primitive::str = #name;
            const COLUMNS: &'static [#library::for_macros::Column] = &[#(#described),*];
            const ORDER: ::core::option::Option<&'static ::core::primitive::str> = #order;

            fn from_row(
                #row: &<#database as #library::for_macros::sqlx::Database>::Row,
            ) -> ::core::result::Result<Self, #library::for_macros::sqlx::Error> {
                ::core::result::Result::Ok(Self { #(#read),* })
            }

            #adds
        }
    }
}

/// Returns the functions that bind values.
fn adds(table: &Table, new: &Ident, database: &TokenStream) -> TokenStream {
    let Table {
        entity,
        head,
        columns,
    } = table;
    let (id_type, index_enum, library) = (&entity.id_type, &entity.index_enum, &head.library);
    let arguments = local("arguments");
    let result = result_of_add(library);
    let list = quote! {
        #arguments: &mut <#database as #library::for_macros::sqlx::Database>::Arguments
    };
    let function = |name: &str, value: &Ident, ty: &TokenStream, adds: &TokenStream| {
        let name = format_ident!("{name}");
        quote! {
            fn #name(#value: &#ty, #list) -> #result {
                #adds
                let _ = #arguments;
                ::core::result::Result::Ok(())
            }
        }
    };
    let (id, new_value, row, index) = (local("id"), local("new"), local("row"), local("index"));
    let of_row = |name: &str, value: &Ident, ty: TokenStream, is_bound: fn(&Column) -> bool| {
        let bound = columns.iter().filter(|column| is_bound(column));
        let bound = bound.map(|column| {
            let field = &column.ident;
            add(library, column, &quote!(#value.#field), &arguments)
        });
        function(name, value, &ty, &quote!(#(#bound)*))
    };
    let id_column = columns.iter().find(|column| column.is_id);
    let add_id = id_column.map(|column| add(library, column, &quote!(#id), &arguments));
    let add_id = function("add_id", &id, &quote!(#id_type), &quote!(#add_id));
    let of_new = |name, is_bound| of_row(name, &new_value, quote!(#new), is_bound);
    let of_self = |name, is_bound| of_row(name, &row, quote!(Self), is_bound);
    let add_new = of_new("add_new", Column::is_inserted);
    let add_new_id = of_new("add_new_id", |it| it.is_id && it.is_inserted());
    let add_saved = of_self("add_saved", Column::is_saved);
    let add_updated = of_self("add_updated", Column::is_updated);
    let add_version = of_self("add_version", |column| column.is_version);
    let (names_of_index, add_index) = index_arms(table, &index, &arguments);
    quote! {
        fn index_columns(#index: &#index_enum) -> &'static [&'static ::core::primitive::str] {
            #names_of_index
        }

        fn add_index(#index: &#index_enum, #list) -> #result {
            #add_index
        }

        #add_id
        #add_new
        #add_new_id
        #add_saved
        #add_updated
        #add_version
    }
}

/// Returns the descriptions of a field's columns. One that repeats a column of the id is
/// described there.
fn describe(library: &Path, column: &Column) -> Vec<TokenStream> {
    if column.is_part_of_id {
        return Vec::new();
    }
    let expression = match &column.origin {
        Origin::Expression(sql) => quote!(::core::option::Option::Some(#sql)),
        _ => quote!(::core::option::Option::None),
    };
    let (is_id, is_version) = (column.is_id, column.is_version);
    let is_read = !column.is_never;
    let (is_inserted, is_saved) = (column.is_inserted(), column.is_saved());
    let is_updated = column.is_updated();
    let of = |(name, _): &(String, Option<Member>)| {
        quote! {
            #library::for_macros::Column {
                name: #name,
                expression: #expression,
                is_read: #is_read,
                is_id: #is_id,
                is_version: #is_version,
                is_inserted: #is_inserted,
                is_saved: #is_saved,
                is_updated: #is_updated,
            }
        }
    };
    column.names.iter().map(of).collect()
}

/// Returns the field of a row that is read.
fn read(library: &Path, column: &Column) -> TokenStream {
    let row = local("row");
    let (ident, ty) = (&column.ident, column.ty());
    if column.is_never {
        let serde = serde_attributes::read(&column.field.attrs, &mut Errors::default());
        let value = serde_attributes::value_if_skipped(&serde);
        return quote!(#ident: #value);
    }
    let get = |name: &str| conversion::read(library, column, name, &row);
    match &column.names[..] {
        [(name, None)] => {
            let value = get(name);
            quote!(#ident: #value)
        }
        parts => {
            let is_tuple = matches!(parts.first(), Some((_, Some(Member::Unnamed(_)))));
            let values: Vec<TokenStream> = parts.iter().map(|(name, _)| get(name)).collect();
            if is_tuple {
                return quote!(#ident: (#(#values,)*));
            }
            let members = parts.iter().map(|(_, member)| member);
            quote!(#ident: #ty { #(#members: #values),* })
        }
    }
}

/// Returns the statements that bind a field's value, one for each of its columns.
fn add(library: &Path, column: &Column, value: &TokenStream, arguments: &Ident) -> TokenStream {
    let ty = column.ty();
    let parts = column.names.iter().map(|(_, part)| match part {
        Some(part) => quote!(#value.#part),
        None => quote!(#value),
    });
    let adds = parts.map(|part| {
        let bound = conversion::bound(library, column, &part);
        quote_spanned! {ty.span()=>
            #library::for_macros::sqlx::Arguments::add(#arguments, #bound)?;
        }
    });
    quote!(#(#adds)*)
}

/// Returns the column names of an index value, and the statements that bind its values.
fn index_arms(table: &Table, index: &Ident, arguments: &Ident) -> (TokenStream, TokenStream) {
    let Table {
        entity,
        head,
        columns,
    } = table;
    let library = &head.library;
    if entity.indexes.is_empty() {
        let never = quote!(match *#index {});
        return (never.clone(), quote!(let _ = #arguments; #never));
    }
    let arms = entity.indexes.iter().map(|each| {
        let values = locals(&each.parts);
        let bound: Vec<TokenStream> = values.iter().map(|value| quote!(#value)).collect();
        let pattern = pattern(&entity.index_enum, each, &bound);
        let names = each.parts.iter().filter_map(|part| {
            let column = columns.iter().find(|it| it.ident == part.field)?;
            column.names.first().map(|(name, _)| name.clone())
        });
        let adds = each.parts.iter().zip(&values).map(|(part, value)| {
            let column = columns.iter().find(|it| it.ident == part.field);
            let bound = conversion::bound_part(library, column, &part.ty, value);
            quote_spanned! {part.ty.span()=>
                #library::for_macros::sqlx::Arguments::add(#arguments, #bound)?;
            }
        });
        (
            quote!(#pattern => &[#(#names),*],),
            quote!(#pattern => { #(#adds)* }),
        )
    });
    let (names, adds): (Vec<_>, Vec<_>) = arms.unzip();
    (
        quote!(match #index { #(#names)* }),
        quote! {
            match #index { #(#adds)* }
            ::core::result::Result::Ok(())
        },
    )
}
