//! Generates the functions that read ids and index values back from their keys.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::spanned::Spanned as _;
use syn::{Ident, Type};

use crate::index::locals;
use crate::index_code::{local, pattern};
use crate::model::Entity;

/// Returns `Entity::read_id` and `Entity::read_index`. A type that serde does not read uses
/// the default of the trait `Unreadable`.
pub(crate) fn reads(entity: &Entity) -> TokenStream {
    let Entity {
        library,
        index_enum,
        id_type,
        ..
    } = entity;
    let (text, name, values) = (local("segment"), local("name"), local("values"));
    let read = |ty: &Type, segment: &Ident| quote_spanned!(ty.span()=> <#library::entity::segment::Segment<#ty>>::read(#segment));
    let read_id = read(id_type, &text);
    let arms = entity.indexes.iter().map(|index| {
        let segment = &index.segment;
        let segments = locals(&index.parts);
        let parts = index.parts.iter().zip(&segments);
        let parts: Vec<_> = parts
            .map(|(part, segment)| {
                let read = read(&part.ty, segment);
                quote!(#read?)
            })
            .collect();
        let value = pattern(index_enum, index, &parts);
        quote!((#segment, [#(#segments),*]) => ::core::option::Option::Some(#value),)
    });
    let unreadable = quote! {
        #[allow(unused_imports)]
        use #library::entity::segment::Unreadable as _;
    };
    quote! {
        fn read_id(#text: &::core::primitive::str) -> ::core::option::Option<#id_type> {
            #unreadable
            #read_id
        }

        fn read_index(
            #name: &::core::primitive::str,
            #values: &[&::core::primitive::str],
        ) -> ::core::option::Option<#index_enum> {
            #unreadable
            match (#name, #values) {
                #(#arms)*
                _ => ::core::option::Option::None,
            }
        }
    }
}
