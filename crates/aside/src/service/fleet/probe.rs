//! The probe: does every instance hear invalidations?
//!
//! It publishes the invalidation of a key that no kind has. Each instance that
//! applies it sets a key, which is read by name, because the ids
//! of the instances are known. An older version applies the message and does not
//! reply.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

use super::Fleet;
use super::report::InstanceState;
use crate::entity::key::Key;
use crate::protocol::message::Why;
use crate::protocol::{Op, Reply, Traffic};
use crate::service::CacheService;

/// The pause between two looks for replies.
const BETWEEN_LOOKS: Duration = Duration::from_millis(2);

/// The instances that applied a test invalidation, and those that did not.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Probed {
    /// The fleet at the time of the probe.
    pub fleet: Fleet,
    /// The delay until the reply of each instance was seen; `None` without a reply.
    pub heard: BTreeMap<u64, Option<Duration>>,
}

/// The reply of one instance.
type Heard = Option<Duration>;

impl CacheService {
    /// Publishes a test invalidation, and waits for the replies of all instances for
    /// at most `patience`: twice the staleness bound is enough. Returns `None` if
    /// Redis does not reply.
    ///
    /// Instances that are silent are probed too, and do not prolong the wait.
    pub async fn probe_fleet(&self, patience: Duration) -> Option<Probed> {
        let tiers = self.tiers();
        let fleet = self.fleet().await?;
        let nonce = format!("{:016x}", fastrand::u64(..));
        let key = Key::new(&tiers.presence.probe_key(&nonce));
        let message = tiers.message(&key, Why::Probe);
        let begun = Instant::now();
        tiers
            .send_to_all(Traffic::Others, &Op::Publish { message })
            .await
            .ok()?;
        let mut heard: BTreeMap<u64, Heard> = fleet
            .instances
            .iter()
            .map(|member| (member.id, None))
            .collect();
        let is_silent = |id: &u64| {
            let mut members = fleet.instances.iter();
            members.any(|member| member.id == *id && member.state == InstanceState::Silent)
        };
        loop {
            for (id, heard) in heard.iter_mut().filter(|(_, heard)| heard.is_none()) {
                let key = Key::new(&super::echo_key(tiers, &nonce, *id));
                let exists = Op::Exists { key: key.clone() };
                let replies = tiers.ask_distrusted(&key, vec![exists]).await?;
                if let Some(Ok(Reply::Existed(true))) = replies.first() {
                    *heard = Some(begun.elapsed());
                }
            }
            let mut missing = heard.iter().filter(|(_, heard)| heard.is_none());
            if missing.all(|(id, _)| is_silent(id)) || patience <= begun.elapsed() {
                return Some(Probed { fleet, heard });
            }
            tokio::time::sleep(BETWEEN_LOOKS).await;
        }
    }
}
