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

    pub(crate) fn is_empty(&self) -> bool {
        self.first.is_none()
    }

    /// Returns the mistakes, if there are some, and the code that stands beside them.
    /// After a mistake that code is an impl that compiles, or each use of the type would
    /// be an error as well.
    pub(crate) fn into_compile_errors(self, code: Option<&TokenStream>) -> TokenStream {
        let errors = self.first.map(|error| error.into_compile_error());
        quote::quote!(#errors #code)
    }
}
