//! The words beside `index` and `unique` at a field.

use proc_macro2::TokenStream;
use quote::ToTokens;
use syn::parse::ParseStream;
use syn::punctuated::Punctuated;
use syn::{Ident, Token, parenthesized};

use crate::attribute::once;
use crate::errors::Errors;
use crate::index::Declared;
use crate::index_options::{Fold, Ids};

/// The words that describe the index of a field.
#[derive(Default)]
pub(crate) struct Words {
    fold: Option<Fold>,
    is_each: bool,
    ids: Option<Ident>,
    order: Option<Vec<(Ident, bool)>>,
    touches_always: bool,
    /// The first of them, for a field without an index.
    first: Option<TokenStream>,
    /// The first word that only lists of ids have.
    of_ids: Option<TokenStream>,
}

impl Words {
    /// Parses one word.
    pub(crate) fn read(&mut self, word: &Ident, input: ParseStream<'_>) -> syn::Result<()> {
        self.first.get_or_insert_with(|| word.to_token_stream());
        match word.to_string().as_str() {
            "fold" => once(&mut self.fold, word, fold_of(word, input)?),
            "each" => {
                self.is_each = true;
                Ok(())
            }
            "ids" => once(&mut self.ids, word, word.clone()),
            "order" => {
                self.of_ids.get_or_insert_with(|| word.to_token_stream());
                once(&mut self.order, word, order_of(word, input)?)
            }
            _ => {
                self.of_ids.get_or_insert_with(|| word.to_token_stream());
                self.touches_always = true;
                Ok(())
            }
        }
    }

    /// Adds the words to the index of their field.
    pub(crate) fn apply(self, ident: &Ident, index: Option<&mut Declared>, errors: &mut Errors) {
        let Some(index) = index else {
            if let Some(word) = self.first {
                let message =
                    format!("`{ident}` has no index that this describes: add `index` or `unique`");
                errors.at(word, message);
            }
            return;
        };
        index.fold = self.fold;
        index.is_each = self.is_each;
        if let (None, Some(word)) = (&self.ids, self.of_ids) {
            let message = format!("this describes lists of ids: add `ids` at `{ident}`");
            errors.at(word, message);
        }
        index.ids = self.ids.map(|_| Ids {
            order: self.order.unwrap_or_default(),
            touches_always: self.touches_always,
        });
    }
}

/// Parses the fields of `order = (created_at desc, id)`; true if the greatest is first.
fn order_of(word: &Ident, input: ParseStream<'_>) -> syn::Result<Vec<(Ident, bool)>> {
    let usage = "the order names fields: `order = (created_at desc, id)`";
    let usage = || syn::Error::new_spanned(word, usage);
    if !input.peek(Token![=]) {
        return Err(usage());
    }
    input.parse::<Token![=]>()?;
    if !input.peek(syn::token::Paren) {
        return Err(usage());
    }
    let list;
    parenthesized!(list in input);
    let field = |input: ParseStream<'_>| {
        let name: Ident = input.parse()?;
        let direction: Option<Ident> = input.parse()?;
        match direction {
            None => Ok((name, false)),
            Some(direction) if direction == "asc" => Ok((name, false)),
            Some(direction) if direction == "desc" => Ok((name, true)),
            Some(direction) => {
                let message = "a direction is `asc` or `desc`";
                Err(syn::Error::new_spanned(direction, message))
            }
        }
    };
    let fields = Punctuated::<(Ident, bool), Token![,]>::parse_terminated_with(&list, field)?;
    if fields.is_empty() {
        return Err(usage());
    }
    Ok(fields.into_iter().collect())
}

/// Parses the rule of `fold = lowercase`.
fn fold_of(word: &Ident, input: ParseStream<'_>) -> syn::Result<Fold> {
    let usage = || syn::Error::new_spanned(word, "values are folded as in `fold = lowercase`");
    if !input.peek(Token![=]) {
        return Err(usage());
    }
    input.parse::<Token![=]>()?;
    let rule: Ident = input.parse().map_err(|_| usage())?;
    let fold = match rule.to_string().as_str() {
        "lowercase" => Fold::Lowercase,
        "ascii_lowercase" => Fold::AsciiLowercase,
        _ => {
            let message = format!(
                "there is no fold `{rule}`; there are `lowercase`, as of citext, and \
                 `ascii_lowercase`, as of NOCASE"
            );
            return Err(syn::Error::new_spanned(rule, message));
        }
    };
    Ok(fold)
}
