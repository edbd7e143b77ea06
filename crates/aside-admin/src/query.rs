//! Query parameters. Each must be known and may occur once.

use std::collections::BTreeMap;

use axum::extract::Query;
use axum::http::Uri;

use crate::problem::Problem;

/// Returns the parameters of a request.
///
/// # Errors
/// If a parameter occurs twice or is not UTF-8, because its meaning would be a
/// guess.
pub(crate) fn parameters(uri: &Uri) -> Result<BTreeMap<String, String>, Problem> {
    if !is_utf8(uri.query().unwrap_or_default()) {
        return Err(Problem::bad_request(
            "The percent-decoded query is not UTF-8.",
        ));
    }
    let Query(pairs) = Query::<Vec<(String, String)>>::try_from_uri(uri)
        .map_err(|_| Problem::bad_request("The query string cannot be parsed."))?;
    let mut parameters = BTreeMap::new();
    for (name, value) in pairs {
        if parameters.insert(name, value).is_some() {
            return Err(Problem::bad_request("A parameter occurs twice."));
        }
    }
    Ok(parameters)
}

/// Refuses any parameter on a route that takes none.
///
/// # Errors
/// If there is one.
pub(crate) fn none(uri: &Uri) -> Result<(), Problem> {
    if parameters(uri)?.is_empty() {
        return Ok(());
    }
    Err(Problem::bad_request("This route takes no parameters."))
}

/// Returns true if a query is UTF-8 once it is decoded. The parser would replace
/// other bytes, and so read another key.
fn is_utf8(query: &str) -> bool {
    let mut bytes = Vec::with_capacity(query.len());
    let mut rest = query.as_bytes();
    while let [first, after @ ..] = rest {
        let digits = after.get(..2).and_then(|two| std::str::from_utf8(two).ok());
        let decoded = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match (first, decoded) {
            (b'%', Some(byte)) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            _ => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    std::str::from_utf8(&bytes).is_ok()
}
