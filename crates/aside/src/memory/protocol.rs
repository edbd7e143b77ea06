//! The scripts of the protocol, in Rust; `protocol/scripts` is the reference.

use super::store::Store;
use crate::entity::key::Key;
use crate::protocol::state::{MAX_RECORDS, Quarantine, Record, State, is_value};
use crate::protocol::value::{self, Header, KeyStamp, StampContext};
use crate::protocol::{Acquired, Refused, Released, Stamped, Token};

/// A locked store at one point in time, so each method is atomic, like a
/// script.
pub(super) struct Moment<'store> {
    pub(super) store: &'store mut Store,
    pub(super) now: u64,
}

impl Moment<'_> {
    pub(super) fn acquire(
        &mut self,
        key: &Key,
        token: Token,
        lease: u64,
        observed: &[u8],
    ) -> Acquired {
        let now = self.now;
        if let Some(slot) = self.store.get(key, now) {
            match slot.state() {
                State::Value if observed.is_empty() || !slot.bytes.starts_with(observed) => {
                    return Acquired::Value(slot.bytes.clone());
                }
                State::Lease(_) => return Acquired::Wait,
                State::Quarantine(held) if held.records.iter().any(|one| one.lives_at(now)) => {
                    return Acquired::Quarantined;
                }
                State::Absent | State::Value | State::Quarantine(_) => {}
            }
        }
        self.put_state(key, format!("L{token}").into_bytes(), self.now + lease);
        Acquired::Granted
    }

    pub(super) fn stamp(
        &mut self,
        key: &Key,
        context: StampContext,
        stamp: KeyStamp,
        ttl: u64,
    ) -> Result<Stamped, Refused> {
        let now = self.now;
        let there = match self.store.get(key, now) {
            None => None,
            Some(slot) => match slot.state() {
                State::Lease(token) => {
                    let half = KeyStamp::parse(&token.as_bytes()[..16]);
                    return Ok(half.map_or(Stamped::Quarantined, Stamped::At));
                }
                State::Quarantine(held) if held.records.iter().any(|one| one.lives_at(now)) => {
                    return Ok(Stamped::Quarantined);
                }
                State::Value => Header::parse(&slot.bytes),
                State::Absent | State::Quarantine(_) => None,
            },
        };
        let Some(header) = there.filter(|header| context.stamp_in(header, now).is_some()) else {
            self.mark(key, context, stamp, ttl)?;
            return Ok(Stamped::At(stamp));
        };
        if header.is_mark() && header.version.saturating_sub(now) < ttl / 2 {
            let epoch = header.fill_context.epoch;
            // Without memory it ends when it would have ended.
            let _ = self.mark(key, StampContext { epoch, ..context }, header.stamp, ttl);
        }
        Ok(Stamped::At(header.stamp))
    }

    fn mark(
        &mut self,
        key: &Key,
        context: StampContext,
        stamp: KeyStamp,
        ttl: u64,
    ) -> Result<(), Refused> {
        let end = self.now + ttl;
        self.store.put(key, context.mark(stamp, end), Some(end))
    }

    pub(super) fn refresh(&mut self, key: &Key, fill: u64, token: Token) -> Result<bool, Refused> {
        let Some(slot) = self.store.get(key, self.now) else {
            return Ok(false);
        };
        let own = token.to_string();
        match value::claim(&slot.bytes) {
            Some(claim) if claim == own.as_bytes() => Ok(true),
            Some(value::NO_CLAIM) if value::has_fill(&slot.bytes, fill) => {
                let (bytes, expires) = (value::claimed(&slot.bytes, token), slot.expires);
                self.store.put(key, bytes, expires)?;
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    pub(super) fn fill(
        &mut self,
        key: &Key,
        token: Token,
        value: &[u8],
        ttl: u64,
    ) -> Result<bool, Refused> {
        if !self.leased_to(key, token) && !self.claimed_by(key, token) {
            return Ok(false);
        }
        let expires = Some(self.now + ttl);
        self.store.put(key, value.to_vec(), expires)?;
        Ok(true)
    }

    pub(super) fn abandon(&mut self, key: &Key, token: Token) {
        if self.leased_to(key, token) {
            self.store.remove(key, self.now);
        }
    }

    pub(super) fn quarantine(&mut self, key: &Key, writer: Token, ttl: u64) {
        let writer = writer.to_string();
        let (clean, mut records) = match self.quarantined(key, &writer) {
            Some(held) => (false, held.others),
            None => (true, Vec::new()),
        };
        if MAX_RECORDS <= records.len() {
            records.remove(0);
        }
        let deadline = self.now + ttl;
        records.push(Record { writer, deadline });
        self.put_quarantine(key, &Quarantine { clean, records });
    }

    pub(super) fn release(
        &mut self,
        key: &Key,
        writer: Token,
        value: Option<(&[u8], u64)>,
    ) -> Released {
        let held = self.quarantined(key, &writer.to_string());
        let own = held.as_ref().is_some_and(|held| held.own);
        let clean = held.as_ref().is_some_and(|held| held.clean);
        let others = held.map(|held| held.others).unwrap_or_default();
        if own
            && clean
            && others.is_empty()
            && let Some((value, ttl)) = value.filter(|(value, _)| !value.is_empty())
        {
            let expires = Some(self.now + ttl);
            // A value refused for lack of memory still ends the quarantine,
            // below.
            if self.store.put(key, value.to_vec(), expires).is_ok() {
                return Released::Stored;
            }
        }
        self.leave_dirty(key, others);
        match own {
            true => Released::Intact,
            false => Released::Lost,
        }
    }

    pub(super) fn invalidate(&mut self, key: &Key) {
        let foreign = self.store.get(key, self.now).is_some_and(|slot| {
            let state = slot.state();
            state == State::Absent || state == State::Value && !is_value(&slot.bytes)
        });
        if foreign {
            return;
        }
        let held = self.quarantined(key, "");
        self.leave_dirty(key, held.map(|held| held.others).unwrap_or_default());
    }

    fn leave_dirty(&mut self, key: &Key, records: Vec<Record>) {
        if records.is_empty() {
            self.store.remove(key, self.now);
            return;
        }
        let clean = false;
        self.put_quarantine(key, &Quarantine { clean, records });
    }

    fn leased_to(&mut self, key: &Key, token: Token) -> bool {
        let slot = self.store.get(key, self.now);
        slot.is_some_and(|slot| slot.state() == State::Lease(&token.to_string()))
    }

    /// Returns true if the key has a value that this token may replace.
    fn claimed_by(&mut self, key: &Key, token: Token) -> bool {
        let slot = self.store.get(key, self.now);
        slot.is_some_and(|slot| {
            value::claim(&slot.bytes).is_some_and(|claim| claim == token.to_string().as_bytes())
        })
    }

    /// Returns the key's quarantine from the perspective of `writer`.
    fn quarantined(&mut self, key: &Key, writer: &str) -> Option<Held> {
        let now = self.now;
        let State::Quarantine(mut held) = self.store.get(key, now)?.state() else {
            return None;
        };
        let own = held.records.iter().any(|record| record.writer == writer);
        held.records
            .retain(|record| record.writer != writer && record.lives_at(now));
        Some(Held {
            clean: held.clean,
            own,
            others: held.records,
        })
    }

    fn put_quarantine(&mut self, key: &Key, quarantine: &Quarantine) {
        let expires = quarantine.last_deadline();
        self.put_state(key, quarantine.to_bytes(), expires);
    }

    fn put_state(&mut self, key: &Key, bytes: Vec<u8>, expires: u64) {
        let put = self.store.put(key, bytes, Some(expires));
        debug_assert!(put.is_ok(), "protocol state is never refused");
    }
}

/// A quarantine from the perspective of one writer.
struct Held {
    clean: bool,
    /// True if the writer has a record, expired or not. While it exists, no
    /// reader has filled.
    own: bool,
    /// The live records of other writers.
    others: Vec<Record>,
}
