//! Generates the functions of lists of ids.

use proc_macro2::TokenStream;
use quote::quote;
use syn::Ident;

use crate::index::Index;
use crate::index_options::Ids;
use crate::model::Entity;

/// Returns the functions, if an index has lists of ids.
pub(crate) fn code(entity: &Entity) -> Option<TokenStream> {
    let lists: Vec<(&Index, &Ids)> = entity
        .indexes
        .iter()
        .filter_map(|index| Some((index, index.ids.as_ref()?)))
        .collect();
    if lists.is_empty() {
        return None;
    }
    let (library, index_enum) = (&entity.library, &entity.index_enum);
    let arms = |value: &dyn Fn(&Ids) -> Option<TokenStream>| {
        let arms = lists.iter().filter_map(|(index, ids)| {
            let variant = &index.variant;
            let value = value(ids)?;
            Some(quote!(#index_enum::#variant { .. } => #value,))
        });
        quote!(#(#arms)*)
    };
    let are_ids = arms(&|_| Some(quote!(true)));
    let moves = arms(&moves);
    let places = arms(&place);
    Some(quote! {
        const HAS_ID_LISTS: ::core::primitive::bool = true;

        #[allow(unreachable_patterns)]
        fn is_list_of_ids(index: &#index_enum) -> ::core::primitive::bool {
            match index {
                #are_ids
                _ => false,
            }
        }

        #[allow(unreachable_patterns)]
        fn moves_in(&self, after: &Self, index: &#index_enum) -> ::core::primitive::bool {
            let _ = after;
            match index {
                #moves
                _ => true,
            }
        }

        #[allow(unreachable_patterns)]
        fn compare_in(
            &self,
            other: &Self,
            index: &#index_enum,
        ) -> ::core::option::Option<::core::cmp::Ordering> {
            let _ = other;
            match index {
                #places
                _ => ::core::option::Option::None,
            }
        }

        fn id_to_json(
            id: &Self::Id,
        ) -> ::core::option::Option<::std::string::String> {
            #library::entity::id_text::to_json(id)
        }

        fn id_from_json(
            json: &::core::primitive::str,
        ) -> ::core::option::Option<Self::Id> {
            #library::entity::id_text::from_json(json)
        }
    })
}

/// Returns the comparison of one field of two rows.
fn compare(field: &Ident, other: &TokenStream) -> TokenStream {
    quote!(::core::cmp::PartialOrd::partial_cmp(&self.#field, &#other.#field))
}

/// Returns true if a field of the order differs; `None` if every write touches the list.
fn moves(ids: &Ids) -> Option<TokenStream> {
    if ids.touches_always || ids.order.is_empty() {
        return None;
    }
    let differ = ids.order.iter().map(|(field, _)| {
        let compared = compare(field, &quote!(after));
        quote!(#compared != ::core::option::Option::Some(::core::cmp::Ordering::Equal))
    });
    Some(quote!(#(#differ)||*))
}

/// Returns the order of two rows; `None` if none is declared.
fn place(ids: &Ids) -> Option<TokenStream> {
    if ids.order.is_empty() {
        return None;
    }
    let steps = ids.order.iter().map(|(field, is_reversed)| {
        let compared = compare(field, &quote!(other));
        let reversed = is_reversed.then(|| quote!(.reverse()));
        quote! {
            .then_with(|| {
                #compared.unwrap_or(::core::cmp::Ordering::Equal) #reversed
            })
        }
    });
    Some(quote! {
        ::core::option::Option::Some(::core::cmp::Ordering::Equal #(#steps)*)
    })
}

#[cfg(test)]
mod tests {
    use syn::parse_quote;

    use crate::model::Entity;

    /// Returns the mistakes of an entity with this field.
    fn mistakes(field: &syn::Field) -> String {
        let input = parse_quote! {
            #[entity(kind = "hero")]
            struct Hero { #[entity(id)] id: u64, #field }
        };
        let (_, errors) = Entity::read(&input);
        errors.into_compile_errors(None).to_string()
    }

    #[test]
    fn a_wrong_list_of_ids_is_explained() {
        for (field, text) in [
            (
                parse_quote!(#[entity(index, order = (id))] name: String),
                "add `ids` at `name`",
            ),
            (
                parse_quote!(#[entity(ids)] name: String),
                "`name` has no index that this describes",
            ),
            (
                parse_quote!(#[entity(index, ids, order = (nmae))] name: String),
                "there is no field `nmae`",
            ),
            (
                parse_quote!(#[entity(index, ids, order = (name down))] name: String),
                "a direction is `asc` or `desc`",
            ),
            (
                parse_quote!(#[entity(index, ids, order)] name: String),
                "the order names fields",
            ),
            (
                parse_quote!(#[entity(index, each)] name: String),
                "`name` is no collection",
            ),
        ] {
            let said = mistakes(&field);
            assert_eq!(said.matches("compile_error").count(), 1, "{said}");
            assert!(said.contains(text), "{text}: {said}");
        }
        let right = parse_quote! {
            #[entity(index, each, ids, order = (name desc, id), touch_always)]
            name: Vec<String>
        };
        assert_eq!(mistakes(&right), "");
    }
}
