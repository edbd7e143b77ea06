//! Limits on the size of values, stored and decoded.

use super::HEADER_BYTES;

/// Returns true if these bytes are the beginning of a value that is too large.
/// No stored value has exactly the length of a header.
pub(crate) fn is_cut(bytes: &[u8]) -> bool {
    bytes.len() == HEADER_BYTES
}

/// The memory of an object or array in a row with free-form JSON: 600 bytes
/// were measured for one with a single field.
const OF_A_CONTAINER: usize = 512;

/// The memory of any other part.
const OF_A_PART: usize = 32;

/// The allowed memory of a decoded value, as a multiple of the largest value.
const TIMES: usize = 20;

/// The memory that is always allowed.
const ALWAYS_ALLOWED_BYTES: usize = 80 * 1024 * 1024;

/// Returns true if the decoded body would be many times as large: a million
/// empty objects, which compress to nothing, take hundreds of megabytes.
///
/// Counts the bytes that begin or separate parts, including those inside
/// strings. That reads each byte once, and only for bodies of more than 150 KB.
pub(crate) fn swells(body: &str, limit: usize) -> bool {
    let most = ALWAYS_ALLOWED_BYTES.max(limit.saturating_mul(TIMES));
    if body.len() <= most / (OF_A_CONTAINER + OF_A_PART) {
        return false;
    }
    let containers = count(body, |byte| matches!(byte, b'{' | b'['));
    let parts = count(body, |byte| matches!(byte, b'{' | b'[' | b',' | b':'));
    most < containers * OF_A_CONTAINER + parts * OF_A_PART
}

/// Counts in small chunks, so that a chunk's count fits into a byte and the
/// loop is vectorised.
fn count(body: &str, counts: impl Fn(u8) -> bool) -> usize {
    let chunks = body.as_bytes().chunks(usize::from(u8::MAX));
    let of_chunk = |chunk: &[u8]| chunk.iter().map(|byte| u8::from(counts(*byte))).sum::<u8>();
    chunks.map(|chunk| usize::from(of_chunk(chunk))).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: usize = 8 * 1024 * 1024;

    #[test]
    fn a_body_of_a_million_empty_objects_swells() {
        let objects = format!("[{}0]", "{\"\":0},".repeat(1_150_000));
        assert!(swells(&objects, LIMIT));
        let arrays = format!("[{}0]", "[],".repeat(2_000_000));
        assert!(swells(&arrays, LIMIT));
        assert!(swells(&"[".repeat(1_000_000), LIMIT));
        // A service that needs such values raises the limit.
        assert!(!swells(&objects, 5 * LIMIT));
    }

    #[test]
    fn a_body_of_ordinary_rows_at_the_limit_does_not_swell() {
        let row =
            r#"{"id":"5f0c7a8e-6b1d-4a5e-9a64-1f9f0e2a7c11","name":"Ada","histories":["a","b"]},"#;
        assert!(!swells(&row.repeat(LIMIT / row.len()), LIMIT));
        let numbers = "0.25,".repeat(LIMIT / 5);
        assert!(!swells(&numbers, LIMIT));
        // With any limit, however small: a list of the smallest rows.
        assert!(!swells(&r#"{"id":1},"#.repeat(100_000), 1));
    }
}
