//! Concurrent reads of rows that travel as one MGET.
//!
//! A GET costs a client more than a server: a command to pack, a reply to
//! match, a task to wake. Where many are ready to go, packing them as one
//! command saves most of it. Who waits for company must not be who is alone,
//! so a GET that finds none under way is sent at once, and others wait for no
//! clock: the first one lets the tasks that are ready run, once, and takes
//! along what they have asked for. The busier a process, the more that is. Nor
//! is alone who comes first after several were answered at once: they are ready,
//! and mostly ask again. Sent ahead of them it would have a round trip for itself,
//! and the next one as well, as it comes back while theirs is under way.
//!
//! A slot per connection, with all that come meanwhile in the next MGET, was
//! refused: over a slow network it would make reads wait for each other's
//! round trips, while the processor is idle.
//!
//! Lists stay out of it, and off the connection of rows as far as there are
//! others, lest a row wait for the bytes of a list.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::sync::oneshot;

use super::Shard;
use crate::entity::key::Key;
use crate::protocol::{Op, Reply, Traffic, Unanswered};
use crate::runtime::task;

/// Keys in one MGET. More would make a server that has others to serve deaf
/// for longer, and save nothing.
const MOST: usize = 64;

/// What stands under a key.
pub(crate) type Got = Result<Option<Bytes>, Unanswered>;

/// Reads of rows that are under way, or about to be.
#[derive(Default)]
pub(super) struct Gathering {
    under_way: AtomicUsize,
    /// Whether several were answered last.
    several: AtomicBool,
    waiting: Mutex<Vec<Waiting>>,
}

struct Waiting {
    key: Key,
    answer: oneshot::Sender<Got>,
}

/// A GET or an MGET that is under way.
struct UnderWay(Arc<Gathering>);

/// The turn of who lets others join. If its future is dropped meanwhile, what
/// has been gathered goes out all the same.
struct Turn<'a>(&'a Arc<Shard>);

impl Gathering {
    fn begin(self: &Arc<Self>) -> UnderWay {
        self.under_way.fetch_add(1, Ordering::Relaxed);
        UnderWay(Arc::clone(self))
    }

    /// Begins if nothing else is under way, or likely to be. It matters to nobody
    /// if two do at once, and all others only look.
    fn begin_alone(self: &Arc<Self>) -> Option<UnderWay> {
        let alone = self.under_way.load(Ordering::Relaxed) == 0
            && !(self.several.load(Ordering::Relaxed)
                && self.several.swap(false, Ordering::Relaxed));
        alone.then(|| self.begin())
    }

    /// Lets the tasks that are ready join, until none does any more.
    async fn gathered(&self) {
        let mut before = 1;
        loop {
            // Once is not enough: of many that are ready, tokio runs 61 before it
            // comes back, and the rest would have a round trip for themselves.
            tokio::task::yield_now().await;
            let count = self.waiting.lock().len();
            if count <= before || MOST <= count {
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
        let gathered = self.0.gathering.take();
        if !gathered.is_empty() {
            self.0.send_gathered(gathered);
        }
    }
}

impl Shard {
    /// What stands under the key of a row.
    ///
    /// It may be sent later than it was asked for, and never earlier; the
    /// generations that the caller has taken stay those of before the GET.
    pub(crate) async fn get_row(self: &Arc<Self>, key: &Key) -> Got {
        let alone = self.gathering.begin_alone();
        if alone.is_some() || !self.link.is_remote() {
            return self.get(Traffic::Rows, key.clone()).await;
        }
        let (answer, answered) = oneshot::channel();
        let first = {
            let mut waiting = self.gathering.waiting.lock();
            waiting.push(Waiting {
                key: key.clone(),
                answer,
            });
            waiting.len() == 1
        };
        if first {
            let _under_way = self.gathering.begin();
            let _turn = Turn(self);
            self.gathering.gathered().await;
        }
        // Nobody answers only where the runtime is going away.
        answered.await.unwrap_or(Err(Unanswered::NotSent))
    }

    /// What stands under the key of a list.
    pub(crate) async fn get_list(&self, key: Key) -> Got {
        self.get(Traffic::Lists, key).await
    }

    async fn get(&self, traffic: Traffic, key: Key) -> Got {
        match self.send_one(traffic, Op::Get { key }).await? {
            Reply::Value(value) => Ok(value),
            Reply::Cut(beginning) => Ok(Some(beginning)),
            _ => Err(Unanswered::Disconnected),
        }
    }

    /// What stands under the keys of several rows, as one MGET.
    pub(crate) async fn get_many(&self, keys: Vec<Key>) -> Vec<Got> {
        let asked = keys.len();
        if let [key] = &keys[..] {
            return vec![self.get(Traffic::Rows, key.clone()).await];
        }
        if keys.is_empty() {
            return Vec::new();
        }
        match self.send_one(Traffic::Rows, Op::GetMany { keys }).await {
            Ok(Reply::Values(values)) => values.into_iter().map(Ok).collect(),
            Ok(_) => vec![Err(Unanswered::Disconnected); asked],
            Err(unanswered) => vec![Err(unanswered); asked],
        }
    }

    /// Sends what was gathered in tasks of their own: it belongs to many, and
    /// any of them may go away.
    fn send_gathered(self: &Arc<Self>, mut gathered: Vec<Waiting>) {
        if Handle::try_current().is_err() {
            return;
        }
        while !gathered.is_empty() {
            let part = gathered.split_off(gathered.len().saturating_sub(MOST));
            let this = Arc::clone(self);
            // Under way from now on, and not when the task is run: who asks
            // meanwhile is not alone.
            let under_way = self.gathering.begin();
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
        let found = self.get_many(keys).await;
        self.gathering.several.store(several, Ordering::Relaxed);
        for (answer, got) in answers.into_iter().zip(found) {
            // Who asked may have gone away.
            let _ = answer.send(got);
        }
    }
}
