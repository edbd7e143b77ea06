//! Lookups and their results.
//!
//! Two lookups are the same if their keys are, even if `Eq` of an id or an
//! index value disagrees: local entries carry the generation of the key's text,
//! and writes invalidate by that text. If a type promises that `Eq` means equal
//! texts, `Eq` is used and no text is written.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use crate::entity::key::{Key, KeyWriter};
use crate::entity::namespace::Namespace;
use crate::entity::{self, Entity, Rows};

/// The member of the payload that holds the body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Member {
    Entity,
    Entities,
    Result,
}

impl Member {
    pub(crate) fn opening(self) -> &'static str {
        match self {
            Self::Entity => "{\"entity\":",
            Self::Entities => "{\"entities\":",
            Self::Result => "{\"result\":",
        }
    }
}

/// A lookup of a repository.
pub(crate) enum Lookup<E: Entity> {
    Id(E::Id),
    /// Boxed, so that the key of a row reserves no space for an index value.
    Index(Box<E::Index>),
    All,
}

/// The same lookup, borrowed: a local hit copies nothing.
pub(crate) enum LookupRef<'a, E: Entity> {
    Id(&'a E::Id),
    Index(&'a E::Index),
    All,
}

/// The result of a lookup.
pub(crate) enum Found<E> {
    Row(Option<Arc<E>>),
    List(Rows<E>),
}

/// A lookup with its key, by which it is compared.
pub(crate) struct Keyed<E: Entity> {
    key: Key,
    pub(crate) lookup: Lookup<E>,
}

/// A lookup, compared as its key would be.
pub(crate) struct Spelled<'a, E: Entity> {
    asked: LookupRef<'a, E>,
    text: Option<String>,
}

impl<E: Entity> Keyed<E> {
    pub(crate) fn key(&self) -> &Key {
        &self.key
    }

    #[inline]
    pub(crate) fn asked(&self) -> LookupRef<'_, E> {
        self.lookup.asked()
    }
}

impl<'a, E: Entity> Spelled<'a, E> {
    pub(crate) fn of(asked: LookupRef<'a, E>) -> Self {
        let text = (!asked.is_exact()).then(|| asked.text());
        Self { asked, text }
    }
}

impl<E: Entity> Lookup<E> {
    #[inline]
    pub(crate) fn asked(&self) -> LookupRef<'_, E> {
        match self {
            Self::Id(id) => LookupRef::Id(id),
            Self::Index(index) => LookupRef::Index(index.as_ref()),
            Self::All => LookupRef::All,
        }
    }
}

impl<E: Entity> LookupRef<'_, E> {
    /// Returns true if `Eq` and `Hash` agree with the text of the key.
    #[inline]
    pub(crate) fn is_exact(self) -> bool {
        match self {
            Self::Id(_) => E::HAS_EXACT_ID,
            Self::Index(_) => E::HAS_EXACT_INDEXES,
            Self::All => true,
        }
    }

    /// Returns the part of the key that identifies it within the kind.
    pub(crate) fn text(self) -> String {
        let mut key = KeyWriter::new("", "");
        match self {
            Self::Id(id) => E::write_id(id, &mut key),
            Self::Index(index) => E::write_index(index, &mut key),
            Self::All => key.name("all"),
        }
        key.into_text()
    }

    /// Returns the name of the index; empty for a row and the list of all.
    pub(crate) fn index_name(self) -> String {
        match self {
            // The text begins with a separator.
            Self::Index(_) => self.text().split(':').nth(1).unwrap_or_default().to_owned(),
            Self::Id(_) | Self::All => String::new(),
        }
    }

    pub(crate) fn keyed(self, key: &Key) -> Keyed<E> {
        Keyed {
            key: key.clone(),
            lookup: self.to_lookup(),
        }
    }

    pub(crate) fn to_lookup(self) -> Lookup<E> {
        match self {
            Self::Id(id) => Lookup::Id(id.clone()),
            Self::Index(index) => Lookup::Index(Box::new(index.clone())),
            Self::All => Lookup::All,
        }
    }

    /// Returns the key in Redis.
    pub(crate) fn key(self, namespace: Namespace<'_>) -> Key {
        match self {
            Self::Id(id) => entity::id_key::<E>(namespace, id),
            Self::Index(index) => entity::index_key::<E>(namespace, index),
            Self::All => entity::all_key(namespace, E::KIND),
        }
    }

    /// Returns true if `found` is cached as an absence. An empty list of all is
    /// not: it is one key, and guessing ids adds no further ones.
    pub(crate) fn is_absence(self, found: &Found<E>) -> bool {
        found.is_absence() && !matches!(self, Self::All)
    }

    pub(crate) fn member(self) -> Member {
        match self {
            Self::Id(_) => Member::Entity,
            Self::Index(_) | Self::All => Member::Entities,
        }
    }

    /// Returns true if the row belongs to this lookup's result.
    pub(crate) fn admits(self, row: &E) -> bool {
        match self {
            Self::Id(id) if E::HAS_EXACT_ID => row.id() == id,
            Self::Id(_) => LookupRef::<E>::Id(row.id()).text() == self.text(),
            // The rows themselves are judged.
            Self::Index(_) if E::IS_LISTED_ID => true,
            Self::Index(index) => {
                let mut stands = false;
                let text = (!E::HAS_EXACT_INDEXES).then(|| self.text());
                row.indexes(&mut |own| {
                    stands |= match &text {
                        Some(text) => LookupRef::<E>::Index(&own).text() == *text,
                        None => own == *index,
                    }
                });
                stands
            }
            Self::All => true,
        }
    }

    /// Returns true if every row in `found` belongs to it.
    pub(crate) fn admits_all(self, found: &Found<E>) -> bool {
        match found {
            Found::Row(row) => row.as_ref().is_none_or(|row| self.admits(row)),
            Found::List(rows) => rows.iter().all(|row| self.admits(row)),
        }
    }
}

impl<E> Found<E> {
    /// Returns true if nothing was found: no row, or an empty list.
    #[inline]
    pub(crate) fn is_absence(&self) -> bool {
        match self {
            Self::Row(row) => row.is_none(),
            Self::List(rows) => rows.is_empty(),
        }
    }

    /// Returns the row found by a lookup of one id.
    pub(crate) fn into_row(self) -> Option<Arc<E>> {
        match self {
            Self::Row(row) => row,
            Self::List(_) => unreachable!("a lookup of an id returns a row"),
        }
    }

    /// Returns the rows found by a lookup of a list.
    pub(crate) fn into_list(self) -> Rows<E> {
        match self {
            Self::List(rows) => rows,
            Self::Row(_) => unreachable!("a lookup of a list returns a list"),
        }
    }
}

impl<E: Entity> Clone for Lookup<E> {
    #[inline]
    fn clone(&self) -> Self {
        self.asked().to_lookup()
    }
}

impl<E: Entity> Clone for LookupRef<'_, E> {
    #[inline]
    fn clone(&self) -> Self {
        *self
    }
}

impl<E: Entity> Copy for LookupRef<'_, E> {}

impl<E> Clone for Found<E> {
    #[inline]
    fn clone(&self) -> Self {
        match self {
            Self::Row(row) => Self::Row(row.clone()),
            Self::List(rows) => Self::List(Arc::clone(rows)),
        }
    }
}

/// For exact lookups only.
impl<E: Entity> PartialEq for LookupRef<'_, E> {
    #[inline]
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Id(one), Self::Id(other)) => one == other,
            (Self::Index(one), Self::Index(other)) => one == other,
            (Self::All, Self::All) => true,
            _ => false,
        }
    }
}

impl<E: Entity> Clone for Keyed<E> {
    fn clone(&self) -> Self {
        self.asked().keyed(&self.key)
    }
}

impl<E: Entity> PartialEq for Keyed<E> {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key
    }
}

impl<E: Entity> Eq for Keyed<E> {}

impl<E: Entity> Hash for Keyed<E> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        Hash::hash(&self.key, state);
    }
}

impl<E: Entity> PartialEq for Spelled<'_, E> {
    fn eq(&self, other: &Self) -> bool {
        match (&self.text, &other.text) {
            (Some(one), Some(other)) => one == other,
            _ => self.asked == other.asked,
        }
    }
}

impl<E: Entity> Eq for Spelled<'_, E> {}

impl<E: Entity> Hash for Spelled<'_, E> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        match &self.text {
            Some(text) => text.hash(state),
            None => self.asked.hash(state),
        }
    }
}

impl<E: Entity> Hash for LookupRef<'_, E> {
    #[inline]
    fn hash<H: Hasher>(&self, state: &mut H) {
        match self {
            Self::Id(id) => id.hash(state),
            Self::Index(index) => {
                state.write_u8(1);
                index.hash(state);
            }
            Self::All => state.write_u8(2),
        }
    }
}
