//! A test invalidation: the instances that applied it, and those that did not.

use std::time::Duration;

use aside::ops::Ops;

use super::members::Fleet;

/// The least time that instances have to reply.
const AT_LEAST: Duration = Duration::from_secs(1);

/// The outcome of a test invalidation.
pub(super) struct Probe {
    /// The ids of the instances that applied it, and the delay of each.
    pub(super) heard: Vec<(String, Duration)>,
    /// The ids of the others.
    pub(super) missing: Vec<String>,
}

/// Publishes a test invalidation, and waits for the replies. It follows all earlier
/// invalidations of this process, so an instance that heard it applied those too.
///
/// Returns `None` if Redis refuses it.
pub(super) async fn probe(ops: &Ops, fleet: &Fleet, timeout: Duration) -> Option<Probe> {
    let patience = AT_LEAST.max(2 * fleet.bound()).min(timeout);
    let probed = ops.service().probe_fleet(patience).await?;
    let mut probe = Probe {
        heard: Vec::new(),
        missing: Vec::new(),
    };
    for (id, after) in probed.heard {
        let id = format!("{id:016x}");
        match after {
            Some(after) => probe.heard.push((id, after)),
            None => probe.missing.push(id),
        }
    }
    Some(probe)
}
