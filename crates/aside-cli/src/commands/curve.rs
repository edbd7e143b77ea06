//! `aside curve`: a drawing of the hit ratio with other sizes of the local tier.

use serde_json::Value;

use super::times::number;
use crate::arguments::Curve;
use crate::failure::Failure;
use crate::output::{Answer, table};
use crate::target::{Target, get, query};

/// The length of a bar of all reads.
const WIDTH: f64 = 50.0;

const MIB: f64 = (1 << 20) as f64;

pub(super) async fn run(target: &impl Target, asked: &Curve) -> Result<Answer, Failure> {
    if target.ops().is_some() {
        let failure = Failure::usage("each instance knows only its own hits");
        return Err(failure.with_hint("try: --at http://HOST:PORT"));
    }
    let parameters = asked.pool.as_deref().map(|pool| query(&[("pool", pool)]));
    let path = format!("/cache/curve{}", parameters.unwrap_or_default());
    let curves = get(target, &path).await?;
    let pools = curves["pools"].as_object().into_iter().flatten();
    let drawings: Vec<String> = pools.map(|(pool, curve)| drawing(pool, curve)).collect();
    let text = match drawings.is_empty() {
        true => "nothing was read yet\n".to_owned(),
        false => drawings.join("\n"),
    };
    Ok(Answer::good(text, curves))
}

/// Returns a bar for each size, the smallest first.
fn drawing(pool: &str, curve: &Value) -> String {
    let reads = number(curve["reads"].as_u64().unwrap_or(0));
    let head = format!("{pool}: hits of {reads} reads, and estimates for other sizes");
    let points = curve["points"].as_array().into_iter().flatten();
    let mut points: Vec<(f64, &Value)> =
        points.map(|point| (value(point, "size"), point)).collect();
    let is_estimated = !points.is_empty();
    points.push((1.0, curve));
    points.sort_by(|one, other| one.0.total_cmp(&other.0));
    let rows: Vec<Vec<String>> = points
        .iter()
        .map(|(size, point)| row(*size, point))
        .collect();
    let note = match curve["error_points"].as_f64() {
        Some(error) if is_estimated => {
            format!("the estimate for x1 is {:.1} points off\n", error.abs())
        }
        _ => "too few entries for an estimate of other sizes\n".to_owned(),
    };
    format!("{head}\n{}{note}", table(&rows))
}

fn row(size: f64, point: &Value) -> Vec<String> {
    let ratio = value(point, "hit_ratio");
    let gain = point["gain_points"].as_f64();
    vec![
        format!("x{size}"),
        format!("{:.1} MiB", value(point, "capacity_bytes") / MIB),
        format!("{:.1} %", 100.0 * ratio),
        gain.map_or_else(|| "now".to_owned(), |gain| format!("{gain:+.1}")),
        bar(ratio),
    ]
}

fn value(point: &Value, name: &str) -> f64 {
    point[name].as_f64().unwrap_or(0.0)
}

fn bar(ratio: f64) -> String {
    // At most fifty.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let length = (ratio.clamp(0.0, 1.0) * WIDTH).round() as usize;
    "#".repeat(length)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_sizes_are_drawn_in_their_order() {
        let curve = json!({
            "capacity_bytes": 67_108_864, "hit_ratio": 0.862, "reads": 1_204_518,
            "error_points": -0.4,
            "points": [
                { "size": 2.0, "capacity_bytes": 134_217_728, "hit_ratio": 0.893, "gain_points": 3.1 },
                { "size": 0.5, "capacity_bytes": 33_554_432, "hit_ratio": 0.785, "gain_points": -7.7 },
            ],
        });
        assert_eq!(
            drawing("rows", &curve),
            "rows: hits of 1,204,518 reads, and estimates for other sizes\n\
             x0.5  32.0 MiB   78.5 %  -7.7  #######################################\n\
             x1    64.0 MiB   86.2 %  now   ###########################################\n\
             x2    128.0 MiB  89.3 %  +3.1  #############################################\n\
             the estimate for x1 is 0.4 points off\n"
        );
    }

    #[test]
    fn few_entries_have_no_estimate() {
        let curve = json!({
            "capacity_bytes": 1_048_576, "hit_ratio": 0.5, "reads": 2,
            "error_points": null, "points": [],
        });
        let shown = drawing("lists", &curve);
        assert!(shown.contains("x1  1.0 MiB  50.0 %  now"), "{shown}");
        assert!(shown.ends_with("too few entries for an estimate of other sizes\n"));
    }
}
