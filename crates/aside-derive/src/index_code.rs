//! Generates the index enum of an entity, and the functions that use it.

use proc_macro2::{Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::spanned::Spanned as _;
use syn::{Ident, Path};

use crate::index::{Index, Part, locals};
use crate::index_options::Fold;
use crate::model::Entity;

/// Returns the index enum.
pub(crate) fn index_enum_code(entity: &Entity) -> TokenStream {
    let Entity {
        visibility,
        index_enum,
        kind,
        ..
    } = entity;
    let text = if entity.indexes.is_empty() {
        format!("The indexes of [`{}`], which has none.", entity.ident)
    } else {
        format!("One list of one index of [`{}`].", entity.ident)
    };
    let variants = entity.indexes.iter().map(|index| {
        let Index {
            variant, segment, ..
        } = index;
        let names: Vec<String> = index.parts.iter().map(Part::name).collect();
        let text = format!(
            "The rows with this {}, kept as `{kind}:{segment}:{{{}}}`.",
            match names.as_slice() {
                [name] => format!("`{name}`"),
                names => names
                    .iter()
                    .map(|name| format!("`{name}`"))
                    .collect::<Vec<_>>()
                    .join(" and "),
            },
            names.join("}:{"),
        );
        let types = index.parts.iter().map(|part| &part.ty);
        if index.composite {
            let fields = index.parts.iter().map(|part| &part.field);
            let texts = names.iter().map(|name| format!("The row's `{name}`."));
            quote!(#[doc = #text] #variant { #(#[doc = #texts] #fields: #types),* })
        } else {
            quote!(#[doc = #text] #variant(#(#types),*))
        }
    });
    quote! {
        #[doc = #text]
        #[derive(
            ::core::clone::Clone,
            ::core::fmt::Debug,
            ::core::cmp::PartialEq,
            ::core::cmp::Eq,
            ::core::hash::Hash,
        )]
        #[allow(deprecated, clippy::enum_variant_names, clippy::large_enum_variant)]
        #visibility enum #index_enum {
            #(#variants,)*
        }
    }
}

/// Returns `Entity::indexes`. A row whose optional part is `None` is in no
/// list.
pub(crate) fn indexes(entity: &Entity) -> TokenStream {
    let index_enum = &entity.index_enum;
    let each = local("each");
    let calls = entity.indexes.iter().map(|index| {
        let values = locals(&index.parts);
        let copies = index.parts.iter().zip(&values).map(
            |(part, value)| quote_spanned!(part.ty.span()=> ::core::clone::Clone::clone(#value)),
        );
        let pattern = pattern(index_enum, index, &copies.collect::<Vec<_>>());
        if let (true, [part], [value]) = (index.is_each, &*index.parts, &*values) {
            let field = &part.field;
            return quote! {
                for #value in ::core::iter::IntoIterator::into_iter(&self.#field) {
                    #each(#pattern);
                }
            };
        }
        let present = index.parts.iter().map(|part| {
            let field = &part.field;
            if part.optional {
                quote!(::core::option::Option::as_ref(&self.#field))
            } else {
                quote!(::core::option::Option::Some(&self.#field))
            }
        });
        quote! {
            if let (#(::core::option::Option::Some(#values),)*) = (#(#present,)*) {
                #each(#pattern);
            }
        }
    });
    let unused = entity.indexes.is_empty().then(|| quote!(let _ = #each;));
    quote! {
        fn indexes(&self, #each: &mut dyn ::core::ops::FnMut(#index_enum)) {
            #unused
            #(#calls)*
        }
    }
}

/// Returns the rule of an index whose values have several spellings.
pub(crate) fn rule(library: &Path, fold: Fold) -> TokenStream {
    let name = Ident::new(fold.name(), Span::call_site());
    quote!(#library::entity::Fold::#name)
}

pub(crate) fn write_index(entity: &Entity) -> TokenStream {
    let Entity {
        library,
        index_enum,
        ..
    } = entity;
    let index_value = local("index");
    let key = local("key");
    let arms = entity.indexes.iter().map(|index| {
        let values = locals(&index.parts);
        let names: Vec<TokenStream> = values.iter().map(|value| quote!(#value)).collect();
        let pattern = pattern(index_enum, index, &names);
        let segment = &index.segment;
        let segments = index.parts.iter().zip(&values).map(|(part, value)| {
            if let Some(fold) = index.fold {
                let fold = rule(library, fold);
                return quote_spanned! {part.ty.span()=>
                    #library::entity::KeyWriter::folded_segment(
                        #key,
                        ::core::convert::AsRef::<::core::primitive::str>::as_ref(#value),
                        #fold,
                    );
                };
            }
            quote_spanned!(part.ty.span()=> #library::entity::KeyWriter::segment(#key, #value);)
        });
        quote! {
            #pattern => {
                #library::entity::KeyWriter::name(#key, #segment);
                #(#segments)*
            }
        }
    });
    let body = if entity.indexes.is_empty() {
        quote! {
            let _ = #key;
            match *#index_value {}
        }
    } else {
        quote!(match #index_value { #(#arms)* })
    };
    quote! {
        fn write_index(#index_value: &#index_enum, #key: &mut #library::entity::KeyWriter) {
            #body
        }
    }
}

/// Returns `HeroIndex::Name(a)` or `ChildIndex::Exact { name: a, age: b }`. It
/// is a pattern if the parts are names, and a value if they are values.
pub(crate) fn pattern(index_enum: &Ident, index: &Index, parts: &[TokenStream]) -> TokenStream {
    let variant = &index.variant;
    if index.composite {
        let fields = index.parts.iter().map(|part| &part.field);
        quote!(#index_enum::#variant { #(#fields: #parts),* })
    } else {
        quote!(#index_enum::#variant(#(#parts),*))
    }
}

/// Returns a local name that cannot collide with a field or an item of the
/// user.
pub(crate) fn local(name: &str) -> Ident {
    Ident::new(&format!("__aside_{name}"), Span::mixed_site())
}
