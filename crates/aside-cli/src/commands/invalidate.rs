//! `aside invalidate`: a row, a list or a whole kind, counted first if asked.

use std::io::{self, BufRead as _, IsTerminal as _};
use std::time::Duration;

use axum::http::Method;
use serde_json::{Map, Value, json};

use super::members::{Fleet, Member};
use super::probe::probe;
use super::times::counted;
use crate::arguments::{Arguments, Invalidate};
use crate::failure::{Code, Failure};
use crate::output::{Answer, Problem, note};
use crate::target::{Target, ask};

/// The most names of keys that are shown.
const MAX_NAMES: usize = 20;

pub(super) async fn run(
    target: &impl Target,
    asked: &Invalidate,
    arguments: &Arguments,
) -> Result<Answer, Failure> {
    let fleet = Fleet::of(target).await?;
    let members = fleet.members();
    if asked.dry_run {
        let counted = send(target, asked, true).await?;
        return Ok(dry_run(&counted, &members));
    }
    if asked.all && !asked.yes {
        let counted = send(target, asked, true).await?;
        confirm(&asked.kind, &counted).await?;
    }
    let done = send(target, asked, false).await?;
    let (heard, missing) = confirmed(target, &fleet, arguments.timeout).await;
    Ok(finished(&done, heard, &missing))
}

async fn send(target: &impl Target, asked: &Invalidate, dry_run: bool) -> Result<Value, Failure> {
    let mut body = json!({
        "kind": asked.kind,
        "with_lists": asked.with_lists,
        "dry_run": dry_run,
    });
    if let Some(id) = &asked.id {
        body["id"] = json!(id);
    } else if asked.all {
        body["all"] = json!(true);
    } else {
        let fields = asked.index.iter();
        let fields = fields.map(|(field, value)| (field.clone(), json!(value)));
        body["index"] = Value::Object(fields.collect::<Map<_, _>>());
    }
    let sent = ask(target, Method::POST, "/cache/invalidate", Some(&body)).await;
    sent.map_err(|failure| with_suggestion(failure, &asked.kind))
}

/// Adds the kind that was perhaps meant.
fn with_suggestion(failure: Failure, kind: &str) -> Failure {
    let possible = failure.hint.as_deref().unwrap_or_default();
    let names = possible.strip_prefix("possible: ").unwrap_or_default();
    let close = |name: &&str| {
        let shared = name.chars().zip(kind.chars()).take_while(|(a, b)| a == b);
        3 <= shared.count()
    };
    match names.split(", ").find(close) {
        Some(name) if failure.code == Code::Usage && name != kind => {
            let hint = format!("{possible}. Did you mean `{name}`?");
            failure.with_hint(hint)
        }
        _ => failure,
    }
}

fn names(done: &Value) -> Vec<&str> {
    let names = done["names"].as_array().into_iter().flatten();
    names.filter_map(Value::as_str).collect()
}

/// Formats the number of keys.
fn keys(done: &Value) -> String {
    let count = counted(done["keys"].as_u64().unwrap_or(0), "key");
    match done["at_least"] == true {
        true => format!("at least {count}"),
        false => count,
    }
}

fn dry_run(done: &Value, members: &[Member<'_>]) -> Answer {
    let silent = members.iter().filter(|member| member.is_silent()).count();
    let silent = match silent {
        0 => String::new(),
        silent => format!(" ({silent} of them silent)"),
    };
    let instances = counted(members.len() as u64, "instance");
    let names = names(done);
    let shown = names.iter().take(MAX_NAMES).map(|name| format!("  {name}"));
    let mut shown: String = shown.collect();
    if MAX_NAMES < names.len() {
        shown += &format!("  and {} more", names.len() - MAX_NAMES);
    }
    let mut text = format!(
        "would invalidate {} in Redis, and copies on {instances}{silent}:{shown}\n",
        keys(done)
    );
    if done["unknown_lists"] == true {
        text += "its lists are not known: the row is not cached\n";
    }
    Answer::good(text, json!({ "invalidated": done }))
}

/// Asks before a whole kind is invalidated.
async fn confirm(kind: &str, counted: &Value) -> Result<(), Failure> {
    if !io::stdin().is_terminal() {
        let failure = Failure::usage(format!(
            "this invalidates every copy of kind {kind}: {}",
            keys(counted)
        ));
        return Err(failure.with_hint("add --yes, or --dry-run to count only"));
    }
    note(&format!(
        "This invalidates every copy of kind {kind}: {}. The database is read until it is warm \
         again.\nType the kind to go on:",
        keys(counted)
    ));
    // On another thread, so that ^C is noticed meanwhile.
    let typed = tokio::task::spawn_blocking(|| {
        let mut line = String::new();
        let read = io::stdin().lock().read_line(&mut line);
        read.map(|_| line)
    });
    let typed = typed.await.ok().and_then(Result::ok);
    match typed.is_some_and(|line| line.trim() == kind) {
        true => Ok(()),
        false => Err(Failure::usage("not confirmed; nothing was invalidated")),
    }
}

/// Returns how many instances applied the invalidation, if that is known, and
/// describes those that did not. Only Redis knows more than which are silent.
async fn confirmed(
    target: &impl Target,
    fleet: &Fleet,
    timeout: Duration,
) -> (Option<usize>, Vec<String>) {
    let probed = match target.ops() {
        Some(ops) => probe(ops, fleet, timeout).await,
        None => None,
    };
    match probed {
        Some(probe) => {
            let missing = probe.missing.iter().map(|id| fleet.described(id));
            (Some(probe.heard.len()), missing.collect())
        }
        None => {
            let members = fleet.members();
            let silent = members.iter().filter(|member| member.is_silent());
            (None, silent.map(Member::described).collect())
        }
    }
}

fn finished(done: &Value, heard: Option<usize>, missing: &[String]) -> Answer {
    let mut text = match done["pending"] == true {
        true => "not acknowledged: it will be repeated when Redis is used again\n".to_owned(),
        false => format!("invalidated: {}", keys(done)),
    };
    if done["pending"] != true {
        if let Some(epoch) = done["epoch"].as_u64() {
            text += &format!(", epoch {epoch}");
        }
        if let Some(heard) = heard {
            text += &format!("; {} confirmed", counted(heard as u64, "instance"));
        }
        text += "\n";
    }
    if done["unknown_lists"] == true {
        note("aside: its lists are not known: the row was not cached");
    }
    for instance in missing {
        note(&format!("aside: {instance} did not confirm"));
    }
    let code = match (done["pending"] == true, missing.is_empty()) {
        (true, _) => Code::Unconfirmed,
        (false, true) => Code::Good,
        (false, false) => Code::Bad,
    };
    let unheard = missing.iter().map(|instance| {
        let message = format!("{instance} did not confirm");
        Problem::new("unconfirmed", message)
    });
    let pending = (done["pending"] == true).then(|| {
        let message = "Redis did not acknowledge it";
        Problem::new("pending", message)
    });
    let problems = pending.into_iter().chain(unheard);
    Answer {
        code,
        text,
        problems: problems.collect(),
        data: json!({ "invalidated": done, "confirmed": heard, "unconfirmed": missing }),
    }
}
