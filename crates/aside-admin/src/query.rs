//! Query parameters. Each must be known and may occur once.

use std::collections::BTreeMap;

use axum::extract::Query;
use axum::http::Uri;

use crate::problem::Problem;

/// Returns the parameters of a request.
///
/// # Errors
/// If a parameter occurs twice, because its meaning would be a guess.
pub(crate) fn parameters(uri: &Uri) -> Result<BTreeMap<String, String>, Problem> {
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
