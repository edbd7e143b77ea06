//! Whether a type may be cached: what the library takes for granted of a row,
//! held against rows of the user's own.

mod keys;
mod problem;
mod text;

use aside::Entity;

pub use problem::{EntityProblem, EntityProblems};

/// Checks that a type fulfils what a cached row must, on some of its rows.
///
/// Give it the rows that are unusual: an absent value, an empty list, the
/// smallest and the largest number, a name with a colon, each variant of an
/// enum. A property test can call it with rows that it draws. Needs the feature
/// `entity`.
///
/// - Each row survives its text: a caller cannot tell the row that was read
///   back from the one that was written. The text is that of [`aside::Json`].
/// - Each row is small enough for the default `CACHE_MAX_VALUE_BYTES`, and flat
///   enough to be read back in a list.
/// - Each id and each index value serializes, and its key is the same each time
///   and after the row was read back.
/// - Ids are equal if and only if their keys are; index values too. No two
///   lookups share a key.
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
/// If anything of it does not hold, or there is no row at all. The error has a
/// sentence for each problem that says what to do. Its `Debug` form is the same
/// text, so that `unwrap` shows it.
pub fn check_entity<E: Entity>(samples: impl IntoIterator<Item = E>) -> Result<(), EntityProblems> {
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
        if let Some(read) = text::check(row, &key, &mut problems) {
            keys::check_after_reading(row, &read, &mut problems);
        }
    }
    keys::check_equality(&rows, &mut problems);
    problems.into_result()
}
