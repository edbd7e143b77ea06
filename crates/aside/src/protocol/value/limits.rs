//! What is too large to be read, and what would become so.

use super::HEADER_BYTES;

/// Whether these are the first bytes of something too large. Whatever is written
/// under a key of a kind is longer than a header, or shorter.
pub(crate) fn is_cut(bytes: &[u8]) -> bool {
    bytes.len() == HEADER_BYTES
}

/// What an object or an array takes in memory, where a row has free JSON: one of
/// a single field was measured at 600 bytes.
const OF_A_CONTAINER: usize = 512;

/// What any other part takes.
const OF_A_PART: usize = 32;

/// How many times the largest value a value may become in memory.
const TIMES: usize = 20;

/// What any value may become.
const LEAST: usize = 80 * 1024 * 1024;

/// Whether a body of JSON would become many times as large in memory: a million
/// empty objects, which compress to nothing, take hundreds of megabytes.
///
/// What begins or separates a part is counted, in texts as well: that is a look
/// at each byte, and only at bodies of more than 150 KB.
pub(crate) fn swells(body: &str, limit: usize) -> bool {
    let most = LEAST.max(limit.saturating_mul(TIMES));
    if body.len() <= most / (OF_A_CONTAINER + OF_A_PART) {
        return false;
    }
    let containers = count(body, |byte| matches!(byte, b'{' | b'['));
    let parts = count(body, |byte| matches!(byte, b'{' | b'[' | b',' | b':'));
    most < containers * OF_A_CONTAINER + parts * OF_A_PART
}

/// By few bytes at a time, so that their count fits into a byte, and many of
/// them into one instruction.
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
        // Whoever wants it raises the limit.
        assert!(!swells(&objects, 5 * LIMIT));
    }

    #[test]
    fn a_body_of_ordinary_rows_at_the_limit_does_not_swell() {
        let row = r#"{"id":"5f0c7a8e-6b1d-4a5e-9a64-1f9f0e2a7c11","name":"Ada","tags":["a","b"]},"#;
        assert!(!swells(&row.repeat(LIMIT / row.len()), LIMIT));
        let numbers = "0.25,".repeat(LIMIT / 5);
        assert!(!swells(&numbers, LIMIT));
        // However small the limit is: a list of the smallest rows.
        assert!(!swells(&r#"{"id":1},"#.repeat(100_000), 1));
    }
}
