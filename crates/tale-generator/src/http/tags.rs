//! Entity tags, as in RFC 9110, section 8.8.3.

use axum::http::{HeaderMap, HeaderName};

/// The contents of a precondition header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Tags {
    /// `*`
    Any,
    /// Each tag with its quotes, and true if it is weak.
    Listed(Vec<(Vec<u8>, bool)>),
}

/// A header that cannot be parsed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Malformed;

impl Tags {
    /// Parses a header, which may occupy several lines.
    pub(super) fn read(headers: &HeaderMap, name: &HeaderName) -> Result<Option<Self>, Malformed> {
        let lines: Vec<&[u8]> = headers
            .get_all(name)
            .iter()
            .map(|line| line.as_bytes())
            .collect();
        if lines.is_empty() {
            return Ok(None);
        }
        Self::parse(&lines.join(&b", "[..])).map(Some)
    }

    fn parse(text: &[u8]) -> Result<Self, Malformed> {
        if text.trim_ascii() == b"*" {
            return Ok(Self::Any);
        }
        let mut listed = Vec::new();
        let mut rest = text.trim_ascii();
        while !rest.is_empty() {
            if let Some(after) = rest.strip_prefix(b",") {
                rest = after.trim_ascii_start();
                continue;
            }
            let (weak, quoted) = match rest.strip_prefix(b"W/") {
                Some(quoted) => (true, quoted),
                None => (false, rest),
            };
            let opaque = quoted.strip_prefix(b"\"").ok_or(Malformed)?;
            let end = opaque.iter().position(|byte| *byte == b'"');
            let (opaque, after) = opaque.split_at(end.ok_or(Malformed)?);
            if !opaque
                .iter()
                .all(|byte| *byte == 0x21 || 0x23 <= *byte && *byte != 0x7f)
            {
                return Err(Malformed);
            }
            listed.push((quoted[..opaque.len() + 2].to_vec(), weak));
            rest = after[1..].trim_ascii_start();
            if !rest.is_empty() && !rest.starts_with(b",") {
                return Err(Malformed);
            }
        }
        if listed.is_empty() {
            return Err(Malformed);
        }
        Ok(Self::Listed(listed))
    }

    /// Returns true if `tag` is listed, even as a weak tag. That suffices to
    /// tell that a copy is unchanged.
    pub(super) fn match_weakly(&self, tag: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Listed(tags) => tags.iter().any(|(listed, _)| listed == tag.as_bytes()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(tags: &[(&str, bool)]) -> Result<Tags, Malformed> {
        let tags = tags
            .iter()
            .map(|(tag, weak)| (tag.as_bytes().to_vec(), *weak));
        Ok(Tags::Listed(tags.collect()))
    }

    #[test]
    fn every_form_of_a_list_is_read() {
        assert_eq!(Tags::parse(b" * "), Ok(Tags::Any));
        assert_eq!(Tags::parse(b"\"a\""), listed(&[("\"a\"", false)]));
        assert_eq!(
            Tags::parse(b"\"a,b\" , ,W/\"\","),
            listed(&[("\"a,b\"", false), ("\"\"", true)])
        );
    }

    #[test]
    fn malformed_lists_are_refused() {
        for text in [
            "",
            ",",
            "a",
            "\"a",
            "\"a\" \"b\"",
            "w/\"a\"",
            "*, \"a\"",
            "\"a b\"",
        ] {
            assert_eq!(Tags::parse(text.as_bytes()), Err(Malformed), "{text}");
        }
    }
}
