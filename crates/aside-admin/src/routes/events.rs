//! `GET /cache/events`: the latest invalidations, and a stream of those to come.
//!
//! At most fifty a second, because no person reads more and a browser would stall.
//! The others are counted.

use std::convert::Infallible;
use std::time::Duration;

use aside::events::{Invalidation, Invalidations};
use axum::extract::State;
use axum::http::Uri;
use axum::response::sse::{Event, KeepAlive, Sse};
use futures_util::stream::{self, Stream, StreamExt as _};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::admin::Admin;
use crate::problem::Problem;
use crate::query;

/// The most events of a second.
const MAX_PER_SECOND: u32 = 50;

const SECOND: Duration = Duration::from_secs(1);

/// The reasons that senders name.
const REASONS: [&str; 5] = ["write", "request", "audit", "journal", "probe"];

pub(crate) async fn events(
    State(admin): State<Admin>,
    uri: Uri,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Problem> {
    let filter = Filter::of(&admin, &uri)?;
    // First the subscription, so that no event is missed in between.
    let invalidations = admin.cache().subscribe();
    let own = admin.cache().instance();
    let recent = admin.cache().recent_invalidations();
    let recent = recent.iter().filter(|heard| filter.admits(heard));
    let recent: Vec<_> = recent.map(|heard| Ok(event(heard, own))).collect();
    let paced = Paced {
        invalidations,
        filter,
        second: Instant::now(),
        sent: 0,
        dropped: 0,
        next: None,
    };
    let events = stream::unfold(paced, move |mut paced: Paced| async move {
        let heard = paced.next().await?;
        let event = match heard {
            Told::Heard(heard) => event(&heard, own),
            Told::Dropped(count) => missed(count, "rate"),
        };
        Some((Ok(event), paced))
    });
    let events = stream::iter(recent).chain(events);
    Ok(Sse::new(events).keep_alive(KeepAlive::default()))
}

/// The events that a client asked for.
struct Filter {
    kind: Option<String>,
    why: Vec<String>,
}

impl Filter {
    fn of(admin: &Admin, uri: &Uri) -> Result<Self, Problem> {
        let mut parameters = query::parameters(uri)?;
        let kind = parameters.remove("kind");
        let why = parameters.remove("why");
        if !parameters.is_empty() {
            let possible = ["kind", "why"].map(str::to_owned);
            return Err(Problem::bad_request("No such parameter.").with_possible(possible));
        }
        if let Some(kind) = &kind
            && !admin.kinds().contains(kind)
        {
            return Err(Problem::unknown_kind(admin.kinds()));
        }
        let why = why.iter().flat_map(|why| why.split(','));
        let why: Vec<String> = why.map(str::to_owned).collect();
        match why.iter().any(|why| !REASONS.contains(&why.as_str())) {
            false => Ok(Self { kind, why }),
            true => {
                Err(Problem::bad_request("No such reason.")
                    .with_possible(REASONS.map(str::to_owned)))
            }
        }
    }

    /// Returns true if the event is wanted; one that may concern anything is.
    fn admits(&self, heard: &Invalidation) -> bool {
        let (kind, why) = match heard {
            Invalidation::Key { kind, why, .. } | Invalidation::Kind { kind, why, .. } => {
                (*kind, *why)
            }
            _ => return true,
        };
        let is_of_kind = self
            .kind
            .as_deref()
            .is_none_or(|wanted| kind == Some(wanted));
        let is_wanted = |why: &str| self.why.iter().any(|wanted| wanted == why);
        is_of_kind && (self.why.is_empty() || why.is_some_and(is_wanted))
    }
}

/// A part of the stream.
enum Told {
    Heard(Invalidation),
    /// The number of events above the limit of a second.
    Dropped(u64),
}

/// A subscription, within the limit.
struct Paced {
    invalidations: Invalidations,
    filter: Filter,
    /// When the current second began.
    second: Instant,
    sent: u32,
    dropped: u64,
    /// An event of the next second, while the count of this one is sent.
    next: Option<Invalidation>,
}

impl Paced {
    async fn next(&mut self) -> Option<Told> {
        if let Some(heard) = self.next.take() {
            self.sent = 1;
            return Some(Told::Heard(heard));
        }
        loop {
            let ends = self.second + SECOND;
            let heard = self.invalidations.next();
            let heard = match self.dropped {
                0 => heard.await?,
                _ => match tokio::time::timeout_at(ends, heard).await {
                    Ok(heard) => heard?,
                    Err(_) => return Some(self.begin_second(None)),
                },
            };
            if !self.filter.admits(&heard) {
                continue;
            }
            if ends <= Instant::now() {
                if 0 < self.dropped {
                    return Some(self.begin_second(Some(heard)));
                }
                (self.second, self.sent) = (Instant::now(), 0);
            }
            if self.sent < MAX_PER_SECOND {
                self.sent += 1;
                return Some(Told::Heard(heard));
            }
            self.dropped += 1;
        }
    }

    /// Begins another second with the count of the last one.
    fn begin_second(&mut self, next: Option<Invalidation>) -> Told {
        self.next = next;
        (self.second, self.sent) = (Instant::now(), 0);
        Told::Dropped(std::mem::take(&mut self.dropped))
    }
}

/// Formats the loss of events, and its reason.
fn missed(count: u64, reason: &str) -> Event {
    let data = json!({ "count": count, "reason": reason });
    Event::default().event("missed").data(data.to_string())
}

/// Formats an event; `own` is the id of this instance.
fn event(heard: &Invalidation, own: u64) -> Event {
    let data = |kind: Option<&str>, key: Option<&str>, by: u64, why: Option<&str>, at: i64| {
        json!({
            "kind": kind,
            "key": key,
            // Hexadecimal, because it exceeds the precision of JavaScript.
            "by": format!("{by:016x}"),
            "own": by == own,
            "why": why,
            "at": at,
        })
    };
    let data = match heard {
        Invalidation::Key {
            kind,
            key,
            by,
            why,
            at,
            ..
        } => data(*kind, Some(key), *by, *why, *at),
        Invalidation::Kind {
            kind, by, why, at, ..
        } => data(*kind, None, *by, *why, *at),
        Invalidation::Lagged(count) => return missed(*count, "slow"),
        _ => json!({ "kind": Value::Null, "key": Value::Null }),
    };
    // JSON has no bare line breaks, so a key cannot forge an event.
    Event::default().event("forgotten").data(data.to_string())
}
