//! Waiting for a condition instead of a fixed time.
//!
//! A fixed sleep in a test is either too short on a busy machine or too long on
//! every other. These functions check the condition again and again until it
//! holds. If it does not hold in time, they fail with its name.

use std::fmt::Debug;
use std::panic::Location;
use std::time::{Duration, Instant};

/// The longest pause between two checks of a condition.
const MAX_PAUSE: Duration = Duration::from_millis(20);

/// The result of one check of a condition.
///
/// `bool`, `Option<T>` and `Result<T, E>` are outcomes: `true`, `Some` and
/// `Ok` end the wait, and the value inside is what the wait returns.
pub trait Outcome {
    /// What the wait returns once the condition holds.
    type Value;

    /// Returns the value, or a description of why the condition does not hold
    /// yet.
    ///
    /// # Errors
    ///
    /// If the wait must continue. The text of the last check is shown on a
    /// timeout.
    fn settle(self) -> Result<Self::Value, String>;
}

impl Outcome for bool {
    type Value = ();

    fn settle(self) -> Result<(), String> {
        if self { Ok(()) } else { Err("false".into()) }
    }
}

impl<T> Outcome for Option<T> {
    type Value = T;

    fn settle(self) -> Result<T, String> {
        self.ok_or_else(|| "None".into())
    }
}

impl<T, E: Debug> Outcome for Result<T, E> {
    type Value = T;

    fn settle(self) -> Result<T, String> {
        self.map_err(|error| format!("{error:?}"))
    }
}

/// Waits until `condition` holds and returns its value.
///
/// It uses tokio's time, so under a paused clock the wait is virtual.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// use std::time::Duration;
/// use aside_testkit::eventually;
///
/// let (sender, mut receiver) = tokio::sync::mpsc::channel(1);
/// tokio::spawn(async move { sender.send(7).await });
///
/// let seven = eventually(Duration::from_secs(5), "a message", async || receiver.try_recv()).await;
/// assert_eq!(seven, 7);
/// # }
/// ```
///
/// # Panics
///
/// If `condition` does not hold within `within`. The message names `what`, the
/// caller and the result of the last check.
#[track_caller]
pub fn eventually<O: Outcome>(
    within: Duration,
    what: &str,
    mut condition: impl AsyncFnMut() -> O,
) -> impl Future<Output = O::Value> {
    let caller = Location::caller();
    async move {
        let start = tokio::time::Instant::now();
        let mut pause = Duration::from_millis(1);
        loop {
            match condition().await.settle() {
                Ok(value) => return value,
                Err(last) if within <= start.elapsed() => fail(within, what, &last, caller),
                Err(_) => tokio::time::sleep(pause).await,
            }
            pause = (pause * 2).min(MAX_PAUSE);
        }
    }
}

/// Waits, blocking this thread, until `condition` holds and returns its value.
///
/// # Panics
///
/// If `condition` does not hold within `within`. The message names `what`, the
/// caller and the result of the last check.
#[track_caller]
pub fn eventually_blocking<O: Outcome>(
    within: Duration,
    what: &str,
    condition: impl FnMut() -> O,
) -> O::Value {
    let caller = Location::caller();
    poll_until(within, condition).unwrap_or_else(|last| fail(within, what, &last, caller))
}

/// Polls `condition`. Returns the description of the last check on a timeout.
pub(crate) fn poll_until<O: Outcome>(
    within: Duration,
    mut condition: impl FnMut() -> O,
) -> Result<O::Value, String> {
    let start = Instant::now();
    let mut pause = Duration::from_millis(1);
    loop {
        match condition().settle() {
            Ok(value) => return Ok(value),
            Err(last) if within <= start.elapsed() => return Err(last),
            Err(_) => std::thread::sleep(pause),
        }
        pause = (pause * 2).min(MAX_PAUSE);
    }
}

fn fail(within: Duration, what: &str, last: &str, caller: &Location<'_>) -> ! {
    panic!("waited {within:?} for {what} (last check: {last}), at {caller}")
}
