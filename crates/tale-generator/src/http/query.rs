//! Query parameters. None is silently ignored.
//!
//! If a misspelled filter were ignored, the response would contain everything,
//! which is worse than an error.

use std::borrow::Cow;
use std::str::FromStr;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use percent_encoding::percent_decode;

use super::problem::Problem;
use crate::domain::Unknown;

/// The filter of a list and its value, if there is one.
pub(super) type Filter<'a> = Option<(&'a str, &'a str)>;

/// The parameters of a request, in their order.
#[derive(Debug)]
pub(super) struct Query(Vec<(String, String)>);

impl<S: Sync> FromRequestParts<S> for Query {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        Self::parse(parts.uri.query().unwrap_or_default())
    }
}

/// Refuses every parameter, on routes that take none.
#[derive(Clone, Copy, Debug)]
pub(super) struct NoQuery;

impl<S: Sync> FromRequestParts<S> for NoQuery {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let query = Query::from_request_parts(parts, state).await?;
        query.known(&[]).map(|()| Self)
    }
}

impl Query {
    fn parse(query: &str) -> Result<Self, Problem> {
        query
            .split('&')
            .filter(|pair| !pair.is_empty())
            .map(|pair| {
                let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
                let name = decode(name).ok_or_else(|| Problem::bad("query", "must be UTF-8"))?;
                let value = decode(value).ok_or_else(|| Problem::bad(&name, "must be UTF-8"))?;
                Ok((name, value))
            })
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// Returns the only filter in the request, out of `filters`. Refuses other
    /// parameters than these and the `further` ones.
    pub(super) fn filter(&self, filters: &[&str], further: &[&str]) -> Result<Filter<'_>, Problem> {
        self.known(&[filters, further].concat())?;
        let mut filter = None;
        for (name, value) in &self.0 {
            if !filters.contains(&name.as_str()) {
                continue;
            }
            if let Some((first, _)) = filter.replace((name.as_str(), value.as_str())) {
                let message = format!("cannot be combined with `{first}`");
                return Err(Problem::bad(name, message));
            }
        }
        Ok(filter)
    }

    /// Returns the value of a parameter, if the request has it.
    pub(super) fn value(&self, name: &str) -> Option<&str> {
        let given = self.0.iter().find(|(given, _)| given == name);
        given.map(|(_, value)| value.as_str())
    }

    /// Returns all of these parameters.
    pub(super) fn all_of<const N: usize>(&self, names: [&str; N]) -> Result<[&str; N], Problem> {
        self.known(&names)?;
        let mut values = [""; N];
        for (value, name) in values.iter_mut().zip(names) {
            let given = self.value(name);
            *value = given.ok_or_else(|| Problem::bad(name, "is missing"))?;
        }
        Ok(values)
    }

    /// Refuses unknown and repeated parameters.
    fn known(&self, allowed: &[&str]) -> Result<(), Problem> {
        for (at, (name, _)) in self.0.iter().enumerate() {
            if !allowed.contains(&name.as_str()) {
                return Err(Problem::bad(name, "is not a parameter here"));
            }
            if self.0[..at].iter().any(|(earlier, _)| earlier == name) {
                return Err(Problem::bad(name, "is given more than once"));
            }
        }
        Ok(())
    }
}

/// Checks a name to search for: it must be one that a row can have.
pub(super) fn name(field: &str, text: &str) -> Result<String, Problem> {
    if text.trim().is_empty() {
        return Err(Problem::bad(field, "must not be empty"));
    }
    if text.contains('\0') {
        let message = "must not contain the NUL character";
        return Err(Problem::bad(field, message));
    }
    Ok(text.to_owned())
}

/// Parses a word of a closed set.
pub(super) fn word<T: FromStr<Err = Unknown>>(field: &str, text: &str) -> Result<T, Problem> {
    text.parse()
        .map_err(|unknown: Unknown| Problem::bad(field, unknown.to_string()))
}

/// Parses a whole number from `least` to `most`.
pub(super) fn number(field: &str, text: &str, least: i32, most: i32) -> Result<i32, Problem> {
    text.parse()
        .ok()
        .filter(|number| least <= *number && *number <= most && !text.starts_with('+'))
        .ok_or_else(|| {
            let message = format!("must be a whole number from {least} to {most}");
            Problem::bad(field, message)
        })
}

fn decode(text: &str) -> Option<String> {
    let spaced: Cow<'_, str> = if text.contains('+') {
        Cow::Owned(text.replace('+', " "))
    } else {
        Cow::Borrowed(text)
    };
    percent_decode(spaced.as_bytes())
        .decode_utf8()
        .ok()
        .map(Cow::into_owned)
}
