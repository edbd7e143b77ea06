use super::*;

const DEADLINE: Duration = Duration::from_millis(250);

fn breaker() -> Breaker {
    Breaker::new(DEADLINE / 2)
}

/// Runs `count` operations that take `took` each; returns true if any opened
/// the breaker.
async fn operations(breaker: &Breaker, count: u32, took: Duration, ended: Ended) -> bool {
    let mut opened = false;
    for _ in 0..count {
        let attempt = breaker.attempt();
        tokio::time::advance(took).await;
        opened |= breaker.ended(&attempt, ended);
    }
    opened
}

/// Creates a breaker that has just opened.
async fn open() -> Breaker {
    let breaker = breaker();
    assert!(operations(&breaker, MIN_FAILURES, DEADLINE, Ended::Failed).await);
    breaker
}

/// Creates a breaker whose ramp has just begun.
async fn half_open() -> Breaker {
    let breaker = open().await;
    tokio::time::advance(PAUSE.1).await;
    breaker.probed(true, Duration::from_millis(1));
    assert!(!breaker.saw(true));
    breaker
}

/// Returns the percentage of reads that is admitted now.
fn admitted(breaker: &Breaker) -> usize {
    (0..10_000).filter(|_| breaker.admits()).count() / 100
}

#[tokio::test(start_paused = true)]
async fn operations_without_replies_open_it() {
    let breaker = breaker();
    assert!(!operations(&breaker, MIN_FAILURES - 1, DEADLINE, Ended::Failed).await);
    assert_eq!(breaker.state(), BreakerState::Closed);
    assert!(operations(&breaker, 1, DEADLINE, Ended::Failed).await);
    assert_eq!(breaker.state(), BreakerState::Open);
    assert!(!breaker.admits());
}

#[tokio::test(start_paused = true)]
async fn slow_replies_open_it() {
    let breaker = breaker();
    assert!(operations(&breaker, MIN_FAILURES, DEADLINE / 2, Ended::Answered).await);
    assert_eq!(breaker.state(), BreakerState::Open);
}

#[tokio::test(start_paused = true)]
async fn large_values_that_arrive_too_late_count_as_slow() {
    let breaker = breaker();
    assert!(operations(&breaker, MIN_FAILURES, Duration::ZERO, Ended::Late).await);
}

#[tokio::test(start_paused = true)]
async fn fewer_bad_operations_than_good_leave_it_closed() {
    let breaker = breaker();
    let quick = Duration::from_millis(1);
    operations(&breaker, MIN_FAILURES * 4 + 1, quick, Ended::Answered).await;
    assert!(!operations(&breaker, MIN_FAILURES * 4, quick, Ended::Failed).await);
    // Now they are half of all.
    assert!(operations(&breaker, 1, quick, Ended::Failed).await);
}

#[tokio::test(start_paused = true)]
async fn operations_older_than_the_window_do_not_count() {
    let breaker = breaker();
    let failed = Ended::Failed;
    operations(&breaker, MIN_FAILURES - 1, Duration::ZERO, failed).await;
    // More than one round, so that their slot has not been reused.
    tokio::time::advance(SLOT * 13).await;
    assert!(!operations(&breaker, MIN_FAILURES - 1, Duration::ZERO, failed).await);
    // Successes leave the window as well.
    operations(&breaker, 100, Duration::ZERO, Ended::Answered).await;
    tokio::time::advance(SLOT * 13).await;
    assert!(operations(&breaker, MIN_FAILURES, Duration::ZERO, failed).await);
}

#[tokio::test(start_paused = true)]
async fn failures_are_counted_across_the_slots_of_the_window() {
    let breaker = breaker();
    assert!(operations(&breaker, MIN_FAILURES, SLOT * 3 / 2, Ended::Failed).await);
}

#[tokio::test(start_paused = true)]
async fn a_link_untrusted_for_the_window_opens_it() {
    let breaker = breaker();
    assert!(!breaker.saw(false));
    tokio::time::advance(OUTAGE_AFTER - Duration::from_millis(1)).await;
    assert!(!breaker.saw(false));
    // A moment of trust restarts the time.
    assert!(!breaker.saw(true));
    assert!(!breaker.saw(false));
    tokio::time::advance(OUTAGE_AFTER).await;
    assert!(breaker.saw(false));
    assert_eq!(breaker.state(), BreakerState::Open);
    // Once per change.
    assert!(!breaker.saw(false));
}

#[tokio::test(start_paused = true)]
async fn it_is_not_probed_before_its_pause_is_over() {
    let breaker = open().await;
    tokio::time::advance(PAUSE.0 - Duration::from_millis(1)).await;
    assert_eq!(breaker.probing(), Probing::NotYet);
    tokio::time::advance(PAUSE.1 - PAUSE.0 + Duration::from_millis(1)).await;
    assert_eq!(breaker.probing(), Probing::Due);
}

#[tokio::test(start_paused = true)]
async fn a_probe_that_fails_or_is_slow_begins_another_pause() {
    let breaker = open().await;
    for (succeeded, took) in [(false, Duration::ZERO), (true, DEADLINE / 2)] {
        tokio::time::advance(PAUSE.1).await;
        assert_eq!(breaker.probing(), Probing::Due);
        breaker.probed(succeeded, took);
        assert_eq!(breaker.state(), BreakerState::Open);
        assert_eq!(breaker.probing(), Probing::NotYet);
    }
}

#[tokio::test(start_paused = true)]
async fn the_share_of_admitted_reads_grows_to_all() {
    fastrand::seed(7);
    let breaker = half_open().await;
    assert_eq!(breaker.state(), BreakerState::HalfOpen);
    let mut before = admitted(&breaker);
    assert!((5..=15).contains(&before), "{before} % at once");
    for _ in 0..3 {
        tokio::time::advance(RAMP.0 / 4).await;
        let now = admitted(&breaker);
        assert!(before + 5 < now && now < 97, "{before} %, then {now} %");
        before = now;
    }
    tokio::time::advance(RAMP.1).await;
    assert_eq!(admitted(&breaker), 100);
    assert_eq!(breaker.state(), BreakerState::Closed);
}

#[tokio::test(start_paused = true)]
async fn the_ramp_begins_with_the_first_admissible_read() {
    fastrand::seed(7);
    let breaker = open().await;
    tokio::time::advance(PAUSE.1).await;
    breaker.probed(true, Duration::ZERO);
    // The journal is still being drained.
    for _ in 0..10 {
        tokio::time::advance(RAMP.1).await;
        assert!(!breaker.saw(false));
    }
    assert_eq!(breaker.state(), BreakerState::HalfOpen);
    let first = admitted(&breaker);
    assert!((5..=15).contains(&first), "{first} % at once");
}

#[tokio::test(start_paused = true)]
async fn it_closes_without_reads() {
    let breaker = half_open().await;
    tokio::time::advance(RAMP.1).await;
    assert!(!breaker.saw(true));
    assert_eq!(breaker.state.load(Ordering::Acquire), 0);
}

#[tokio::test(start_paused = true)]
async fn one_failure_on_the_ramp_opens_it_again() {
    let breaker = half_open().await;
    operations(&breaker, 50, Duration::ZERO, Ended::Answered).await;
    assert!(operations(&breaker, 1, Duration::ZERO, Ended::Failed).await);
    assert_eq!(breaker.state(), BreakerState::Open);
    assert_eq!(breaker.probing(), Probing::NotYet);
}

#[tokio::test(start_paused = true)]
async fn slow_answers_on_the_ramp_open_it_again() {
    let breaker = half_open().await;
    assert!(operations(&breaker, MIN_FAILURES, DEADLINE / 2, Ended::Answered).await);
}

#[tokio::test(start_paused = true)]
async fn replies_from_before_it_opened_do_not_count() {
    let breaker = breaker();
    let stragglers: Vec<Attempt> = (0..20).map(|_| breaker.attempt()).collect();
    operations(&breaker, MIN_FAILURES, DEADLINE, Ended::Failed).await;
    tokio::time::advance(PAUSE.1).await;
    breaker.probed(true, Duration::ZERO);
    for straggler in stragglers {
        assert!(!breaker.ended(&straggler, Ended::Failed));
    }
    assert_eq!(breaker.state(), BreakerState::HalfOpen);
}

#[tokio::test(start_paused = true)]
async fn closing_it_clears_the_window() {
    let breaker = half_open().await;
    operations(&breaker, MIN_FAILURES - 1, DEADLINE / 2, Ended::Answered).await;
    tokio::time::advance(RAMP.1).await;
    assert_eq!(breaker.state(), BreakerState::Closed);
    assert!(!operations(&breaker, 1, DEADLINE, Ended::Failed).await);
}

#[tokio::test(start_paused = true)]
async fn pauses_and_ramps_vary_between_instances() {
    let lengths: Vec<Duration> = (0..50).map(|_| between(RAMP)).collect();
    assert!(lengths.iter().all(|one| (RAMP.0..=RAMP.1).contains(one)));
    assert!(lengths.iter().any(|one| *one != lengths[0]));
}
