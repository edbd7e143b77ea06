//! What one Sentinel knows, and its next steps: a translation of the state
//! machine of Redis.

use std::collections::BTreeSet;
use std::time::Duration;

use fastrand::Rng;
use tokio::time::Instant;

/// The times of a group of Sentinels, all shorter than in production.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Times {
    /// A server without a reply for so long is down (`down-after-milliseconds`).
    pub(in super::super) down_after: Duration,
    /// The interval of hello messages.
    pub(in super::super) hello: Duration,
    /// How long a server may have a role that it should not have.
    pub(in super::super) reconfigure_after: Duration,
    /// How long a step of a failover may take (`failover-timeout`).
    pub(in super::super) failover: Duration,
}

/// A server, as a Sentinel sees it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Observed {
    pub(super) replied: Instant,
    /// The primary that it copies; `None` if it calls itself a primary.
    pub(super) copies: Option<usize>,
    /// When that was first seen, without an interruption since.
    pub(super) since: Instant,
}

/// The last vote of a Sentinel. A client finds both in its reply.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in super::super) struct Vote {
    pub(in super::super) leader: Option<usize>,
    pub(in super::super) epoch: u64,
}

#[derive(Debug)]
struct Failover {
    epoch: u64,
    /// An operator's needs no votes.
    is_forced: bool,
    begun: Instant,
    voters: BTreeSet<usize>,
    step: Step,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Election,
    Promotion(usize),
    /// The other replicas are told of the new primary.
    Reconfiguration(usize),
}

/// A step of a Sentinel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    AskIfDown,
    AskForVotes(u64),
    Promote(usize),
    Reconfigure { server: usize, primary: usize },
    SayHello,
}

#[derive(Debug)]
pub(in super::super) struct View {
    me: usize,
    sentinels: usize,
    times: Times,
    pub(super) primary: usize,
    pub(super) config_epoch: u64,
    pub(super) current_epoch: u64,
    pub(super) vote: Vote,
    pub(super) servers: Vec<Observed>,
    /// When each other Sentinel last called the primary down.
    down_for: Vec<Option<Instant>>,
    failover: Option<Failover>,
    /// No failover begins before.
    not_before: Instant,
}

impl View {
    pub(super) fn new(me: usize, sentinels: usize, servers: usize, times: Times) -> Self {
        let now = Instant::now();
        let server = |number| Observed {
            replied: now,
            copies: (number != 0).then_some(0),
            since: now,
        };
        Self {
            me,
            sentinels,
            times,
            primary: 0,
            config_epoch: 0,
            current_epoch: 0,
            vote: Vote::default(),
            servers: (0..servers).map(server).collect(),
            down_for: vec![None; sentinels],
            failover: None,
            not_before: now,
        }
    }

    /// Returns the server that clients are sent to.
    pub(in super::super) fn named(&self) -> usize {
        match self.step() {
            Some(Step::Reconfiguration(promoted)) => promoted,
            _ => self.primary,
        }
    }

    fn step(&self) -> Option<Step> {
        self.failover.as_ref().map(|failover| failover.step)
    }

    pub(super) fn is_failing_over(&self) -> bool {
        self.failover.is_some()
    }

    pub(super) fn majority(&self) -> usize {
        self.sentinels / 2 + 1
    }

    fn is_down(&self, server: usize) -> bool {
        self.times.down_after < self.servers[server].replied.elapsed()
    }

    /// Also true for one that has called itself a replica for long, after two
    /// failovers at once.
    pub(super) fn is_primary_down(&self) -> bool {
        let primary = self.servers[self.primary];
        let is_replica =
            primary.copies.is_some() && 2 * self.times.down_after < primary.since.elapsed();
        is_replica || self.is_down(self.primary)
    }

    /// Records a reply of a server.
    pub(super) fn observe(&mut self, server: usize, copies: Option<usize>) {
        let now = Instant::now();
        let is_new = self.is_down(server) || self.servers[server].copies != copies;
        let observed = &mut self.servers[server];
        observed.replied = now;
        if is_new {
            (observed.copies, observed.since) = (copies, now);
        }
    }

    /// Forgets a failover that it leads, as a restart does.
    pub(super) fn restart(&mut self) {
        self.failover = None;
    }

    /// Begins the failover that an operator asks for.
    pub(in super::super) fn force(&mut self) {
        if self.failover.is_none() {
            self.begin(true, Instant::now());
        }
    }

    fn begin(&mut self, is_forced: bool, begun: Instant) {
        self.current_epoch += 1;
        self.not_before = begun + 2 * self.times.failover;
        self.failover = Some(Failover {
            epoch: self.current_epoch,
            is_forced,
            begun,
            voters: BTreeSet::new(),
            step: Step::Election,
        });
    }

    /// Votes for a candidate, unless there was a vote in this epoch. Returns
    /// the last vote.
    pub(super) fn vote_for(&mut self, candidate: usize, epoch: u64) -> Vote {
        self.current_epoch = self.current_epoch.max(epoch);
        if self.vote.epoch < epoch && self.current_epoch <= epoch {
            self.vote = Vote {
                leader: Some(candidate),
                epoch,
            };
            if candidate != self.me {
                self.not_before = Instant::now() + 2 * self.times.failover;
            }
        }
        self.vote
    }

    /// Records the vote of another Sentinel.
    pub(super) fn count(&mut self, voter: usize, vote: Vote) {
        let me = self.me;
        if let Some(failover) = &mut self.failover
            && (vote.leader, vote.epoch) == (Some(me), failover.epoch)
        {
            failover.voters.insert(voter);
        }
    }

    /// Records that another Sentinel gets no reply of the primary.
    pub(super) fn hear_down(&mut self, from: usize) {
        self.down_for[from] = Some(Instant::now());
    }

    /// Records the primary that another Sentinel names.
    pub(super) fn hear_hello(&mut self, epoch: u64, primary: usize, config_epoch: u64) {
        self.current_epoch = self.current_epoch.max(epoch);
        if self.config_epoch < config_epoch {
            self.config_epoch = config_epoch;
            if self.primary != primary {
                self.switch(primary);
            }
        }
    }

    /// Takes another server for the primary. Nothing else is kept but the epoch
    /// of the vote.
    fn switch(&mut self, primary: usize) {
        let now = Instant::now();
        self.primary = primary;
        self.vote.leader = None;
        self.failover = None;
        self.not_before = now;
        self.down_for.fill(None);
        for server in &mut self.servers {
            (server.replied, server.since) = (now, now);
        }
    }

    /// Returns the next steps.
    pub(super) fn advance(&mut self, rng: &mut Rng) -> Vec<Action> {
        match self.step() {
            None => self.watch(rng),
            Some(Step::Election) => self.elect(rng),
            Some(Step::Promotion(server)) => self.await_promotion(server),
            Some(Step::Reconfiguration(server)) => self.reconfigure(server),
        }
    }

    fn watch(&mut self, rng: &mut Rng) -> Vec<Action> {
        if !self.is_primary_down() {
            let calls_itself_primary = self.servers[self.primary].copies.is_none();
            let wrong = |server: &usize| {
                let observed = self.servers[*server];
                let wanted = (*server != self.primary).then_some(self.primary);
                wanted.is_some()
                    && observed.copies != wanted
                    && !self.is_down(*server)
                    && self.times.reconfigure_after < observed.since.elapsed()
            };
            let servers = (0..self.servers.len()).filter(|_| calls_itself_primary);
            let reconfigure = |server| Action::Reconfigure {
                server,
                primary: self.primary,
            };
            return servers.filter(wrong).map(reconfigure).collect();
        }
        let fresh = |at: &&Option<Instant>| at.is_some_and(|at| at.elapsed() < self.times.hello);
        let agreeing = 1 + self.down_for.iter().filter(fresh).count();
        let now = Instant::now();
        if self.majority() <= agreeing && self.not_before <= now {
            // Not all at once, so that one of them wins.
            self.begin(false, now + Duration::from_millis(rng.u64(..50)));
        }
        vec![Action::AskIfDown]
    }

    fn elect(&mut self, rng: &mut Rng) -> Vec<Action> {
        let (me, majority) = (self.me, self.majority());
        let Some(failover) = &self.failover else {
            return Vec::new();
        };
        let (epoch, begun, is_forced) = (failover.epoch, failover.begun, failover.is_forced);
        if Instant::now() < begun {
            return Vec::new();
        }
        if !is_forced {
            let own = self.vote_for(me, epoch);
            self.count(me, own);
        }
        let voters = self.failover.as_ref().map_or(0, |it| it.voters.len());
        if is_forced || majority <= voters {
            return match self.successor(rng) {
                Some(server) => {
                    self.go_to(Step::Promotion(server));
                    vec![Action::Promote(server)]
                }
                None => self.give_up(),
            };
        }
        if self.times.failover < begun.elapsed() {
            return self.give_up();
        }
        vec![Action::AskForVotes(epoch)]
    }

    /// Returns a replica to promote. As with Redis, a deposed primary that has not been
    /// told is taken if there is no other. It then has no new history.
    fn successor(&self, rng: &mut Rng) -> Option<usize> {
        let usable = |server: &usize| *server != self.primary && !self.is_down(*server);
        let usable: Vec<usize> = (0..self.servers.len()).filter(usable).collect();
        let copies = |server: &usize| self.servers[*server].copies.is_some();
        let replicas: Vec<usize> = usable.iter().copied().filter(copies).collect();
        match replicas.is_empty() {
            true => rng.choice(usable),
            false => rng.choice(replicas),
        }
    }

    fn go_to(&mut self, step: Step) {
        if let Some(failover) = &mut self.failover {
            (failover.step, failover.begun) = (step, Instant::now());
        }
    }

    fn give_up(&mut self) -> Vec<Action> {
        self.failover = None;
        Vec::new()
    }

    /// Returns true if the current step takes too long.
    fn is_late(&self) -> bool {
        let failover = self.failover.as_ref();
        failover.is_some_and(|failover| self.times.failover < failover.begun.elapsed())
    }

    fn await_promotion(&mut self, server: usize) -> Vec<Action> {
        if self.servers[server].copies.is_none() {
            let epoch = self.failover.as_ref().map_or(0, |failover| failover.epoch);
            self.config_epoch = epoch;
            self.go_to(Step::Reconfiguration(server));
            return vec![Action::SayHello];
        }
        if self.is_late() {
            self.give_up()
        } else {
            Vec::new()
        }
    }

    fn reconfigure(&mut self, promoted: usize) -> Vec<Action> {
        let others = (0..self.servers.len()).filter(|server| {
            ![promoted, self.primary].contains(server)
                && !self.is_down(*server)
                && self.servers[*server].copies != Some(promoted)
        });
        let actions: Vec<Action> = others
            .map(|server| Action::Reconfigure {
                server,
                primary: promoted,
            })
            .collect();
        if actions.is_empty() || self.is_late() {
            self.switch(promoted);
            return vec![Action::SayHello];
        }
        actions
    }
}
