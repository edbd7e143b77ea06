//! The number that identifies a serialized form.
//!
//! It is part of every cached value, so it must not depend on the compiler, the
//! platform or the build. It is FNV-1a over parts that are each preceded by
//! their length. Tokens are written out by this module instead of printed,
//! because compilers change how they print tokens.

use proc_macro2::{Delimiter, TokenStream, TokenTree};
use quote::ToTokens;
use syn::ext::IdentExt;

const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
const PRIME: u64 = 0x0000_0100_0000_01b3;

/// A fingerprint being computed.
pub(crate) struct Fingerprint(u64);

impl Fingerprint {
    /// Begins the fingerprint of one sort of item.
    pub(crate) fn of(sort: &str) -> Self {
        let mut fingerprint = Self(OFFSET);
        fingerprint.text(sort);
        fingerprint
    }

    pub(crate) fn text(&mut self, text: &str) {
        self.bytes(&(text.len() as u64).to_le_bytes());
        self.bytes(text.as_bytes());
    }

    pub(crate) fn number(&mut self, number: u64) {
        self.bytes(&number.to_le_bytes());
    }

    /// Adds tokens, independent of the white space between them.
    pub(crate) fn tokens(&mut self, tokens: impl ToTokens) {
        let mut spelled = String::new();
        spell(tokens.to_token_stream(), &mut spelled);
        self.text(&spelled);
    }

    /// Adds each element's tokens, and their number.
    pub(crate) fn each<T: ToTokens>(&mut self, elements: &[T]) {
        self.number(elements.len() as u64);
        for element in elements {
            self.tokens(element);
        }
    }

    pub(crate) fn finish(self) -> u64 {
        self.0
    }

    fn bytes(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(PRIME);
        }
    }
}

/// Writes tokens one by one, each followed by a space.
fn spell(tokens: TokenStream, into: &mut String) {
    let mut tokens = tokens.into_iter().peekable();
    while let Some(token) = tokens.next() {
        match token {
            TokenTree::Group(group) => {
                let (open, close) = match group.delimiter() {
                    Delimiter::Parenthesis => ("( ", ") "),
                    Delimiter::Brace => ("{ ", "} "),
                    Delimiter::Bracket => ("[ ", "] "),
                    // A macro's `$t:ty` arrives in an invisible group.
                    Delimiter::None => ("", ""),
                };
                into.push_str(open);
                spell(group.stream(), into);
                into.push_str(close);
            }
            TokenTree::Ident(ident) => {
                into.push_str(&ident.unraw().to_string());
                into.push(' ');
            }
            TokenTree::Punct(punct) => {
                // Formatters add or remove a comma before `>`, depending on the
                // line's length.
                let closes = |next: &TokenTree| matches!(next, TokenTree::Punct(next) if next.as_char() == '>');
                if punct.as_char() != ',' || !tokens.peek().is_some_and(closes) {
                    into.push(punct.as_char());
                    into.push(' ');
                }
            }
            TokenTree::Literal(literal) => {
                into.push_str(&literal.to_string());
                into.push(' ');
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use quote::quote;

    use super::*;

    fn of(tokens: &TokenStream) -> u64 {
        let mut fingerprint = Fingerprint::of("test");
        fingerprint.tokens(tokens);
        fingerprint.finish()
    }

    #[test]
    fn white_space_and_line_breaks_keep_the_fingerprint() {
        let tight: TokenStream = "HashMap<String,Vec<Vec<u8>>>".parse().unwrap();
        let loose: TokenStream = "HashMap < String,\n Vec < Vec < u8 > >, >".parse().unwrap();
        assert_eq!(of(&tight), of(&loose));
    }

    #[test]
    fn different_tokens_change_the_fingerprint() {
        assert_ne!(of(&quote!(Vec<u8>)), of(&quote!(Vec<u16>)));
        assert_ne!(of(&quote!((u8, u8))), of(&quote!([u8, u8])));
        assert_ne!(of(&quote!((T,))), of(&quote!((T))));
        assert_ne!(of(&quote!(ab c)), of(&quote!(a bc)));
    }

    #[test]
    fn neighbouring_parts_are_kept_apart() {
        let pair = |first: &str, second: &str| {
            let mut fingerprint = Fingerprint::of("test");
            fingerprint.text(first);
            fingerprint.text(second);
            fingerprint.finish()
        };
        assert_ne!(pair("ab", "c"), pair("a", "bc"));
    }

    #[test]
    fn the_hash_is_the_same_in_every_build() {
        assert_eq!(of(&quote!(Option<String>)), 3_057_534_843_009_186_747);
    }
}
