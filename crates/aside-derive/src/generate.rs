//! Generates the code of an entity, its index enum and a shape.
//!
//! Every path is fully qualified, so that it is independent of the user's
//! scope. Local names have the macro's hygiene, so a field may be called `key`
//! or `each`. Code that uses a field's type carries the type's span, so that a
//! missing trait is reported at the type.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::ext::IdentExt;
use syn::spanned::Spanned;
use syn::{Path, Type};

use crate::id_lists;
use crate::index::{Index, Part};
use crate::index_code::{index_enum_code, indexes, local, rule, write_index};
use crate::model::Entity;
use crate::read_code::reads;
use crate::shape::Shape;

/// Returns the index enum and the `Entity` impl.
pub(crate) fn entity(entity: &Entity) -> TokenStream {
    let Entity {
        ident,
        library,
        kind,
        list_all,
        is_tracked,
        index_enum,
        id,
        id_type,
        ..
    } = entity;
    let index_enum_code = index_enum_code(entity);
    let shapes = shapes(entity);
    let (indexes, write_index) = (indexes(entity), write_index(entity));
    let reads = reads(entity);
    let fingerprint = fingerprint(library, entity.fingerprint, &entity.nested);
    let (version, difference) = (version(entity), difference(entity));
    let (ids, dependents) = (id_lists::code(entity), dependents(entity));
    let exactness = exactness(entity);
    let (key, id_value) = (local("key"), local("id"));
    let write_id =
        quote_spanned!(id_type.span()=> #library::entity::KeyWriter::segment(#key, #id_value));
    let return_id = match id {
        Some(id) => quote!(&self.#id),
        None => quote!(&()),
    };
    quote! {
        #index_enum_code

        #[automatically_derived]
        #[allow(deprecated)]
        impl #library::Entity for #ident {
            const KIND: &'static ::core::primitive::str = #kind;
            const LIST_ALL: ::core::primitive::bool = #list_all;
            const TRACKED: ::core::primitive::bool = #is_tracked;
            const INDEXES: &'static [#library::entity::IndexShape] = &[#(#shapes),*];
            #exactness

            type Id = #id_type;
            type Index = #index_enum;

            fn id(&self) -> &#id_type {
                #return_id
            }

            #indexes

            fn write_id(#id_value: &#id_type, #key: &mut #library::entity::KeyWriter) {
                #write_id
            }

            #write_index

            #reads

            fn fingerprint() -> ::core::primitive::u64 {
                #fingerprint
            }

            #version

            #difference

            #ids

            #dependents
        }
    }
}

/// Returns the description of each index.
fn shapes(entity: &Entity) -> impl Iterator<Item = TokenStream> + '_ {
    let library = &entity.library;
    entity.indexes.iter().map(move |index| {
        let Index {
            segment, unique, ..
        } = index;
        let fields = index.parts.iter().map(Part::name);
        let ids = index.ids.as_ref().map(|_| quote!(.ids()));
        let folded = index.fold.map(|fold| {
            let fold = rule(library, fold);
            quote!(.folded(#fold))
        });
        quote!(#library::entity::IndexShape::new(#segment, &[#(#fields),*], #unique) #folded #ids)
    })
}

/// Returns an impl that compiles after a mistake, so that code which uses the entity
/// adds no errors.
pub(crate) fn entity_stub(entity: &Entity) -> TokenStream {
    let Entity {
        ident,
        library,
        index_enum,
        id_type,
        ..
    } = entity;
    let index_enum_code = index_enum_code(entity);
    let each = quote!(&mut dyn ::core::ops::FnMut(#index_enum));
    let key = quote!(&mut #library::entity::KeyWriter);
    let body = quote!(::core::unreachable!());
    quote! {
        #index_enum_code

        #[automatically_derived]
        #[allow(deprecated)]
        impl #library::Entity for #ident {
            const KIND: &'static ::core::primitive::str = "mistaken";
            const INDEXES: &'static [#library::entity::IndexShape] = &[];

            type Id = #id_type;
            type Index = #index_enum;

            fn id(&self) -> &#id_type { #body }
            fn indexes(&self, _: #each) { #body }
            fn write_id(_: &#id_type, _: #key) { #body }
            fn write_index(_: &#index_enum, _: #key) { #body }
            fn fingerprint() -> ::core::primitive::u64 { #body }
        }
    }
}

/// Returns the constants that say if equal values have equal texts. A type that
/// does not declare it uses the default of the trait `Unable`.
fn exactness(entity: &Entity) -> TokenStream {
    let Entity {
        library, id_type, ..
    } = entity;
    let all = |types: &mut dyn Iterator<Item = &Type>| {
        let exact = types.map(
            |ty| quote_spanned!(ty.span()=> && <#library::entity::likeness::Of<#ty>>::IS_EXACT),
        );
        quote! {{
            #[allow(unused_imports)]
            use #library::entity::likeness::Unable as _;
            true #(#exact)*
        }}
    };
    let of_id = all(&mut std::iter::once(id_type));
    let parts = entity.indexes.iter().flat_map(|index| &index.parts);
    // Folded values are equal if the texts of their keys are.
    let of_indexes = match entity.indexes.iter().any(|index| index.fold.is_some()) {
        true => quote!(false),
        false => all(&mut parts.map(|part| &part.ty)),
    };
    let is_plain = entity.is_plain && entity.fields.iter().all(|(.., is_plain)| *is_plain);
    let of_fields = if is_plain {
        all(&mut entity.fields.iter().map(|(_, ty, _)| ty))
    } else {
        quote!(false)
    };
    quote! {
        const HAS_EXACT_ID: ::core::primitive::bool = #of_id;
        const HAS_EXACT_INDEXES: ::core::primitive::bool = #of_indexes;
        const IS_PLAIN: ::core::primitive::bool = #of_fields;
    }
}

/// Returns `Entity::difference`, which compares field by field with the traits
/// that each type implements.
fn difference(entity: &Entity) -> TokenStream {
    let library = &entity.library;
    let (other, unknown) = (local("other"), local("unknown"));
    let comparisons = entity.fields.iter().map(|(field, ty, _)| {
        let name = field.unraw().to_string();
        let of = quote_spanned!(ty.span()=> <#library::entity::likeness::Of<#ty>>);
        quote! {
            match #library::entity::likeness::compare(
                #of::IS_EXACT,
                #of::is_equal(&self.#field, &#other.#field),
                || #of::is_equal(&self.#field, &self.#field) != ::core::option::Option::Some(false),
                || #of::prints(&self.#field, &#other.#field),
            ) {
                #library::entity::likeness::Likeness::Same => {}
                #library::entity::likeness::Likeness::Different => {
                    return ::core::option::Option::Some(#name);
                }
                #library::entity::likeness::Likeness::Unknown => {
                    #unknown = ::core::option::Option::Some(#name);
                }
            }
        }
    });
    quote! {
        fn difference(
            &self,
            #other: &Self,
        ) -> ::core::option::Option<&'static ::core::primitive::str> {
            #[allow(unused_imports)]
            use #library::entity::likeness::Unable as _;
            let mut #unknown: ::core::option::Option<&'static ::core::primitive::str> =
                ::core::option::Option::None;
            #(#comparisons)*
            // If a field's type implements none of them, the rows' texts
            // decide.
            if #unknown.is_some() && #library::entity::likeness::is_written_alike(self, #other) {
                return ::core::option::Option::None;
            }
            #unknown
        }
    }
}

/// Returns the `Shape` impl.
pub(crate) fn shape(shape: &Shape) -> TokenStream {
    let Shape { ident, library, .. } = shape;
    let fingerprint = fingerprint(library, shape.fingerprint, &shape.nested);
    quote! {
        #[automatically_derived]
        #[allow(deprecated)]
        impl #library::Shape for #ident {
            fn shape() -> ::core::primitive::u64 {
                #fingerprint
            }
        }
    }
}

fn dependents(entity: &Entity) -> Option<TokenStream> {
    let (library, function) = (&entity.library, entity.dependents.as_ref()?);
    let keys = local("keys");
    let call = quote_spanned!(function.span()=> #function(self, #keys));
    Some(quote! {
        fn dependents(&self, #keys: &mut #library::entity::Dependents<'_>) {
            #call
        }
    })
}

fn version(entity: &Entity) -> Option<TokenStream> {
    let field = entity.version.as_ref()?;
    Some(quote! {
        fn version(&self) -> ::core::option::Option<::core::primitive::u64> {
            ::core::result::Result::ok(::core::convert::TryFrom::try_from(self.#field))
        }
    })
}

/// Mixes the shapes of nested types into a number. Each step is a bijection in
/// either of its inputs, so one changed shape always changes the result.
fn fingerprint(library: &Path, base: u64, nested: &[Type]) -> TokenStream {
    let shape = local("shape");
    let steps = nested.iter().map(|ty| {
        let of_type = quote_spanned!(ty.span()=> <#ty as #library::Shape>::shape());
        quote! {
            let #shape = ::core::primitive::u64::wrapping_mul(
                ::core::primitive::u64::rotate_left(#shape, 5) ^ #of_type,
                0x9e37_79b9_7f4a_7c15,
            );
        }
    });
    quote! {
        let #shape: ::core::primitive::u64 = #base;
        #(#steps)*
        #shape
    }
}

#[cfg(test)]
mod tests {
    use syn::parse_quote;

    use super::*;

    #[test]
    fn a_renamed_dependency_is_used_by_its_new_name() {
        let input = parse_quote! {
            #[entity(kind = "hero", crate = "my_cache", index(exact = (name, nick)))]
            struct Hero {
                #[entity(id)]
                id: u64,
                #[entity(index)]
                name: String,
                #[entity(unique)]
                nick: Option<String>,
                #[entity(nested)]
                friends: Vec<u64>,
                #[entity(version)]
                version: u64,
            }
        };
        let (hero, errors) = Entity::read(&input);
        assert!(errors.is_empty(), "the declaration is valid");
        let hero = hero.expect("it has no generics");
        let code = entity(&hero).to_string();
        assert!(!code.contains(":: aside"), "{code}");
        assert!(code.contains("impl my_cache :: Entity for Hero"), "{code}");
    }
}
