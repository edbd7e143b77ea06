//! Request batching: concurrent reads of rows travel as one MGET.
//!
//! A GET costs the client more than the server: encoding a command, matching a
//! reply, waking a task. One command for several keys saves most of that. A
//! lone reader must not wait for others, so a GET that finds none in progress
//! is sent at once. The others do not wait for a timer: the first one yields
//! once, so that all ready tasks run, and sends their keys along. The busier
//! the process, the larger the batch. A reader is not alone if several replies
//! have just arrived, because the tasks they wake usually read again. Sent
//! ahead of them, its GET would cost a separate round trip, and so would its
//! next one.
//!
//! A window per connection, in which all keys wait for the previous MGET to
//! return, was rejected: over a slow network, reads would wait for each other's
//! round trips while the processor is idle.
//!
//! Lists are not batched, and use another connection than rows if there is one,
//! because a row would wait for the bytes of a list.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::sync::oneshot;

use super::Shard;
use crate::entity::key::Key;
use crate::protocol::{Op, Refused, Reply, Traffic, Unanswered};
use crate::runtime::task;

/// The maximum number of keys per MGET. A larger one would block the server for
/// longer without saving more.
const MAX_KEYS_PER_MGET: usize = 64;

/// The bytes of a key.
pub(crate) type Got = Result<Option<Bytes>, Unanswered>;

/// Reads of rows in progress or about to be sent.
#[derive(Default)]
pub(super) struct BatchedGets {
    under_way: AtomicUsize,
    /// True if the last batch had several keys.
    several: AtomicBool,
    waiting: Mutex<Vec<Waiting>>,
}

struct Waiting {
    key: Key,
    answer: oneshot::Sender<Got>,
}

/// A GET or an MGET in progress.
struct UnderWay(Arc<BatchedGets>);

/// The batch of the first reader. If its future is dropped, the batch is sent
/// all the same.
struct Turn<'a>(&'a Arc<Shard>);

impl BatchedGets {
    fn begin(self: &Arc<Self>) -> UnderWay {
        self.under_way.fetch_add(1, Ordering::Relaxed);
        UnderWay(Arc::clone(self))
    }

    /// Begins a read if none is in progress or likely. Two that begin at once
    /// do no harm, and the others only read the state.
    fn begin_alone(self: &Arc<Self>) -> Option<UnderWay> {
        let alone = self.under_way.load(Ordering::Relaxed) == 0
            && !(self.several.load(Ordering::Relaxed)
                && self.several.swap(false, Ordering::Relaxed));
        alone.then(|| self.begin())
    }

    /// Yields until no further task joins the batch.
    async fn gathered(&self) {
        let mut before = 1;
        loop {
            // One yield is not enough: tokio runs at most 61 ready tasks before
            // it returns, and the rest would cost another round trip.
            tokio::task::yield_now().await;
            let count = self.waiting.lock().len();
            if count <= before || MAX_KEYS_PER_MGET <= count {
                return;
            }
            before = count;
        }
    }

    fn take(&self) -> Vec<Waiting> {
        std::mem::take(&mut *self.waiting.lock())
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.under_way.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let gathered = self.0.batched.take();
        if !gathered.is_empty() {
            self.0.send_gathered(gathered);
        }
    }
}

impl Shard {
    /// Reads the key of a row.
    ///
    /// The GET may be sent later than this call, but never earlier, so
    /// generations taken by the caller are still from before the GET.
    pub(crate) async fn get_row(self: &Arc<Self>, key: &Key) -> Got {
        let alone = self.batched.begin_alone();
        if alone.is_some() || !self.link.is_remote() {
            return self.get(Traffic::Rows, key.clone()).await;
        }
        let (answer, answered) = oneshot::channel();
        let first = {
            let mut waiting = self.batched.waiting.lock();
            waiting.push(Waiting {
                key: key.clone(),
                answer,
            });
            waiting.len() == 1
        };
        if first {
            let _under_way = self.batched.begin();
            let _turn = Turn(self);
            self.batched.gathered().await;
        }
        // There is no reply only if the runtime shuts down.
        answered.await.unwrap_or(Err(Unanswered::NotSent))
    }

    /// Reads the key of a list.
    pub(crate) async fn get_list(&self, key: Key) -> Got {
        self.get(Traffic::Lists, key).await
    }

    async fn get(&self, traffic: Traffic, key: Key) -> Got {
        got(Ok(self.send_one(traffic, Op::Get { key }).await?))
    }

    /// Reads the keys of several rows as one MGET, or of lists as one pipeline.
    pub(crate) async fn get_many(&self, traffic: Traffic, keys: Vec<Key>) -> Vec<Got> {
        let asked = keys.len();
        if let [key] = &keys[..] {
            return vec![self.get(traffic, key.clone()).await];
        }
        if keys.is_empty() {
            return Vec::new();
        }
        // The reply to an MGET is complete or not: one long list would delay all.
        if traffic == Traffic::Lists || !self.takes_many_keys() {
            return self.get_each(traffic, keys).await;
        }
        match self.send_one(traffic, Op::GetMany { keys }).await {
            Ok(Reply::Values(values)) => values.into_iter().map(Ok).collect(),
            Ok(_) => vec![Err(Unanswered::Disconnected); asked],
            Err(unanswered) => vec![Err(unanswered); asked],
        }
    }

    /// Reads several keys as one pipeline of GETs.
    async fn get_each(&self, traffic: Traffic, keys: Vec<Key>) -> Vec<Got> {
        let asked = keys.len();
        let ops = keys.into_iter().map(|key| Op::Get { key }).collect();
        match self.send(traffic, ops).await {
            Ok(replies) => replies.into_iter().map(got).collect(),
            Err(unanswered) => vec![Err(unanswered); asked],
        }
    }

    /// Sends a batch in separate tasks, because any of its readers may be
    /// cancelled.
    fn send_gathered(self: &Arc<Self>, mut gathered: Vec<Waiting>) {
        if Handle::try_current().is_err() {
            return;
        }
        while !gathered.is_empty() {
            let part = gathered.split_off(gathered.len().saturating_sub(MAX_KEYS_PER_MGET));
            let this = Arc::clone(self);
            // Counts as in progress from now on, not from the task's first
            // poll, so that later readers are not taken for alone.
            let under_way = self.batched.begin();
            task::spawn(async move {
                this.get_gathered(part).await;
                drop(under_way);
            });
        }
    }

    async fn get_gathered(&self, part: Vec<Waiting>) {
        let (keys, answers): (Vec<_>, Vec<_>) = part
            .into_iter()
            .filter(|waiting| !waiting.answer.is_closed())
            .map(|waiting| (waiting.key, waiting.answer))
            .unzip();
        let several = 1 < keys.len();
        let found = self.get_many(Traffic::Rows, keys).await;
        self.batched.several.store(several, Ordering::Relaxed);
        for (answer, got) in answers.into_iter().zip(found) {
            // The reader may have been cancelled.
            let _ = answer.send(got);
        }
    }
}

/// Returns the bytes in the reply to a GET. A node that redirects it, because the
/// slot is moving, leaves the read without a reply.
fn got(reply: Result<Reply, Refused>) -> Got {
    match reply {
        Ok(Reply::Value(value)) => Ok(value),
        Ok(Reply::Cut(beginning)) => Ok(Some(beginning)),
        _ => Err(Unanswered::Disconnected),
    }
}
