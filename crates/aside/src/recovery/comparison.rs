//! Detection of a database that went back, by a restore or a failover.
//!
//! Redis stores the last known state of the database beside the epochs, because
//! it must survive every instance and concerns the cached values. Each poll
//! compares the database with it. If the database went back, the step that
//! stores its new state also begins another era. That step compares the stored
//! state first, so only one of several instances begins an era.
//!
//! The compared state was stored before the database is queried, so one that
//! advances is never behind it. A position that instances renew is renewed only
//! after it was stored. So a restored copy is compared before it can catch up.
//!
//! None of this affects trust in Redis: if the database does not report its
//! state, or Redis does not store it, everything works as without the
//! comparison.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::entity::key::Key;
use crate::protocol::{Begin, Era, Op, Reply, Traffic};
use crate::recovery::journal::{DatabaseHistory, Journal};
use crate::tiers::Tiers;

/// The renewal interval of a position that does not grow by itself.
const RENEW: Duration = Duration::from_secs(1);

/// How long Redis is assumed to still have the stored state. Once it is lost, a
/// starting instance has nothing to compare with.
const ASK_AGAIN: Duration = Duration::from_secs(10);

/// The minimum time between two eras begun by one instance. Otherwise services
/// that share a namespace but not a database would begin one with each poll.
const BETWEEN: Duration = Duration::from_secs(10);

/// The maximum number of attempts if other instances store concurrently.
const ATTEMPTS: usize = 5;

/// The state that Redis has after a comparison.
enum Stored {
    /// The state that this instance saw.
    This,
    /// The state that another instance saw.
    Another,
    Unknown,
}

/// The state that the database is compared with.
#[derive(Default)]
pub(crate) struct Compared {
    /// The state in Redis, as far as known.
    stored: Option<String>,
    /// The era in which it was stored.
    era: Era,
    /// When Redis was last queried.
    asked: Option<Instant>,
    /// When this instance last began an era.
    noticed: Option<Instant>,
    renewed: Option<Instant>,
    /// At most one renewal in progress; it waits for the writers of a busy
    /// database.
    renewing: JoinSet<()>,
    said: bool,
}

impl Compared {
    /// Compares the state of the database with the stored one.
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
                // The stored state may be newer than the one passed in.
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
                // The known state stays, and the next poll retries.
                Stored::Unknown => return,
                // Compared with the database at the next poll.
                Stored::Another if follows => return,
                Stored::Another => match shown_now(journal).await {
                    Some(now) => history = now,
                    None => return,
                },
            }
        }
    }

    /// Stores the current state in place of the old one.
    async fn store(
        &mut self,
        history: &DatabaseHistory,
        mut expected: String,
        follows: bool,
        tiers: &Tiers,
    ) -> Stored {
        // After the database went back, unreported parts are unknown, not
        // inherited.
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
            // Redis lost the state, or other instances stored theirs without a
            // new era: this instance's last known state is still ahead of the
            // database.
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
            "the database went back, or is another one: all cached copies are invalidated. \
             If this message repeats, two databases share this Redis and namespace: \
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
                // If not renewed, the next poll retries.
                let _ = journal.renew(position).await;
            });
        }
    }

    fn say_unknown(&mut self) {
        if !std::mem::replace(&mut self.said, true) {
            tracing::warn!(
                "the database does not report its position: after a restore or a failover \
                 that lost commits, call CacheService::database_went_back()"
            );
        }
    }
}

/// Queries the database again. The next poll reports a failure.
async fn shown_now<J: Journal>(journal: &Arc<J>) -> Option<DatabaseHistory> {
    journal.state().await.ok()?.history
}

/// The state stored in Redis.
struct Told {
    stored: String,
    era: Era,
    /// True if this step began the era.
    begun: bool,
}

/// Stores a state if the expected one is still stored. Returns the state stored
/// afterwards, `None` without a reply.
async fn tell(tiers: &Tiers, known: Option<(String, String)>, went_back: bool) -> Option<Told> {
    let next = went_back.then(Era::random);
    let op = Op::History {
        key: Key::of_epochs(tiers.namespace()),
        era: next.map(|era| (era, Begin::Always)),
        known,
    };
    match tiers.send_one(Traffic::Writes, op).await {
        Ok(Reply::History { era, known }) => {
            // If the era was lost, the watcher begins one. Recording it as none
            // would revive values from before the first.
            if era != Era::default() {
                tiers.learn_era(0, era);
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
