use std::time::Duration;

use super::*;

type Book = Arc<Flights<&'static str, u32, u64>>;

fn book() -> Book {
    Arc::new(Flights::new())
}

fn lead(book: &Book) -> Leader<&'static str, u32, u64> {
    match book.enter(&"key", 1, true) {
        Entered::Lead(leader) => leader,
        Entered::Follow(_) => panic!("another reader leads"),
    }
}

fn follow(book: &Book, context: u32, lenient: bool) -> Follower<&'static str, u32, u64> {
    match book.enter(&"key", context, lenient) {
        Entered::Follow(follower) => follower,
        Entered::Lead(_) => panic!("no reader leads"),
    }
}

#[allow(clippy::needless_pass_by_value)]
fn answered(waited: Waited<&'static str, u32, u64>) -> Option<u64> {
    match waited {
        Waited::Answer(value) => Some(value),
        Waited::Again => None,
        Waited::Lead(_) => panic!("the flight has a leader"),
    }
}

#[tokio::test]
async fn only_readers_that_joined_before_the_load_get_its_row() {
    let book = book();
    let leader = lead(&book);
    leader.set_context(1);
    let early = follow(&book, 1, false);
    let step = leader.step();
    let late = follow(&book, 1, false);
    leader.finish(Outcome {
        value: 7,
        step,
        shared_under: None,
    });
    assert_eq!(answered(early.wait().await), Some(7));
    assert_eq!(answered(late.wait().await), None);
    assert_eq!(book.len(), 0);
}

#[tokio::test]
async fn a_late_reader_gets_a_row_the_local_tier_would_serve() {
    let book = book();
    let leader = lead(&book);
    leader.set_context(1);
    let step = leader.step();
    let lenient = follow(&book, 1, true);
    let strict = follow(&book, 1, false);
    leader.finish(Outcome {
        value: 7,
        step,
        shared_under: Some(1),
    });
    assert_eq!(answered(lenient.wait().await), Some(7));
    assert_eq!(answered(strict.wait().await), None);
}

#[tokio::test]
async fn a_reader_after_an_invalidation_waits_for_the_next_flight() {
    let book = book();
    let leader = lead(&book);
    leader.set_context(1);
    let step = leader.step();
    let invalidated = follow(&book, 2, true);
    leader.finish(Outcome {
        value: 7,
        step,
        shared_under: Some(1),
    });
    let Waited::Lead(next) = invalidated.wait().await else {
        panic!("an old row")
    };
    next.set_context(2);
    let step = next.step();
    next.finish(Outcome {
        value: 8,
        step,
        shared_under: Some(2),
    });
    assert_eq!(book.len(), 0);
}

#[tokio::test]
async fn bypass_loads_that_wait_share_the_next_one() {
    let book = book();
    let first = lead(&book);
    let step = first.step_bypass();
    let waiting: Vec<_> = (0..64).map(|_| follow(&book, 1, true)).collect();
    first.finish(Outcome {
        value: 1,
        step,
        shared_under: None,
    });
    let (mut leaders, mut answers) = (0, 0);
    let mut tasks = tokio::task::JoinSet::new();
    for follower in waiting {
        tasks.spawn(follower.wait());
    }
    while let Some(waited) = tasks.join_next().await {
        match waited.unwrap() {
            Waited::Lead(leader) => {
                leaders += 1;
                let step = leader.step_bypass();
                leader.finish(Outcome {
                    value: 2,
                    step,
                    shared_under: None,
                });
            }
            Waited::Answer(value) => {
                assert_eq!(value, 2);
                answers += 1;
            }
            Waited::Again => panic!("the next flight serves every waiting reader"),
        }
    }
    assert_eq!((leaders, answers), (1, 63));
    assert_eq!(book.len(), 0);
}

#[tokio::test]
async fn a_dropped_leader_passes_the_lead_on() {
    let book = book();
    let leader = lead(&book);
    let follower = follow(&book, 1, true);
    drop(leader);
    let Waited::Lead(leader) = follower.wait().await else {
        panic!("no reader leads")
    };
    drop(leader);
    assert_eq!(book.len(), 0);
}

#[tokio::test]
async fn an_abandoned_flight_leaves_the_map() {
    let book = book();
    let leader = lead(&book);
    let follower = follow(&book, 1, true);
    drop(leader);
    drop(follower);
    assert_eq!(book.len(), 0);
}

#[tokio::test(start_paused = true)]
async fn the_next_flight_starts_after_the_pause() {
    let book = book();
    let leader = lead(&book);
    let step = leader.step_bypass();
    let pause = Duration::from_millis(10);
    let begin = tokio::time::Instant::now();
    let failed = tokio::spawn(leader.finish_and_pause(
        Outcome {
            value: 1,
            step,
            shared_under: None,
        },
        pause,
    ));
    tokio::task::yield_now().await;
    let next = follow(&book, 1, true);
    assert!(matches!(next.wait().await, Waited::Lead(_)));
    assert!(begin.elapsed() >= pause);
    failed.await.unwrap();
}

/// The leader is dropped without a result while a reader joins. In either
/// order, the reader leads or gets a result, and never waits forever.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_joining_a_dropped_leader_does_not_hang() {
    for _ in 0..20_000 {
        let book = book();
        let leader = lead(&book);
        let start = Arc::new(std::sync::Barrier::new(2));
        let joining = {
            let (book, start) = (Arc::clone(&book), Arc::clone(&start));
            tokio::spawn(async move {
                start.wait();
                match book.enter(&"key", 1, true) {
                    Entered::Lead(_) => {}
                    Entered::Follow(follower) => assert!(matches!(
                        tokio::time::timeout(Duration::from_secs(5), follower.wait()).await,
                        Ok(Waited::Lead(_))
                    )),
                }
            })
        };
        tokio::task::block_in_place(|| {
            start.wait();
            drop(leader);
        });
        joining.await.unwrap();
        assert_eq!(book.len(), 0);
    }
}
