//! Parses `#[entity(...)]` and `#[shape(...)]`: lists of words, some of which
//! take a value.
//!
//! A wrong word is reported and skipped, and parsing continues with the next
//! word, so one build shows every mistake of an attribute.

use proc_macro2::TokenTree;
use syn::ext::IdentExt;
use syn::parse::ParseStream;
use syn::{Attribute, Ident, LitBool, LitInt, LitStr, Token};

use crate::errors::Errors;

/// The place of an attribute, which determines the words it may contain.
pub(crate) struct Place {
    /// The attribute's own name, `entity` or `shape`.
    pub(crate) attribute: &'static str,
    /// The place as it appears in a sentence, such as `a field`.
    pub(crate) name: &'static str,
    /// Every word that is allowed here.
    pub(crate) words: &'static [&'static str],
}

impl Place {
    fn allowed(&self) -> String {
        match self.words {
            [] => "nothing is allowed there".to_owned(),
            words => format!("allowed there: {}", listed(words)),
        }
    }

    /// Returns the error for a word that has no meaning in this place.
    fn refuse(&self, word: &Ident) -> syn::Error {
        syn::Error::new_spanned(
            word,
            format!(
                "`{word}` has no meaning in `#[{}(...)]` at {}; {}",
                self.attribute,
                self.name,
                self.allowed(),
            ),
        )
    }
}

/// Calls `read` with every word of every attribute that belongs to `place`. The
/// stream is positioned after the word; `read` parses the word's value.
pub(crate) fn each_word(
    attributes: &[Attribute],
    place: &Place,
    errors: &mut Errors,
    read: impl FnMut(&Ident, ParseStream<'_>) -> syn::Result<()>,
) {
    each_word_after(attributes, place, errors, |_| Ok(()), read);
}

/// Does the same for attributes that may begin with something else, which `begin`
/// parses up to the first word.
pub(crate) fn each_word_after(
    attributes: &[Attribute],
    place: &Place,
    errors: &mut Errors,
    mut begin: impl FnMut(ParseStream<'_>) -> syn::Result<()>,
    mut read: impl FnMut(&Ident, ParseStream<'_>) -> syn::Result<()>,
) {
    for attribute in attributes {
        if !attribute.path().is_ident(place.attribute) {
            continue;
        }
        let Ok(list) = attribute.meta.require_list() else {
            errors.at(
                &attribute.meta,
                format!("write `#[{}(...)]`; {}", place.attribute, place.allowed(),),
            );
            continue;
        };
        let parsed = list.parse_args_with(|input: ParseStream<'_>| {
            begin(input)?;
            read_words(input, place, errors, &mut read)
        });
        errors.keep(parsed);
    }
}

fn read_words(
    input: ParseStream<'_>,
    place: &Place,
    errors: &mut Errors,
    read: &mut impl FnMut(&Ident, ParseStream<'_>) -> syn::Result<()>,
) -> syn::Result<()> {
    while !input.is_empty() {
        let word = Ident::parse_any(input)?;
        let outcome = if place.words.iter().any(|known| word == known) {
            read(&word, input)
        } else {
            Err(place.refuse(&word))
        };
        match outcome {
            Ok(()) if !input.is_empty() && !input.peek(Token![,]) => {
                errors.push(input.error(format!("`{word}` ends here; expected `,`")));
            }
            Ok(()) => {}
            Err(error) => errors.push(error),
        }
        while !input.is_empty() && !input.peek(Token![,]) {
            input.parse::<TokenTree>()?;
        }
        if !input.is_empty() {
            input.parse::<Token![,]>()?;
        }
    }
    Ok(())
}

/// Stores a word's value; the word may occur only once.
pub(crate) fn once<T>(slot: &mut Option<T>, word: &Ident, value: T) -> syn::Result<()> {
    if slot.is_some() {
        return Err(syn::Error::new_spanned(
            word,
            format!("`{word}` is given twice"),
        ));
    }
    *slot = Some(value);
    Ok(())
}

/// Parses the text of `word = "text"`.
pub(crate) fn text(word: &Ident, input: ParseStream<'_>) -> syn::Result<LitStr> {
    equals(word, "\"...\"", input)?;
    input
        .parse()
        .map_err(|error| explain(&error, word, "a quoted string"))
}

/// Parses the boolean of `word = true`.
pub(crate) fn truth(word: &Ident, input: ParseStream<'_>) -> syn::Result<bool> {
    equals(word, "false", input)?;
    let value: LitBool = input
        .parse()
        .map_err(|error| explain(&error, word, "`true` or `false`"))?;
    Ok(value.value)
}

/// Parses the number of `word = 2`.
pub(crate) fn number(word: &Ident, input: ParseStream<'_>) -> syn::Result<u64> {
    equals(word, "2", input)?;
    let value: LitInt = input
        .parse()
        .map_err(|error| explain(&error, word, "a whole number"))?;
    value.base10_parse().map_err(|_| {
        syn::Error::new_spanned(&value, format!("`{word}` is a number from 0 to 2^64 - 1"))
    })
}

/// Parses the path of `crate = "path"`; `of` names its target in errors.
pub(crate) fn path(word: &Ident, input: ParseStream<'_>, of: &str) -> syn::Result<syn::Path> {
    let text = text(word, input)?;
    text.parse_with(syn::Path::parse_mod_style)
        .map_err(|_| syn::Error::new_spanned(&text, format!("`{word}` is the path {of}")))
}

fn equals(word: &Ident, example: &str, input: ParseStream<'_>) -> syn::Result<()> {
    if input.peek(Token![=]) {
        input.parse::<Token![=]>()?;
        return Ok(());
    }
    Err(syn::Error::new_spanned(
        word,
        format!("`{word}` needs a value: `{word} = {example}`"),
    ))
}

fn explain(error: &syn::Error, word: &Ident, expected: &str) -> syn::Error {
    syn::Error::new(error.span(), format!("`{word}` is {expected}"))
}

/// Formats a list for a sentence: `` `a`, `b`, `c` ``.
pub(crate) fn listed<T: std::fmt::Display>(names: impl IntoIterator<Item = T>) -> String {
    let quoted: Vec<String> = names.into_iter().map(|name| format!("`{name}`")).collect();
    quoted.join(", ")
}
