//! The parts of a URL.
//!
//! They are read here and not by the crate `url`, whose tables for names outside
//! ASCII are 27 packages. No host of a Redis has such a name.

use std::net::Ipv6Addr;

use percent_encoding::percent_decode_str;

use super::error::UrlError;
use crate::secret::Secret;

/// The highest database number that Redis accepts.
const MAX_DB: u32 = 2_147_483_647;

/// Splits the part after the scheme at the slash, into authority and path. It has no
/// query.
pub(super) fn without_query(rest: &str) -> Result<(&str, &str), UrlError> {
    match rest.contains('?') {
        true => Err(UrlError::Query),
        false => {
            refuse_slash_in_password(rest)?;
            Ok(rest.split_once('/').unwrap_or((rest, "")))
        }
    }
}

/// Neither a database nor a service name contains an `@`. Without this, the part
/// of a password before the slash would be called a wrong port.
fn refuse_slash_in_password(rest: &str) -> Result<(), UrlError> {
    let before_query = rest.split('?').next().unwrap_or_default();
    match before_query.split_once('/') {
        Some((_, path)) if path.contains('@') => Err(UrlError::Slash),
        _ => Ok(()),
    }
}

/// Splits an authority at its last `@`.
pub(super) fn user_and_place(authority: &str) -> (Option<&str>, &str) {
    match authority.rsplit_once('@') {
        Some((user, place)) => (Some(user), place),
        None => (None, authority),
    }
}

/// Reads `user[:password]`, both percent-encoded.
pub(super) fn user_and_password(text: &str) -> Result<(Option<Secret>, Option<Secret>), UrlError> {
    let (username, password) = text.split_once(':').unwrap_or((text, ""));
    Ok((secret(username)?, secret(password)?))
}

/// Reads `host[:port]`, with an IPv6 address in brackets.
pub(super) fn host_and_port(place: &str, default_port: u16) -> Result<(String, u16), UrlError> {
    if let Some(bracketed) = place.strip_prefix('[') {
        let (address, rest) = bracketed.split_once(']').ok_or(UrlError::Host)?;
        let address: Ipv6Addr = address.parse().map_err(|_| UrlError::Host)?;
        let text = match rest {
            "" => "",
            rest => rest.strip_prefix(':').ok_or(UrlError::Host)?,
        };
        return Ok((address.to_string(), port(text, default_port)?));
    }
    let (host, text) = place.split_once(':').unwrap_or((place, ""));
    match is_name(host) {
        true => Ok((host.to_owned(), port(text, default_port)?)),
        false => Err(UrlError::Host),
    }
}

/// Reads a port; without digits, the default applies.
fn port(text: &str, default: u16) -> Result<u16, UrlError> {
    if text.is_empty() {
        return Ok(default);
    }
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(UrlError::Port);
    }
    match text.parse() {
        Ok(0) | Err(_) => Err(UrlError::Port),
        Ok(port) => Ok(port),
    }
}

pub(super) fn db(text: &str) -> Result<Option<u32>, UrlError> {
    if text.is_empty() {
        return Ok(None);
    }
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(UrlError::Db);
    }
    match text.parse() {
        Ok(number) if number <= MAX_DB => Ok(Some(number)),
        _ => Err(UrlError::Db),
    }
}

/// Decodes a percent-encoded secret; an empty one is `None`.
pub(super) fn secret(text: &str) -> Result<Option<Secret>, UrlError> {
    let text = decode(text)?;
    Ok((!text.is_empty()).then(|| Secret::new(text)))
}

pub(super) fn decode(text: &str) -> Result<String, UrlError> {
    percent_decode_str(text)
        .decode_utf8()
        .map(String::from)
        .map_err(|_| UrlError::Encoding)
}

pub(super) fn is_name(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b".-_".contains(&byte))
}
