//! Hosts and ports as nodes announce them.

use super::slot;

/// The longest name that the domain name system has.
pub(super) const MAX_HOST_BYTES: usize = 255;

/// Splits `host:port` at the last colon, because an IPv6 address has no brackets.
///
/// The host is `None` if the node announces none, with an empty text or `?`.
pub(super) fn split(place: &str) -> Option<(Option<String>, u16)> {
    let (host, port) = place.rsplit_once(':')?;
    Some((self::host(host)?, slot::number(port)?))
}

/// Reads a host: `Some(None)` if it is empty or `?`, `None` if it cannot be one.
pub(crate) fn host(text: &str) -> Option<Option<String>> {
    if text.is_empty() || text == "?" {
        return Some(None);
    }
    let is_host = |byte: u8| byte.is_ascii_alphanumeric() || b".-_:%".contains(&byte);
    let possible = text.len() <= MAX_HOST_BYTES && text.bytes().all(is_host);
    possible.then(|| Some(text.to_owned()))
}
