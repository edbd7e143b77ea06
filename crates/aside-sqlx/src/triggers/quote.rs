//! Texts and names quoted for SQL, and the escapes of keys.

use aside::entity::KeyWriter;

/// Quotes a text for SQL.
pub(crate) fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// Quotes a name for SQL.
pub(crate) fn identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Quotes a table's name for SQL.
pub(crate) fn table(name: &str) -> String {
    let parts: Vec<String> = name.split('.').map(identifier).collect();
    parts.join(".")
}

/// Returns the name of a kind as a part of other names. A long one is cut, and
/// ends with a hash (FNV-1a), because databases cut names without one.
pub(crate) fn short(kind: &str) -> String {
    const MAX_BYTES: usize = 30;
    if kind.len() <= MAX_BYTES {
        return kind.to_owned();
    }
    let hash = kind.bytes().fold(0x811c_9dc5_u32, |hash, byte| {
        (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    });
    format!("{}_{hash:08x}", &kind[..MAX_BYTES - 9])
}

/// Returns a segment of a key, as the library writes it.
pub(crate) fn written(value: &str) -> String {
    let mut key = KeyWriter::new("", "kind");
    key.segment(value);
    key.as_str()["kind:".len()..].to_owned()
}

/// Returns the characters that a key escapes, and their escapes. They come from
/// the library itself, so the rule exists only once. `%` comes first, because
/// the other escapes contain it.
pub(crate) fn escapes() -> Vec<(char, String)> {
    // There are no others; a test compares the SQL with the library's keys.
    let candidates = ('\u{1}'..='\u{9f}').filter(|it| *it != '%');
    std::iter::once('%')
        .chain(candidates)
        .map(|it| (it, written(&it.to_string())))
        .filter(|(plain, written)| *written != plain.to_string())
        .collect()
}
