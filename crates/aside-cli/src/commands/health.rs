//! `aside health`: one line.

use serde_json::json;

use super::members::{Fleet, Member};
use super::times::span;
use crate::failure::{Code, Failure};
use crate::output::{Answer, Problem};
use crate::target::{Target, get};

pub(super) async fn run(target: &impl Target) -> Result<Answer, Failure> {
    let stats = get(target, "/cache/stats").await?;
    let fleet = Fleet::of(target).await?;
    let health = &stats["health"];
    let mut problems = Vec::new();
    if health["status"] != "healthy" {
        let reason = health["reason"].as_str();
        let status = health["status"].as_str().unwrap_or("unknown");
        let reason = reason.unwrap_or("caching is off in this instance");
        let message = format!("Redis is {status}: {reason}");
        problems.push(Problem::new("redis", message));
    }
    let trouble = fleet.trouble();
    problems.extend(trouble.map(|trouble| Problem::new("fleet", trouble)));
    let members = fleet.members();
    let in_step = members.iter().filter(|member| member.is_in_step()).count();
    let text = match problems.is_empty() {
        true => {
            let latency = health["latency_ms"].as_f64().unwrap_or(0.0);
            let server = &health["server"];
            format!(
                "ok  Redis {} at {}/{}, {}; {}\n",
                health["server_version"].as_str().unwrap_or("?"),
                server["address"].as_str().unwrap_or("?"),
                server["database"],
                span(latency),
                in_words(&members, in_step),
            )
        }
        false => {
            let lines = problems
                .iter()
                .map(|problem| format!("NOT WELL  {}\n", problem.message));
            lines.collect::<String>() + "  next: aside doctor\n"
        }
    };
    Ok(Answer {
        code: match problems.is_empty() {
            true => Code::Good,
            false => Code::Bad,
        },
        text,
        data: json!({
            "redis": health,
            "instances": members.len(),
            "in_step": in_step,
        }),
        problems,
    })
}

fn in_words(members: &[Member<'_>], in_step: usize) -> String {
    if members.is_empty() {
        return "no instance announces itself".to_owned();
    }
    let proofs = members.iter().filter_map(Member::proof);
    let oldest = proofs.fold(0.0, f64::max);
    let bound = members.iter().map(|member| member.number("bound_ms"));
    let bound = bound.fold(0.0, f64::max);
    format!(
        "{in_step} of {} instances in step, oldest proof {} of {}",
        members.len(),
        span(oldest),
        span(bound)
    )
}
