//! A type that stands inside an entity, read from its struct or enum.

use syn::ext::IdentExt;
use syn::{Data, DeriveInput, Field, Ident, Path, Type, parse_quote};

use crate::attribute::{self, Place, each_word, once};
use crate::errors::Errors;
use crate::fingerprint::Fingerprint;
use crate::model::{add_field, refuse_generics};
use crate::serde_attributes;

const AT_TYPE: Place = Place {
    attribute: "shape",
    name: "the type",
    words: &["shape", "crate"],
};

const AT_FIELD: Place = Place {
    attribute: "shape",
    name: "a field",
    words: &["nested"],
};

const AT_VARIANT: Place = Place {
    attribute: "shape",
    name: "a variant",
    words: &[],
};

/// Everything that the code of one shape is made of.
pub(crate) struct Shape {
    pub(crate) ident: Ident,
    /// The path of `aside` as the user's crate knows it.
    pub(crate) library: Path,
    /// The shape, those of nested types apart.
    pub(crate) fingerprint: u64,
    /// The types whose shapes are mixed into it.
    pub(crate) nested: Vec<Type>,
}

impl Shape {
    /// Reads a type, or says everything that is wrong with it.
    pub(crate) fn read(input: &DeriveInput) -> Result<Self, Errors> {
        let mut errors = Errors::default();
        refuse_generics("a shape", input, &mut errors);
        let mut number = None;
        let mut library = None;
        each_word(&input.attrs, &AT_TYPE, &mut errors, |word, input| {
            if word == "shape" {
                once(&mut number, word, attribute::number(word, input)?)
            } else {
                once(&mut library, word, attribute::path(word, input)?)
            }
        });

        let serde = serde_attributes::read(&input.attrs, &mut errors);
        let default = serde_attributes::has_default(&serde);
        let mut fingerprint = Fingerprint::of("aside shape");
        fingerprint.number(number.unwrap_or(0));
        fingerprint.each(&serde);
        let mut nested = Vec::new();
        match &input.data {
            Data::Struct(data) => {
                fingerprint.text("struct");
                add_fields(
                    &mut fingerprint,
                    &data.fields,
                    default,
                    &mut nested,
                    &mut errors,
                );
            }
            Data::Enum(data) => {
                fingerprint.text("enum");
                for variant in &data.variants {
                    each_word(&variant.attrs, &AT_VARIANT, &mut errors, |_, _| Ok(()));
                    let serde = serde_attributes::read(&variant.attrs, &mut errors);
                    serde_attributes::refuse_skips(&serde, false, &mut errors);
                    fingerprint.text(&variant.ident.unraw().to_string());
                    fingerprint.each(&serde);
                    add_fields(
                        &mut fingerprint,
                        &variant.fields,
                        false,
                        &mut nested,
                        &mut errors,
                    );
                }
            }
            Data::Union(_) => errors.at(
                &input.ident,
                "a union has no shape: serde cannot write it; use a struct or an enum",
            ),
        }
        let shape = Self {
            ident: input.ident.clone(),
            library: library.unwrap_or_else(|| parse_quote!(::aside)),
            fingerprint: fingerprint.finish(),
            nested,
        };
        errors.or(shape)
    }
}

fn add_fields(
    fingerprint: &mut Fingerprint,
    fields: &syn::Fields,
    default: bool,
    nested: &mut Vec<Type>,
    errors: &mut Errors,
) {
    fingerprint.text(match fields {
        syn::Fields::Named(_) => "named",
        syn::Fields::Unnamed(_) => "in order",
        syn::Fields::Unit => "none",
    });
    fingerprint.number(fields.len() as u64);
    for field in fields {
        add_field(fingerprint, field, default, errors);
        nested.extend(nested_type(field, errors));
    }
}

fn nested_type(field: &Field, errors: &mut Errors) -> Option<Type> {
    let mut nested = None;
    each_word(&field.attrs, &AT_FIELD, errors, |word, _| {
        once(&mut nested, word, field.ty.clone())
    });
    nested
}
