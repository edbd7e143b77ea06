//! The TTL of a kind that an operator has set.

use std::time::Duration;

use crate::config::CacheConfig;
use crate::config::setting::kind_in_a_name;

impl CacheConfig {
    /// Returns the operator's TTL of `kind`: `CACHE_{KIND}_TTL`. It overrides
    /// the strategy's [`default_ttl`], which overrides
    /// [`default_ttl`](Self::default_ttl) of this configuration.
    ///
    /// ```
    /// use std::time::Duration;
    /// use aside::{CacheConfig, settings::Settings};
    ///
    /// let settings = Settings::from_pairs([("CACHE_DEFAULT_TTL", "7"), ("CACHE_HERO_TTL", "60")]);
    /// let config = CacheConfig::from_settings(&settings)?;
    /// assert_eq!(config.ttl_of("hero"), Some(Duration::from_secs(60)));
    /// assert_eq!(config.ttl_of("story"), None);
    /// # Ok::<(), aside::settings::ConfigError>(())
    /// ```
    ///
    /// [`default_ttl`]: crate::CacheStrategy::default_ttl
    #[must_use]
    pub fn ttl_of(&self, kind: &str) -> Option<Duration> {
        // By the spelling of the variable, so that `tale-hero` and `tale_hero`
        // are the same in any map.
        let spelled = kind_in_a_name(kind);
        let mut ttls = self.ttls.iter();
        ttls.find(|(known, _)| kind_in_a_name(known) == spelled)
            .map(|(_, ttl)| *ttl)
    }
}
