//! A runtime whose clock is paused: it advances to the next timer as soon as no task runs,
//! so that figures do not depend on the machine.

use crate::error::Wrong;

/// Runs a simulation in a runtime with a paused clock, in another thread, because the
/// caller's runs a runtime.
pub(crate) fn run<T: Send, F: Future<Output = Result<T, Wrong>>>(
    simulation: impl FnOnce() -> F + Send,
) -> Result<T, Wrong> {
    let simulating = || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .map_err(|error| Wrong(format!("no runtime: {error}")))?;
        runtime.block_on(simulation())
    };
    let outcome = std::thread::scope(|scope| scope.spawn(simulating).join());
    outcome.map_err(|_| Wrong("the simulation panicked".to_owned()))?
}
