//! The serde attributes of a struct, a variant or a field.
//!
//! The fingerprint includes all of them, because most of them change the
//! serialized form. Some would let a row that is read back from the cache
//! differ from the row written, and those are refused.

use syn::punctuated::Punctuated;
use syn::{Attribute, Meta, Token};

use crate::errors::Errors;

/// The words that make serde leave a field or a variant out.
const SKIPS: [&str; 3] = ["skip", "skip_serializing", "skip_deserializing"];

/// The words whose long form may set a name for one direction only.
const RENAMES: [&str; 3] = ["rename", "rename_all", "rename_all_fields"];

/// The words that only change names and leave the text to the types.
const PLAIN: [&str; 7] = [
    "rename",
    "rename_all",
    "alias",
    "default",
    "deny_unknown_fields",
    "crate",
    "expecting",
];

/// Returns the contents of the `#[serde(...)]` attributes, in order.
pub(crate) fn read(attributes: &[Attribute], errors: &mut Errors) -> Vec<Meta> {
    let mut metas = Vec::new();
    for attribute in attributes {
        if !attribute.path().is_ident("serde") {
            continue;
        }
        let parsed = attribute.parse_args_with(Punctuated::<Meta, Token![,]>::parse_terminated);
        metas.extend(errors.keep(parsed).into_iter().flatten());
    }
    refuse_one_way_names(&metas, errors);
    metas
}

/// Refuses attributes that lose a field or a variant in the cache. `default`
/// says that the container fills in missing fields.
pub(crate) fn refuse_skips(metas: &[Meta], default: bool, errors: &mut Errors) {
    let default = default || has_default(metas);
    for meta in metas {
        if let Some(skip) = SKIPS.iter().find(|skip| meta.path().is_ident(skip)) {
            let remedy = match *skip {
                "skip_deserializing" => "if clients leave it out, write `default` in its place",
                _ => "a secret of an entity is marked with `#[entity(never)]`",
            };
            errors.at(
                meta,
                format!(
                    "`{skip}` would lose this in the cache: a row read back must equal the \
                     row written; cache a type that serializes everything; {remedy}"
                ),
            );
        }
        if meta.path().is_ident("skip_serializing_if") && !default {
            errors.at(
                meta,
                "`skip_serializing_if` needs `default` beside it, and a default that is the \
                 value left out: otherwise a row written to the cache could not be read back",
            );
        }
    }
}

/// Refuses a custom serialized text that no custom function reads.
pub(crate) fn refuse_one_way(metas: &[Meta], errors: &mut Errors) {
    let has = |word| metas.iter().find(|meta| meta.path().is_ident(word));
    if let (Some(meta), None) = (has("serialize_with"), has("deserialize_with")) {
        errors.at(
            meta,
            "`serialize_with` alone writes a text that cannot be read back: add a matching \
             `deserialize_with`, or `with` for both; a form that an API masks or rounds \
             belongs in a separate type, because other instances read the row from this text",
        );
    }
}

/// Returns true if serde neither writes nor reads the field.
pub(crate) fn is_skipped(metas: &[Meta]) -> bool {
    let has = |word| metas.iter().any(|meta| meta.path().is_ident(word));
    has("skip") || (has("skip_serializing") && (has("skip_deserializing") || has("default")))
}

/// Returns the expression of a field that serde skips: its own default, or that of its
/// type.
pub(crate) fn value_if_skipped(metas: &[Meta]) -> proc_macro2::TokenStream {
    let own = metas.iter().find_map(|meta| match meta {
        Meta::NameValue(pair) if pair.path.is_ident("default") => match &pair.value {
            syn::Expr::Lit(syn::ExprLit {
                lit: syn::Lit::Str(path),
                ..
            }) => path.parse_with(syn::Path::parse_mod_style).ok(),
            _ => None,
        },
        _ => None,
    });
    match own {
        Some(path) => quote::quote!(#path()),
        None => quote::quote!(::core::default::Default::default()),
    }
}

/// Returns true if serde writes the text that the types specify, under any
/// names.
pub(crate) fn are_plain(metas: &[Meta]) -> bool {
    let is_plain = |meta: &Meta| PLAIN.iter().any(|word| meta.path().is_ident(word));
    metas.iter().all(is_plain)
}

/// Returns true if a missing field is filled in instead of causing an error.
pub(crate) fn has_default(metas: &[Meta]) -> bool {
    metas.iter().any(|meta| meta.path().is_ident("default"))
}

fn refuse_one_way_names(metas: &[Meta], errors: &mut Errors) {
    for meta in metas {
        let Some(word) = RENAMES.iter().find(|word| meta.path().is_ident(word)) else {
            continue;
        };
        if matches!(meta, Meta::List(_)) {
            errors.at(
                meta,
                format!(
                    "a row is read back under the names it was written with: \
                     write `{word} = \"...\"`, which holds for both"
                ),
            );
        }
    }
}
