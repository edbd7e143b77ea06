//! The errors of one derive, collected so that one build shows all of them.

use proc_macro2::TokenStream;
use quote::ToTokens;

/// The mistakes found so far, each at its own token.
#[derive(Default)]
pub(crate) struct Errors {
    first: Option<syn::Error>,
}

impl Errors {
    pub(crate) fn push(&mut self, error: syn::Error) {
        match &mut self.first {
            Some(first) => first.combine(error),
            None => self.first = Some(error),
        }
    }

    /// Adds a mistake at the tokens `at`.
    pub(crate) fn at(&mut self, at: impl ToTokens, message: impl std::fmt::Display) {
        self.push(syn::Error::new_spanned(at, message));
    }

    /// Returns the value, or records the mistake.
    pub(crate) fn keep<T>(&mut self, result: syn::Result<T>) -> Option<T> {
        result.map_err(|error| self.push(error)).ok()
    }

    /// Returns `value` if there were no mistakes.
    pub(crate) fn or<T>(self, value: T) -> Result<T, Self> {
        match self.first {
            Some(_) => Err(self),
            None => Ok(value),
        }
    }

    pub(crate) fn into_compile_errors(self) -> TokenStream {
        self.first
            .map(|error| error.into_compile_error())
            .unwrap_or_default()
    }
}
