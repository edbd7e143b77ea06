//! Query parameters, each known and none twice.

use std::collections::BTreeMap;

use axum::extract::Query;
use axum::http::Uri;

use crate::problem::Problem;

/// The parameters of a request.
///
/// # Errors
/// One stands there twice: which of them was meant is not ours to guess.
pub(crate) fn parameters(uri: &Uri) -> Result<BTreeMap<String, String>, Problem> {
    let Query(pairs) = Query::<Vec<(String, String)>>::try_from_uri(uri)
        .map_err(|_| Problem::bad_request("The query is not understood."))?;
    let mut parameters = BTreeMap::new();
    for (name, value) in pairs {
        if parameters.insert(name, value).is_some() {
            return Err(Problem::bad_request("A parameter stands there twice."));
        }
    }
    Ok(parameters)
}

/// Refuses parameters where there are none to give.
///
/// # Errors
/// There is one.
pub(crate) fn none(uri: &Uri) -> Result<(), Problem> {
    if parameters(uri)?.is_empty() {
        return Ok(());
    }
    Err(Problem::bad_request("This route takes no parameters."))
}
