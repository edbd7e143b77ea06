//! Whether rows are fetched before they are read.

/// Whether rows that are likely to be read next are fetched ahead: `CACHE_PREFETCH`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum PrefetchMode {
    /// They are learnt, and fetched while few of them are fetched in vain.
    #[default]
    Auto,
    /// They are learnt and guessed, but not fetched: their precision is seen before they
    /// cost anything.
    Names,
    /// Nothing is learnt.
    Off,
}

impl PrefetchMode {
    pub(crate) const ALL: [Self; 3] = [Self::Auto, Self::Names, Self::Off];

    /// Returns the mode of this name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.to_ascii_lowercase();
        Self::ALL.into_iter().find(|mode| mode.as_str() == text)
    }

    /// Returns its name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Names => "names",
            Self::Off => "off",
        }
    }

    pub(crate) fn of(number: u8) -> Self {
        let mut all = Self::ALL.into_iter();
        all.find(|mode| *mode as u8 == number).unwrap_or_default()
    }
}
