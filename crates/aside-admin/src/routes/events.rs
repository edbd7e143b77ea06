//! `GET /cache/events`: the latest invalidations, and a stream of those to come.

use std::convert::Infallible;

use aside::events::{Invalidation, Invalidations};
use axum::extract::State;
use axum::http::Uri;
use axum::response::sse::{Event, KeepAlive, Sse};
use futures_util::stream::{self, Stream, StreamExt as _};
use serde_json::{Value, json};

use crate::admin::Admin;
use crate::problem::Problem;
use crate::query;

pub(crate) async fn events(
    State(admin): State<Admin>,
    uri: Uri,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Problem> {
    query::none(&uri)?;
    // First the subscription, so that no event is missed in between.
    let invalidations = admin.cache().subscribe();
    let own = admin.cache().instance();
    let recent = admin.cache().recent_invalidations();
    let recent: Vec<_> = recent.iter().map(|heard| Ok(event(heard, own))).collect();
    let events = stream::unfold(
        invalidations,
        move |mut invalidations: Invalidations| async move {
            let heard = invalidations.next().await?;
            Some((Ok(event(&heard, own)), invalidations))
        },
    );
    let events = stream::iter(recent).chain(events);
    Ok(Sse::new(events).keep_alive(KeepAlive::default()))
}

/// Formats an event; `own` is the id of this instance.
fn event(heard: &Invalidation, own: u64) -> Event {
    let data = |kind: Option<&str>, key: Option<&str>, by: u64, at: i64| {
        json!({
            "kind": kind,
            "key": key,
            // Hexadecimal, because it exceeds the precision of JavaScript.
            "by": format!("{by:016x}"),
            "own": by == own,
            "at": at,
        })
    };
    let (name, data) = match heard {
        Invalidation::Key {
            kind, key, by, at, ..
        } => ("forgotten", data(*kind, Some(key), *by, *at)),
        Invalidation::Kind { kind, by, at, .. } => ("forgotten", data(*kind, None, *by, *at)),
        Invalidation::Lagged(count) => ("missed", json!({ "count": count })),
        _ => (
            "forgotten",
            json!({ "kind": Value::Null, "key": Value::Null }),
        ),
    };
    // JSON has no bare line breaks, so a key cannot forge an event.
    Event::default().event(name).data(data.to_string())
}
