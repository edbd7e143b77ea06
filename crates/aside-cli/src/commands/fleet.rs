//! `aside fleet`: the instances.

use super::members::{Fleet, Member};
use super::times::{number, span};
use crate::failure::{Code, Failure};
use crate::output::{Answer, Problem, note, table};
use crate::target::Target;

const HEAD: [&str; 10] = [
    "INSTANCE", "VERSION", "STATE", "PROOF", "BARRIER", "READS/S", "HIT", "BREAKER", "PENDING",
    "BEAT",
];

pub(super) async fn run(target: &impl Target) -> Result<Answer, Failure> {
    let fleet = Fleet::of(target).await?;
    let mut rows = vec![HEAD.map(str::to_owned).to_vec()];
    rows.extend(fleet.members().iter().map(row));
    let trouble = fleet.trouble();
    if let Some(trouble) = trouble.as_ref().filter(|_| !fleet.is_known()) {
        note(&format!("aside: {trouble}"));
    }
    let members = rows.len() - 1;
    let text = match members {
        0 if !fleet.is_known() => String::new(),
        0 => "no instance announces itself\n".to_owned(),
        _ => table(&rows),
    };
    Ok(Answer {
        code: match trouble {
            None => Code::Good,
            Some(_) => Code::Bad,
        },
        text,
        problems: trouble
            .into_iter()
            .map(|what| Problem::new("fleet", what))
            .collect(),
        data: fleet.0,
    })
}

fn row(member: &Member<'_>) -> Vec<String> {
    let text = |name: &str| member.0[name].as_str().unwrap_or("?").to_owned();
    let mut row = vec![member.name().to_owned(), text("version")];
    let beat = format!("{} ago", span(member.number("age_ms")));
    if member.is_silent() {
        // Its last counts are no longer true.
        row.push("SILENT".to_owned());
        row.extend(std::iter::repeat_n("-".to_owned(), 6));
        row.push(beat);
        return row;
    }
    let reads = member.sum("reads", None);
    let hits = ["l1_hit", "l2_hit", "negative_hit"];
    let hits: u64 = hits.iter().map(|hit| member.sum("reads", Some(hit))).sum();
    let shards = member.0["shards"].as_array().into_iter().flatten();
    let barrier = shards.filter_map(|shard| shard["barrier_ms"].as_f64());
    row.extend([
        member.state().to_owned(),
        member.proof().map_or_else(|| "-".to_owned(), span),
        span(barrier.fold(0.0, f64::max)),
        per_second(reads, member.number("seconds")),
        percent(hits, reads),
        text("breaker"),
        number(member.0["pending"].as_u64().unwrap_or(0)),
        beat,
    ]);
    row
}

/// Formats a rate, to a tenth below ten.
#[allow(clippy::cast_precision_loss)] // it is rounded
pub(super) fn per_second(count: u64, seconds: f64) -> String {
    let rate = if seconds > 0.0 {
        count as f64 / seconds
    } else {
        0.0
    };
    match rate < 10.0 {
        true => format!("{rate:.1}"),
        false => format!("{rate:.0}"),
    }
}

/// Formats a share; `-` of nothing.
#[allow(clippy::cast_precision_loss)] // it is rounded
pub(super) fn percent(part: u64, whole: u64) -> String {
    match whole {
        0 => "-".to_owned(),
        _ => format!("{:.0} %", 100.0 * part as f64 / whole as f64),
    }
}
