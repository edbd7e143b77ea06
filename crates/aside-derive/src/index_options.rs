//! The options of an index.

use syn::Ident;

/// The spellings of a value that are one value.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fold {
    Lowercase,
    AsciiLowercase,
}

impl Fold {
    /// Returns its name in `aside::entity::Fold`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Lowercase => "Lowercase",
            Self::AsciiLowercase => "AsciiLowercase",
        }
    }
}

/// The declaration of lists of ids.
#[derive(Default)]
pub(crate) struct Ids {
    /// The fields of the order; true if the greatest is first. Empty if none is declared.
    pub(crate) order: Vec<(Ident, bool)>,
    /// Every write of a row touches its lists.
    pub(crate) touches_always: bool,
}
