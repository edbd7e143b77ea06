//! The attributes of an entity's fields.

use syn::{Field, Ident, Token, Type};

use crate::attribute::{self, Place, each_word, once};
use crate::errors::Errors;
use crate::index::{Declared, Fields, Name, transparent};
use crate::serde_attributes;
use crate::words::Words;

const AT_FIELD: Place = Place {
    attribute: "entity",
    name: "a field",
    words: &[
        "id",
        "index",
        "unique",
        "version",
        "nested",
        "never",
        "fold",
        "each",
        "ids",
        "order",
        "touch_always",
    ],
};

const INTEGERS: [&str; 12] = [
    "u8", "u16", "u32", "u64", "u128", "usize", "i8", "i16", "i32", "i64", "i128", "isize",
];

/// The contents of the fields' attributes.
#[derive(Default)]
pub(crate) struct Body {
    pub(crate) id: Option<(Ident, Type)>,
    /// The word is present, though its value may be wrong.
    pub(crate) id_stands: bool,
    pub(crate) version: Option<Ident>,
    pub(crate) indexes: Vec<Declared>,
    pub(crate) nested: Vec<Type>,
    /// The fields that must not be stored.
    pub(crate) never: Vec<Ident>,
}

impl Body {
    /// Parses the attributes of all fields.
    pub(crate) fn read(fields: &[&Field], errors: &mut Errors) -> Self {
        let mut body = Self::default();
        for field in fields {
            if let Some(ident) = &field.ident {
                body.read_field(field, ident, errors);
            }
        }
        body
    }

    fn read_field(&mut self, field: &Field, ident: &Ident, errors: &mut Errors) {
        let mut index: Option<Declared> = None;
        let mut nested = None;
        let mut words = Words::default();
        each_word(&field.attrs, &AT_FIELD, errors, |word, input| {
            match word.to_string().as_str() {
                "id" => {
                    self.id_stands = true;
                    if let Some((other, _)) = &self.id {
                        return Err(syn::Error::new_spanned(
                            word,
                            format!(
                                "`{other}` is the id already; an id of several fields is one \
                                 field whose type holds them"
                            ),
                        ));
                    }
                    self.id = Some((ident.clone(), field.ty.clone()));
                    Ok(())
                }
                "version" => {
                    if let Some(other) = &self.version {
                        let message = format!("`{other}` is the version already");
                        return Err(syn::Error::new_spanned(word, message));
                    }
                    check_version(&field.ty)?;
                    self.version = Some(ident.clone());
                    Ok(())
                }
                "never" => {
                    self.never.push(ident.clone());
                    refuse_stored(word, field)
                }
                "fold" | "each" | "ids" | "order" | "touch_always" => words.read(word, input),
                "nested" => once(&mut nested, word, field.ty.clone()),
                "index" | "unique" => {
                    let name = if input.peek(Token![=]) {
                        Name::of_text(&attribute::text(word, input)?)
                    } else {
                        Name::of_field(ident)
                    };
                    if index.is_some() {
                        let message = "a field has one index; `unique` is one too";
                        return Err(syn::Error::new_spanned(word, message));
                    }
                    index = Some(Declared {
                        name,
                        unique: word == "unique",
                        fields: Fields::Own(ident.clone()),
                        fold: None,
                        is_each: false,
                        ids: None,
                    });
                    Ok(())
                }
                // `each_word` passes no other words.
                _ => Ok(()),
            }
        });
        words.apply(ident, index.as_mut(), errors);
        self.indexes.extend(index);
        self.nested.extend(nested);
    }
}

/// Refuses a field that serde would write into Redis.
fn refuse_stored(word: &Ident, field: &Field) -> syn::Result<()> {
    let serde = serde_attributes::read(&field.attrs, &mut Errors::default());
    if serde_attributes::is_skipped(&serde) {
        return Ok(());
    }
    let name = field.ident.as_ref().map(ToString::to_string);
    let name = name.unwrap_or_default();
    Err(syn::Error::new_spanned(
        word,
        format!(
            "`{name}` must never be stored, and serde would write it to Redis: add \
             `#[serde(skip)]`, and read rows without it, so that it has its default"
        ),
    ))
}

fn check_version(ty: &Type) -> syn::Result<()> {
    let integer = match transparent(ty) {
        Type::Path(path) => path.path.segments.last().is_some_and(|last| {
            last.arguments.is_none() && INTEGERS.iter().any(|name| last.ident == name)
        }),
        _ => false,
    };
    if integer {
        return Ok(());
    }
    Err(syn::Error::new_spanned(
        ty,
        "a version is an integer that only grows, and its type is written as such, as in `u64` or `i64`",
    ))
}
