//! The keys of the local store, and how they are looked up.

use std::cell::OnceCell;
use std::hash::{BuildHasher, Hash, Hasher};
use std::sync::LazyLock;

use foldhash::fast::RandomState;

use super::Equivalent;
use crate::entity::Entity;
use crate::entity::lookup::{Lookup, LookupRef};

/// The shards of a store. Few, because every shard has unused capacity. More than
/// one, because a shard cannot be read while its tables grow.
pub(super) const SHARDS: usize = 4;

/// A key of the store; it hashes as [`EntryKeyRef`] does.
pub(super) enum EntryKey<E: Entity> {
    /// A lookup whose `Eq` agrees with the text of its key.
    Exact(Lookup<E>),
    /// Boxed twice, so that no key reserves space for a wide pointer.
    Text(Box<Box<str>>),
}

/// A borrowed key with its hash, which selects the shard and serves the search
/// in it.
pub(super) struct EntryKeyRef<Q> {
    asked: Q,
    hash: u64,
}

/// An id: comparing it with a key takes fewer steps than comparing a lookup.
pub(super) struct IdRef<'a, E: Entity>(&'a E::Id);

/// The text of a lookup that `Eq` cannot compare.
pub(super) struct ByText<'a>(&'a str);

/// A key of which only the hash is known, and the text of the key that was found by it.
/// The store returns values without their keys.
pub(super) struct ByHash(OnceCell<String>);

static SEED: LazyLock<RandomState> = LazyLock::new(RandomState::default);

/// Returns the hash of an exact lookup.
#[inline]
pub(super) fn hash<E: Entity>(asked: LookupRef<'_, E>) -> u64 {
    // Here and not in `LookupRef`, so that the hash of an id is inlined.
    match asked {
        LookupRef::Id(id) => SEED.hash_one(id),
        LookupRef::Index(_) | LookupRef::All => SEED.hash_one(asked),
    }
}

/// Returns the hash of the text of any other lookup.
pub(super) fn hash_text(text: &str) -> u64 {
    SEED.hash_one(text)
}

/// Returns the hash of any lookup.
pub(super) fn hash_of<E: Entity>(asked: LookupRef<'_, E>) -> u64 {
    match asked.is_exact() {
        true => hash(asked),
        false => hash_text(&asked.text()),
    }
}

/// Returns the shard of a hash, from bits that the search in a shard does not
/// use.
#[inline]
pub(super) fn shard(hash: u64) -> usize {
    hash.to_le_bytes()[4] as usize % SHARDS
}

impl<'a, E: Entity> EntryKeyRef<LookupRef<'a, E>> {
    #[inline]
    pub(super) fn asked(asked: LookupRef<'a, E>, hash: u64) -> Self {
        Self { asked, hash }
    }
}

impl<'a, E: Entity> EntryKeyRef<IdRef<'a, E>> {
    #[inline]
    pub(super) fn id(id: &'a E::Id, hash: u64) -> Self {
        let asked = IdRef(id);
        Self { asked, hash }
    }
}

impl<'a> EntryKeyRef<ByText<'a>> {
    pub(super) fn text(text: &'a str, hash: u64) -> Self {
        let asked = ByText(text);
        Self { asked, hash }
    }
}

impl EntryKeyRef<ByHash> {
    pub(super) fn hashed(hash: u64) -> Self {
        let asked = ByHash(OnceCell::new());
        Self { asked, hash }
    }

    /// Returns the text of the key that was found, after the kind.
    pub(super) fn into_text(self) -> Option<String> {
        self.asked.0.into_inner()
    }
}

impl<E: Entity> EntryKey<E> {
    pub(super) fn of(lookup: Lookup<E>) -> Self {
        if lookup.asked().is_exact() {
            Self::Exact(lookup)
        } else {
            Self::Text(Box::new(lookup.asked().text().into()))
        }
    }

    /// Returns the text of its key after the kind.
    pub(super) fn text(&self) -> String {
        let text = match self {
            Self::Exact(lookup) => lookup.asked().text(),
            Self::Text(text) => text.to_string(),
        };
        text.trim_start_matches(':').to_owned()
    }

    pub(super) fn hash(&self) -> u64 {
        match self {
            Self::Exact(lookup) => hash(lookup.asked()),
            Self::Text(text) => hash_text(text),
        }
    }

    /// Returns its size beyond the size of every key.
    pub(super) fn text_bytes(&self) -> u64 {
        match self {
            Self::Exact(_) => 0,
            // Includes the rounding of two allocations.
            Self::Text(text) => text.len() as u64 + 40,
        }
    }
}

impl<Q> Hash for EntryKeyRef<Q> {
    #[inline]
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash);
    }
}

impl<E: Entity> Hash for EntryKey<E> {
    #[inline]
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash());
    }
}

impl<E: Entity> PartialEq for EntryKey<E> {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Exact(one), Self::Exact(other)) => one.asked() == other.asked(),
            (Self::Text(one), Self::Text(other)) => one == other,
            _ => false,
        }
    }
}

impl<E: Entity> Eq for EntryKey<E> {}

impl<E: Entity> Equivalent<EntryKey<E>> for EntryKeyRef<LookupRef<'_, E>> {
    #[inline]
    fn equivalent(&self, name: &EntryKey<E>) -> bool {
        matches!(name, EntryKey::Exact(lookup) if self.asked == lookup.asked())
    }
}

impl<E: Entity> Equivalent<EntryKey<E>> for EntryKeyRef<IdRef<'_, E>> {
    #[inline]
    fn equivalent(&self, name: &EntryKey<E>) -> bool {
        matches!(name, EntryKey::Exact(Lookup::Id(id)) if id == self.asked.0)
    }
}

impl<E: Entity> Equivalent<EntryKey<E>> for EntryKeyRef<ByText<'_>> {
    fn equivalent(&self, name: &EntryKey<E>) -> bool {
        matches!(name, EntryKey::Text(text) if self.asked.0 == &***text)
    }
}

impl<E: Entity> Equivalent<EntryKey<E>> for EntryKeyRef<ByHash> {
    fn equivalent(&self, name: &EntryKey<E>) -> bool {
        let is_found = name.hash() == self.hash;
        if is_found {
            self.asked.0.get_or_init(|| name.text());
        }
        is_found
    }
}

/// A hasher that returns the hash stored in the key.
#[derive(Clone, Default)]
pub(super) struct PassThroughHasher(u64);

impl BuildHasher for PassThroughHasher {
    type Hasher = Self;

    #[inline]
    fn build_hasher(&self) -> Self {
        Self(0)
    }
}

impl Hasher for PassThroughHasher {
    #[inline]
    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }

    fn write(&mut self, _: &[u8]) {
        unreachable!("keys write their hash");
    }

    #[inline]
    fn finish(&self) -> u64 {
        self.0
    }
}
