//! What Sentinels report: the primary of a service, other Sentinels, and votes.
//!
//! A Sentinel speaks the protocol of Redis, so a [`Connection`](crate::Connection)
//! leads to it as to any server. Replies in RESP3 are maps and those in RESP2 are
//! arrays; both are read as one list of names and values by turns.
//!
//! | call | its reply |
//! |---|---|
//! | [`primary_of`] | [`Primary::read`] |
//! | [`address_of`] | [`read_address`] |
//! | [`sentinels_of`] | [`Peer::read_all`] |
//! | [`vote_about`] | [`Vote::read`] |

mod fields;

use self::fields::{Fields, text};
use crate::call::Call;
use crate::cluster::parse_host;
use crate::error::Error;
use crate::reply::WireReply;

const MASTER: &str = "SENTINEL MASTER";
const ADDRESS: &str = "SENTINEL GET-MASTER-ADDR-BY-NAME";
const SENTINELS: &str = "SENTINEL SENTINELS";
const VOTE: &str = "SENTINEL IS-MASTER-DOWN-BY-ADDR";

/// Returns the call for the primary of a service.
#[must_use]
pub fn primary_of(service: &str) -> Call<'_> {
    Call::command("SENTINEL").text("MASTER").text(service)
}

/// Returns the call for the address that clients should use.
///
/// While a Sentinel leads a failover it is the promoted replica's, and the call of
/// [`primary_of`] still returns the old primary.
#[must_use]
pub fn address_of(service: &str) -> Call<'_> {
    Call::command("SENTINEL")
        .text("GET-MASTER-ADDR-BY-NAME")
        .text(service)
}

/// Reads the reply to [`address_of`]; `None` if the Sentinel knows no such service.
///
/// # Errors
///
/// The Sentinel refuses, or the reply has another form.
pub fn read_address(reply: &WireReply) -> Result<Option<(String, u16)>, Error> {
    let unexpected = |field| Error::Unexpected {
        command: ADDRESS,
        field,
    };
    if matches!(reply, WireReply::Nil) {
        return Ok(None);
    }
    let [host, port] = fields::items(ADDRESS, reply)? else {
        return Err(unexpected("number of parts"));
    };
    let host = text(host).and_then(parse_host).flatten();
    let port = text(port).and_then(|port| port.parse().ok());
    Ok(Some((
        host.ok_or(unexpected("host"))?,
        port.ok_or(unexpected("port"))?,
    )))
}

/// Returns the call for the other Sentinels of a service.
#[must_use]
pub fn sentinels_of(service: &str) -> Call<'_> {
    Call::command("SENTINEL").text("SENTINELS").text(service)
}

/// Returns the call for the Sentinel's last vote about the primary at this address.
///
/// The address must be the one that this Sentinel reports. The call asks for no vote:
/// epoch 0 is below that of every vote.
#[must_use]
pub fn vote_about(host: &str, port: u16) -> Call<'_> {
    Call::command("SENTINEL")
        .text("IS-MASTER-DOWN-BY-ADDR")
        .text(host)
        .shown(&port)
        .text("0")
        .text("aside")
}

/// A primary in the view of one Sentinel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Primary {
    /// A name, or an IP address without brackets.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// The epoch of the failover that made it the primary.
    pub config_epoch: u64,
    /// Its run id; empty until the Sentinel has reached it.
    pub run_id: String,
    /// Its health.
    pub health: Health,
    /// How many other Sentinels this one knows.
    pub num_other_sentinels: usize,
    /// How many Sentinels must agree that it is down.
    pub quorum: usize,
}

/// The health of a primary in the view of one Sentinel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Health {
    /// This Sentinel gets no reply from it.
    pub is_down: bool,
    /// As many Sentinels as the quorum get no reply from it.
    pub is_down_for_quorum: bool,
    /// This Sentinel leads a failover, and has not ended it.
    pub is_failing_over: bool,
}

impl Primary {
    /// Reads the reply to [`primary_of`].
    ///
    /// # Errors
    ///
    /// The Sentinel refuses, as it does if it knows no such service, or a field is
    /// missing.
    pub fn read(reply: &WireReply) -> Result<Self, Error> {
        let fields = Fields::of(MASTER, reply)?;
        let flags = fields.text("flags")?;
        let has = |name: &str| flags.split(',').any(|flag| flag == name);
        Ok(Self {
            host: fields.host("ip")?,
            port: fields.port("port")?,
            config_epoch: fields.number("config-epoch")?,
            run_id: fields.id("runid")?,
            health: Health {
                is_down: has("s_down"),
                is_down_for_quorum: has("o_down"),
                is_failing_over: has("failover_in_progress"),
            },
            num_other_sentinels: fields.number("num-other-sentinels")?,
            quorum: fields.number("quorum")?,
        })
    }
}

/// Another Sentinel, as one reports it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// A name, or an IP address without brackets.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// Its run id, which a [`Vote`] names; empty until it was reached.
    pub run_id: String,
}

impl Peer {
    /// Reads the reply to [`sentinels_of`].
    ///
    /// # Errors
    ///
    /// The Sentinel refuses, or a field is missing.
    pub fn read_all(reply: &WireReply) -> Result<Vec<Self>, Error> {
        let peer = |reply: &WireReply| {
            let fields = Fields::of(SENTINELS, reply)?;
            Ok(Self {
                host: fields.host("ip")?,
                port: fields.port("port")?,
                run_id: fields.id("runid")?,
            })
        };
        fields::items(SENTINELS, reply)?.iter().map(peer).collect()
    }
}

/// The last vote of one Sentinel about one primary.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vote {
    /// True if this Sentinel gets no reply from the primary.
    pub is_down: bool,
    /// The run id of the Sentinel that it voted for; `None` if it never voted.
    pub leader: Option<String>,
    /// The epoch of that vote; 0 if it never voted.
    pub leader_epoch: u64,
}

impl Vote {
    /// Reads the reply to [`vote_about`].
    ///
    /// # Errors
    ///
    /// The Sentinel refuses, or the reply has another form.
    pub fn read(reply: &WireReply) -> Result<Self, Error> {
        let unexpected = |field| Error::Unexpected {
            command: VOTE,
            field,
        };
        let [down, leader, epoch] = fields::items(VOTE, reply)? else {
            return Err(unexpected("number of parts"));
        };
        let number = |reply: &WireReply| match reply {
            WireReply::Int(number) => u64::try_from(*number).ok(),
            _ => None,
        };
        let leader = match text(leader).ok_or(unexpected("leader"))? {
            "*" | "?" | "" => None,
            leader => Some(fields::printed(leader)),
        };
        Ok(Self {
            is_down: number(down).ok_or(unexpected("state"))? != 0,
            leader,
            leader_epoch: number(epoch).ok_or(unexpected("epoch"))?,
        })
    }
}

#[cfg(test)]
mod tests;
