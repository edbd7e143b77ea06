//! `GET /cache/events`: a stream of invalidations.

use std::convert::Infallible;

use aside::{Heard, Listener};
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
    let listener = admin.cache().listen();
    let events = stream::unfold(listener, async |mut listener: Listener| {
        let heard = listener.next().await?;
        Some((Ok(event(&heard)), listener))
    });
    Ok(Sse::new(events).keep_alive(KeepAlive::default()))
}

fn event(heard: &Heard) -> Event {
    let (name, data) = match heard {
        Heard::Key { kind, key } => ("forgotten", json!({ "kind": kind, "key": key })),
        Heard::Kind { kind } => ("forgotten", json!({ "kind": kind, "key": Value::Null })),
        Heard::Missed(count) => ("missed", json!({ "count": count })),
        _ => (
            "forgotten",
            json!({ "kind": Value::Null, "key": Value::Null }),
        ),
    };
    // JSON has no bare line breaks, so a key cannot forge an event.
    Event::default().event(name).data(data.to_string())
}
