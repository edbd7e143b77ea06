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

use aside_redis::sentinel::{Primary, Vote};

use crate::runtime::clock::Moment;

/// The host and port of a server.
pub(crate) type Place = (String, u16);

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

/// The last replies of all Sentinels.
#[derive(Debug, Default)]
pub(super) struct Votes {
    reports: BTreeMap<Place, Known>,
}

/// A Sentinel with its last reply.
#[derive(Debug)]
struct Known {
    report: Report,
    /// When its vote was first received.
    voted: Moment,
}

impl Votes {
    /// Records a reply of the Sentinel at `from`.
    pub(super) fn record(&mut self, from: &Place, report: Report) {
        let before = self.reports.get(from);
        let same = before.filter(|before| before.report.vote == report.vote);
        let voted = same.map_or(report.received, |same| same.voted);
        self.reports.insert(from.clone(), Known { report, voted });
    }

    /// Returns the primary with the greatest epoch that any Sentinel knows.
    pub(super) fn primary(&self) -> Option<Place> {
        let reports = self.reports.values().map(|known| &known.report);
        let newest = reports.max_by_key(|report| report.epoch());
        newest.map(|report| report.named.clone())
    }

    /// Returns how many Sentinels decide. Counted with those that are known by
    /// name only, so that a URL with one of them is no majority.
    fn majority(&self) -> usize {
        let known = self.reports.values();
        let known = known.map(|known| known.report.primary.num_other_sentinels + 1);
        let all = known.max().unwrap_or(0).max(self.reports.len());
        all / 2 + 1
    }

    /// Returns the time before which no other server had been promoted; `None`
    /// if a majority does not name this one, or any Sentinel is replacing it.
    pub(super) fn confirmed(&self, primary: &Place) -> Option<Moment> {
        let witnesses = self.reports.values();
        let witnesses = witnesses.filter(|known| known.report.named == *primary);
        let witnesses: Vec<&Known> = witnesses.collect();
        // An operator may force a failover, which needs no votes.
        let replaces = |known: &&Known| known.report.is_replacing();
        if witnesses.iter().any(replaces) || self.primary().as_ref() != Some(primary) {
            return None;
        }
        let mut dates: Vec<Moment> = witnesses
            .into_iter()
            .filter(|known| self.expects_no_other(known))
            .map(|known| known.report.sent)
            .collect();
        dates.sort_unstable_by(|one, other| other.cmp(one));
        dates.get(self.majority() - 1).copied()
    }

    /// Returns true if the vote of a Sentinel cannot promote another server.
    fn expects_no_other(&self, known: &Known) -> bool {
        let Some(vote) = &known.report.vote else {
            return true;
        };
        vote.leader_epoch <= known.report.epoch() || self.has_failed(known, vote)
    }

    /// Returns true if the failover that a vote was for has failed.
    fn has_failed(&self, voter: &Known, vote: &Vote) -> bool {
        self.reports.values().any(|leader| {
            Some(&leader.report.id) == vote.leader.as_ref()
                && voter.voted < leader.report.sent
                && !leader.report.primary.health.is_failing_over
                && leader.report.named == voter.report.named
        })
    }
}

#[cfg(test)]
mod tests {
    use aside_redis::sentinel::Health;

    use super::*;

    fn place(name: &str) -> Place {
        (name.to_owned(), 6379)
    }

    fn at(millis: u64) -> Moment {
        Moment::from_millis(millis)
    }

    /// A report of the Sentinel `id` of three: the primary with its epoch, and
    /// the last vote.
    fn report(id: &str, sent: u64, (primary, epoch): (&str, u64), vote: (&str, u64)) -> Report {
        Report {
            sent: at(sent),
            received: at(sent + 1),
            id: id.to_owned(),
            named: place(primary),
            primary: Primary {
                host: primary.to_owned(),
                port: 6379,
                config_epoch: epoch,
                run_id: String::new(),
                health: Health::default(),
                num_other_sentinels: 2,
                quorum: 2,
            },
            vote: Some(Vote {
                is_down: false,
                leader: Some(vote.0.to_owned()),
                leader_epoch: vote.1,
            }),
        }
    }

    fn votes(reports: impl IntoIterator<Item = Report>) -> Votes {
        let mut votes = Votes::default();
        for report in reports {
            votes.record(&place(&report.id.clone()), report);
        }
        votes
    }

    #[test]
    fn a_majority_that_names_the_primary_dates_it() {
        let a = ("a", 4);
        let one = votes([report("s1", 10, a, ("s1", 4))]);
        assert_eq!(one.confirmed(&place("a")), None);
        let two = votes([
            report("s1", 10, a, ("s1", 4)),
            report("s2", 20, a, ("s1", 4)),
        ]);
        assert_eq!(two.confirmed(&place("a")), Some(at(10)));
        let three = ["s1", "s2", "s3"].into_iter().zip([10, 30, 20]);
        let three = votes(three.map(|(id, sent)| report(id, sent, a, ("s1", 4))));
        assert_eq!(three.confirmed(&place("a")), Some(at(20)));
        assert_eq!(three.confirmed(&place("b")), None);
    }

    #[test]
    fn a_voter_for_a_later_epoch_confirms_nothing() {
        let a = ("a", 4);
        let votes = votes([
            report("s1", 10, a, ("s3", 5)),
            report("s2", 10, a, ("s1", 4)),
        ]);
        assert_eq!(votes.confirmed(&place("a")), None);
    }

    #[test]
    fn a_failed_election_ends_with_a_later_report_of_its_leader() {
        let a = ("a", 4);
        let mut votes = votes([
            report("s1", 10, a, ("s3", 5)),
            report("s2", 10, a, ("s3", 5)),
            // Asked before the votes were seen.
            report("s3", 9, a, ("s3", 5)),
        ]);
        assert_eq!(votes.confirmed(&place("a")), None);
        votes.record(&place("s1"), report("s1", 20, a, ("s3", 5)));
        assert_eq!(votes.confirmed(&place("a")), None);
        votes.record(&place("s3"), report("s3", 21, a, ("s3", 5)));
        assert_eq!(votes.confirmed(&place("a")), Some(at(20)));
    }

    #[test]
    fn a_failover_in_progress_ends_the_trust_in_the_primary() {
        let a = ("a", 4);
        let mut forced = report("s3", 20, a, ("s1", 4));
        forced.primary.health.is_failing_over = true;
        let votes = votes([
            report("s1", 20, a, ("s1", 4)),
            report("s2", 20, a, ("s1", 4)),
            forced,
        ]);
        assert_eq!(votes.confirmed(&place("a")), None);
    }

    #[test]
    fn the_leader_of_a_failover_names_the_server_that_it_has_promoted() {
        let mut leader = report("s3", 20, ("a", 4), ("s3", 5));
        leader.primary.health.is_failing_over = true;
        leader.named = place("b");
        let votes = votes([
            report("s1", 20, ("a", 4), ("s3", 5)),
            report("s2", 20, ("b", 5), ("s3", 5)),
            leader,
        ]);
        assert_eq!(votes.primary(), Some(place("b")));
        assert_eq!(votes.confirmed(&place("b")), Some(at(20)));
    }

    #[test]
    fn one_sentinel_with_a_later_primary_is_enough_to_leave_the_old_one() {
        let mut votes = votes([
            report("s1", 10, ("a", 4), ("s1", 4)),
            report("s2", 10, ("a", 4), ("s1", 4)),
            report("s3", 11, ("b", 5), ("s3", 5)),
        ]);
        assert_eq!(votes.primary(), Some(place("b")));
        assert_eq!(votes.confirmed(&place("a")), None);
        assert_eq!(votes.confirmed(&place("b")), None);
        votes.record(&place("s2"), report("s2", 12, ("b", 5), ("s3", 5)));
        assert_eq!(votes.confirmed(&place("b")), Some(at(11)));
    }

    #[test]
    fn a_sentinel_that_keeps_its_votes_to_itself_counts_by_its_primary() {
        let silent = |id: &str| Report {
            vote: None,
            ..report(id, 10, ("a", 4), ("", 0))
        };
        let votes = votes([silent("s1"), silent("s2")]);
        assert_eq!(votes.confirmed(&place("a")), Some(at(10)));
    }
}
