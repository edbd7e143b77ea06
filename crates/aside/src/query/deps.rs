//! The dependencies of a query, as its caller names them.
//!
//! A hit compares them with those of the entry by one number, and writes no key. Only
//! a read below this process needs the keys.

use std::any::{Any, TypeId};
use std::fmt;
use std::hash::{BuildHasher, Hash};
use std::marker::PhantomData;
use std::sync::LazyLock;

use foldhash::fast::RandomState;

use crate::entity::key::{Key, KeyWriter};
use crate::entity::lookup::LookupRef;
use crate::entity::namespace::Namespace;
use crate::entity::{self, Entity};
use crate::protocol::value::MAX_DEPENDENCIES;

static SEED: LazyLock<RandomState> = LazyLock::new(RandomState::default);

/// The number of dependencies without an allocation.
const INLINE: usize = 3;

/// The keys that a query reads: a write of one of them outdates the query's value.
///
/// They are the keys that the *statement* reads, not those that the answer shows. A
/// statement that joins a table depends on that table's kind as well. They must follow from the
/// query's parameters alone: dependencies that were computed from another cached
/// answer may lack one that is new.
#[derive(Default)]
#[must_use = "dependencies are passed to `CachedQuery::get`"]
pub struct Deps<'a> {
    first: [Option<Dep<'a>>; INLINE],
    more: Vec<Dep<'a>>,
    count: usize,
    /// Identifies all of them, in their order, within this process.
    identity: u64,
}

/// One dependency.
pub(super) struct Dep<'a> {
    sort: &'static Sort,
    /// An id or an index value; `None` for a whole kind.
    value: Option<&'a Value>,
}

type Value = dyn Any + Send + Sync;

/// The kind of a dependency, and the function that writes its key. Behind one pointer,
/// because each hit moves the dependencies.
pub(super) struct Sort {
    kind: &'static str,
    write: fn(Option<&Value>, &mut KeyWriter),
}

/// The sorts of dependencies on one kind.
struct SortsOf<E>(PhantomData<E>);

impl<E: Entity> SortsOf<E> {
    const ROW: &'static Sort = &Sort {
        kind: E::KIND,
        write: |value, key| {
            if let Some(id) = value.and_then(|value| value.downcast_ref()) {
                E::write_id(id, key);
            }
        },
    };
    const LIST: &'static Sort = &Sort {
        kind: E::KIND,
        write: |value, key| {
            if let Some(index) = value.and_then(|value| value.downcast_ref()) {
                E::write_index(index, key);
            }
        },
    };
    const ALL: &'static Sort = &Sort {
        kind: E::KIND,
        write: |_, key| key.name("all"),
    };
}

impl<'a> Deps<'a> {
    /// No dependencies yet.
    #[inline]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a row.
    ///
    /// # Panics
    /// If there are 16 dependencies already, as all these methods.
    #[inline]
    pub fn row<E: Entity>(self, id: &'a E::Id) -> Self {
        self.add::<E>(LookupRef::Id(id), Some(id), SortsOf::<E>::ROW)
    }

    /// Adds the list of rows with an index value. A write invalidates it if a row with
    /// this value changes, enters the list or leaves it.
    #[inline]
    pub fn list<E: Entity>(self, index: &'a E::Index) -> Self {
        self.add::<E>(LookupRef::Index(index), Some(index), SortsOf::<E>::LIST)
    }

    /// Adds the rows of a list of ids, with their contents: the list and the whole kind,
    /// because a change of a row that stays in its place does not touch the list.
    /// [`list`](Self::list) alone names the ids and their order.
    pub fn rows<E: Entity>(self, index: &'a E::Index) -> Self {
        self.list::<E>(index).kind::<E>()
    }

    /// Adds a whole kind: every write of one of its rows outdates the query. Name an
    /// index value instead if there is one.
    ///
    /// A kind with `list_all = false` needs the word `tracked` beside it. Deploy that
    /// to every process that writes the kind, and install its triggers again, before
    /// you deploy the query. A process without the word does not know what to
    /// invalidate.
    #[inline]
    pub fn kind<E: Entity>(self) -> Self {
        const {
            assert!(
                entity::touches_all::<E>(),
                "no write of this kind invalidates its list of all: add `tracked` to its #[entity(...)]"
            );
        }
        self.add::<E>(LookupRef::All, None, SortsOf::<E>::ALL)
    }

    #[inline]
    fn add<E: Entity>(
        mut self,
        asked: LookupRef<'_, E>,
        value: Option<&'a Value>,
        sort: &'static Sort,
    ) -> Self {
        assert!(
            self.count < MAX_DEPENDENCIES,
            "a query has at most {MAX_DEPENDENCIES} dependencies: depend on a whole kind instead"
        );
        let own = match asked.is_exact() {
            true => SEED.hash_one(Identified::<E>(asked)),
            false => SEED.hash_one((TypeId::of::<E>(), asked.text())),
        };
        self.identity = self.identity.rotate_left(7) ^ own;
        let dep = Dep { sort, value };
        match self.first.get_mut(self.count) {
            Some(place) => *place = Some(dep),
            None => self.more.push(dep),
        }
        self.count += 1;
        self
    }

    /// Returns the number that identifies them within this process.
    #[inline]
    pub(super) fn identity(&self) -> u64 {
        self.identity
    }

    pub(super) fn each(&self) -> impl Iterator<Item = &Dep<'a>> {
        self.first.iter().flatten().chain(&self.more)
    }
}

/// A lookup of one type.
struct Identified<'a, E: Entity>(LookupRef<'a, E>);

impl<E: Entity> Hash for Identified<'_, E> {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        TypeId::of::<E>().hash(state);
        match self.0 {
            // Apart from an index with the same value.
            LookupRef::Id(_) => state.write_u8(3),
            LookupRef::Index(_) | LookupRef::All => {}
        }
        self.0.hash(state);
    }
}

impl Dep<'_> {
    /// Returns its key.
    pub(super) fn key(&self, namespace: Namespace<'_>) -> Key {
        let mut key = KeyWriter::new(namespace.0, self.kind());
        (self.sort.write)(self.value, &mut key);
        key.finish()
    }

    pub(super) fn kind(&self) -> &'static str {
        self.sort.kind
    }
}

impl fmt::Debug for Deps<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keys = self.each().map(|dep| dep.key(Namespace("")));
        formatter
            .debug_set()
            .entries(keys.map(|key| key.as_str().to_owned()))
            .finish()
    }
}
