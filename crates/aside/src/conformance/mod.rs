//! The conformance suite: the promises of a shared tier, tested on each tier.
//!
//! A promise is a function over a [`Case`]: a tier, unused keys, a way to let
//! time pass, and the received messages. The macro [`conformance_tests`] turns
//! each promise into a test of a tier.
//!
//! The promises are those of the protocol. Tests only wait for short TTLs, and
//! state that must remain has a TTL of a minute, so a slow machine causes no
//! failures.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::entity::key::Key;
use crate::protocol::state::State;
use crate::protocol::value::{KeyStamp, StampContext};
use crate::protocol::{
    Acquired, BoxFuture, Op, Refused, Released, Reply, SharedTier, Stamped, Token, Traffic,
};

mod model;
mod on_client;
mod on_memory;
pub(crate) mod promises;
mod client;
mod on_redis;
mod on_service;
mod on_servers;
mod foreign;
mod lockstep;

/// Longer than any test.
pub(crate) const LONG: Duration = Duration::from_secs(60);
/// Short enough to wait for.
pub(crate) const SHORT: Duration = Duration::from_millis(20);

/// A tier under test.
pub(crate) trait Subject: Send + Sync {
    fn tier(&self) -> &dyn SharedTier;

    /// Lets `time` pass for the tier.
    fn pass(&self, time: Duration) -> BoxFuture<'_, ()>;

    /// Returns the messages received since the last call, including those of
    /// every operation that has returned.
    fn heard(&self) -> BoxFuture<'_, Vec<String>>;
}

/// A subject and keys used by no other test.
pub(crate) struct Case {
    subject: Box<dyn Subject>,
    prefix: String,
}

static CASES: AtomicU64 = AtomicU64::new(0);

impl Case {
    pub(crate) fn new(subject: impl Subject + 'static) -> Self {
        let number = CASES.fetch_add(1, Ordering::Relaxed);
        let nonce = fastrand::u32(..);
        Self {
            subject: Box::new(subject),
            prefix: format!("case-{number}-{nonce:x}"),
        }
    }

    pub(crate) fn key(&self, name: &str) -> Key {
        Key::new(&format!("{}:{name}", self.prefix))
    }

    pub(crate) async fn pass(&self, time: Duration) {
        self.subject.pass(time).await;
    }

    pub(crate) async fn heard(&self) -> Vec<String> {
        let heard = self.subject.heard().await;
        let lines = heard.iter().flat_map(|text| text.split('\n'));
        lines.map(str::to_owned).collect()
    }

    pub(crate) async fn pipeline(&self, ops: Vec<Op>) -> Vec<Result<Reply, Refused>> {
        let tier = self.subject.tier();
        let asked = ops.len();
        let replies = tier.send(Traffic::Others, ops).await.expect("an answer");
        assert_eq!(replies.len(), asked);
        replies
    }

    pub(crate) async fn try_run(&self, op: Op) -> Result<Reply, Refused> {
        self.pipeline(vec![op]).await.remove(0)
    }

    pub(crate) async fn run(&self, op: Op) -> Reply {
        let shown = format!("{op:?}");
        let reply = self.try_run(op).await;
        reply.unwrap_or_else(|refused| panic!("{shown}: {refused}"))
    }

    pub(crate) async fn get(&self, key: &Key) -> Option<Vec<u8>> {
        match self.run(Op::Get { key: key.clone() }).await {
            Reply::Value(value) => value.map(Into::into),
            other => panic!("GET answered {other:?}"),
        }
    }

    /// Returns the key's first byte, or a dot if it is absent.
    pub(crate) async fn holds(&self, key: &Key) -> char {
        let bytes = self.get(key).await.unwrap_or_default();
        bytes.first().map_or('.', |byte| char::from(*byte))
    }

    /// Returns whether the key's quarantine is clean, and its writers.
    pub(crate) async fn quarantine(&self, key: &Key) -> (bool, Vec<String>) {
        let bytes = self.get(key).await.unwrap_or_default();
        match State::of(&bytes, true) {
            State::Quarantine(held) => {
                let writers = held.records.into_iter().map(|record| record.writer);
                (held.clean, writers.collect())
            }
            other => panic!("{key:?} holds {other:?}"),
        }
    }

    pub(crate) async fn set(&self, key: &Key, value: &[u8], ttl: Option<Duration>) {
        let (key, value) = (key.clone(), value.to_vec());
        assert_eq!(self.run(Op::Set { key, value, ttl }).await, Reply::Done);
    }

    pub(crate) async fn acquire(&self, key: &Key, token: Token) -> Acquired {
        self.acquire_for(key, token, LONG, None).await
    }

    pub(crate) async fn acquire_for(
        &self,
        key: &Key,
        token: Token,
        lease: Duration,
        observed: Option<&[u8]>,
    ) -> Acquired {
        let op = Op::Acquire {
            key: key.clone(),
            token,
            lease,
            observed: observed.map(<[u8]>::to_vec),
        };
        match self.run(op).await {
            Reply::Acquired(acquired) => acquired,
            other => panic!("ACQUIRE answered {other:?}"),
        }
    }

    pub(crate) async fn fill(&self, key: &Key, token: Token, value: &[u8]) -> bool {
        match self.run(fill(key, token, value, LONG)).await {
            Reply::Filled(filled) => filled,
            other => panic!("FILL answered {other:?}"),
        }
    }

    pub(crate) async fn refresh(&self, key: &Key, fill: KeyStamp, token: Token) -> bool {
        let (key, fill) = (key.clone(), fill.fill());
        match self.run(Op::Refresh { key, fill, token }).await {
            Reply::Claimed(claimed) => claimed,
            other => panic!("REFRESH answered {other:?}"),
        }
    }

    /// Acquires and fills an absent key.
    pub(crate) async fn store(&self, key: &Key, value: &[u8]) {
        let token = Token::random();
        assert_eq!(self.acquire(key, token).await, Acquired::Granted);
        assert!(self.fill(key, token, value).await);
    }

    pub(crate) async fn stamp(&self, key: &Key, context: StampContext, stamp: u64) -> Stamped {
        self.stamp_for(key, context, stamp, LONG).await
    }

    pub(crate) async fn stamp_for(
        &self,
        key: &Key,
        context: StampContext,
        stamp: u64,
        ttl: Duration,
    ) -> Stamped {
        let stamp = KeyStamp::from_number(stamp);
        let key = key.clone();
        let op = Op::Stamp {
            key,
            context,
            stamp,
            ttl,
        };
        match self.run(op).await {
            Reply::Stamped(stamped) => stamped,
            other => panic!("STAMP answered {other:?}"),
        }
    }

    pub(crate) async fn abandon(&self, key: &Key, token: Token) {
        let key = key.clone();
        assert_eq!(self.run(Op::Abandon { key, token }).await, Reply::Done);
    }

    pub(crate) async fn quarantined_by(&self, key: &Key, writer: Token, ttl: Duration) {
        assert_eq!(self.run(quarantine(key, writer, ttl)).await, Reply::Done);
    }

    pub(crate) async fn release(&self, key: &Key, writer: Token, value: Option<&[u8]>) -> Released {
        match self.run(release(key, writer, value)).await {
            Reply::Released(released) => released,
            other => panic!("RELEASE answered {other:?}"),
        }
    }

    pub(crate) async fn invalidate(&self, key: &Key) {
        assert_eq!(self.run(invalidate(key)).await, Reply::Done);
    }
}

/// Tokens for writers and fills.
pub(crate) fn tokens<const N: usize>() -> [Token; N] {
    std::array::from_fn(|_| Token::random())
}

pub(crate) fn fill(key: &Key, token: Token, value: &[u8], ttl: Duration) -> Op {
    Op::Fill {
        key: key.clone(),
        token,
        value: value.to_vec(),
        ttl,
    }
}

pub(crate) fn quarantine(key: &Key, writer: Token, ttl: Duration) -> Op {
    Op::Quarantine {
        key: key.clone(),
        writer,
        ttl,
        message: "quarantined".to_owned(),
    }
}

pub(crate) fn release(key: &Key, writer: Token, value: Option<&[u8]>) -> Op {
    Op::Release {
        key: key.clone(),
        writer,
        message: "lost".to_owned(),
        value: value.map(|value| (value.to_vec(), LONG)),
    }
}

pub(crate) fn invalidate(key: &Key) -> Op {
    Op::Invalidate {
        key: key.clone(),
        message: "invalidated".to_owned(),
    }
}

/// Calls a macro with an expression and the names of all promises.
macro_rules! with_promises {
    ($callback:ident $open:expr) => {
        $callback! { $open;
            two_bumps_at_once_both_count,
            an_existing_epoch_is_only_read,
            a_new_epoch_exceeds_the_callers,
            a_copy_of_an_epoch_is_only_raised,
            a_new_epoch_is_published,
            an_implausible_epoch_begins_an_era,
            a_missing_epoch_is_not_raised_if_there,
            of_two_concurrent_eras_only_one_begins,
            an_existing_era_is_not_replaced_as_missing,
            an_absent_key_is_granted_to_the_first_reader,
            a_second_reader_waits_while_the_first_fills,
            a_value_filled_meanwhile_is_returned,
            only_the_rejected_value_is_replaced,
            a_reader_is_refused_during_a_write,
            an_expired_lease_is_granted_anew_and_its_fill_refused,
            only_the_holder_of_the_token_fills,
            a_lease_fills_once,
            a_filled_value_expires,
            a_value_is_refreshed_by_its_first_claimant,
            a_claim_leaves_the_value_and_its_ttl,
            only_the_judged_value_is_claimed,
            a_write_ends_a_claim,
            a_claim_ends_with_its_value,
            a_claimed_value_is_replaced_by_a_reader_that_rejects_it,
            no_other_state_is_claimed,
            a_key_without_a_stamp_gets_a_mark,
            a_value_and_a_lease_have_stamps_of_their_own,
            a_stamp_of_another_history_or_epoch_is_replaced,
            a_quarantined_key_has_no_stamp,
            every_write_destroys_a_mark,
            a_mark_is_replaced_by_the_reader_that_saw_it,
            a_mark_is_prolonged_under_its_stamp,
            a_mark_expires,
            an_older_version_sees_a_mark_as_a_value,
            only_a_header_is_read,
            an_abandoned_lease_is_granted_to_the_next,
            a_late_abandon_removes_nothing,
            a_quarantine_removes_the_value,
            a_quarantine_refuses_fills_of_earlier_loads,
            a_quarantine_has_the_documented_format,
            only_the_first_quarantine_is_clean,
            a_refreshed_quarantine_is_dirty,
            a_quarantine_ends_at_its_deadline,
            a_quarantine_lasts_until_the_latest_deadline,
            the_next_write_removes_an_expired_record,
            a_sole_writer_leaves_its_value,
            a_value_left_by_a_writer_expires,
            a_release_without_a_value_leaves_nothing,
            a_release_marks_the_other_writers_dirty,
            a_writer_that_was_not_alone_leaves_no_value,
            a_writer_that_refreshed_leaves_no_value,
            releasing_a_lost_quarantine_removes_the_value,
            releasing_a_lost_quarantine_removes_the_lease,
            releasing_a_lost_quarantine_marks_later_ones_dirty,
            a_repeated_release_finds_its_record_gone,
            an_invalidation_removes_the_value,
            an_invalidation_refuses_fills_of_earlier_loads,
            an_invalidation_marks_the_quarantine_dirty,
            changes_are_published_in_order,
            foreign_bytes_count_as_absent,
            an_invalidation_keeps_foreign_bytes,
            a_quarantine_of_too_many_writers_counts_as_absent,
            a_full_quarantine_makes_room_for_its_next_writer,
            a_writer_far_ahead_of_the_clock_counts_as_expired,
            state_without_a_ttl_counts_as_absent,
            a_ttl_below_a_millisecond_is_one,
            a_century_is_the_longest_ttl,
            raw_values_are_stored_read_and_removed,
            many_keys_are_read_in_the_requested_order,
            a_key_reports_its_ttl,
            reports_have_the_time_of_the_server,
            a_withdrawn_report_is_gone,
            a_scan_visits_every_key_that_stays,
            a_scan_finds_only_what_matches,
        }
    };
}
pub(crate) use with_promises;

/// Defines a test for each promise. `$open` is an expression of a future of a
/// [`Subject`].
macro_rules! conformance_tests {
    ($open:expr) => {
        $crate::conformance::with_promises! { conformance_tests $open }
    };
    ($open:expr; $($promise:ident),* $(,)?) => {
        $(
            #[tokio::test]
            async fn $promise() {
                let case = $crate::conformance::Case::new($open.await);
                $crate::conformance::promises::$promise(&case).await;
            }
        )*
    };
}
pub(crate) use conformance_tests;
