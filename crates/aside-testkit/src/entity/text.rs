//! Checks that a row survives its text.

use aside::{CacheConfig, Entity, codec::Codec};

use super::problem::{EntityProblem, EntityProblems};

/// Writes a row and reads it back, alone and in a list. Returns the row read.
pub(super) fn check<E: Entity>(
    codec: &dyn Codec<E>,
    row: &E,
    key: &str,
    problems: &mut EntityProblems,
) -> Option<E> {
    let row_key = || key.to_owned();
    let text = match codec.encode(row) {
        Ok(text) => text,
        Err(error) => {
            let (row, reason) = (row_key(), error.to_string());
            problems.add(EntityProblem::NotWritten { row, reason });
            return None;
        }
    };
    let limit = CacheConfig::default().max_value_bytes;
    if limit < text.len() {
        let (row, bytes) = (row_key(), text.len());
        problems.add(EntityProblem::TooLarge { row, bytes, limit });
    }
    if text.trim() == "null" {
        problems.add(EntityProblem::ReadAsAbsence { row: row_key() });
        return None;
    }
    // A list nests one level deeper than the row alone, so it is refused first.
    let list = codec.decode_list(&format!("[{text}]"));
    let read = match list {
        Ok(mut rows) => rows.pop()?,
        Err(error) => {
            let (row, reason) = (row_key(), error.to_string());
            problems.add(EntityProblem::NotRead { row, reason });
            return None;
        }
    };
    if let Some(field) = row.difference(&read) {
        let row = row_key();
        problems.add(EntityProblem::Differs { row, field });
    }
    Some(read)
}
