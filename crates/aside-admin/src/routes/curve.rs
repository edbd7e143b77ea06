//! `GET /cache/curve`: the hit ratio with another size of the local tier.

use aside::report::Curve;
use axum::Json;
use axum::extract::State;
use axum::http::Uri;
use serde_json::{Map, Value, json};

use crate::admin::Admin;
use crate::problem::Problem;
use crate::query;

const POOLS: [&str; 2] = ["rows", "lists"];

pub(crate) async fn curve(State(admin): State<Admin>, uri: Uri) -> Result<Json<Value>, Problem> {
    let pool = pool(&uri)?;
    let curves = admin.cache().curves();
    let wanted = curves
        .iter()
        .filter(|curve| pool.as_deref().is_none_or(|pool| curve.pool == pool));
    let pools = wanted.map(|curve| (curve.pool.to_owned(), of_curve(curve)));
    Ok(Json(json!({ "pools": pools.collect::<Map<_, _>>() })))
}

/// Returns the pool of a request; `None` for both.
fn pool(uri: &Uri) -> Result<Option<String>, Problem> {
    let mut parameters = query::parameters(uri)?;
    let pool = parameters.remove("pool");
    let is_known = |pool: &String| POOLS.contains(&pool.as_str());
    if parameters.is_empty() && pool.as_ref().is_none_or(is_known) {
        return Ok(pool);
    }
    let possible = POOLS.map(|pool| format!("pool={pool}"));
    Err(Problem::bad_request("Give a pool, or nothing.").with_possible(possible))
}

fn of_curve(curve: &Curve) -> Value {
    let points = curve.points.iter().map(|point| {
        json!({
            "size": point.size,
            "capacity_bytes": point.capacity_bytes,
            "hit_ratio": point.hit_ratio,
            "gain_points": point.gain_points,
        })
    });
    json!({
        "capacity_bytes": curve.capacity_bytes,
        "hit_ratio": curve.hit_ratio,
        "reads": curve.reads,
        "sampled": curve.sampled,
        "points": points.collect::<Vec<_>>(),
        "error_points": curve.error_points,
    })
}
