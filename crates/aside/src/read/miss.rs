//! A miss: acquiring the right to fill, then the load and the fill (`load`).
//!
//! It runs as a task, because the caller may be dropped while other readers wait.
//! The caller that led gets the row as soon as it is loaded. Readers that joined wait
//! for the reply to the FILL: that it was accepted proves that no write came between.

use std::panic::resume_unwind;

use tokio::sync::oneshot;

use crate::answer::{Bypass, Freshness};
use crate::entity::key::Key;
use crate::insight::statistics::{Operation, increment};
use crate::protocol::{Op, Token, Traffic};
use crate::read::lease::Lease;
use crate::read::load::{Cause, LeaderReply, Miss};
use crate::read::look::Step;
use crate::read::result::ReadResult;
use crate::read::wait::Wait;
use crate::read::{Leader, ReadPath};
use crate::repository::Source;
use crate::runtime::task;
use crate::tiers::kind::{Cached, ReadContext};
use crate::tiers::origin_guard;
use crate::trust::generations::Stamp;

impl<R: Source> ReadPath<R> {
    /// Goes on from `step` in a task, and returns as soon as there is a result.
    pub(super) async fn miss(
        &self,
        leader: Leader<R>,
        key: Key,
        step: Step<R::Entity>,
        operation: Operation,
    ) -> Result<ReadResult<R::Entity>, R::Error> {
        let (caller, reply) = oneshot::channel();
        let miss = Miss {
            read: self.clone(),
            leader,
            key,
            operation,
            caller,
        };
        let place = origin_guard::current();
        let task = task::spawn_for_caller(origin_guard::within(place, miss.run(step)));
        match reply.await {
            Ok(LeaderReply::Result(result)) => {
                // A warm-up counts stored values, so it waits for the FILL.
                if operation == Operation::WarmUp {
                    let _ = task.await;
                }
                result
            }
            Ok(LeaderReply::Panic(panic)) => resume_unwind(panic),
            Err(_) => match task.await {
                // Of a callback of the strategy, for example.
                Err(failed) if failed.is_panic() => resume_unwind(failed.into_panic()),
                // The runtime is shutting down and will drop this future as
                // well.
                _ => std::future::pending().await,
            },
        }
    }
}

impl<R: Source> Miss<R> {
    async fn run(self, mut step: Step<R::Entity>) {
        let lease = self.read.tiers().config.lease_ttl;
        let mut wait = Wait::new(self.read.kind.lease_patience(lease));
        let mut under = None;
        loop {
            step = match step {
                Step::Serve(cached) => return self.serve(cached, under),
                Step::LoadOnly(bypass) => return self.load_only(bypass).await,
                Step::Acquire(missing) => {
                    let cause = Cause {
                        replaces: missing.observed.is_some(),
                        missed: missing.why,
                    };
                    match self.acquire(missing.observed, &mut under).await {
                        Ok((lease, context)) => {
                            return self.load_and_fill(lease, context, cause).await;
                        }
                        Err(step) => wait.after_acquire(step, self.stamp()),
                    }
                }
                Step::WaitForLease(_) if wait.is_over() => Step::LoadOnly(Bypass::LeaseWait),
                Step::WaitForLease(_) => {
                    increment(&self.read.tiers().statistics.lease_waits);
                    wait.pause().await;
                    wait.after_look(self.look_again(&mut under).await)
                }
            };
        }
    }

    /// Returns the generation of the key now.
    fn stamp(&self) -> Stamp {
        self.read.tiers().stamp(&self.key)
    }

    /// Takes the generations again, and checks if Redis may be used.
    fn begin(
        &self,
        under: &mut Option<(ReadContext, u32)>,
    ) -> Result<ReadContext, Step<R::Entity>> {
        let context = self.read.context(&self.key);
        self.leader.set_context(context);
        match self.read.gate(&self.key, context) {
            Some(bypass) => Err(Step::LoadOnly(bypass)),
            None => {
                *under = Some((context, self.leader.step()));
                Ok(context)
            }
        }
    }

    /// Asks for the right to fill.
    async fn acquire(
        &self,
        observed: Option<Vec<u8>>,
        under: &mut Option<(ReadContext, u32)>,
    ) -> Result<(Lease, ReadContext), Step<R::Entity>> {
        let context = self.begin(under)?;
        let tiers = self.read.tiers();
        let token = Token::random();
        let op = Op::Acquire {
            key: self.key.clone(),
            token,
            lease: tiers.config.lease_ttl,
            observed,
        };
        let reply = tiers.send_one(Traffic::Others, op).await.ok();
        let asked = self.leader.key().asked();
        let lease = self
            .read
            .judge_acquired(asked, (&self.key, token), context, reply)?;
        Ok((lease, context))
    }

    /// Looks whether the holder of the lease has filled.
    async fn look_again(&self, under: &mut Option<(ReadContext, u32)>) -> Step<R::Entity> {
        match self.begin(under) {
            Ok(context) => {
                let asked = self.leader.key().asked();
                self.read
                    .look(asked, &self.key, context, Freshness::Any)
                    .await
            }
            Err(step) => step,
        }
    }

    /// Serves what another reader has filled.
    fn serve(self, cached: Cached<R::Entity>, under: Option<(ReadContext, u32)>) {
        if let Some((context, step)) = under {
            self.read.finish(self.leader, &cached, context, step);
        }
        let result = ReadResult::cached(cached);
        let _ = self.caller.send(LeaderReply::Result(Ok(result)));
    }
}
