//! Settings that need a feature of this crate which the program was built without.
//!
//! They are refused: without effect, one would leave a connection unencrypted or
//! values uncompressed, and no reader of the settings would know.

use crate::config::CacheConfig;
use crate::config::setting::{self, Setting};

impl CacheConfig {
    /// Adds a problem for each setting that needs a feature.
    pub(super) fn check_features(&self, problems: &mut Vec<String>) {
        if !cfg!(feature = "tls") {
            let over_tls = self.resolve().is_ok_and(|it| it.address.is_over_tls());
            if over_tls {
                let name = setting::URL.name;
                problems.push(format!(
                    "{name} cannot be used (it is not shown): rediss:// needs the feature `tls` of \
                     aside, which this program was built without"
                ));
            }
            for (setting, is_set) in [
                (&setting::TLS_CA, self.redis_tls_ca.is_some()),
                (&setting::TLS_CERT, self.redis_tls_cert.is_some()),
                (&setting::TLS_KEY, self.redis_tls_key.is_some()),
                (
                    &setting::TLS_SERVER_NAME,
                    self.redis_tls_server_name.is_some(),
                ),
            ] {
                problems.extend(is_set.then(|| missing(setting, "tls")));
            }
        }
        if !cfg!(feature = "compression") && self.compress_above_bytes.is_some() {
            problems.push(missing(&setting::COMPRESS_ABOVE_BYTES, "compression"));
        }
    }
}

fn missing(setting: &Setting, feature: &str) -> String {
    let name = setting.name;
    format!(
        "{name} is set, but needs the feature `{feature}` of aside, which this program was built \
         without"
    )
}
