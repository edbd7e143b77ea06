//! `POST /cache/warm`: fills the cache ahead of reads.
//!
//! A warm-up runs in a separate task, one at a time. So a client that
//! disconnects does not leave the cache half warm, and a repeated request does
//! not double the load on the database. `GET /cache/stats` shows the progress.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use aside::WarmedUp;
use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::http::{StatusCode, Uri};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tokio::sync::{Semaphore, watch};

use crate::admin::Admin;
use crate::problem::Problem;
use crate::query;

type Ended = Result<WarmedUp, WarmUpFailed>;
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
    states: Arc<watch::Sender<BTreeMap<String, WarmedUp>>>,
}

impl Progress {
    /// Records the progress; call it after every batch.
    pub fn report(&self, state: WarmedUp) {
        self.states.send_modify(|states| {
            states.insert(self.kind.clone(), state);
        });
    }
}

/// The warm-ups that can run, and their progress.
#[derive(Clone)]
pub(crate) struct WarmUps {
    known: BTreeMap<String, Arc<Run>>,
    states: Arc<watch::Sender<BTreeMap<String, WarmedUp>>>,
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

    /// Returns the progress of the latest warm-up of each kind.
    pub(crate) fn progress(&self) -> Value {
        let states = self.states.borrow();
        let kinds: Map<String, Value> = states
            .iter()
            .map(|(kind, state)| (kind.clone(), shown(*state)))
            .collect();
        json!({ "running": self.turn.available_permits() == 0, "kinds": kinds })
    }

    /// Returns the requested kinds, or all known ones if none is named.
    fn chosen(&self, asked: Option<Vec<String>>) -> Result<Vec<(String, Arc<Run>)>, Problem> {
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
}

fn shown(state: WarmedUp) -> Value {
    json!({ "done": state.done, "total": state.total })
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    kinds: Option<Vec<String>>,
}

pub(crate) async fn warm(
    State(admin): State<Admin>,
    uri: Uri,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<Value>, Problem> {
    query::none(&uri)?;
    let body =
        body.map_err(|rejected| Problem::new(rejected.status(), "The body was not read."))?;
    let asked = match body.is_empty() {
        true => Asked::default(),
        false => serde_json::from_slice(&body)
            .map_err(|_| Problem::bad_request(r#"The body must be like {"kinds": ["hero"]}."#))?,
    };
    let warm_ups = Arc::clone(admin.warm_ups());
    let chosen = warm_ups.chosen(asked.kinds)?;
    let Ok(turn) = Arc::clone(&warm_ups.turn).try_acquire_owned() else {
        return Err(Problem::new(
            StatusCode::CONFLICT,
            "A warm-up is running; /cache/stats shows its progress.",
        ));
    };
    let task = tokio::spawn(async move {
        let _turn = turn;
        let mut warmed = Map::new();
        for (kind, run) in chosen {
            let progress = Progress {
                kind: kind.clone(),
                states: Arc::clone(&warm_ups.states),
            };
            progress.report(WarmedUp::default());
            let state = run(progress.clone()).await.inspect_err(|error| {
                tracing::error!(kind, %error, "the warm-up stopped");
            })?;
            progress.report(state);
            tracing::info!(kind, count = state.done, "warmed up");
            warmed.insert(kind, shown(state));
        }
        Ok::<_, WarmUpFailed>(warmed)
    });
    match task.await {
        Ok(Ok(warmed)) => Ok(Json(json!({ "warmed": warmed }))),
        // The reason is only logged, because it may quote internals.
        Ok(Err(_)) | Err(_) => Err(Problem::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "The warm-up stopped; what it had read until then is cached.",
        )),
    }
}
