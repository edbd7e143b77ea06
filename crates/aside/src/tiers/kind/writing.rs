//! How an answer becomes a value, unless it must not.
//!
//! A row is cached only if it comes back from its text as it went, or the instance
//! that loaded it and one that reads it from Redis would serve different rows.
//! Where the types say so, the first rows and a sample of the others are looked
//! at, in case a type says it wrongly, and every row from the first loss on. Where
//! they do not, every row is: reading its text once more costs a small part of the
//! load before it.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use serde::de::IgnoredAny;

use super::{Encoded, Kind};
use crate::entity::Entity;
use crate::entity::codec::{Codec, CodecError, Lost, comes_back};
use crate::entity::lookup::Member;
use crate::entity::lookup::{Asked, Found};
use crate::protocol::value::{self, Circumstance, Envelope};
use crate::runtime::clock;
use crate::tiers::uncacheable::Why;

/// How many rows of a plain kind are compared with what comes back, at first.
const FIRST_COMPARED: u64 = 32;

/// Of those after, one in so many is.
const ONE_COMPARED_OF: u64 = 256;

/// What a kind knows of rows that do not come back from their text.
#[derive(Default)]
pub(super) struct Losses {
    /// Rows written so far.
    written: AtomicU64,
    /// Whether the last row had no text.
    unwritable: AtomicBool,
    /// Whether a row came back as another, whatever its types say.
    found: AtomicBool,
    /// The fields that were logged.
    told: Mutex<BTreeSet<&'static str>>,
}

impl<E: Entity> Kind<E> {
    /// Writes an answer in the form of Redis, unless it is not to be cached. A panic
    /// of the strategy or of its codec is a reason like any other: the caller has
    /// its answer from the database.
    pub(crate) fn encode(
        &self,
        asked: Asked<'_, E>,
        found: &Found<E>,
        circumstance: Circumstance,
    ) -> Result<Encoded, Why> {
        let encode = || self.encode_unguarded(asked, found, circumstance);
        catch_unwind(AssertUnwindSafe(encode)).unwrap_or(Err(Why::Unencodable))
    }

    fn encode_unguarded(
        &self,
        asked: Asked<'_, E>,
        found: &Found<E>,
        circumstance: Circumstance,
    ) -> Result<Encoded, Why> {
        let ttl = self.ttl_for(asked.is_absence(found)).ok_or(Why::Strategy)?;
        // Whoever read it would call it misplaced.
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
        let written = value::encode(circumstance, version, member, envelope, self.compress_above);
        // The limit is on what a reader would have to decompress.
        if written.payload_bytes > self.max_value_bytes {
            return Err(Why::TooLarge);
        }
        Ok(Encoded {
            value: written.bytes,
            ttl,
            fill: written.fill,
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

    /// Whether the next row is compared with what comes back from its text.
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
                "a value is not cached: its reads go to the database; its key is logged at DEBUG"
            );
        }
    }

    /// Logs the first failure after a success, and no other.
    fn say_unwritable(&self, error: &CodecError) {
        if !self.losses.unwritable.swap(true, Ordering::Relaxed) {
            tracing::error!(kind = E::KIND, %error, "a row cannot be written; it is not cached");
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
                "a row does not come back from its text as it went; rows like it are \
                 answered and not cached: see `aside::survives`"
            );
        }
    }

    /// How long an answer is kept; `None` if not at all.
    fn ttl_for(&self, is_absence: bool) -> Option<Duration> {
        let full = if is_absence {
            self.strategy.negative_ttl().min(self.ttl)
        } else {
            self.ttl
        };
        let jitter = self.strategy.jitter().clamp(0.0, 1.0);
        let kept = if jitter > 0.0 {
            full.mul_f64(1.0 - jitter * fastrand::f64())
        } else {
            full
        };
        (!full.is_zero()).then(|| kept.max(Duration::from_secs(1)))
    }
}

/// The text of a row, unless it would be read as something else.
fn as_row<E: Entity>(codec: &dyn Codec<E>, text: String) -> Result<String, CodecError> {
    if text == "null" {
        return Err(CodecError::new(
            "`null` stands for a row that does not exist",
        ));
    }
    if !codec.is_exact() {
        serde_json::from_str::<IgnoredAny>(&text)?;
    }
    Ok(text)
}
