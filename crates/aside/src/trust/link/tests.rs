use super::*;
use crate::trust::generations::Generations;

fn link() -> (Generations, Link) {
    let table = ShardTable::new(Duration::from_secs(3600));
    let trust = table.take().unwrap();
    (Generations::new(&table), Link::new(trust))
}

#[test]
fn a_pong_to_a_ping_sent_before_the_suspicion_does_not_end_it() {
    let (_, link) = link();
    let before = link.suspicions();
    link.suspect(&Suspicion::TimedOut);
    link.pong(Moment::now(), before);
    assert!(!link.is_usable());
    link.pong(Moment::now(), link.suspicions());
    assert!(link.is_usable());
}

#[test]
fn a_suspicion_invalidates_local_copies() {
    let (generations, link) = link();
    link.pong(Moment::now(), link.suspicions());
    let stamp = generations.stamp(1, 0);
    link.suspect(&Suspicion::LatePong);
    assert!(!generations.is_current(stamp));
}

#[test]
fn with_a_journal_a_suspicion_ends_after_a_drain() {
    let (_, link) = link();
    link.pong(Moment::now(), link.suspicions());
    link.require_drain();
    assert!(!link.is_usable());
    let early = link.proved();
    link.pong(Moment::now(), link.suspicions());
    // A SELECT that began before the PONG proves nothing.
    link.drained(early);
    assert!(!link.is_usable());
    link.drained(link.proved());
    assert!(link.is_usable());
}
