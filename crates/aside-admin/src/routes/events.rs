//! `GET /cache/events`: a stream of invalidations.

use std::convert::Infallible;

use aside::events::{Invalidation, Invalidations};
use axum::extract::State;
use axum::http::Uri;
use axum::response::sse::{Event, KeepAlive, Sse};
use futures_util::stream::{self, Stream};
use serde_json::{Value, json};

use crate::admin::Admin;
use crate::problem::Problem;
use crate::query;

pub(crate) async fn events(
    State(admin): State<Admin>,
    uri: Uri,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Problem> {
    query::none(&uri)?;
    let invalidations = admin.cache().subscribe();
    let events = stream::unfold(invalidations, async |mut invalidations: Invalidations| {
        let heard = invalidations.next().await?;
        Some((Ok(event(&heard)), invalidations))
    });
    Ok(Sse::new(events).keep_alive(KeepAlive::default()))
}

fn event(heard: &Invalidation) -> Event {
    let (name, data) = match heard {
        Invalidation::Key { kind, key } => ("forgotten", json!({ "kind": kind, "key": key })),
        Invalidation::Kind { kind } => ("forgotten", json!({ "kind": kind, "key": Value::Null })),
        Invalidation::Lagged(count) => ("missed", json!({ "count": count })),
        _ => (
            "forgotten",
            json!({ "kind": Value::Null, "key": Value::Null }),
        ),
    };
    // JSON has no bare line breaks, so a key cannot forge an event.
    Event::default().event(name).data(data.to_string())
}
