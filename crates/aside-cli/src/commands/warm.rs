//! `aside warm`: fills the cache of the fleet through one instance.

use std::time::Duration;

use axum::http::Method;
use serde_json::json;

use super::times::number;
use crate::failure::Failure;
use crate::output::{Answer, table};
use crate::target::{Target, ask_within};

/// A warm-up reads the database, which may take long; ^C does not end it.
const PATIENCE: Duration = Duration::from_secs(24 * 3600);

pub(super) async fn run(target: &impl Target, kinds: &[String]) -> Result<Answer, Failure> {
    if target.ops().is_some() {
        let failure = Failure::usage("a warm-up reads the database, which only a service can");
        return Err(failure.with_hint("try: --at http://HOST:PORT"));
    }
    let body = match kinds.is_empty() {
        true => None,
        false => Some(json!({ "kinds": kinds })),
    };
    let method = Method::POST;
    let done = ask_within(target, method, "/cache/warm", body.as_ref(), PATIENCE).await?;
    let rows = done["warmed"].as_object().into_iter().flatten();
    let rows = rows.map(|(kind, progress)| {
        let count = |name: &str| number(progress[name].as_u64().unwrap_or(0));
        vec![
            kind.clone(),
            format!("{} of {}", count("done"), count("total")),
        ]
    });
    let text = table(&rows.collect::<Vec<_>>());
    Ok(Answer::good(text, done))
}
