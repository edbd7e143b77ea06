//! Dependent keys: keys of other kinds that change with a row.

use crate::entity::namespace::Namespace;
use std::fmt;

use super::Entity;
use crate::entity::key::KeyWriter;

/// Collects the keys that a write of a row invalidates as well.
pub struct Dependents<'a> {
    namespace: Namespace<'a>,
    each: &'a mut dyn FnMut(KeyWriter, &'static str),
}

impl fmt::Debug for Dependents<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Dependents").finish_non_exhaustive()
    }
}

impl<'a> Dependents<'a> {
    pub(crate) fn new(
        namespace: Namespace<'a>,
        each: &'a mut dyn FnMut(KeyWriter, &'static str),
    ) -> Self {
        Self { namespace, each }
    }

    /// Adds the row of another kind that has this id.
    pub fn row<E: Entity>(&mut self, id: &E::Id) {
        let mut key = KeyWriter::new(self.namespace.0, E::KIND);
        E::write_id(id, &mut key);
        (self.each)(key, E::KIND);
        self.outdate_queries::<E>();
    }

    /// Adds the list of another kind that has this index value.
    pub fn list<E: Entity>(&mut self, index: &E::Index) {
        let mut key = KeyWriter::new(self.namespace.0, E::KIND);
        E::write_index(index, &mut key);
        (self.each)(key, E::KIND);
        self.outdate_queries::<E>();
    }

    /// Adds the list of all rows of another kind.
    pub fn all<E: Entity>(&mut self) {
        let mut key = KeyWriter::new(self.namespace.0, E::KIND);
        key.name("all");
        (self.each)(key, E::KIND);
    }

    /// Adds the key that stands for a whole `tracked` kind. No list is under it.
    fn outdate_queries<E: Entity>(&mut self) {
        if E::TRACKED {
            self.all::<E>();
        }
    }
}
