//! Encoding of results, and the reasons not to cache one.
//!
//! A row is cached only if it survives the round trip through its text.
//! Otherwise the instance that loaded it and one that reads it from Redis would
//! serve different rows. If the types promise it, the first rows and a sample
//! of the others are checked in case the promise is wrong, and every row after
//! the first failure. Without a promise every row is checked: decoding it once
//! costs a small part of its load.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use serde::de::IgnoredAny;

use super::{Cached, Kind, lifetime};
use crate::entity::Entity;
use crate::entity::codec::{Codec, CodecError, Lost, comes_back};
use crate::entity::key;
use crate::entity::lookup::Member;
use crate::entity::lookup::{Found, LookupRef};
use crate::protocol::value::{self, Envelope, FillContext, KeyStamp};
use crate::runtime::clock;
use crate::tiers::uncacheable::Why;

/// The number of first rows of a plain kind that are checked.
const FIRST_COMPARED: u64 = 32;

/// After that, one in this many is checked.
const ONE_COMPARED_OF: u64 = 256;

/// The rows of a kind that changed in the round trip through their text.
#[derive(Default)]
pub(super) struct Losses {
    /// The number of rows encoded.
    written: AtomicU64,
    /// True if the last row could not be encoded.
    unwritable: AtomicBool,
    /// True if a row has changed, despite its types' promise.
    found: AtomicBool,
    /// The fields that have been logged.
    told: Mutex<BTreeSet<&'static str>>,
}

/// A row or a list, encoded for Redis.
pub(crate) struct Encoded {
    pub(crate) value: Vec<u8>,
    pub(crate) ttl: Duration,
    pub(crate) fill: u64,
    /// The hash of its text.
    pub(crate) body: u64,
    /// In Unix milliseconds.
    pub(crate) loaded_at: i64,
    /// The size before compression: its size as a local entry.
    pub(crate) payload_bytes: usize,
}

impl Encoded {
    /// Splits it into the bytes for Redis and the result to keep once they are
    /// stored.
    pub(crate) fn split<E>(self, found: Found<E>) -> (Vec<u8>, Cached<E>) {
        let stored = Cached {
            found,
            loaded_at: self.loaded_at,
            ttl: self.ttl,
            lifetime: Duration::from_secs(self.ttl.as_secs()),
            is_claimed: false,
            fill: self.fill,
            body: self.body,
            payload_bytes: self.payload_bytes,
        };
        (self.value, stored)
    }
}

impl<E: Entity> Kind<E> {
    /// Encodes a result for Redis under the stamp `fill`, unless it must not be cached. At
    /// least the part `least_jitter` of its TTL is random. A panic of the strategy or its
    /// codec only prevents caching: the caller has its result from the database.
    pub(crate) fn encode(
        &self,
        asked: LookupRef<'_, E>,
        found: &Found<E>,
        fill_context: FillContext,
        fill: KeyStamp,
        least_jitter: f64,
    ) -> Result<Encoded, Why> {
        let encode = || self.encode_unguarded(asked, found, fill_context, fill, least_jitter);
        catch_unwind(AssertUnwindSafe(encode)).unwrap_or(Err(Why::Unencodable))
    }

    fn encode_unguarded(
        &self,
        asked: LookupRef<'_, E>,
        found: &Found<E>,
        fill_context: FillContext,
        fill: KeyStamp,
        least_jitter: f64,
    ) -> Result<Encoded, Why> {
        let ttl = self
            .ttl_for(asked.is_absence(found), fill, least_jitter)
            .ok_or(Why::Strategy)?;
        // A reader would reject it as misplaced.
        if !asked.admits_all(found) {
            self.distrust(asked);
            return Err(Why::Misplaced);
        }
        if !self.is_trusted(asked, found) {
            return Err(Why::Unsure);
        }
        let (body, member, version) = match found {
            Found::Row(None) => ("null".to_owned(), Member::Entity, 0),
            Found::Row(Some(row)) => {
                let body = self.encode_row(row)?;
                (body, Member::Entity, row.version().unwrap_or(0))
            }
            Found::List(rows) => (self.encode_list(rows)?, Member::Entities, 0),
        };
        if value::swells(&body, self.max_value_bytes) {
            return Err(Why::TooLarge);
        }
        let cached_at = clock::wall();
        let envelope = Envelope {
            body: &body,
            cached_at,
            ttl,
        };
        let written = value::encode(
            fill_context,
            fill,
            version,
            member,
            envelope,
            self.compress_above,
        );
        // The limit is on the size that readers must decompress.
        if written.payload_bytes > self.max_value_bytes {
            return Err(Why::TooLarge);
        }
        Ok(Encoded {
            value: written.bytes,
            ttl,
            fill: written.fill,
            body: key::hash(&body),
            loaded_at: cached_at.as_millisecond(),
            payload_bytes: written.payload_bytes,
        })
    }

    fn encode_list(&self, rows: &[Arc<E>]) -> Result<String, Why> {
        let cap = self.strategy.list_cap_bytes();
        let mut body = String::from("[");
        for row in rows {
            if body.len() > 1 {
                body.push(',');
            }
            body.push_str(&self.encode_row(row)?);
            if body.len() > cap {
                return Err(Why::TooLarge);
            }
        }
        body.push(']');
        Ok(body)
    }

    fn encode_row(&self, row: &E) -> Result<String, Why> {
        let codec = self.strategy.codec();
        let text = match codec.encode(row).and_then(|text| as_row(codec, text)) {
            Ok(text) => text,
            Err(error) => {
                self.say_unwritable(&error);
                return Err(Why::Unencodable);
            }
        };
        self.losses.unwritable.store(false, Ordering::Relaxed);
        if self.is_compared(E::IS_PLAIN && codec.is_exact())
            && let Err(lost) = comes_back(codec, row, &text)
        {
            self.say_lossy(&lost);
            return Err(Why::Lossy);
        }
        Ok(text)
    }

    /// Returns true if the next row is to be checked.
    fn is_compared(&self, is_plain: bool) -> bool {
        let written = self.losses.written.fetch_add(1, Ordering::Relaxed);
        !is_plain
            || written < FIRST_COMPARED
            || written.is_multiple_of(ONE_COMPARED_OF)
            || self.losses.found.load(Ordering::Relaxed)
    }

    /// Logs why a value is not cached: once for each reason.
    pub(crate) fn say_uncacheable(&self, why: Why) {
        let bit = 1 << why as u16;
        if self.uncacheable.fetch_or(bit, Ordering::Relaxed) & bit == 0 {
            tracing::warn!(
                kind = E::KIND,
                because = why.as_str(),
                "a value cannot be cached: its reads go to the database; its key is logged at DEBUG"
            );
        }
    }

    /// Logs only the first failure after a success.
    fn say_unwritable(&self, error: &CodecError) {
        if !self.losses.unwritable.swap(true, Ordering::Relaxed) {
            tracing::error!(kind = E::KIND, %error, "a row cannot be encoded; it is not cached");
        }
    }

    /// Logs each field once.
    fn say_lossy(&self, lost: &Lost) {
        self.losses.found.store(true, Ordering::Relaxed);
        let field = match lost {
            Lost::Changed { field } => field,
            Lost::Unwritable(_) | Lost::Unreadable(_) => "",
        };
        if self.losses.told.lock().insert(field) {
            tracing::error!(
                kind = E::KIND,
                field,
                error = %lost,
                "a row changes in a round trip through its text; rows like it are \
                 answered and not cached: see `aside::codec::survives`"
            );
        }
    }

    /// Returns the TTL of a result; `None` if it is not kept.
    fn ttl_for(&self, is_absence: bool, fill: KeyStamp, least_jitter: f64) -> Option<Duration> {
        let full = if is_absence {
            self.strategy.negative_ttl().min(self.ttl)
        } else {
            self.ttl
        };
        let jitter = self.strategy.jitter().max(least_jitter);
        (!full.is_zero()).then(|| lifetime::jittered(full, jitter, fill))
    }
}

/// Returns the text of a row, unless it would be decoded as something else.
fn as_row<E: Entity>(codec: &dyn Codec<E>, text: String) -> Result<String, CodecError> {
    if text == "null" {
        return Err(CodecError::new("`null` means a row that does not exist"));
    }
    if !codec.is_exact() {
        serde_json::from_str::<IgnoredAny>(&text)?;
    }
    Ok(text)
}
