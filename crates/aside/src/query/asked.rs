//! One read of a query below this process: its keys, and their generations and
//! conditions before anything is sent.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde::Serialize;

use crate::answer::Bypass;
use crate::entity::key::{Key, KeyWriter};
use crate::insight::statistics::Unavailable;
use crate::protocol::Bump;
use crate::protocol::message::Why;
use crate::protocol::value::{self, FillContext, KeyStamp, StampContext};
use crate::query::deps::Deps;
use crate::query::kept::Part;
use crate::query::params::Params;
use crate::runtime::clock::Moment;
use crate::tiers::Tiers;
use crate::trust::generations::Stamp;

/// A request.
pub(super) struct Asked {
    pub(super) key: Key,
    /// `None` if the parameters cannot be serialized: then each read has another key.
    pub(super) params: Option<Params>,
    pub(super) dependencies: Vec<Dependency>,
    /// Identifies the dependencies within this process.
    pub(super) identity: u64,
    pub(super) ttl: Duration,
}

/// A dependency, with its key.
pub(super) struct Dependency {
    pub(super) key: Key,
    pub(super) kind: &'static str,
    /// The last known epoch of its kind.
    known: Arc<AtomicU64>,
}

/// The generations and conditions of a flight: of the query's key, and of each
/// dependency's.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct QueryContext {
    pub(super) stamp: Stamp,
    pub(super) fill_context: FillContext,
    pub(super) parts: Arc<[PartContext]>,
}

/// The same of one dependency.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct PartContext {
    pub(super) stamp: Stamp,
    pub(super) context: StampContext,
}

/// The stamps of the dependencies, as far as they were seen.
pub(super) type Stamps = Vec<Option<KeyStamp>>;

impl Asked {
    pub(super) fn new<K: Serialize + 'static>(
        tiers: &Tiers,
        (name, key): (&'static str, &K),
        deps: &Deps<'_>,
        ttl: Duration,
    ) -> Self {
        let mut written = KeyWriter::new(tiers.namespace().0, name);
        written.segment(key);
        let dependency = |dep: &super::deps::Dep<'_>| Dependency {
            key: dep.key(tiers.namespace()),
            kind: dep.kind(),
            // From now on, this instance learns the kind's epochs.
            known: tiers.epochs.of(dep.kind()),
        };
        Self {
            key: written.finish(),
            params: Params::of(key),
            dependencies: deps.each().map(dependency).collect(),
            identity: deps.identity(),
            ttl,
        }
    }

    /// Returns the generations and conditions of a read that begins now.
    pub(super) fn context(&self, tiers: &Tiers, epoch: &AtomicU64, shape: u64) -> QueryContext {
        let map = tiers.map();
        let shard = map.shard_of(&self.key);
        let part = |dependency: &Dependency| {
            let shard = map.shard_of(&dependency.key);
            let hash = dependency.key.hash();
            PartContext {
                stamp: tiers.generations.stamp(hash, shard.link.number()),
                context: StampContext {
                    // The epoch before the history, as for a row.
                    epoch: dependency.known.load(Ordering::Acquire),
                    history: shard.link.history(),
                },
            }
        };
        QueryContext {
            stamp: tiers
                .generations
                .stamp(self.key.hash(), shard.link.number()),
            fill_context: FillContext {
                epoch: epoch.load(Ordering::Acquire),
                history: shard.link.history(),
                shape: value::mixed(shape, &self.key),
            },
            parts: self.dependencies.iter().map(part).collect(),
        }
    }

    fn keys(&self) -> impl Iterator<Item = &Key> {
        let dependencies = self.dependencies.iter().map(|dependency| &dependency.key);
        std::iter::once(&self.key).chain(dependencies)
    }

    /// Returns the keys that it depends on.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        let keys = self.dependencies.iter().map(|dependency| &dependency.key);
        keys.map(Key::as_str)
    }

    /// Returns why Redis must not be read for this query under `context`, if so. One
    /// dependency whose shard may not be used, or whose write Redis has not
    /// acknowledged, is enough.
    pub(super) fn gate(&self, tiers: &Tiers, context: &QueryContext) -> Option<Bypass> {
        let closed = self.keys().find_map(|key| tiers.bypass_for(key));
        let is_unknown = || {
            let parts = context.parts.iter().map(|part| part.context.epoch);
            std::iter::once(context.fill_context.epoch)
                .chain(parts)
                .any(|epoch| epoch == 0)
        };
        closed.or_else(|| is_unknown().then_some(Bypass::RedisUnavailable))
    }

    /// Makes sure that each kind has an epoch.
    pub(super) async fn ensure_epochs(&self, tiers: &Tiers, name: &str, epoch: &AtomicU64) {
        let of_parts = self.dependencies.iter();
        let of_parts = of_parts.map(|dependency| (dependency.kind, &*dependency.known));
        for (kind, known) in std::iter::once((name, epoch)).chain(of_parts) {
            if known.load(Ordering::Acquire) == 0 && tiers.is_usable() {
                // Without a reply, this read goes to the database.
                let _ = tiers.bump(kind, Bump::IfOlder, Why::Unknown).await;
            }
        }
    }

    /// Returns the state of the first shard that is not used.
    pub(super) fn unavailable(&self, tiers: &Tiers, epoch: &AtomicU64) -> Unavailable {
        let key = self.keys().find(|key| !tiers.is_usable_for(key));
        let epochs = self
            .dependencies
            .iter()
            .map(|dependency| &*dependency.known);
        let epochs = std::iter::once(epoch).chain(epochs);
        let least = epochs.map(|epoch| epoch.load(Ordering::Acquire)).min();
        tiers.unavailable(key.unwrap_or(&self.key), least.unwrap_or(0))
    }

    /// Returns true if each shard was proved by a PING that was sent after `since`.
    pub(super) fn is_proved_since(&self, tiers: &Tiers, since: Moment) -> bool {
        let proved = |key| tiers.shard_of(key).link.trust().proved_at();
        self.keys().all(|key| since < proved(key))
    }

    /// Returns the fields of the dependencies that a local entry checks.
    pub(super) fn parts(&self, context: &QueryContext) -> Vec<Part> {
        let parts = self.dependencies.iter().zip(&*context.parts);
        let part = |(dependency, part): (&Dependency, &PartContext)| Part {
            stamp: part.stamp,
            epoch: part.context.epoch,
            known: Arc::clone(&dependency.known),
        };
        parts.map(part).collect()
    }

    /// Returns the name of a dependency in metrics: its kind and index, without values.
    pub(super) fn label(&self, tiers: &Tiers, at: usize) -> String {
        let dependency = &self.dependencies[at];
        let begin = tiers.prefix(dependency.kind).len();
        let rest = dependency.key.as_str().get(begin..).unwrap_or_default();
        match rest.split_once(':') {
            Some((index, _)) => format!("{}:{index}", dependency.kind),
            None if rest == "all" => format!("{}:all", dependency.kind),
            None => dependency.kind.to_owned(),
        }
    }
}
