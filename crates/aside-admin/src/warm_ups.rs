//! The warm-ups that a client can request, and their progress.
//!
//! A warm-up runs in a separate task, one at a time. So a client that
//! disconnects does not leave the cache half warm, and a repeated request does
//! not double the load on the database.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use aside::report::{WarmUpFrom, WarmUpProgress};
use axum::http::StatusCode;
use serde_json::{Map, Value, json};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use crate::problem::Problem;

type Ended = Result<WarmUpProgress, WarmUpFailed>;
type Run = dyn Fn(Progress) -> Pin<Box<dyn Future<Output = Ended> + Send>> + Send + Sync;

/// The reason why a warm-up stopped. It is logged, and shown to no client.
#[derive(Clone, Debug)]
pub struct WarmUpFailed(String);

impl WarmUpFailed {
    /// Creates the error from `reason`.
    pub fn new(reason: impl fmt::Display) -> Self {
        Self(reason.to_string())
    }
}

impl fmt::Display for WarmUpFailed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl std::error::Error for WarmUpFailed {}

/// Receives the progress of a warm-up.
#[derive(Clone, Debug)]
pub struct Progress {
    kind: String,
    from: WarmUpFrom,
    states: Arc<watch::Sender<BTreeMap<String, WarmUpProgress>>>,
}

impl Progress {
    /// Returns the rows that the client asked for: the hot set, or all.
    #[must_use]
    pub fn from(&self) -> WarmUpFrom {
        self.from
    }

    /// Records the progress; call it after every batch.
    pub fn report(&self, state: WarmUpProgress) {
        self.states.send_modify(|states| {
            states.insert(self.kind.clone(), state);
        });
    }
}

/// Why the warm-ups of one request stopped early.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Stopped {
    /// A repository failed; logged.
    Failed,
    /// Redis became unavailable, so nothing more would be cached.
    Unused,
}

/// The warm-ups of one request, by kind.
pub(crate) type Chosen = Vec<(String, Arc<Run>)>;

/// The warm-ups that can run, and their progress.
#[derive(Clone)]
pub(crate) struct WarmUps {
    known: BTreeMap<String, Arc<Run>>,
    states: Arc<watch::Sender<BTreeMap<String, WarmUpProgress>>>,
    /// One permit, which the running warm-up holds.
    turn: Arc<Semaphore>,
}

impl Default for WarmUps {
    fn default() -> Self {
        Self {
            known: BTreeMap::new(),
            states: Arc::new(watch::Sender::default()),
            turn: Arc::new(Semaphore::new(1)),
        }
    }
}

impl WarmUps {
    /// Returns a copy with one more warm-up.
    pub(crate) fn with<W, F>(&self, kind: String, warm_up: W) -> Self
    where
        W: Fn(Progress) -> F + Send + Sync + 'static,
        F: Future<Output = Ended> + Send + 'static,
    {
        let mut with = self.clone();
        let run = move |progress| -> Pin<Box<dyn Future<Output = Ended> + Send>> {
            Box::pin(warm_up(progress))
        };
        with.known.insert(kind, Arc::new(run));
        with
    }

    /// Returns the progress of the latest warm-up of each kind, and of those that began
    /// with the process.
    pub(crate) fn progress(&self, at_start: &BTreeMap<String, WarmUpProgress>) -> Value {
        let states = self.states.borrow();
        let each = |states: &BTreeMap<String, WarmUpProgress>| -> Map<String, Value> {
            let states = states.iter();
            states
                .map(|(kind, state)| (kind.clone(), shown(*state)))
                .collect()
        };
        json!({
            "running": self.turn.available_permits() == 0,
            "kinds": each(&states),
            "at_start": each(at_start),
        })
    }

    /// Returns the requested kinds, or all known ones if none is named.
    pub(crate) fn chosen(&self, asked: Option<Vec<String>>) -> Result<Chosen, Problem> {
        let mut asked = asked.unwrap_or_else(|| self.known.keys().cloned().collect());
        asked.sort_unstable();
        asked.dedup();
        asked
            .into_iter()
            .map(|kind| match self.known.get(&kind) {
                Some(run) => Ok((kind, Arc::clone(run))),
                None => Err(Problem::new(
                    StatusCode::NOT_FOUND,
                    "No such kind can be warmed up here.",
                )
                .with_possible(self.known.keys().cloned())),
            })
            .collect()
    }

    /// Returns the permit to run, or `None` while another warm-up runs.
    pub(crate) fn turn(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.turn).try_acquire_owned().ok()
    }

    /// Runs the chosen warm-ups one after the other. Returns the final counts of
    /// each.
    pub(crate) async fn run(
        &self,
        chosen: Chosen,
        from: WarmUpFrom,
        _turn: OwnedSemaphorePermit,
    ) -> Result<Map<String, Value>, Stopped> {
        let mut warmed = Map::new();
        for (kind, run) in chosen {
            let progress = Progress {
                kind: kind.clone(),
                from,
                states: Arc::clone(&self.states),
            };
            progress.report(WarmUpProgress::default());
            let state = run(progress.clone()).await.inspect_err(|error| {
                tracing::error!(kind, %error, "the warm-up stopped");
            });
            let state = state.map_err(|_| Stopped::Failed)?;
            progress.report(state);
            if state.done < state.total {
                tracing::error!(kind, "the warm-up stopped: Redis became unavailable");
                return Err(Stopped::Unused);
            }
            tracing::info!(kind, count = state.done, filled = state.filled, "warmed up");
            warmed.insert(kind, shown(state));
        }
        Ok(warmed)
    }
}

fn shown(state: WarmUpProgress) -> Value {
    json!({ "done": state.done, "filled": state.filled, "total": state.total })
}
