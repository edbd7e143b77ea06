use aside_redis::sentinel::Health;

use super::*;
use crate::runtime::clock::whole_millis;

fn place(name: &str) -> Place {
    (name.to_owned(), 6379)
}

fn at(millis: u64) -> Moment {
    Moment::from_millis(millis)
}

/// The primary a of epoch 4, or its successor b of epoch 5.
fn named(name: &str) -> Named {
    Named {
        place: place(name),
        epoch: if name == "a" { 4 } else { 5 },
    }
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
    assert_eq!(one.confirmed(&named("a")), None);
    let two = votes([
        report("s1", 10, a, ("s1", 4)),
        report("s2", 20, a, ("s1", 4)),
    ]);
    assert_eq!(two.confirmed(&named("a")), Some(at(10)));
    let three = ["s1", "s2", "s3"].into_iter().zip([10, 30, 20]);
    let three = votes(three.map(|(id, sent)| report(id, sent, a, ("s1", 4))));
    assert_eq!(three.confirmed(&named("a")), Some(at(20)));
    assert_eq!(three.confirmed(&named("b")), None);
}

#[test]
fn a_voter_for_a_later_epoch_confirms_nothing() {
    let a = ("a", 4);
    let votes = votes([
        report("s1", 10, a, ("s3", 5)),
        report("s2", 10, a, ("s1", 4)),
    ]);
    assert_eq!(votes.confirmed(&named("a")), None);
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
    assert_eq!(votes.confirmed(&named("a")), None);
    votes.record(&place("s1"), report("s1", 20, a, ("s3", 5)));
    assert_eq!(votes.confirmed(&named("a")), None);
    votes.record(&place("s3"), report("s3", 21, a, ("s3", 5)));
    assert_eq!(votes.confirmed(&named("a")), Some(at(20)));
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
    assert_eq!(votes.confirmed(&named("a")), None);
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
    assert_eq!(votes.primary(), Some(named("b")));
    assert_eq!(votes.confirmed(&named("b")), Some(at(20)));
}

#[test]
fn one_sentinel_with_a_later_primary_is_enough_to_leave_the_old_one() {
    let mut votes = votes([
        report("s1", 10, ("a", 4), ("s1", 4)),
        report("s2", 10, ("a", 4), ("s1", 4)),
        report("s3", 11, ("b", 5), ("s3", 5)),
    ]);
    assert_eq!(votes.primary(), Some(named("b")));
    assert_eq!(votes.confirmed(&named("a")), None);
    assert_eq!(votes.confirmed(&named("b")), None);
    votes.record(&place("s2"), report("s2", 12, ("b", 5), ("s3", 5)));
    assert_eq!(votes.confirmed(&named("b")), Some(at(11)));
}

#[test]
fn a_sentinel_that_keeps_its_votes_to_itself_counts_by_its_primary() {
    let silent = |id: &str| Report {
        vote: None,
        ..report(id, 10, ("a", 4), ("", 0))
    };
    let votes = votes([silent("s1"), silent("s2")]);
    assert_eq!(votes.confirmed(&named("a")), Some(at(10)));
}

#[test]
fn a_sentinel_at_two_addresses_counts_once() {
    let one = report("s1", 10, ("a", 4), ("s1", 4));
    let mut votes = votes([one.clone()]);
    votes.record(&place("another name"), one);
    assert_eq!(votes.confirmed(&named("a")), None);
    votes.record(&place("s2"), report("s2", 20, ("a", 4), ("s1", 4)));
    assert_eq!(votes.confirmed(&named("a")), Some(at(10)));
    // Sent before, by the other address, and received later.
    votes.record(&place("s1"), report("s1", 9, ("b", 9), ("s1", 4)));
    assert_eq!(votes.confirmed(&named("a")), Some(at(10)));
}

#[test]
fn a_sentinel_that_was_set_up_again_counts_once() {
    let a = ("a", 0);
    let mut votes = votes([
        report("s1", 10, ("b", 9), ("s1", 9)),
        report("s2", 10, a, ("s1", 0)),
        report("s3", 10, a, ("s1", 0)),
    ]);
    assert_eq!(votes.primary().unwrap().place, place("b"));
    votes.record(&place("s1"), report("s4", 20, a, ("", 0)));
    assert_eq!(votes.primary().unwrap().place, place("a"));
    assert_eq!(votes.majority(), 2);
}

#[test]
fn a_removed_sentinel_is_forgotten() {
    let a = ("a", 4);
    let mut votes = votes(["s1", "s2", "s3", "s4", "s5"].map(|id| report(id, 10, a, ("s1", 4))));
    assert_eq!(votes.majority(), 3);
    let later = 10 + whole_millis(FORGET_AFTER);
    for id in ["s1", "s2", "s3"] {
        votes.record(&place(id), report(id, later, a, ("s1", 4)));
    }
    assert_eq!(votes.majority(), 2);
}

#[test]
fn a_sentinel_that_was_reset_is_no_majority_alone() {
    let mut reset = report("s1", 10, ("a", 4), ("s1", 4));
    reset.primary.num_other_sentinels = 0;
    assert_eq!(votes([reset]).confirmed(&named("a")), None);
}

#[test]
fn a_failed_election_stays_failed_without_its_leader() {
    let a = ("a", 4);
    let mut votes = votes(["s1", "s2"].map(|id| report(id, 10, a, ("s3", 5))));
    votes.record(&place("s3"), report("s3", 20, a, ("s3", 5)));
    let later = 20 + whole_millis(FORGET_AFTER);
    for sent in [later / 2, later] {
        for id in ["s1", "s2"] {
            votes.record(&place(id), report(id, sent, a, ("s3", 5)));
        }
    }
    assert_eq!(votes.reports.len(), 2);
    assert_eq!(votes.confirmed(&named("a")), Some(at(later)));
}

#[test]
fn a_vote_that_a_reset_forgot_ends_with_later_reports_of_all_sentinels() {
    let a = ("a", 4);
    let reset = |id: &str, sent| {
        let mut report = report(id, sent, a, ("", 5));
        report.vote.as_mut().unwrap().leader = None;
        report
    };
    let mut votes = votes(["s1", "s2", "s3"].map(|id| reset(id, 10)));
    assert_eq!(votes.confirmed(&named("a")), None);
    for id in ["s1", "s2"] {
        votes.record(&place(id), reset(id, 20));
    }
    // The third may be the one that got the votes.
    assert_eq!(votes.confirmed(&named("a")), None);
    votes.record(&place("s3"), reset("s3", 20));
    assert_eq!(votes.confirmed(&named("a")), Some(at(20)));
}
