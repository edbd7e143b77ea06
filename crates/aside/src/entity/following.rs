//! Rows and lists that are often read after a row, as its strategy declares.

use std::any::Any;
use std::fmt;

use super::Entity;
use crate::entity::key::Key;
use crate::entity::lookup::LookupRef;
use crate::entity::namespace::Namespace;

/// Collects the rows and lists that a caller of a row often reads next.
pub struct Following<'a> {
    namespace: Namespace<'a>,
    each: &'a mut dyn FnMut(Followed),
}

/// A key that a row names.
pub(crate) struct Followed {
    pub(crate) kind: &'static str,
    pub(crate) key: Key,
    /// The name of its index; empty for a row.
    pub(crate) index: String,
    /// A `Lookup` of the kind.
    pub(crate) lookup: Box<dyn Any + Send>,
}

impl fmt::Debug for Following<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Following").finish_non_exhaustive()
    }
}

impl<'a> Following<'a> {
    pub(crate) fn new(namespace: Namespace<'a>, each: &'a mut dyn FnMut(Followed)) -> Self {
        Self { namespace, each }
    }

    /// Adds the row that has this id.
    pub fn row<E: Entity>(&mut self, id: &E::Id) {
        self.add::<E>(LookupRef::Id(id));
    }

    /// Adds the list that has this index value.
    pub fn list<E: Entity>(&mut self, index: &E::Index) {
        self.add::<E>(LookupRef::Index(index));
    }

    fn add<E: Entity>(&mut self, asked: LookupRef<'_, E>) {
        (self.each)(Followed {
            kind: E::KIND,
            key: asked.key(self.namespace),
            index: asked.index_name(),
            lookup: Box::new(asked.to_lookup()),
        });
    }
}
