//! What a server says of itself in answer to INFO.

use std::borrow::Cow;

use xxhash_rust::xxh3::xxh3_64;

use super::redis::{Broken, Wire};
use super::wire_form::{Call, WireReply};

/// One field of an answer to INFO; empty where there is none.
pub(crate) fn field(answer: &WireReply, name: &str) -> String {
    let text = match answer {
        WireReply::Text(text) => Cow::from(text),
        WireReply::Bytes(bytes) => String::from_utf8_lossy(bytes),
        _ => return String::new(),
    };
    let value = text
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    value.unwrap_or_default().trim().to_owned()
}

/// The call that asks for the part of INFO that [`tag`] reads.
pub(crate) fn info_replication() -> Call<'static> {
    Call::command("INFO").text("replication")
}

/// The tag of the history that a server is in; zero where it does not say.
///
/// A `master_replid` is 40 random hex digits, drawn anew whenever a server
/// starts or is promoted. A run id would not do: a primary that is demoted
/// and promoted again keeps it, and may have lost writes in between.
pub(crate) fn tag(answer: &WireReply) -> u64 {
    match &*field(answer, "master_replid") {
        "" => 0,
        // Never zero, which stands for a history that is not known.
        id => xxh3_64(id.as_bytes()).max(1),
    }
}

/// Asks a server for the tag of its history.
pub(crate) async fn ask_tag(wire: &Wire) -> Result<u64, Broken> {
    match wire.call(&[info_replication()]).await?.first() {
        Some(answer @ (WireReply::Text(_) | WireReply::Bytes(_))) => Ok(tag(answer)),
        _ => Err(Broken::because("the server refused INFO")),
    }
}
