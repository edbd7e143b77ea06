//! Single flight: at most one load of a key at a time. Every reader gets a
//! result, and none gets an outdated one.
//!
//! The store behind the flights is a number that a writer raises. A reader
//! remembers the number when it starts, and must get that number or a higher
//! one, no matter which reader led. Leaders and waiters are dropped at points
//! that the scenario names and at moments that the checker draws.

use std::sync::Arc;

use shuttle::future::{block_on, spawn};
use shuttle::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

mod local;
mod runtime;

use local::flight::{Entered, Flights, Leader, Outcome, Waited};

/// How many schedules are drawn for each scenario, twice; with `ASIDE_SOAK=1`
/// fifty times as many.
const SCHEDULES: usize = 1_000;

/// The behaviour of leaders.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leaders {
    /// Leaders finish their flights.
    Stay,
    /// The first leader is dropped before its load; later leaders finish.
    FirstGoesAway,
}

/// When a load is counted, which decides if followers may take its result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// A load is counted before it is sent, as in the library.
    BeforeTheLoad,
    /// It is counted when it returns. A reader that joined in between then
    /// takes a result that is older than its read.
    AfterTheLoad,
}

type Book = Arc<Flights<u8, u64, u64>>;

struct World {
    book: Book,
    /// The committed row.
    row: AtomicU64,
    /// Loads in progress.
    leading: AtomicUsize,
    went_away: AtomicUsize,
    answered: AtomicUsize,
}

impl World {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            book: Arc::new(Flights::new()),
            row: AtomicU64::new(1),
            leading: AtomicUsize::new(0),
            went_away: AtomicUsize::new(0),
            answered: AtomicUsize::new(0),
        })
    }

    /// Loads and finishes the flight, unless the leader is dropped. Returns the
    /// row if it loaded one.
    async fn lead(
        &self,
        leader: Leader<u8, u64, u64>,
        leaders: Leaders,
        step: Step,
    ) -> Option<u64> {
        let already = self.leading.fetch_add(1, Ordering::SeqCst);
        assert_eq!(already, 0, "two readers lead at once");
        let goes_away =
            leaders == Leaders::FirstGoesAway && self.went_away.fetch_add(1, Ordering::SeqCst) == 0;
        if goes_away {
            self.leading.fetch_sub(1, Ordering::SeqCst);
            drop(leader);
            return None;
        }
        leader.set_context(1);
        let counted = match step {
            Step::BeforeTheLoad => leader.step(),
            Step::AfterTheLoad => 0,
        };
        let row = self.row.load(Ordering::SeqCst);
        // The database takes some time.
        shuttle::future::yield_now().await;
        let counted = match step {
            Step::BeforeTheLoad => counted,
            Step::AfterTheLoad => leader.step(),
        };
        self.leading.fetch_sub(1, Ordering::SeqCst);
        leader.finish(Outcome {
            value: row,
            step: counted,
            shared_under: None,
        });
        Some(row)
    }

    /// Reads strictly: a result observed before the read began is an error.
    async fn read(&self, leaders: Leaders, step: Step) {
        let asked = self.row.load(Ordering::SeqCst);
        loop {
            let leader = match self.book.enter(&0, 1, false) {
                Entered::Lead(leader) => leader,
                Entered::Follow(follower) => match follower.wait().await {
                    Waited::Answer(row) => {
                        assert!(asked <= row, "read began at {asked}, returned {row}");
                        self.answered.fetch_add(1, Ordering::SeqCst);
                        return;
                    }
                    Waited::Lead(leader) => leader,
                    Waited::Again => continue,
                },
            };
            if let Some(row) = self.lead(leader, leaders, step).await {
                assert!(asked <= row);
                self.answered.fetch_add(1, Ordering::SeqCst);
            }
            return;
        }
    }
}

/// Three readers and a writer. One reader leads at a time, each reader that is
/// not dropped gets a result, and no result is older than its read.
///
/// # Panics
/// If a result is older, or a reader waits forever.
pub fn every_reader_is_answered_with_what_is_no_older_than_its_question(
    leaders: Leaders,
    step: Step,
) {
    let scenario = move || {
        block_on(async move {
            let world = World::new();
            let mut tasks = Vec::new();
            for _ in 0..3 {
                let world = Arc::clone(&world);
                tasks.push(spawn(async move { world.read(leaders, step).await }));
            }
            let writing = Arc::clone(&world);
            tasks.push(spawn(async move {
                writing.row.fetch_add(1, Ordering::SeqCst);
                shuttle::future::yield_now().await;
                writing.row.fetch_add(1, Ordering::SeqCst);
            }));
            for task in tasks {
                task.await.unwrap();
            }
            let gone = usize::from(leaders == Leaders::FirstGoesAway);
            assert_eq!(world.answered.load(Ordering::SeqCst), 3 - gone);
            assert_eq!(world.book.len(), 0, "a flight was left behind");
        });
    };
    search(scenario);
}

/// A leader is dropped while a waiter is dropped. A remaining reader must lead,
/// and no reader may wait for a flight without a leader. `count` readers start
/// in the meantime.
///
/// # Panics
/// If a reader waits forever, or a flight is left behind.
pub fn a_lead_is_handed_over_while_waiters_go_away(count: usize) {
    search(move || {
        block_on(async move {
            let world = World::new();
            let Entered::Lead(leader) = world.book.enter(&0, 1, false) else {
                panic!("another reader leads already");
            };
            let leaving = match world.book.enter(&0, 1, false) {
                Entered::Follow(follower) => follower,
                Entered::Lead(_) => panic!("two readers lead at once"),
            };
            let gives_up = spawn(async move { drop(leader) });
            let leaves = spawn(async move { drop(leaving) });
            let mut readers = Vec::new();
            for _ in 0..count {
                let world = Arc::clone(&world);
                readers.push(spawn(async move {
                    world.read(Leaders::Stay, Step::BeforeTheLoad).await;
                }));
            }
            for task in readers.into_iter().chain([gives_up, leaves]) {
                task.await.unwrap();
            }
            assert_eq!(world.answered.load(Ordering::SeqCst), count);
            assert_eq!(world.book.len(), 0, "a flight was left behind");
        });
    });
}

/// A write is acknowledged while a flight is in progress, and its writer reads
/// under `mark`. The flight runs under generation 1, and may share its result
/// with readers under 1. The write raised the generation to 2.
///
/// # Panics
/// If the writer gets the row from before its write.
pub fn a_lenient_reader_takes_what_an_entry_of_its_generations_would_give(mark: u64) {
    search(move || {
        block_on(async move {
            let world = World::new();
            let Entered::Lead(leader) = world.book.enter(&0, 1, false) else {
                panic!("another reader leads already");
            };
            leader.set_context(1);
            let step = leader.step();
            let row = world.row.load(Ordering::SeqCst);
            let late = Arc::clone(&world);
            let late = spawn(async move {
                let asked = late.row.fetch_add(1, Ordering::SeqCst) + 1;
                // Lenient: it accepts a row that a local entry of its
                // generations could serve.
                match late.book.enter(&0, mark, true) {
                    Entered::Lead(leader) => late.lead_one(leader, asked),
                    Entered::Follow(follower) => match follower.wait().await {
                        Waited::Answer(row) => assert!(asked <= row, "{asked} {row}"),
                        Waited::Lead(leader) => late.lead_one(leader, asked),
                        Waited::Again => {}
                    },
                }
            });
            let finishes = spawn(async move {
                // Leaders that continue take their generations again; the
                // result still depends on the old ones.
                leader.set_context(2);
                leader.finish(Outcome {
                    value: row,
                    step,
                    shared_under: Some(1),
                });
            });
            late.await.unwrap();
            finishes.await.unwrap();
            assert_eq!(world.book.len(), 0, "a flight was left behind");
        });
    });
}

impl World {
    fn lead_one(&self, leader: Leader<u8, u64, u64>, asked: u64) {
        let step = leader.step_bypass();
        let row = self.row.load(Ordering::SeqCst);
        assert!(asked <= row);
        leader.finish(Outcome {
            value: row,
            step,
            shared_under: None,
        });
    }
}

/// Draws schedules: half of them evenly, half with few changes of priority,
/// which finds errors that need one thread to be late.
fn search(scenario: impl Fn() + Clone + Send + Sync + 'static) {
    let is_soak = std::env::var("ASIDE_SOAK").is_ok_and(|value| value == "1");
    let schedules = if is_soak { 50 * SCHEDULES } else { SCHEDULES };
    shuttle::check_random(scenario.clone(), schedules);
    shuttle::check_pct(scenario, schedules, 3);
}
