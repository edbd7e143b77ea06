//! The value of a query in Redis, and in this process.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::entity::likeness::number_of_text;
use crate::entity::lookup::{Found, Lookup, Member};
use crate::local::Entry;
use crate::protocol::value::{
    self, Envelope, HEADER_BYTES, Header, KeyStamp, Recorded, Unacceptable,
};
use crate::query::asked::{Asked, QueryContext, Stamps};
use crate::query::kept::Kept;
use crate::query::kind::QueryKind;
use crate::runtime::clock::{self, Moment};
#[cfg(test)]
use crate::runtime::simulated::{Rule, without};
use crate::tiers::kind::{Cached, Encoded};
use crate::tiers::uncacheable::Why;
use jiff::Timestamp;

/// The reason why a value is not served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    Unacceptable(Unacceptable),
    /// The dependency at this place was written since.
    Spoilt(usize),
    /// It was filled under other dependencies, by another version of the program.
    OtherDependencies,
}

impl From<Unacceptable> for Refused {
    fn from(why: Unacceptable) -> Self {
        Self::Unacceptable(why)
    }
}

impl<T: Send + Sync + 'static> QueryKind<T> {
    /// Decodes a value, if it may be served `now` by a reader that saw these stamps
    /// under `context`.
    pub(super) fn decode(
        &self,
        asked: &Asked,
        bytes: &[u8],
        (context, stamps): (&QueryContext, &Stamps),
        now: Timestamp,
    ) -> Result<Cached<T>, Refused> {
        self.decode_if(asked, bytes, (context, now), |recorded| {
            is_current(asked, recorded, (context, stamps))
        })
    }

    /// The same, if it was filled under these dependencies, written since or not.
    pub(super) fn decode_older(
        &self,
        asked: &Asked,
        bytes: &[u8],
        context: &QueryContext,
        now: Timestamp,
    ) -> Result<Cached<T>, Refused> {
        self.decode_if(asked, bytes, (context, now), |recorded| {
            depends_alike(asked, recorded)
        })
    }

    fn decode_if(
        &self,
        asked: &Asked,
        bytes: &[u8],
        (context, now): (&QueryContext, Timestamp),
        check: impl FnOnce(&[Recorded<'_>]) -> Result<(), Refused>,
    ) -> Result<Cached<T>, Refused> {
        let header = Header::parse(bytes).ok_or(Unacceptable::Malformed)?;
        header.judge(context.fill_context, now)?;
        let (recorded, payload) = Recorded::read(&header, bytes, self.max_value_bytes)?;
        check(&recorded)?;
        let envelope = value::open(&payload, Member::Result).ok_or(Unacceptable::Malformed)?;
        if value::swells(envelope.body, self.max_value_bytes) {
            return Err(Unacceptable::TooLarge.into());
        }
        let codec = self.codec.ok_or(Unacceptable::Undecodable)?;
        let decode = || (codec.decode)(envelope.body).ok();
        let decoded = catch_unwind(AssertUnwindSafe(decode)).ok().flatten();
        let decoded = decoded.ok_or(Unacceptable::Undecodable)?;
        let loaded_at = envelope.cached_at.as_millisecond();
        let age = now.as_millisecond().saturating_sub(loaded_at);
        let age = Duration::from_millis(u64::try_from(age).unwrap_or(0));
        // Another caller may have filled it for longer than this one accepts.
        let ttl = envelope.ttl.min(asked.ttl).saturating_sub(age);
        if ttl.is_zero() {
            return Err(Unacceptable::TooOld.into());
        }
        Ok(Cached {
            found: Found::Row(Some(Arc::new(decoded))),
            loaded_at,
            ttl,
            lifetime: envelope.ttl.min(asked.ttl),
            is_claimed: header.is_claimed(),
            fill: header.fill,
            // Results change with their dependencies, so they are not compared.
            body: 0,
            payload_bytes: payload.len(),
        })
    }

    /// Encodes a result that was loaded under `context`, after these stamps were seen,
    /// by a load that began at `begun`.
    pub(super) fn encode(
        &self,
        asked: &Asked,
        (value, begun): (&T, Timestamp),
        (context, stamps): (&QueryContext, &Stamps),
        fill: KeyStamp,
    ) -> Result<Encoded, Why> {
        let encode = || self.encode_unguarded(asked, (value, begun), (context, stamps), fill);
        catch_unwind(AssertUnwindSafe(encode)).unwrap_or(Err(Why::Unencodable))
    }

    fn encode_unguarded(
        &self,
        asked: &Asked,
        (value, begun): (&T, Timestamp),
        (context, stamps): (&QueryContext, &Stamps),
        fill: KeyStamp,
    ) -> Result<Encoded, Why> {
        let codec = self.codec.ok_or(Why::Unencodable)?;
        let body = (codec.encode)(value).map_err(|_| Why::Unencodable)?;
        if value::swells(&body, self.max_value_bytes) {
            return Err(Why::TooLarge);
        }
        // Another instance reads the text, and must serve the same.
        let again = (codec.decode)(&body).and_then(|again| (codec.encode)(&again));
        let again = again.map_err(|_| Why::Unreadable)?;
        if again != body && number_of_text(&again) != number_of_text(&body) {
            return Err(Why::Lossy);
        }
        let parts = asked.dependencies.iter().zip(&*context.parts).zip(stamps);
        let record = parts.map(|((dependency, part), stamp)| {
            Some(Recorded {
                key: dependency.key.as_str(),
                stamp: (*stamp)?,
                context: part.context,
            })
        });
        let recorded: Vec<_> = record.collect::<Option<_>>().ok_or(Why::Unsure)?;
        // A load of a second returns a state of a second ago. A result without
        // dependencies has a TTL that begins when the load ends.
        let cached_at = match asked.dependencies.is_empty() {
            true => clock::wall(),
            false => begun,
        };
        let envelope = Envelope {
            body: &body,
            cached_at,
            ttl: asked.ttl.max(Duration::from_secs(1)),
        };
        let written = value::encode_dependent(
            context.fill_context,
            (fill, 0),
            Member::Result,
            envelope,
            &recorded,
            self.compress_above,
        );
        // With its dependencies: a longer reply is cut.
        if written.bytes.len() - HEADER_BYTES > self.max_value_bytes {
            return Err(Why::TooLarge);
        }
        Ok(Encoded {
            value: written.bytes,
            ttl: envelope.ttl,
            fill: written.fill,
            loaded_at: cached_at.as_millisecond(),
            body: 0,
            payload_bytes: written.payload_bytes,
        })
    }

    /// Keeps a value locally, under the generations of its read.
    pub(super) fn keep(&self, asked: &Asked, stored: &Cached<T>, context: &QueryContext) {
        let (Some(local), Some(params)) = (&self.local, &asked.params) else {
            return;
        };
        let Found::Row(Some(value)) = &stored.found else {
            return;
        };
        let content = (params.clone(), Arc::clone(value), asked.identity);
        let kept = Kept::new(content, context.stamp, asked.parts(context));
        let entry = Entry {
            found: Found::Row(Some(Arc::new(kept))),
            stamp: context.stamp,
            epoch: context.fill_context.epoch,
            deadline: Moment::now().plus(stored.ttl),
            loaded_at: stored.loaded_at,
            fill: stored.fill,
            payload_bytes: u32::try_from(stored.payload_bytes).unwrap_or(u32::MAX),
        };
        local.insert(Lookup::Id(params.clone()), entry);
    }

    /// Logs once that a result cannot be cached.
    pub(super) fn say_uncacheable(&self, why: Why) {
        if !self.is_told.swap(true, Ordering::Relaxed) {
            tracing::error!(
                query = self.name,
                because = why.as_str(),
                "a result of a query is answered and not cached"
            );
        }
    }
}

/// Checks that a value was filled under exactly these dependencies.
fn depends_alike(asked: &Asked, recorded: &[Recorded<'_>]) -> Result<(), Refused> {
    let keys = asked.dependencies.iter().map(|one| one.key.as_str());
    let is_alike = recorded.iter().map(|one| one.key).eq(keys);
    is_alike.then_some(()).ok_or(Refused::OtherDependencies)
}

/// Checks that a value was filled under exactly these dependencies, and that the stamp
/// of each is still there.
fn is_current(
    asked: &Asked,
    recorded: &[Recorded<'_>],
    (context, stamps): (&QueryContext, &Stamps),
) -> Result<(), Refused> {
    depends_alike(asked, recorded)?;
    #[cfg(test)]
    if without(Rule::QueryStamps) {
        return Ok(());
    }
    let parts = recorded.iter().zip(&*context.parts).zip(stamps);
    for (at, ((recorded, part), stamp)) in parts.enumerate() {
        let is_current = recorded.context.history == part.context.history
            && part.context.epoch <= recorded.context.epoch
            && *stamp == Some(recorded.stamp);
        if !is_current {
            return Err(Refused::Spoilt(at));
        }
    }
    Ok(())
}
