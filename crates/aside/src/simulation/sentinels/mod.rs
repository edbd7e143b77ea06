//! Simulated Sentinels: they watch a group of servers, vote, and fail over.
//!
//! The state machine is that of Redis (`view`), with shorter times. Packets
//! between Sentinels are delayed, reordered and lost (`mesh`). A deposed
//! primary stays writable until a Sentinel reconfigures it.

mod view;
mod replies;

use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use parking_lot::Mutex;
use tokio::time::{Instant, sleep};

pub(super) use self::view::Times;
use self::view::{Action, View};
use super::group::Group;
use super::host::{Host, Machine};
use super::network::Network;

/// The name of the group among the Sentinels.
const SERVICE: &str = "world";
const PORT: &str = "6379";
const SENTINEL_PORT: &str = "26379";

/// The interval at which a Sentinel looks at the servers.
const TICK: Duration = Duration::from_millis(15);

/// Returns the host name of a server.
pub(super) fn name_of(server: usize) -> String {
    format!("n{server}")
}

/// Returns the host name of a Sentinel.
pub(super) fn sentinel_name(number: usize) -> String {
    format!("s{number}")
}

/// Returns the URL by which clients find the primary.
pub(super) fn url(count: usize) -> String {
    let names: Vec<String> = (0..count).map(sentinel_name).collect();
    format!("redis+sentinel://{}/{SERVICE}", names.join(","))
}

/// One Sentinel.
pub(super) struct Sentinel {
    number: usize,
    /// The number of all Sentinels.
    count: usize,
    machine: Machine,
    view: Mutex<View>,
}

impl Sentinel {
    /// Creates all Sentinels of a group, of which the first server is the
    /// primary.
    pub(super) fn all(count: usize, servers: usize, times: Times) -> Vec<Arc<Self>> {
        let sentinel = |number| {
            Arc::new(Self {
                number,
                count,
                machine: Machine::new(),
                view: Mutex::new(View::new(number, count, servers, times)),
            })
        };
        (0..count).map(sentinel).collect()
    }
}

/// All Sentinels of a group. Their hosts follow those of the servers.
pub(super) struct Sentinels {
    pub(super) group: Arc<Group>,
    pub(super) all: Vec<Arc<Sentinel>>,
    network: Arc<Network>,
    times: Times,
}

impl Sentinels {
    /// Begins to watch the group.
    pub(super) fn watch(
        group: Arc<Group>,
        all: Vec<Arc<Sentinel>>,
        network: Arc<Network>,
        times: Times,
    ) -> Arc<Self> {
        let sentinels = Arc::new(Self {
            group,
            all,
            network,
            times,
        });
        for number in 0..sentinels.all.len() {
            tokio::spawn(Arc::clone(&sentinels).run(number));
        }
        sentinels
    }

    pub(super) fn count(&self) -> usize {
        self.all.len()
    }

    /// Returns the number of the host of a Sentinel.
    pub(super) fn host(&self, number: usize) -> usize {
        self.group.servers.len() + number
    }

    /// Returns the primary that a majority of the Sentinels names, if any.
    pub(super) fn named(&self) -> Option<usize> {
        let named: Vec<usize> = self.all.iter().map(|it| it.view.lock().named()).collect();
        let votes = |server: usize| named.iter().filter(|it| **it == server).count();
        let servers = 0..self.group.servers.len();
        servers.into_iter().find(|it| self.count() / 2 < votes(*it))
    }

    /// Returns the primary, if no Sentinel takes it for down or replaces it, a
    /// majority of them reaches it, and it works.
    pub(super) fn undoubted(&self) -> Option<usize> {
        let primary = self.named()?;
        let reached = |number: &usize| self.group.mesh.connects(self.host(*number), primary);
        let reached = (0..self.count()).filter(reached).count();
        let doubts = |sentinel: &Arc<Sentinel>| {
            let view = sentinel.view.lock();
            view.is_failing_over() || sentinel.machine().replies() && view.is_primary_down()
        };
        let works = self.group.servers[primary].machine().replies()
            && self.group.primary_of(primary).is_none();
        let is_sure = self.count() / 2 < reached && !self.all.iter().any(doubts);
        (works && is_sure).then_some(primary)
    }

    /// Fails over by the will of an operator.
    pub(super) fn force(&self, rng: &mut Rng) {
        let replies = |sentinel: &&Arc<Sentinel>| sentinel.machine().replies();
        let able = self.all.iter().filter(replies).collect::<Vec<_>>();
        if let Some(sentinel) = rng.choice(able) {
            sentinel.view.lock().force();
        }
    }

    pub(super) fn stop(&self, number: usize) {
        self.all[number].machine().stop();
    }

    pub(super) fn go_on(&self, number: usize) {
        self.all[number].machine().go_on();
    }

    pub(super) fn kill(&self, number: usize) {
        self.network.kill(self.host(number));
        self.all[number].view.lock().restart();
    }

    pub(super) fn restart(&self, number: usize) {
        self.network.start(self.host(number));
    }

    async fn run(self: Arc<Self>, number: usize) {
        let sentinel = &self.all[number];
        let mut greeted = Instant::now();
        loop {
            let pause = self.group.mesh.draw(|rng| TICK.mul_f64(0.5 + rng.f64()));
            sleep(pause).await;
            sentinel.machine().running().await;
            if !sentinel.machine().is_up() {
                continue;
            }
            self.observe(number);
            let mesh = &self.group.mesh;
            let actions = mesh.draw(|rng| sentinel.view.lock().advance(rng));
            for action in actions {
                self.act(number, action);
            }
            if self.times.hello < greeted.elapsed() {
                greeted = Instant::now();
                self.act(number, Action::SayHello);
            }
        }
    }

    fn observe(&self, number: usize) {
        let mut view = self.all[number].view.lock();
        for server in 0..self.group.servers.len() {
            if self.group.mesh.reaches(self.host(number), server) {
                view.observe(server, self.group.primary_of(server));
            }
        }
    }

    fn act(self: &Arc<Self>, me: usize, action: Action) {
        match action {
            Action::AskIfDown => {
                let primary = self.all[me].view.lock().primary;
                let question =
                    move |theirs: &mut View| theirs.primary == primary && theirs.is_primary_down();
                self.ask(me, question, |mine, other, is_down| {
                    if is_down {
                        mine.hear_down(other);
                    }
                });
            }
            Action::AskForVotes(epoch) => {
                let primary = self.all[me].view.lock().primary;
                let question = move |theirs: &mut View| {
                    (theirs.primary == primary).then(|| theirs.vote_for(me, epoch))
                };
                self.ask(me, question, |mine, other, vote| {
                    mine.count(other, vote.unwrap_or_default());
                });
            }
            Action::SayHello => self.say_hello(me),
            Action::Promote(server) => {
                let group = Arc::clone(&self.group);
                let promote = move || group.promote(server);
                self.group.mesh.send((self.host(me), server), promote);
            }
            Action::Reconfigure { server, primary } => {
                let group = Arc::clone(&self.group);
                let follow = move || {
                    if group.primary_of(server) != Some(primary) {
                        group.follow(server, primary);
                    }
                };
                self.group.mesh.send((self.host(me), server), follow);
            }
        }
    }

    /// Asks all other Sentinels. Questions and answers may be lost.
    fn ask<T: Send + 'static>(
        self: &Arc<Self>,
        me: usize,
        question: impl Fn(&mut View) -> T + Copy + Send + 'static,
        answer: impl Fn(&mut View, usize, T) + Copy + Send + 'static,
    ) {
        for other in (0..self.count()).filter(|other| *other != me) {
            let this = Arc::clone(self);
            self.send(me, other, move || {
                let said = question(&mut this.all[other].view.lock());
                let asker = Arc::clone(&this.all[me]);
                let hear = move || answer(&mut asker.view.lock(), other, said);
                this.send(other, me, hear);
            });
        }
    }

    fn say_hello(self: &Arc<Self>, me: usize) {
        let view = self.all[me].view.lock();
        let (epoch, named, config_epoch) = (view.current_epoch, view.named(), view.config_epoch);
        for other in (0..self.count()).filter(|other| *other != me) {
            let this = Arc::clone(self);
            self.send(me, other, move || {
                let mut theirs = this.all[other].view.lock();
                theirs.hear_hello(epoch, named, config_epoch);
            });
        }
    }

    fn send(&self, from: usize, to: usize, arrive: impl FnOnce() + Send + 'static) {
        let hosts = (self.host(from), self.host(to));
        self.group.mesh.send(hosts, arrive);
    }
}
