//! What serde is told about a struct, a variant or a field.
//!
//! The fingerprint takes in all of it, since most of it changes the
//! serialized form. Some of it would let a row come back from the cache
//! different from the one that went in, and that is refused.

use syn::punctuated::Punctuated;
use syn::{Attribute, Meta, Token};

use crate::errors::Errors;

/// The words that make serde leave a field or a variant out.
const SKIPS: [&str; 3] = ["skip", "skip_serializing", "skip_deserializing"];

/// The words whose long form may give a name to one direction only.
const RENAMES: [&str; 3] = ["rename", "rename_all", "rename_all_fields"];

/// The words that leave the text to the types: what stands under which name.
const PLAIN: [&str; 7] = [
    "rename",
    "rename_all",
    "alias",
    "default",
    "deny_unknown_fields",
    "crate",
    "expecting",
];

/// Everything inside the `#[serde(...)]` attributes, in order.
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

/// Refuses what would lose a field, or a variant, on its way through the
/// cache. `default` says that the container fills in what is missing.
pub(crate) fn refuse_skips(metas: &[Meta], default: bool, errors: &mut Errors) {
    let default = default || has_default(metas);
    for meta in metas {
        if let Some(skip) = SKIPS.iter().find(|skip| meta.path().is_ident(skip)) {
            errors.at(
                meta,
                format!(
                    "`{skip}` would lose this on its way through the cache: a row read back \
                     must equal the row written; cache a type that serializes everything"
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

/// Refuses a text of the user's own that nothing reads.
pub(crate) fn refuse_one_way(metas: &[Meta], errors: &mut Errors) {
    let has = |word| metas.iter().find(|meta| meta.path().is_ident(word));
    if let (Some(meta), None) = (has("serialize_with"), has("deserialize_with")) {
        errors.at(
            meta,
            "`serialize_with` alone writes what is not read back as it was: add the \
             `deserialize_with` that does, or `with` for both; what an API masks or rounds \
             belongs in a type of its own, since another instance gets the row from this text",
        );
    }
}

/// Whether serde writes what the types say, under whatever names.
pub(crate) fn are_plain(metas: &[Meta]) -> bool {
    let is_plain = |meta: &Meta| PLAIN.iter().any(|word| meta.path().is_ident(word));
    metas.iter().all(is_plain)
}

/// Whether a missing field is filled in rather than an error.
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
