//! The votes: which server do the Sentinels call the primary, and since when
//! is that certain?
//!
//! A deposed primary that was stopped continues as a primary. It replies to
//! PING, reports its role and its old history, and accepts writes until a
//! Sentinel reconfigures it: for ten seconds with three Sentinels. So its own
//! replies prove nothing. A promotion needs the votes of a majority of all
//! Sentinels, and a Sentinel reports its last vote. If a majority named this
//! primary after `t`, and none of these had voted for a later one, then no
//! promotion happened before `t`: two majorities share a Sentinel.
//!
//! An election may fail, and its votes remain. The Sentinel that asked for them
//! marked its failover as in progress before. So a later report of it without
//! the mark and with the same primary means that the election failed.

use std::collections::BTreeMap;
use std::time::Duration;

use aside_redis::sentinel::{Primary, Vote};

use crate::runtime::clock::Moment;

/// The host and port of a server.
pub(crate) type Place = (String, u16);

/// A Sentinel without a reply for this long is forgotten: it may have been
/// removed. It counts further while another one counts it.
pub(super) const FORGET_AFTER: Duration = Duration::from_secs(60);

/// A reply of one Sentinel.
#[derive(Clone, Debug)]
pub(crate) struct Report {
    /// When it was asked.
    pub(crate) sent: Moment,
    /// When it replied.
    pub(crate) received: Moment,
    /// The run id of this Sentinel.
    pub(crate) id: String,
    pub(crate) primary: Primary,
    /// The server to use. It is not the primary while this Sentinel leads a
    /// failover and has promoted this one.
    pub(crate) named: Place,
    /// `None` if the user may not ask for it.
    pub(crate) vote: Option<Vote>,
}

impl Report {
    /// Returns true if this Sentinel is replacing the server that it names.
    fn is_replacing(&self) -> bool {
        self.primary.health.is_failing_over && !self.has_promoted()
    }

    fn has_promoted(&self) -> bool {
        (&self.primary.host, self.primary.port) != (&self.named.0, self.named.1)
    }

    /// Returns the epoch of the failover that made the named server the primary.
    fn epoch(&self) -> u64 {
        // The leader of a failover has voted for itself.
        let led = self.vote.as_ref().filter(|_| self.has_promoted());
        let led = led.map_or(0, |vote| vote.leader_epoch);
        led.max(self.primary.config_epoch)
    }
}

/// A primary as the Sentinels name it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Named {
    pub(crate) place: Place,
    /// The epoch of the failover that made it the primary.
    pub(crate) epoch: u64,
}

/// The last replies of all Sentinels.
#[derive(Debug, Default)]
pub(super) struct Votes {
    /// By run ids, because a Sentinel may be known by several addresses.
    reports: BTreeMap<String, Known>,
}

/// A Sentinel with its last reply.
#[derive(Debug)]
struct Known {
    from: Place,
    report: Report,
    /// When its vote was first received.
    voted: Moment,
    /// True if the failover that this vote was for has failed. Kept, because
    /// the Sentinel that reported it may be gone by now.
    has_failed: bool,
}

impl Votes {
    /// Records a reply of the Sentinel at `from`.
    pub(super) fn record(&mut self, from: &Place, report: Report) {
        let before = self.reports.get(&report.id);
        // Received by another address in the meantime.
        if before.is_some_and(|before| report.sent < before.report.sent) {
            return;
        }
        let same = before.filter(|before| before.report.vote == report.vote);
        let (voted, has_failed) = same.map_or((report.received, false), |same| {
            (same.voted, same.has_failed)
        });
        // A Sentinel that was set up again has another id at the same place.
        self.reports.retain(|id, known| {
            (*id == report.id || known.from != *from)
                && report.received.since(known.report.received) < FORGET_AFTER
        });
        let (id, from) = (report.id.clone(), from.clone());
        let known = Known {
            from,
            report,
            voted,
            has_failed,
        };
        self.reports.insert(id, known);
        self.end_failed_elections();
    }

    /// Marks the votes whose failover has failed, by the report of its leader.
    fn end_failed_elections(&mut self) {
        let failed: Vec<String> = self
            .reports
            .iter()
            .filter(|(_, voter)| self.has_failed(voter))
            .map(|(id, _)| id.clone())
            .collect();
        for id in failed {
            if let Some(voter) = self.reports.get_mut(&id) {
                voter.has_failed = true;
            }
        }
    }

    /// Returns the primary with the greatest epoch that any Sentinel knows.
    pub(super) fn primary(&self) -> Option<Named> {
        let reports = self.reports.values().map(|known| &known.report);
        let newest = reports.max_by_key(|report| report.epoch());
        newest.map(|report| Named {
            place: report.named.clone(),
            epoch: report.epoch(),
        })
    }

    /// Returns the number of Sentinels. Counted with those that are known by
    /// name only, so that a URL with one of them is no majority. A Sentinel that
    /// was reset knows no other for a while, but still its quorum.
    fn all(&self) -> usize {
        let known = self.reports.values().map(|known| &known.report.primary);
        let known = known.map(|primary| primary.quorum.max(primary.num_other_sentinels + 1));
        known.max().unwrap_or(0).max(self.reports.len())
    }

    /// Returns how many Sentinels decide.
    fn majority(&self) -> usize {
        self.all() / 2 + 1
    }

    /// Returns the time before which no other server had been promoted; `None`
    /// if a majority does not name this one, or any Sentinel is replacing it.
    pub(super) fn confirmed(&self, primary: &Named) -> Option<Moment> {
        let witnesses = self.reports.values();
        let witnesses = witnesses.filter(|known| known.report.named == primary.place);
        let witnesses: Vec<&Known> = witnesses.collect();
        // An operator may force a failover, which needs no votes.
        let replaces = |known: &&Known| known.report.is_replacing();
        if witnesses.iter().any(replaces) || self.primary().as_ref() != Some(primary) {
            return None;
        }
        let mut dates: Vec<Moment> = witnesses
            .into_iter()
            .filter(|known| known.expects_no_other())
            .map(|known| known.report.sent)
            .collect();
        dates.sort_unstable_by(|one, other| other.cmp(one));
        dates.get(self.majority() - 1).copied()
    }

    /// Returns true if the failover that a vote was for has failed: its leader
    /// was asked after the vote, and still names the same primary.
    fn has_failed(&self, voter: &Known) -> bool {
        let is_over = |known: &Known| {
            voter.voted < known.report.sent
                && !known.report.primary.health.is_failing_over
                && known.report.named == voter.report.named
        };
        let Some(vote) = &voter.report.vote else {
            return false;
        };
        match &vote.leader {
            Some(leader) => self.reports.get(leader).is_some_and(is_over),
            // Forgotten by SENTINEL RESET, which keeps the epoch of the vote. The
            // leader may be any Sentinel.
            None => self.all() <= self.reports.len() && self.reports.values().all(is_over),
        }
    }
}

impl Known {
    /// Returns true if the vote of this Sentinel cannot promote another server.
    fn expects_no_other(&self) -> bool {
        let Some(vote) = &self.report.vote else {
            return true;
        };
        vote.leader_epoch <= self.report.epoch() || self.has_failed
    }
}

#[cfg(test)]
mod tests;
