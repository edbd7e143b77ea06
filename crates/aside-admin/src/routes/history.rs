//! `GET /cache/history`: the counters of the last five minutes or the last hour, in
//! steps.

use std::collections::BTreeSet;

use axum::Json;
use axum::extract::State;
use axum::http::Uri;
use serde_json::{Map, Value, json};

use crate::admin::Admin;
use crate::history::rings::Range;
use crate::history::sample::{COUNTERS, Sample, TIMED, edges, quantile};
use crate::problem::Problem;
use crate::query;

const SHARES: [(&str, f64); 3] = [("p50", 0.5), ("p95", 0.95), ("p99", 0.99)];

pub(crate) async fn history(State(admin): State<Admin>, uri: Uri) -> Result<Json<Value>, Problem> {
    let range = range(&uri)?;
    admin.history().begin();
    let samples = admin.history().samples(range);
    let stats = admin.cache().stats();
    let (of_reads, of_lag) = (edges(&stats), &stats.invalidation_lag.edges);
    let mut times = Map::new();
    for (which, outcome) in TIMED.into_iter().enumerate() {
        let times_of = percentiles(&samples, &of_reads, |sample| &sample.times[which]);
        times.insert(outcome.to_owned(), times_of);
    }
    let names: BTreeSet<_> = samples
        .iter()
        .flat_map(|sample| sample.kinds.keys())
        .collect();
    let kinds = names
        .into_iter()
        .map(|kind| ((*kind).to_owned(), counters(&samples, kind)));
    Ok(Json(json!({
        "range": range.as_str(),
        "step_seconds": range.step_seconds(),
        "at": column(&samples, |sample| sample.at),
        "seconds": column(&samples, |sample| f64::from(sample.millis) / 1e3),
        "kinds": kinds.collect::<Map<_, _>>(),
        "times_ms": times,
        "lag_ms": percentiles(&samples, of_lag, |sample| &sample.lag),
        "proof_age_ms": column(&samples, |sample| sample.proof_age),
    })))
}

fn range(uri: &Uri) -> Result<Range, Problem> {
    let mut parameters = query::parameters(uri)?;
    let wanted = parameters.remove("range");
    let wanted = wanted.as_deref().unwrap_or(Range::FiveMinutes.as_str());
    let range = Range::ALL
        .into_iter()
        .find(|range| range.as_str() == wanted);
    match (range, parameters.is_empty()) {
        (Some(range), true) => Ok(range),
        _ => {
            let possible = Range::ALL.map(|range| format!("range={}", range.as_str()));
            Err(Problem::bad_request("Give a range, or nothing.").with_possible(possible))
        }
    }
}

fn column<T: serde::Serialize>(samples: &[Sample], value: impl Fn(&Sample) -> T) -> Value {
    json!(samples.iter().map(value).collect::<Vec<_>>())
}

/// Returns each counter of a kind, as one column.
fn counters(samples: &[Sample], kind: &str) -> Value {
    let columns = COUNTERS.into_iter().enumerate().map(|(which, name)| {
        let counts = column(samples, |sample| {
            sample.kinds.get(kind).map_or(0, |kind| kind.counts[which])
        });
        (name.to_owned(), counts)
    });
    Value::Object(columns.collect())
}

fn percentiles<'a>(
    samples: &'a [Sample],
    edges: &[f64],
    counts: impl Fn(&'a Sample) -> &'a [u32],
) -> Value {
    let columns = SHARES.into_iter().map(|(name, share)| {
        let times = samples
            .iter()
            .map(|sample| quantile(edges, counts(sample), share))
            // Microseconds are precise enough, and short.
            .map(|time| time.map(|time| (time * 1e3).round() / 1e3));
        (name.to_owned(), json!(times.collect::<Vec<_>>()))
    });
    Value::Object(columns.collect())
}
