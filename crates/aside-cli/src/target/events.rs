//! A stream of server-sent events.

use axum::body::Body;
use http_body_util::BodyExt as _;
use serde_json::Value;

use crate::failure::{Code, Failure};

/// The events of a response, as they arrive.
pub(crate) struct Events {
    body: Body,
    received: Vec<u8>,
}

impl Events {
    pub(super) fn of(body: Body) -> Self {
        Self {
            body,
            received: Vec::new(),
        }
    }

    /// Waits for the next event: its name, and its data. Loses nothing if it is
    /// dropped before it returns.
    ///
    /// # Errors
    /// If the stream ends.
    pub(crate) async fn next(&mut self) -> Result<(String, Value), Failure> {
        loop {
            while let Some(end) = self.received.windows(2).position(|two| two == b"\n\n") {
                let event: Vec<u8> = self.received.drain(..end + 2).collect();
                if let Some(event) = parse(&String::from_utf8_lossy(&event)) {
                    return Ok(event);
                }
            }
            match self.body.frame().await {
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        self.received.extend_from_slice(&data);
                    }
                }
                Some(Err(_)) | None => {
                    let message = "the stream of events ended";
                    let failure = Failure::new(Code::Unreachable, message);
                    return Err(failure.with_hint("was the instance stopped?"));
                }
            }
        }
    }
}

/// Returns the name and the data of an event; `None` of a comment.
fn parse(event: &str) -> Option<(String, Value)> {
    let field = |name: &str| event.lines().find_map(|line| line.strip_prefix(name));
    let data = serde_json::from_str(field("data:")?.trim_start()).ok()?;
    Some((field("event:")?.trim_start().to_owned(), data))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_comment_is_no_event() {
        assert_eq!(parse(":\n"), None);
        let event = parse("event: missed\ndata: {\"count\":3}\n");
        assert_eq!(event, Some(("missed".to_owned(), json!({ "count": 3 }))));
    }
}
