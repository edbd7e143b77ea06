//! The rows that a warm-up reads.

/// The rows that a warm-up reads: `CACHE_WARM_UP`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum WarmUpFrom {
    /// The rows and lists that an instance held when it last wrote the hot set.
    Hot,
    /// All rows, and all lists that contain one.
    #[default]
    All,
}

impl WarmUpFrom {
    /// Parses the setting; `off` is `Some(None)`.
    pub(super) fn parse(text: &str) -> Option<Option<Self>> {
        match text.to_ascii_lowercase().as_str() {
            "hot" => Some(Some(Self::Hot)),
            "all" => Some(Some(Self::All)),
            "off" => Some(None),
            _ => None,
        }
    }
}
