//! The stage of a directed plan: one key, its node, a reader and a writer.

use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use crate::answer::Freshness;
use crate::entity::key::Key;
use crate::simulation::clients::Client;
use crate::simulation::cluster::{Cluster, Migration};
use crate::simulation::hero::Hero;
use crate::simulation::instance::Instance;
use crate::simulation::network::Passage;
use crate::simulation::{INSTANCES, MAX_STALENESS, World};

/// The places of the instances.
pub(super) const READER: usize = 0;
pub(super) const WRITER: usize = 1;

/// The key of every plan.
const KEY: &str = "hero:1";

/// How long a plan waits for a step.
const PATIENCE: Duration = Duration::from_secs(2);

pub(super) struct Stage<'a> {
    pub(super) world: &'a Arc<World>,
    pub(super) cluster: &'a Arc<Cluster>,
    /// The node that owns the key first.
    pub(super) owner: usize,
    /// The slot of the key.
    block: usize,
    rng: Rng,
}

impl<'a> Stage<'a> {
    /// Waits until all instances use the cluster, and writes a row that the reader then
    /// holds.
    pub(super) async fn prepare(
        world: &'a Arc<World>,
        cluster: &'a Arc<Cluster>,
        rng: Rng,
    ) -> Self {
        let block = cluster.layout.used()[0];
        let mut stage = Self {
            world,
            cluster,
            owner: 0,
            block,
            rng,
        };
        stage.settled().await;
        stage.owner = cluster.owner(block, &[]).expect("all nodes agree");
        let client = stage.client(WRITER);
        let create = async move { client.create(Hero::new(1, "a")).await };
        stage
            .within(WRITER, create)
            .await
            .expect("it is not killed");
        stage.settled().await;
        // The second read is local.
        stage.read(READER).await;
        stage.read(READER).await;
        stage
    }

    pub(super) fn note(&self, what: &str) {
        self.world.fault(what);
    }

    /// Waits for a condition. Reports it if it takes too long.
    pub(super) async fn until(&self, what: &str, mut is: impl FnMut() -> bool) {
        let begun = Instant::now();
        while !is() {
            if PATIENCE < begun.elapsed() {
                return self.expect(what, false);
            }
            sleep(Duration::from_millis(1)).await;
        }
    }

    /// Reports a condition that does not hold.
    pub(super) fn expect(&self, what: &str, is: bool) {
        if !is {
            self.note(&format!("not so: {what}"));
            self.world.records.lock().stuck.push(what.to_owned());
        }
    }

    pub(super) fn instance(&self, place: usize) -> Arc<Instance> {
        self.world.instance(place).expect("a live instance")
    }

    fn client(&mut self, place: usize) -> Client {
        Client::new(self.world, &self.instance(place), self.rng.fork())
    }

    fn within<T: Send + 'static>(
        &self,
        place: usize,
        task: impl Future<Output = T> + Send + 'static,
    ) -> JoinHandle<T> {
        self.instance(place).process.spawn(task)
    }

    /// Reads the key, as a client that accepts a local entry.
    pub(super) async fn read(&mut self, place: usize) {
        let client = self.client(place);
        let read = async move { client.read_key(KEY, Freshness::Any).await };
        self.within(place, read).await.expect("it is not killed");
    }

    /// Reads the key after the staleness bound has passed.
    pub(super) async fn read_later(&mut self) {
        sleep(2 * MAX_STALENESS).await;
        self.read(READER).await;
    }

    /// Begins a write of the row.
    pub(super) fn begin_write(&mut self) -> JoinHandle<()> {
        let client = self.client(WRITER);
        let write = async move { client.put(Hero::new(1, "a")).await };
        self.within(WRITER, write)
    }

    /// Writes the row.
    pub(super) async fn write(&mut self) {
        self.begin_write().await.expect("it is not killed");
    }

    /// Begins a write whose COMMIT does not arrive, and waits for its quarantine.
    pub(super) async fn begin_held_write(&mut self) -> JoinHandle<()> {
        self.world.database.hold_commits(true);
        let writing = self.begin_write();
        let migration = self.migration();
        self.until("quarantined", || migration.is_quarantined())
            .await;
        writing
    }

    /// Lets the COMMIT arrive, and waits for the end of the write.
    pub(super) async fn end_held_write(&self, writing: JoinHandle<()>) {
        self.note("the commit arrives");
        self.world.database.hold_commits(false);
        writing.await.expect("it is not killed");
    }

    /// Returns the migration of the key's slot to the next primary.
    pub(super) fn migration(&self) -> Migration<'a> {
        Migration {
            cluster: self.cluster,
            block: self.block,
            from: self.owner,
            to: (self.owner + 1) % 3,
        }
    }

    /// Returns the only replica of the owner.
    pub(super) fn replica(&self) -> usize {
        self.cluster.replicas(self.owner)[0]
    }

    /// Closes the paths between an instance and the hosts that fit.
    pub(super) fn close(&self, place: usize, fits: impl Fn(usize) -> bool) {
        for host in (0..self.cluster.nodes.len()).filter(|host| fits(*host)) {
            self.world.network.change_to(place, host, |way| {
                (way.to_server, way.to_client) = (Passage::Stalled, Passage::Stalled);
            });
        }
    }

    /// Opens all paths, and ends every partition.
    pub(super) fn heal(&self) {
        self.note("healed");
        self.cluster.group.mesh.heal();
        for place in 0..INSTANCES {
            self.world.network.change(place, |way| {
                (way.to_server, way.to_client) = (Passage::Open, Passage::Open);
            });
        }
    }

    /// Waits until a replica is the owner for all nodes that are not `without`.
    pub(super) async fn promoted(&self, replica: usize, without: &[usize]) {
        let owner = || self.cluster.owner(self.block, without) == Some(replica);
        self.until("promoted", owner).await;
    }

    /// Waits until an instance uses the owner of the key in its map, and this is `node`.
    pub(super) async fn uses(&self, place: usize, node: usize) {
        let instance = self.instance(place);
        let uses = || instance.sends_to(&Key::new(KEY), node);
        self.until("the new owner is used", uses).await;
    }

    /// Waits until an instance does not use the owner of the key.
    pub(super) async fn doubts(&self, place: usize) {
        let instance = self.instance(place);
        let doubts = || !instance.may_use(&Key::new(KEY));
        self.until("the owner is not used", doubts).await;
    }

    /// Waits until all instances use the primaries on which all nodes agree.
    pub(super) async fn settled(&self) {
        let is_settled = || {
            let Some(primaries) = self.cluster.undoubted(&[]) else {
                return false;
            };
            (0..INSTANCES).all(|place| {
                let instance = self.world.instance(place);
                instance.is_some_and(|it| it.is_at_peace() && it.uses(&primaries))
            })
        };
        self.until("settled", is_settled).await;
    }
}

impl Stage<'_> {
    /// Kills an instance.
    pub(super) fn kill(&self, place: usize) {
        self.note(&format!("killed: {place}"));
        self.instance(place).process.kill();
    }

    /// Starts another process in the place of a killed one.
    pub(super) async fn start(&mut self, place: usize) {
        let before = self.instance(place).process.number;
        self.world.start(place, &mut self.rng);
        let is_another = || self.instance(place).process.number != before;
        self.until("started", is_another).await;
    }
}
