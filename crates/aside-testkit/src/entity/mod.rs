//! Checks if a type may be cached, by testing rows of the user's against the
//! assumptions of the library.

mod problem;
mod keys;
mod text;

use aside::{CacheStrategy, Entity, entity::DefaultStrategy};

pub use problem::{EntityProblem, EntityProblems};

/// Checks on some rows of a type that it meets the requirements of a cached
/// row.
///
/// Pass unusual rows: an absent value, an empty list, the smallest and the
/// largest number, a name with a colon, each variant of an enum. A property
/// test can call it with generated rows. Needs the feature `entity`.
///
/// - Each row survives its text: a caller cannot distinguish the row that was
///   read back from the row that was written. The text is that of
///   [`aside::codec::Json`]; for another codec call [`check_entity_with`].
/// - Each row fits into the default `CACHE_MAX_VALUE_BYTES`, and is nested so
///   little that it can be read back in a list.
/// - Each id and each index value serializes, and its key is the same each time
///   and after the row was read back.
/// - Ids are equal if and only if their keys are equal; index values too. No
///   two lookups share a key.
/// - `indexes()` names only lists that `INDEXES` describes.
/// - The fingerprint is the same each time.
///
/// ```
/// use aside::Entity;
/// use aside_testkit::check_entity;
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Entity)]
/// #[entity(kind = "book")]
/// struct Book {
///     #[entity(id)]
///     id: u64,
///     #[entity(index)]
///     author: Option<String>,
/// }
///
/// let rows = [
///     Book { id: 0, author: None },
///     Book { id: u64::MAX, author: Some("Tolstoy: Leo".into()) },
/// ];
/// check_entity::<Book>(rows).unwrap(); // panics with a sentence for each problem
/// ```
///
/// # Errors
///
/// If a requirement is not met, or there are no rows. The error says for each
/// problem how to solve it. Its `Debug` form is the same text, so `unwrap`
/// shows it.
pub fn check_entity<E: Entity>(samples: impl IntoIterator<Item = E>) -> Result<(), EntityProblems> {
    check_entity_with(&DefaultStrategy, samples)
}

/// Checks the same for rows that are cached by `strategy`, with the text of its
/// codec.
///
/// # Errors
///
/// The same.
pub fn check_entity_with<E: Entity>(
    strategy: &impl CacheStrategy<E>,
    samples: impl IntoIterator<Item = E>,
) -> Result<(), EntityProblems> {
    let rows: Vec<E> = samples.into_iter().collect();
    let mut problems = EntityProblems::new(E::KIND);
    if rows.is_empty() {
        problems.add(EntityProblem::NoSamples);
    }
    if E::fingerprint() != E::fingerprint() {
        problems.add(EntityProblem::FingerprintChanges);
    }
    keys::check_names::<E>(&mut problems);
    for row in &rows {
        let key = keys::of_id::<E>(row.id());
        keys::check_row(row, &mut problems);
        if let Some(read) = text::check(strategy.codec(), row, &key, &mut problems) {
            keys::check_after_reading(row, &read, &mut problems);
        }
    }
    keys::check_equality(&rows, &mut problems);
    problems.into_result()
}
