//! The promises on `memory://`, and additional ones.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use super::{Case, LONG, SHORT, Subject, conformance_tests, fill, tokens};
use crate::memory::{MemoryTier, Subscription};
use crate::protocol::{Acquired, BoxFuture, OnMessage, Op, Released, SharedTier, Token};

/// A tier in memory, and a subscription to it.
pub(super) struct OnMemory {
    tier: Arc<MemoryTier>,
    heard: Arc<Mutex<Vec<String>>>,
    _subscription: Subscription,
}

impl OnMemory {
    pub(super) fn open(tier: Arc<MemoryTier>) -> Self {
        let heard = Arc::new(Mutex::new(Vec::new()));
        let into = Arc::clone(&heard);
        let listen: OnMessage = Arc::new(move |message| into.lock().push(message.to_owned()));
        Self {
            _subscription: tier.subscribe(listen),
            tier,
            heard,
        }
    }

    /// Opens a private tier with a paused clock.
    pub(super) fn paused(limit_bytes: usize) -> Self {
        tokio::time::pause();
        Self::open(MemoryTier::private(limit_bytes))
    }
}

impl Subject for OnMemory {
    fn tier(&self) -> &dyn SharedTier {
        &*self.tier
    }

    fn pass(&self, time: Duration) -> BoxFuture<'_, ()> {
        Box::pin(tokio::time::advance(time))
    }

    fn heard(&self) -> BoxFuture<'_, Vec<String>> {
        let heard = std::mem::take(&mut *self.heard.lock());
        Box::pin(async { heard })
    }
}

const CAPACITY_BYTES: usize = 1 << 20;

conformance_tests!(async { super::on_memory::OnMemory::paused(super::on_memory::CAPACITY_BYTES) });

#[tokio::test]
async fn the_least_recently_used_values_are_evicted() {
    let case = Case::new(OnMemory::paused(10_000));
    let keys: Vec<_> = (0..9).map(|number| case.key(&number.to_string())).collect();
    let value = [b"V".as_slice(), &[b'x'; 1000]].concat();
    for key in &keys {
        case.store(key, &value).await;
        // The first one is read repeatedly.
        case.get(&keys[0]).await;
    }
    let mut left = String::new();
    for key in &keys {
        left.push(case.holds(key).await);
    }
    assert_eq!(left, "V..VVVVVV");
}

#[tokio::test]
async fn protocol_state_is_never_evicted() {
    let case = Case::new(OnMemory::paused(3_000));
    let (leased, quarantined) = (case.key("l"), case.key("q"));
    let [token, writer] = tokens();
    case.acquire(&leased, token).await;
    case.quarantined_by(&quarantined, writer, LONG).await;
    for number in 0..100 {
        case.store(&case.key(&number.to_string()), &[b'V'; 500])
            .await;
    }
    assert!(case.fill(&leased, token, b"V1").await);
    let released = case.release(&quarantined, writer, None).await;
    assert_eq!(released, Released::Intact);
}

#[tokio::test]
async fn a_value_that_cannot_fit_is_refused_and_evicts_nothing() {
    let case = Case::new(OnMemory::paused(3_000));
    let (small, large) = (case.key("s"), case.key("l"));
    let [token, writer] = tokens();
    case.store(&small, b"V1").await;

    case.acquire(&large, token).await;
    let filled = case
        .try_run(fill(&large, token, &[b'V'; 3_000], LONG))
        .await;
    assert!(filled.unwrap_err().is_out_of_memory());
    case.quarantined_by(&large, writer, LONG).await;
    let released = case.release(&large, writer, Some(&[b'V'; 3_000])).await;
    assert_eq!(released, Released::Intact);
    assert_eq!(case.holds(&large).await, '.');
    assert_eq!(case.holds(&small).await, 'V');
}

#[tokio::test]
async fn expired_keys_do_not_accumulate() {
    tokio::time::pause();
    let tier = MemoryTier::private(usize::MAX);
    let case = Case::new(OnMemory::open(Arc::clone(&tier)));
    for round in 0..100 {
        for number in 0..10 {
            let key = case.key(&format!("{round}:{number}"));
            case.quarantined_by(&key, Token::random(), SHORT).await;
        }
        case.pass(SHORT * 2).await;
    }
    assert!(tier.used_bytes() < 20 * 500, "{tier:?}");
}

#[tokio::test]
async fn used_memory_returns_to_zero() {
    tokio::time::pause();
    let tier = MemoryTier::private(CAPACITY_BYTES);
    let case = Case::new(OnMemory::open(Arc::clone(&tier)));
    let key = case.key("k");
    let [token, writer] = tokens();
    case.acquire(&key, token).await;
    case.fill(&key, token, b"V1").await;
    case.quarantined_by(&key, writer, LONG).await;
    case.release(&key, writer, Some(b"V2 and more")).await;
    case.set(&key, b"x", Some(SHORT)).await;
    case.set(&key, b"xx", None).await;
    case.release(&key, writer, None).await;
    assert_eq!(tier.used_bytes(), 0);
}

#[tokio::test]
async fn services_with_the_same_memory_name_share_it() {
    let name = "shared-by-two";
    let one = Case::new(OnMemory::open(MemoryTier::named(name, CAPACITY_BYTES)));
    let two = Case::new(OnMemory::open(MemoryTier::named(name, CAPACITY_BYTES)));
    let other = Case::new(OnMemory::open(MemoryTier::named("other", CAPACITY_BYTES)));
    let key = one.key("k");
    one.store(&key, b"V1").await;
    assert_eq!(two.holds(&key).await, 'V');
    assert_eq!(other.holds(&key).await, '.');
    two.invalidate(&key).await;
    assert_eq!(one.heard().await, ["invalidated"]);
    assert!(other.heard().await.is_empty());

    drop((one, two));
    let later = Case::new(OnMemory::open(MemoryTier::named(name, CAPACITY_BYTES)));
    assert_eq!(
        later.acquire(&key, Token::random()).await,
        Acquired::Granted
    );
}

#[tokio::test]
async fn a_subscription_ends_when_it_is_dropped() {
    let tier = MemoryTier::private(CAPACITY_BYTES);
    let heard = Arc::new(Mutex::new(0));
    let count = Arc::clone(&heard);
    let subscription = tier.subscribe(Arc::new(move |_| *count.lock() += 1));
    let case = Case::new(OnMemory::open(tier));
    case.invalidate(&case.key("k")).await;
    drop(subscription);
    case.invalidate(&case.key("k")).await;
    assert_eq!(*heard.lock(), 1);
    assert_eq!(Arc::strong_count(&heard), 1);
}

#[tokio::test]
async fn a_message_arrives_before_the_reply() {
    let case = Case::new(OnMemory::paused(CAPACITY_BYTES));
    let key = case.key("k");
    let op = Op::Invalidate {
        key,
        message: "now".to_owned(),
    };
    case.run(op).await;
    assert_eq!(case.heard().await, ["now"]);
}
