//! Rows of a batch in the order of their ids.

use std::collections::HashMap;
use std::sync::Arc;

use crate::entity::Entity;

/// Returns rows in the order of `ids`, as [`Source::find_many`](crate::Source::find_many)
/// must: an absent row is `None`, and an id may repeat. A database returns them in any
/// order, and each once.
///
/// ```
/// # use std::sync::Arc;
/// # #[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize, aside::Entity)]
/// # #[entity(kind = "hero")]
/// # struct Hero { #[entity(id)] id: u64 }
/// // SELECT * FROM heroes WHERE id = ANY($1)
/// let rows = vec![Hero { id: 1 }, Hero { id: 2 }];
/// let found = aside::in_order(&[2, 3, 1, 2], rows);
/// let ids: Vec<_> = found.iter().map(|row| row.as_ref().map(|row| row.id)).collect();
/// assert_eq!(ids, [Some(2), None, Some(1), Some(2)]);
/// ```
pub fn in_order<E: Entity>(
    ids: &[E::Id],
    rows: impl IntoIterator<Item = impl Into<Arc<E>>>,
) -> Vec<Option<Arc<E>>> {
    let rows: Vec<Arc<E>> = rows.into_iter().map(Into::into).collect();
    let by_id: HashMap<&E::Id, &Arc<E>> = rows.iter().map(|row| (row.id(), row)).collect();
    ids.iter()
        .map(|id| by_id.get(id).map(|row| Arc::clone(row)))
        .collect()
}
