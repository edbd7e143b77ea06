//! Different spellings of one value.

/// The rule by which the database compares the texts of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Fold {
    /// In lower case, by Unicode: `citext` and `lower()` of PostgreSQL under a UTF-8
    /// locale.
    Lowercase,
    /// With the letters of ASCII in lower case: the collation `NOCASE` of SQLite.
    AsciiLowercase,
}

impl Fold {
    /// Returns its name, as the derive and the fleet have it.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Lowercase => "lowercase",
            Self::AsciiLowercase => "ascii_lowercase",
        }
    }

    /// Returns the rule of a name; `None` if a newer version added it.
    #[cfg(feature = "ops")]
    pub(crate) fn named(name: &str) -> Option<Self> {
        let mut all = [Self::Lowercase, Self::AsciiLowercase].into_iter();
        all.find(|fold| fold.as_str() == name)
    }

    /// Returns the spelling that stands for all spellings of a value.
    #[must_use]
    pub fn apply(self, text: &str) -> String {
        match self {
            Self::Lowercase => text.to_lowercase(),
            Self::AsciiLowercase => text.to_ascii_lowercase(),
        }
    }
}
