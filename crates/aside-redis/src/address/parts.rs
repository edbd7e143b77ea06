//! The parts of a URL.

use percent_encoding::percent_decode_str;
use url::{Host, Url};

use super::error::UrlError;
use crate::secret::Secret;

/// The highest database number that Redis accepts.
const MAX_DB: u32 = 2_147_483_647;

/// Parses the part after the scheme as a `redis://` URL, because all forms
/// share its syntax.
pub(super) fn parse(rest: &str) -> Result<Url, UrlError> {
    refuse_slash_in_password(rest)?;
    Url::parse(&format!("redis://{rest}")).map_err(|error| match error {
        url::ParseError::EmptyHost
        | url::ParseError::InvalidIpv6Address
        | url::ParseError::InvalidDomainCharacter => UrlError::Host,
        url::ParseError::InvalidPort => UrlError::Port,
        _ => UrlError::Shape,
    })
}

/// Splits the part after the scheme at the slash. It has no query.
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

/// Splits a node at its last `@`.
pub(super) fn user_and_place(node: &str) -> (Option<&str>, &str) {
    match node.rsplit_once('@') {
        Some((user, place)) => (Some(user), place),
        None => (None, node),
    }
}

pub(super) fn host(url: &Url) -> Result<String, UrlError> {
    match url.host() {
        Some(Host::Domain(name)) if is_name(name) => Ok(name.to_owned()),
        Some(Host::Ipv4(address)) => Ok(address.to_string()),
        Some(Host::Ipv6(address)) => Ok(address.to_string()),
        Some(Host::Domain(_)) | None => Err(UrlError::Host),
    }
}

pub(super) fn port(url: &Url, default: u16) -> Result<u16, UrlError> {
    match url.port() {
        None => Ok(default),
        Some(0) => Err(UrlError::Port),
        Some(port) => Ok(port),
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
