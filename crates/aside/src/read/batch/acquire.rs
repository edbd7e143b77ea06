//! One pipeline of ACQUIREs.

use crate::answer::Bypass;
use crate::insight::statistics::increment;
use crate::protocol::{Op, Token, Traffic};
use crate::read::ReadPath;
use crate::read::batch::own::{Own, Results};
use crate::read::lease::Lease;
use crate::read::load::Cause;
use crate::read::look::{Missing, Step};
use crate::repository::Source;

/// The right to fill the result of one lookup, or the reason why there is none.
pub(super) type Right = Result<Lease, Bypass>;

impl<R: Source> ReadPath<R> {
    /// Asks for the right to fill each lookup that may have it. Returns those that must
    /// be loaded.
    pub(super) async fn acquire_all(
        &self,
        own: Vec<Own<R>>,
        results: &mut Results<R>,
    ) -> Vec<(Own<R>, Right)> {
        let (mut asking, mut settled, mut ops) = (Vec::new(), Vec::new(), Vec::new());
        for mut own in own {
            let missing = match std::mem::replace(&mut own.step, Step::WaitForLease(None)) {
                Step::LoadOnly(bypass) => {
                    settled.push((own, Err(bypass)));
                    continue;
                }
                Step::Acquire(missing) => missing,
                // Its ACQUIRE notices if the lease has ended since.
                Step::WaitForLease(_) | Step::Serve(_) => Missing::default(),
            };
            own.observation = own.leader.step();
            let observed = missing.observed;
            own.cause = Cause {
                replaces: observed.is_some(),
                missed: missing.why,
            };
            let token = Token::random();
            ops.push(Op::Acquire {
                key: own.key.clone(),
                token,
                lease: self.tiers().config.lease_ttl,
                observed,
            });
            asking.push((own, token));
        }
        if asking.is_empty() {
            return settled;
        }
        let tiers = self.tiers();
        let replies = tiers.send(Traffic::Others, ops).await;
        let mut replies = replies.into_iter();
        for (own, token) in asking {
            let reply = replies.next().and_then(Result::ok);
            let asked = own.leader.key().asked();
            let right = match self.judge_acquired(asked, (&own.key, token), own.context, reply) {
                Ok(lease) => Ok(lease),
                Err(Step::Serve(cached)) => {
                    self.finish_cached(own, &cached, results);
                    continue;
                }
                // Waiting would delay the whole batch for one lookup.
                Err(Step::WaitForLease(_)) => {
                    increment(&tiers.statistics.lease_waits);
                    Err(Bypass::LeaseWait)
                }
                Err(Step::Acquire(_)) => Err(Bypass::OtherShape),
                Err(Step::LoadOnly(bypass)) => Err(bypass),
            };
            settled.push((own, right));
        }
        settled
    }
}
