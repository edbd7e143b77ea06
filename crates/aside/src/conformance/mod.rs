//! What every shared tier promises, checked on each.
//!
//! A promise is a function over a [`Case`]: a tier, some keys that nobody
//! else uses, and a way to let time pass and to hear messages. The macro
//! [`conformance_tests`] makes one test of each for whatever tier it is given.
//!
//! The promises are those of the protocol. A short TTL is only ever waited
//! for, and what must still stand stands for a minute, so that a slow machine
//! fails nothing.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::entity::key::Key;
use crate::protocol::state::State;
use crate::protocol::{Acquired, BoxFuture, Op, Refused, Released, Reply, SharedTier, Token};

mod model;
mod on_client;
mod on_memory;
pub(crate) mod promises;
mod resp;
mod on_redis;
mod foreign;
mod lockstep;

/// Long enough to stand through any test.
pub(crate) const LONG: Duration = Duration::from_secs(60);
/// Short enough to wait for.
pub(crate) const SHORT: Duration = Duration::from_millis(20);

/// A tier under test.
pub(crate) trait Subject: Send + Sync {
    fn tier(&self) -> &dyn SharedTier;

    /// Lets so much time pass for the tier.
    fn pass(&self, time: Duration) -> BoxFuture<'_, ()>;

    /// The messages heard since the subject was opened or last asked, which
    /// include those of every operation already answered.
    fn heard(&self) -> BoxFuture<'_, Vec<String>>;
}

/// A subject and keys of its own.
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
        let replies = tier.send(tier.lane(), ops).await.expect("an answer");
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

    /// The key's first byte, or a dot where it holds nothing.
    pub(crate) async fn holds(&self, key: &Key) -> char {
        let bytes = self.get(key).await.unwrap_or_default();
        bytes.first().map_or('.', |byte| char::from(*byte))
    }

    /// The writers of the key's quarantine, and whether it is clean.
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

    /// Acquires and fills an absent key.
    pub(crate) async fn store(&self, key: &Key, value: &[u8]) {
        let token = Token::random();
        assert_eq!(self.acquire(key, token).await, Acquired::Granted);
        assert!(self.fill(key, token, value).await);
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

/// Names of writers and of fills.
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

/// One test for each promise, on the subject that `$open` gives.
///
/// `$open` is an expression of a future of a [`Subject`].
macro_rules! conformance_tests {
    ($open:expr) => {
        $crate::conformance::conformance_tests! { $open;
            two_bumps_at_once_both_count,
            an_epoch_that_is_there_is_only_asked_for,
            an_epoch_goes_beyond_whatever_the_caller_knew,
            everybody_hears_of_a_new_epoch,
            an_epoch_that_nobody_can_have_learnt_begins_an_era,
            an_epoch_of_a_kind_that_nobody_has_is_not_raised,
            of_two_that_begin_an_era_at_once_one_does,
            an_era_that_is_there_is_not_begun_for_want_of_one,
            an_absent_key_is_granted_to_the_first_reader,
            a_second_reader_waits_while_the_first_fills,
            a_value_filled_meanwhile_is_handed_over,
            a_value_judged_unacceptable_is_replaced_and_no_other,
            a_reader_is_turned_away_while_a_write_is_under_way,
            an_expired_lease_is_granted_anew_and_its_fill_refused,
            only_the_holder_of_the_token_fills,
            a_lease_fills_once,
            a_filled_value_expires,
            an_abandoned_lease_is_granted_to_the_next,
            abandoning_late_destroys_nothing,
            a_quarantine_destroys_the_value,
            a_quarantine_refuses_the_fill_of_a_load_that_began_before,
            a_key_holds_exactly_what_is_written_down,
            only_a_quarantine_that_found_none_is_clean,
            a_refreshed_quarantine_is_dirty,
            a_quarantine_ends_at_its_deadline,
            a_quarantine_lasts_until_the_latest_deadline,
            a_dead_record_goes_with_the_next_write,
            a_sole_writer_leaves_its_value,
            a_value_left_by_a_writer_expires,
            a_release_without_a_value_leaves_nothing,
            a_release_keeps_the_other_writers_and_marks_them_dirty,
            a_writer_that_was_not_alone_leaves_no_value,
            a_writer_that_refreshed_leaves_no_value,
            a_lost_quarantine_takes_the_value_with_it,
            a_lost_quarantine_takes_the_lease_with_it,
            a_lost_quarantine_marks_those_that_followed,
            a_repeated_release_finds_its_record_gone,
            an_invalidation_destroys_the_value,
            an_invalidation_refuses_the_fill_of_a_load_that_began_before,
            an_invalidation_leaves_the_quarantine_and_marks_it,
            every_change_is_told_in_the_order_it_happened,
            foreign_bytes_count_as_absent,
            an_invalidation_leaves_what_the_protocol_did_not_write,
            a_quarantine_of_too_many_writers_counts_as_absent,
            a_full_quarantine_makes_room_for_its_next_writer,
            a_writer_far_ahead_of_the_clock_counts_as_over,
            state_without_a_ttl_counts_as_absent,
            a_ttl_below_a_millisecond_is_one,
            a_century_is_the_longest_ttl,
            raw_values_are_stored_read_and_removed,
            many_keys_are_read_in_the_order_asked_for,
            a_key_says_how_long_it_lives,
            a_scan_visits_every_key_that_stays,
            a_scan_finds_only_what_matches,
        }
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
