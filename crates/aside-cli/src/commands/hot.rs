//! `aside hot`: the keys that an instance reads most often.

use serde_json::Value;

use super::times::{counted, span};
use crate::arguments::Hot;
use crate::failure::Failure;
use crate::output::{Answer, table};
use crate::target::{Target, get, query};

const HEAD: [&str; 4] = ["KEY", "READS/S", "SHARE", "AGE"];

pub(super) async fn run(target: &impl Target, asked: &Hot) -> Result<Answer, Failure> {
    if target.ops().is_some() {
        let failure = Failure::usage("each instance knows only the keys that it reads");
        return Err(failure.with_hint("try: --at http://HOST:PORT"));
    }
    let limit = asked.limit.to_string();
    let mut parameters = vec![("limit", &*limit)];
    parameters.extend(asked.kind.as_deref().map(|kind| ("kind", kind)));
    let hot = get(target, &format!("/cache/hot{}", query(&parameters))).await?;
    let text = text(&hot);
    Ok(Answer::good(text, hot))
}

fn text(hot: &Value) -> String {
    if hot["enabled"] == false {
        return "the instance samples nothing: CACHE_ANALYTICS=false\n".to_owned();
    }
    let count = |name: &str| hot[name].as_u64().unwrap_or(0);
    let sampled = counted(count("sampled"), "sampled read");
    let head = format!("({sampled}, one of 64; {} dropped)\n", count("dropped"));
    let keys = hot["keys"].as_array().into_iter().flatten();
    let mut rows = vec![HEAD.map(str::to_owned).to_vec()];
    rows.extend(keys.map(row));
    head + &table(&rows)
}

fn row(hot: &Value) -> Vec<String> {
    let number = |name: &str| hot[name].as_f64().unwrap_or(0.0);
    vec![
        hot["key"].as_str().unwrap_or_default().to_owned(),
        format!("{:.1}", number("reads_per_second")),
        format!("{:.1} %", 100.0 * number("share")),
        span(1e3 * number("age_seconds")),
    ]
}
