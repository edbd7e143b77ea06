//! The indexes of an entity: the lists that contain a row, and their names.
//!
//! An index is declared at its field, or at the struct if it has several
//! fields. Either form becomes one variant of the index enum and one name in
//! the keys. Both must be unique.

use std::collections::BTreeSet;

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, format_ident};
use syn::ext::IdentExt;
use syn::parse::ParseStream;
use syn::punctuated::Punctuated;
use syn::{GenericArgument, Ident, LitStr, PathArguments, Token, Type, parenthesized};

use crate::attribute::listed;
use crate::errors::Errors;
use crate::index_options::{Fold, Ids};

/// One index, ready for code generation.
pub(crate) struct Index {
    pub(crate) variant: Ident,
    /// The name in keys, as in `hero:lang:en`.
    pub(crate) segment: String,
    pub(crate) unique: bool,
    /// Declared at the struct, so its variant names its fields.
    pub(crate) composite: bool,
    pub(crate) fold: Option<Fold>,
    /// Its field is a collection, and the row is in the list of each element.
    pub(crate) is_each: bool,
    /// `None` if its lists have rows.
    pub(crate) ids: Option<Ids>,
    pub(crate) parts: Vec<Part>,
}

/// One field of an index.
#[derive(Clone)]
pub(crate) struct Part {
    pub(crate) field: Ident,
    /// The field's type, or the type inside its `Option`.
    pub(crate) ty: Type,
    pub(crate) optional: bool,
}

impl Part {
    pub(crate) fn new(field: &Ident, ty: &Type) -> Self {
        let inner = option_inner(ty);
        Self {
            field: field.clone(),
            optional: inner.is_some(),
            ty: inner.unwrap_or(ty).clone(),
        }
    }

    pub(crate) fn name(&self) -> String {
        self.field.unraw().to_string()
    }
}

/// An index as an attribute declares it, before the checks.
pub(crate) struct Declared {
    /// The name and its token.
    pub(crate) name: Name,
    pub(crate) unique: bool,
    pub(crate) fold: Option<Fold>,
    pub(crate) is_each: bool,
    pub(crate) ids: Option<Ids>,
    pub(crate) fields: Fields,
}

/// The fields of an index.
pub(crate) enum Fields {
    /// The field that carries the attribute.
    Own(Ident),
    /// The fields that the struct's attribute names.
    Several(Vec<Ident>),
}

/// A name and the token it came from.
pub(crate) struct Name {
    pub(crate) text: String,
    pub(crate) token: TokenStream,
}

impl Name {
    pub(crate) fn of_field(field: &Ident) -> Self {
        Self {
            text: field.unraw().to_string(),
            token: field.to_token_stream(),
        }
    }

    pub(crate) fn of_text(text: &LitStr) -> Self {
        Self {
            text: text.value(),
            token: text.to_token_stream(),
        }
    }
}

/// Parses the list in `index(exact = (name, age), "by-age" = (age, name))`.
pub(crate) fn composites(
    word: &Ident,
    input: ParseStream<'_>,
    unique: bool,
) -> syn::Result<Vec<Declared>> {
    let usage = || {
        syn::Error::new_spanned(
            word,
            format!(
                "an index at the struct names its fields: `{word}(name = (field, field))`; \
                 an index of one field belongs at the field"
            ),
        )
    };
    if !input.peek(syn::token::Paren) {
        return Err(usage());
    }
    let list;
    parenthesized!(list in input);
    if list.is_empty() {
        return Err(usage());
    }
    let named =
        Punctuated::<(Name, Vec<Ident>), Token![,]>::parse_terminated_with(&list, composite)?;
    Ok(named
        .into_iter()
        .map(|(name, fields)| Declared {
            name,
            unique,
            fold: None,
            is_each: false,
            ids: None,
            fields: Fields::Several(fields),
        })
        .collect())
}

fn composite(input: ParseStream<'_>) -> syn::Result<(Name, Vec<Ident>)> {
    let name = if input.peek(LitStr) {
        Name::of_text(&input.parse()?)
    } else {
        Name::of_field(&Ident::parse_any(input)?)
    };
    input.parse::<Token![=]>()?;
    let fields;
    parenthesized!(fields in input);
    let fields = Punctuated::<Ident, Token![,]>::parse_terminated_with(&fields, Ident::parse_any)?;
    let fields: Vec<Ident> = fields.into_iter().collect();
    if fields.len() < 2 {
        return Err(syn::Error::new_spanned(
            &name.token,
            "an index at the struct has two fields or more; an index of one field belongs at the field",
        ));
    }
    Ok((name, fields))
}

/// Checks the declared indexes against the entity's fields and each other.
pub(crate) fn resolve(declared: Vec<Declared>, fields: &[Part], errors: &mut Errors) -> Vec<Index> {
    let mut segments = BTreeSet::new();
    let mut variants = BTreeSet::new();
    let mut indexes = Vec::new();
    for declared in declared {
        check_segment(&declared, &mut segments, errors);
        let variant = variant(&declared, &mut variants, errors);
        let composite = matches!(declared.fields, Fields::Several(_));
        let mut parts = match declared.fields {
            Fields::Own(name) => parts(&[name], fields, errors),
            Fields::Several(names) => parts(&names, fields, errors),
        };
        if declared.is_each {
            parts.iter_mut().for_each(|part| take_element(part, errors));
        }
        for (name, _) in declared.ids.iter().flat_map(|ids| &ids.order) {
            find(name, fields, errors);
        }
        indexes.extend(variant.map(|variant| Index {
            variant,
            segment: declared.name.text,
            unique: declared.unique,
            composite,
            fold: declared.fold,
            is_each: declared.is_each,
            ids: declared.ids,
            parts,
        }));
    }
    indexes
}

fn check_segment(declared: &Declared, taken: &mut BTreeSet<String>, errors: &mut Errors) {
    let Name { text, token } = &declared.name;
    let example = match declared.fields {
        Fields::Own(_) => "`index = \"name\"`",
        Fields::Several(_) => "`index(\"name\" = (field, field))`",
    };
    if !is_plain_name(text) {
        errors.at(
            token,
            format!(
                "{text:?} cannot be part of a key: the name of an index is made of a-z, 0-9, `_` \
                 and `-`; give it one as in {example}"
            ),
        );
    } else if text == "all" {
        errors.at(
            token,
            format!(
                "an index cannot be named `all`: that is the list of all rows; \
                 give it another name as in {example}"
            ),
        );
    } else if !taken.insert(text.clone()) {
        errors.at(
            token,
            format!("two indexes are named `{text}`, so their lists would share keys"),
        );
    }
}

/// Names the variant after the field, or after an index of several fields.
fn variant(
    declared: &Declared,
    taken: &mut BTreeSet<String>,
    errors: &mut Errors,
) -> Option<Ident> {
    let (name, token) = match &declared.fields {
        Fields::Own(name) => (name.unraw().to_string(), name.to_token_stream()),
        Fields::Several(_) => (declared.name.text.clone(), declared.name.token.clone()),
    };
    let camel = camel_case(&name);
    let Ok(mut variant) = syn::parse_str::<Ident>(&camel) else {
        errors.at(
            token,
            format!("`{name}` makes no valid name for the index's variant (`{camel}`); rename it"),
        );
        return None;
    };
    if !taken.insert(camel.clone()) {
        errors.at(
            token,
            format!("two indexes would have the variant `{camel}`; rename one of them"),
        );
        return None;
    }
    let span = token.into_iter().next().map(|token| token.span());
    variant.set_span(span.unwrap_or_else(Span::call_site));
    Some(variant)
}

fn parts(names: &[Ident], fields: &[Part], errors: &mut Errors) -> Vec<Part> {
    let mut parts: Vec<Part> = Vec::new();
    for name in names {
        let is_named = |part: &&Part| part.field.unraw() == name.unraw();
        if parts.iter().any(|part| is_named(&part)) {
            errors.at(name, format!("`{name}` is in this index twice"));
            continue;
        }
        parts.extend(find(name, fields, errors).cloned());
    }
    parts
}

/// Returns the field of a name, or records that there is none.
fn find<'a>(name: &Ident, fields: &'a [Part], errors: &mut Errors) -> Option<&'a Part> {
    let found = fields
        .iter()
        .find(|part| part.field.unraw() == name.unraw());
    if found.is_none() {
        let message = format!(
            "there is no field `{name}`; the fields are {}",
            listed(fields.iter().map(Part::name))
        );
        errors.at(name, message);
    }
    found
}

/// Makes a field of a collection that of its elements.
fn take_element(part: &mut Part, errors: &mut Errors) {
    match argument(&part.ty).cloned() {
        Some(element) if !part.optional => part.ty = element,
        _ => {
            let message = format!(
                "`{}` is no collection: `each` needs a type with elements, such as `Vec<String>`",
                part.name()
            );
            errors.at(&part.ty, message);
        }
    }
}

/// Returns true if `name` is valid in a key without escaping: `[a-z0-9_-]+`.
pub(crate) fn is_plain_name(name: &str) -> bool {
    !name.is_empty()
        && name
            .bytes()
            .all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-'))
}

fn camel_case(name: &str) -> String {
    let mut camel = String::with_capacity(name.len());
    for word in name.split(['_', '-']) {
        let mut characters = word.chars();
        camel.extend(characters.next().map(|first| first.to_ascii_uppercase()));
        camel.push_str(characters.as_str());
    }
    camel
}

/// Returns the type inside an `Option`, if the type is written as one.
pub(crate) fn option_inner(ty: &Type) -> Option<&Type> {
    let Type::Path(path) = transparent(ty) else {
        return None;
    };
    let is_option = path.path.segments.last()?.ident == "Option";
    argument(ty).filter(|_| is_option)
}

/// Returns the first type between the brackets of a type.
fn argument(ty: &Type) -> Option<&Type> {
    let Type::Path(path) = transparent(ty) else {
        return None;
    };
    let PathArguments::AngleBracketed(arguments) = &path.path.segments.last()?.arguments else {
        return None;
    };
    match arguments.args.first() {
        Some(GenericArgument::Type(inner)) => Some(inner),
        _ => None,
    }
}

/// Returns the type inside parentheses and the invisible groups of macros.
pub(crate) fn transparent(ty: &Type) -> &Type {
    match ty {
        Type::Group(group) => transparent(&group.elem),
        Type::Paren(paren) => transparent(&paren.elem),
        other => other,
    }
}

/// Returns a local name for each field, with the hygiene of the macro.
pub(crate) fn locals(parts: &[Part]) -> Vec<Ident> {
    (0..parts.len())
        .map(|place| format_ident!("__aside_value_{place}", span = Span::mixed_site()))
        .collect()
}

#[cfg(test)]
mod tests {
    use syn::parse_quote;

    use super::*;

    #[test]
    fn variants_are_named_after_fields_in_camel_case() {
        assert_eq!(camel_case("child_name"), "ChildName");
        assert_eq!(camel_case("by-age"), "ByAge");
        assert_eq!(camel_case("_hidden__name_2"), "HiddenName2");
    }

    #[test]
    fn an_option_is_recognised_by_every_usual_path() {
        for ty in [
            parse_quote!(Option<Uuid>),
            parse_quote!(::core::option::Option<Uuid>),
            parse_quote!((std::option::Option<Uuid>)),
        ] {
            assert!(option_inner(&ty).is_some());
        }
        assert!(option_inner(&parse_quote!(Vec<Uuid>)).is_none());
        assert!(option_inner(&parse_quote!(Option)).is_none());
    }
}
