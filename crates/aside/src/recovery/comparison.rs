//! Noticing that the database went back.
//!
//! What was last seen of the database is stored in Redis, beside the epochs: it must
//! outlive every instance, and it is about what is cached there. Each poll compares
//! the database with it. If the database went back, the step that stores what is seen
//! now begins another era. That step compares what is stored, so of several instances
//! that notice at once only one begins an era.
//!
//! What is compared was stored before the database was asked, so a database that goes
//! on is never behind it. A position that instances renew is renewed only after it was
//! stored. So a copy that is put back is compared before it can catch up.
//!
//! Nothing here keeps Redis from being trusted: a database that does not tell, or a
//! Redis that does not store, leaves everything as it was before.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::protocol::message;
use crate::protocol::{Begin, Era, Op, Reply};
use crate::recovery::journal::{DatabaseHistory, Journal};
use crate::tiers::Tiers;

/// How long a position stands that does not grow by itself.
const RENEW: Duration = Duration::from_secs(1);

/// How long it is believed that Redis still has what was stored: after it has lost
/// that, an instance that starts has nothing to compare with.
const ASK_AGAIN: Duration = Duration::from_secs(10);

/// The time between two eras of one instance. Without it, services that share a
/// namespace and not the database would begin one with each poll.
const BETWEEN: Duration = Duration::from_secs(10);

/// How often the outcome of one comparison is tried while others store.
const ATTEMPTS: usize = 5;

/// What Redis has stored after a comparison.
enum Stored {
    /// What this instance saw.
    This,
    /// What another instance saw.
    Another,
    Unknown,
}

/// What an instance compares the database with.
#[derive(Default)]
pub(crate) struct Compared {
    /// What Redis has stored, as far as is known.
    stored: Option<String>,
    /// The era in which it was.
    era: Era,
    /// When Redis was asked last.
    asked: Option<Instant>,
    /// When this instance last began an era.
    noticed: Option<Instant>,
    renewed: Option<Instant>,
    /// Under way, at most one: it waits for the writers of a busy database.
    renewing: JoinSet<()>,
    said: bool,
}

impl Compared {
    /// Compares what the database showed with what was stored before.
    pub(crate) async fn compare<J: Journal>(
        &mut self,
        shown: Option<DatabaseHistory>,
        journal: &Arc<J>,
        tiers: &Tiers,
    ) {
        let Some(mut history) = shown else {
            return self.say_unknown();
        };
        for _ in 0..ATTEMPTS {
            let Some(stored) = self.stored.clone() else {
                let Some(told) = tell(tiers, None, false).await else {
                    return;
                };
                self.learn(told);
                // What is stored may be ahead of what was shown before.
                match shown_now(journal).await {
                    Some(now) => history = now,
                    None => return,
                }
                continue;
            };
            let follows = history.follows(&stored);
            if !follows && self.is_too_soon() {
                return;
            }
            match self.store(&history, stored, follows, tiers).await {
                Stored::This => return self.renew(&history, journal),
                // What is known stays: it is tried again.
                Stored::Unknown => return,
                // It is compared with what the next poll shows.
                Stored::Another if follows => return,
                Stored::Another => match shown_now(journal).await {
                    Some(now) => history = now,
                    None => return,
                },
            }
        }
    }

    /// Stores what is seen in place of what was stored.
    async fn store(
        &mut self,
        history: &DatabaseHistory,
        mut expected: String,
        follows: bool,
        tiers: &Tiers,
    ) -> Stored {
        // What a database that went back does not tell is not known of it.
        let seen = history.after(if follows { &expected } else { "" });
        let due = self.asked.is_none_or(|at| ASK_AGAIN <= at.elapsed());
        if seen == expected && !due {
            return Stored::This;
        }
        for _ in 0..ATTEMPTS {
            let known = Some((expected, seen.clone()));
            let Some(told) = tell(tiers, known, !follows).await else {
                return Stored::Unknown;
            };
            if told.begun {
                self.notice(tiers);
            }
            // Redis lost it, or others stored what they saw and began no era: what this
            // instance knew is still ahead of the database.
            let begins = told.stored.is_empty() || told.era == self.era;
            if follows || told.begun || !begins {
                let is_this = told.stored == seen;
                self.learn(told);
                return match is_this {
                    true => Stored::This,
                    false => Stored::Another,
                };
            }
            expected = told.stored;
        }
        Stored::Unknown
    }

    fn learn(&mut self, told: Told) {
        (self.stored, self.era) = (Some(told.stored), told.era);
        self.asked = Some(Instant::now());
    }

    fn notice(&mut self, tiers: &Tiers) {
        self.noticed = Some(Instant::now());
        tiers.statistics.error("database_went_back");
        tracing::error!(
            "the database went back, or is another one: every copy of every kind is forgotten. \
             If this is said again and again, two databases share this Redis and namespace: \
             give each its own CACHE_NAMESPACE"
        );
    }

    fn is_too_soon(&self) -> bool {
        self.noticed.is_some_and(|at| at.elapsed() < BETWEEN)
    }

    fn renew<J: Journal>(&mut self, history: &DatabaseHistory, journal: &Arc<J>) {
        while self.renewing.try_join_next().is_some() {}
        let due = self.renewed.is_none_or(|at| RENEW <= at.elapsed());
        if let Some(position) = history.position
            && due
            && self.renewing.is_empty()
        {
            self.renewed = Some(Instant::now());
            let journal = Arc::clone(journal);
            self.renewing.spawn(async move {
                // Not renewed, it is tried again.
                let _ = journal.renew(position).await;
            });
        }
    }

    fn say_unknown(&mut self) {
        if !std::mem::replace(&mut self.said, true) {
            tracing::warn!(
                "the database does not tell how far it has come: after a restore or a failover \
                 that lost commits, call CacheService::database_went_back()"
            );
        }
    }
}

/// Asks once more. A failure is one of the next poll as well, which says so.
async fn shown_now<J: Journal>(journal: &Arc<J>) -> Option<DatabaseHistory> {
    journal.state().await.ok()?.history
}

/// What Redis has stored.
struct Told {
    stored: String,
    era: Era,
    /// Whether this step began the era.
    begun: bool,
}

/// Stores what is seen if what was expected is stored still. Returns what is stored
/// then, `None` without an answer.
async fn tell(tiers: &Tiers, known: Option<(String, String)>, went_back: bool) -> Option<Told> {
    let next = went_back.then(Era::random);
    let op = Op::History {
        key: message::epochs_key(tiers.namespace()),
        era: next.map(|era| (era, Begin::Always)),
        known,
    };
    match tiers.ask_one(tiers.lane_of_writes(), op).await {
        Ok(Reply::History { era, known }) => {
            // One that was lost is for the watcher to begin: learnt as none, it would
            // revive what was filled before the first.
            if era != Era::default() {
                tiers.learn_era(era);
            }
            Some(Told {
                stored: known,
                era,
                begun: next == Some(era),
            })
        }
        _ => None,
    }
}
