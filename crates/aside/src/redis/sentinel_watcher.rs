//! The Sentinels' watcher: asks each of them every quarter of the staleness
//! bound, over a connection that stays open.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use aside_redis::sentinel::{self, Peer, Primary, Vote};
use aside_redis::{Call, Connection, Error, WireReply};
use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::time::Instant;

use crate::redis::broken::Broken;
use crate::redis::endpoint::{Endpoint, Role};
use crate::redis::locator::Locator;
use crate::redis::sentinels::{Place, Report, Sentinels};
use crate::runtime::clock::Moment;
use crate::trust::link::{Link, Suspicion};
use crate::trust::refusal::refusal;

/// The pause after a failed connection.
const PAUSE: Duration = Duration::from_millis(250);

/// The interval at which a Sentinel is asked for the others.
const ASK_FOR_OTHERS: Duration = Duration::from_secs(5);

/// The longest pause between two questions, regardless of the bound.
const MAX_BETWEEN_QUESTIONS: Duration = Duration::from_millis(500);

/// Asks all Sentinels until the service ends. `endpoint` says how to connect.
pub(crate) async fn run(sentinels: Arc<Sentinels>, endpoint: Endpoint, link: Arc<Link>) {
    let mut visits = FuturesUnordered::new();
    let mut visited = BTreeSet::new();
    loop {
        for place in sentinels.known() {
            if visited.insert(place.clone()) {
                let visit = Visit {
                    sentinels: &sentinels,
                    endpoint: Endpoint {
                        locator: Locator::Fixed(sentinels.address(&place)),
                        role: Role::Sentinel,
                        ..endpoint.clone()
                    },
                    link: &link,
                    place,
                };
                visits.push(visit.run());
            }
        }
        tokio::select! {
            biased;
            left = visits.next() => {
                if let Some(place) = left {
                    visited.remove(&place);
                }
            }
            () = sentinels.found() => {}
        }
    }
}

/// The questions to one Sentinel.
struct Visit<'a> {
    sentinels: &'a Sentinels,
    endpoint: Endpoint,
    link: &'a Link,
    place: Place,
}

impl Visit<'_> {
    /// Asks this Sentinel until it is forgotten. Returns its place.
    async fn run(self) -> Place {
        while self.sentinels.is_known(&self.place) {
            if let Err(error) = self.ask_while_connected().await {
                self.complain(&error);
            }
            tokio::time::sleep(PAUSE).await;
        }
        self.place
    }

    /// Reports a Sentinel without a reply: to operators while there is no
    /// primary.
    fn complain(&self, error: &Broken) {
        let (host, port) = &self.place;
        if self.sentinels.primary().is_none() {
            let reason = format!("the Sentinel {host}:{port}: {error}");
            self.link.cannot_connect(&reason);
        } else {
            tracing::debug!(host, port, %error, "no reply from a Sentinel");
        }
    }

    async fn ask_while_connected(&self) -> Result<(), Broken> {
        let (connection, _) = self.endpoint.open(|_| {}).await?;
        let id = [Call::command("SENTINEL").text("MYID")];
        let id = match self.ask(&connection, &id).await?.as_slice() {
            [WireReply::Bytes(id)] => String::from_utf8_lossy(id).into_owned(),
            [WireReply::Text(id)] => id.clone(),
            // It may be known by several addresses, and must count once.
            other => return Err(refused_id(other)),
        };
        let every = (self.link.bound() / 4).min(MAX_BETWEEN_QUESTIONS);
        let (mut primary, mut others_asked) = (None, None);
        loop {
            primary = Some(self.ask_about(&connection, &id, primary).await?);
            if others_asked.is_none_or(|at: Instant| ASK_FOR_OTHERS <= at.elapsed()) {
                others_asked = Some(Instant::now());
                let others = [sentinel::sentinels_of(self.sentinels.service())];
                let others = self.ask(&connection, &others).await?;
                // Forbidden: then those of the URL must be a majority.
                let others = others
                    .first()
                    .and_then(|others| Peer::read_all(others).ok());
                let places = others.into_iter().flatten();
                self.sentinels
                    .learn(places.map(|peer| (peer.host, peer.port)));
            }
            tokio::time::sleep(every).await;
        }
    }

    /// Asks for the primary and the vote about it, and records both. A vote is
    /// found by the primary's address, so it is asked again if that was not the
    /// one expected. Returns the primary.
    async fn ask_about(
        &self,
        connection: &Connection,
        id: &str,
        mut expected: Option<Place>,
    ) -> Result<Place, Broken> {
        loop {
            let sent = Moment::now();
            let service = self.sentinels.service();
            let mut calls = Vec::new();
            // First, because a later vote is no harm. A vote asked for behind the
            // primary might be about its successor, and look like none.
            if let Some((host, port)) = &expected {
                calls.push(sentinel::vote_about(host, *port));
            }
            calls.push(sentinel::primary_of(service));
            calls.push(sentinel::address_of(service));
            let replies = self.ask(connection, &calls).await?;
            let (vote, replies) = replies.split_at(replies.len().saturating_sub(2));
            let mut replies = replies.iter();
            let primary = replies.next().map(Primary::read);
            let primary = primary.unwrap_or(Err(Error::Lost));
            let primary = primary.map_err(|error| self.unknown_service(error))?;
            let place = (primary.host.clone(), primary.port);
            // Forbidden: then the successor is named about a second later.
            let named = replies.next().map(sentinel::read_address);
            let named = named.and_then(Result::ok).flatten();
            match vote.first().map(Vote::read) {
                Some(vote) if expected.as_ref() == Some(&place) => {
                    let report = Report {
                        sent,
                        received: Moment::now(),
                        id: id.to_owned(),
                        named: named.unwrap_or_else(|| place.clone()),
                        primary,
                        vote: self.permitted(vote)?,
                    };
                    if self.sentinels.record(&self.place, report) {
                        self.link.suspect(&Suspicion::PrimaryMoved);
                    }
                    return Ok(place);
                }
                _ => expected = Some(place),
            }
        }
    }

    /// Returns the vote; `None` if the user may not ask for it.
    fn permitted(&self, vote: Result<Vote, Error>) -> Result<Option<Vote>, Error> {
        match vote {
            Err(Error::Refused { refusal, .. }) if refusal.code() == "NOPERM" => {
                self.sentinels.warn_about_votes();
                Ok(None)
            }
            vote => vote.map(Some),
        }
    }

    /// Returns the error of a Sentinel without such a service.
    fn unknown_service(&self, error: Error) -> Broken {
        match error {
            Error::Refused { refusal, .. } if refusal.code() == "ERR" => Broken::refused(&format!(
                "it monitors no primary named `{}`: the path of REDIS_URL must be a name in a \
                 `sentinel monitor` line",
                self.sentinels.service()
            )),
            error => error.into(),
        }
    }

    async fn ask(
        &self,
        connection: &Connection,
        calls: &[Call<'_>],
    ) -> Result<Vec<WireReply>, Broken> {
        let replies = tokio::time::timeout(self.endpoint.socket_timeout, connection.call(calls));
        let replies = replies.await;
        Ok(replies.map_err(|_| Broken::because("no reply within the timeout"))??)
    }
}

/// Returns the error of a Sentinel that does not say which one it is.
fn refused_id(replies: &[WireReply]) -> Broken {
    let refused = replies.first().and_then(WireReply::refusal);
    Broken::refused(&refusal("SENTINEL MYID", refused.as_ref()))
}
