//! A type inside an entity, parsed from its struct or enum.

use proc_macro2::{TokenStream, TokenTree};
use quote::ToTokens;
use syn::ext::IdentExt;
use syn::{Data, DeriveInput, Field, Fields, Ident, Path, Type, Variant, parse_quote};

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

/// The parts from which the code of one shape is generated.
pub(crate) struct Shape {
    pub(crate) ident: Ident,
    /// The path of `aside` in the user's crate.
    pub(crate) library: Path,
    /// The shape, without the shapes of nested types.
    pub(crate) fingerprint: u64,
    /// The types whose shapes are mixed into it.
    pub(crate) nested: Vec<Type>,
}

impl Shape {
    /// Parses a type, and returns its mistakes. The shape is `None` if no impl would
    /// compile.
    pub(crate) fn read(input: &DeriveInput) -> (Option<Self>, Errors) {
        let mut reader = Reader {
            ident: &input.ident,
            fingerprint: Fingerprint::of("aside shape"),
            nested: Vec::new(),
            errors: Errors::default(),
        };
        let is_generic = refuse_generics("a shape", input, &mut reader.errors);
        let mut number = None;
        let mut library = None;
        each_word(&input.attrs, &AT_TYPE, &mut reader.errors, |word, input| {
            if word == "shape" {
                once(&mut number, word, attribute::number(word, input)?)
            } else {
                once(
                    &mut library,
                    word,
                    attribute::path(word, input, "of this library, such as \"my_aside\"")?,
                )
            }
        });
        reader.fingerprint.number(number.unwrap_or(0));
        reader.read_data(input);
        let shape = Self {
            ident: input.ident.clone(),
            library: library.unwrap_or_else(|| parse_quote!(::aside)),
            fingerprint: reader.fingerprint.finish(),
            nested: reader.nested,
        };
        ((!is_generic).then_some(shape), reader.errors)
    }
}

/// One type while it is parsed.
struct Reader<'a> {
    ident: &'a Ident,
    fingerprint: Fingerprint,
    nested: Vec<Type>,
    errors: Errors,
}

impl Reader<'_> {
    fn read_data(&mut self, input: &DeriveInput) {
        let serde = serde_attributes::read(&input.attrs, &mut self.errors);
        let default = serde_attributes::has_default(&serde);
        self.fingerprint.each(&serde);
        match &input.data {
            Data::Struct(data) => {
                self.fingerprint.text("struct");
                self.read_fields(&data.fields, default);
            }
            Data::Enum(data) => {
                self.fingerprint.text("enum");
                for variant in &data.variants {
                    self.read_variant(variant);
                }
            }
            Data::Union(_) => self.errors.at(
                self.ident,
                "a union has no shape: serde cannot write it; use a struct or an enum",
            ),
        }
    }

    fn read_variant(&mut self, variant: &Variant) {
        each_word(&variant.attrs, &AT_VARIANT, &mut self.errors, |_, _| Ok(()));
        let serde = serde_attributes::read(&variant.attrs, &mut self.errors);
        serde_attributes::refuse_skips(&serde, false, &mut self.errors);
        self.fingerprint.text(&variant.ident.unraw().to_string());
        self.fingerprint.each(&serde);
        self.read_fields(&variant.fields, false);
    }

    fn read_fields(&mut self, fields: &Fields, default: bool) {
        self.fingerprint.text(match fields {
            Fields::Named(_) => "named",
            Fields::Unnamed(_) => "in order",
            Fields::Unit => "none",
        });
        self.fingerprint.number(fields.len() as u64);
        for field in fields {
            add_field(
                &mut self.fingerprint,
                field,
                (default, false),
                &mut self.errors,
            );
            self.read_nested(field);
        }
    }

    fn read_nested(&mut self, field: &Field) {
        let ident = self.ident;
        let mut nested = None;
        each_word(&field.attrs, &AT_FIELD, &mut self.errors, |word, _| {
            if names(ident, field.ty.to_token_stream()) {
                let message = format!("`{ident}` cannot include its own shape");
                return Err(syn::Error::new_spanned(&field.ty, message));
            }
            once(&mut nested, word, field.ty.clone())
        });
        self.nested.extend(nested);
    }
}

/// Returns true if a type's tokens name the type that contains it. Its shape
/// would otherwise recurse forever.
fn names(ident: &Ident, tokens: TokenStream) -> bool {
    tokens.into_iter().any(|token| match token {
        TokenTree::Ident(found) => found == *ident || found == "Self",
        TokenTree::Group(group) => names(ident, group.stream()),
        _ => false,
    })
}
