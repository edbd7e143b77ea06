//! A private Redis Cluster, or Valkey Cluster.

mod view;
mod form;
mod migration;

use std::time::Duration;

pub use self::migration::SlotMigration;
use self::view::{Line, parse};
use super::options::{RedisOptions, Role};
use super::server::{RedisServer, url};
use crate::error::StartError;
use crate::wait::poll_until;

/// How long the nodes may take to agree, in addition to five node timeouts.
const AGREE_WITHIN: Duration = Duration::from_secs(30);

/// Settings of a [`RedisCluster`].
#[derive(Clone, Debug)]
pub struct ClusterOptions {
    /// The number of primaries. Default: 3.
    pub primaries: usize,
    /// The number of replicas of each primary. Default: 1.
    pub replicas: usize,
    /// How long a node must be silent before the others replace it. Default: a
    /// second.
    pub node_timeout: Duration,
    /// Settings of every node: program, password, TLS and more lines of its
    /// configuration file.
    pub node: RedisOptions,
}

impl Default for ClusterOptions {
    fn default() -> Self {
        Self {
            primaries: 3,
            replicas: 1,
            node_timeout: Duration::from_secs(1),
            node: RedisOptions::default(),
        }
    }
}

/// How `CLUSTER FAILOVER` is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failover {
    /// With the primary's help, so that no write is lost.
    Plain,
    /// Without the primary, by the votes of the others.
    Force,
    /// Without votes.
    Takeover,
}

/// A private cluster of real servers on the loopback interface.
///
/// The nodes are numbered: first the primaries in the order of their slots,
/// then replicas, by turns of each primary. A node keeps its number when its
/// role changes. [`RedisServer`] has the faults: `cluster.node(0).kill()`.
///
/// ```no_run
/// use std::time::Duration;
/// use aside_testkit::{RedisCluster, eventually_blocking};
///
/// let cluster = RedisCluster::start()?;
/// let slot = cluster.slot_of("greeting");
/// let primary = cluster.primary_of(slot).unwrap();
///
/// cluster.node(primary).kill();
/// eventually_blocking(Duration::from_secs(20), "a new primary", || {
///     cluster.primary_of(slot).is_some_and(|now| now != primary)
/// });
/// # Ok::<(), aside_testkit::StartError>(())
/// ```
#[derive(Debug)]
pub struct RedisCluster {
    nodes: Vec<RedisServer>,
    ids: Vec<String>,
    node_timeout: Duration,
    options: RedisOptions,
}

impl RedisCluster {
    /// Starts three primaries with a replica each, and waits until all nodes
    /// agree.
    ///
    /// # Errors
    ///
    /// [`StartError::Missing`] if neither Redis nor Valkey is installed.
    pub fn start() -> Result<Self, StartError> {
        Self::start_with(ClusterOptions::default())
    }

    /// Starts a cluster with these settings, and waits until all nodes agree.
    ///
    /// # Errors
    ///
    /// [`StartError::Missing`] if neither Redis nor Valkey is installed,
    /// [`StartError::Failed`] if a node refuses its settings or the nodes do not
    /// find each other.
    pub fn start_with(options: ClusterOptions) -> Result<Self, StartError> {
        let ClusterOptions {
            primaries,
            replicas,
            node_timeout,
            node,
        } = options;
        let mut cluster = Self {
            nodes: Vec::new(),
            ids: Vec::new(),
            node_timeout,
            options: node,
        };
        for _ in 0..primaries * (1 + replicas) {
            cluster.start_node()?;
        }
        let formed = cluster.form(primaries, cluster.patience());
        formed.map_err(|reason| cluster.nodes[0].failed(reason))?;
        Ok(cluster)
    }

    /// Starts a node that knows no other, and returns its number.
    fn start_node(&mut self) -> Result<usize, StartError> {
        let role = Role::Node(self.node_timeout.as_millis());
        let node = RedisServer::start_as(role, self.options.clone())?;
        let id = node.command(&["CLUSTER", "MYID"]);
        self.ids.push(id.text().unwrap_or_default().to_owned());
        self.nodes.push(node);
        Ok(self.nodes.len() - 1)
    }

    /// Starts one more node with the settings of the others, waits until all know
    /// it, and returns its number. It is a primary without slots.
    ///
    /// # Errors
    ///
    /// [`StartError::Failed`] if it does not start or no running node takes it in.
    pub fn add_node(&mut self) -> Result<usize, StartError> {
        let others = self.running();
        let added = self.start_node()?;
        let met = match others.first() {
            Some(&other) => self.introduce(other, added),
            None => Err("no node is running".into()),
        };
        let known = met.and_then(|()| poll_until(self.patience(), || self.all_know_each_other()));
        known.map_err(|reason| self.nodes[added].failed(reason))?;
        Ok(added)
    }

    /// Kills a node, and makes all running nodes forget it.
    ///
    /// # Panics
    ///
    /// If a node does not reply or refuses: a replica does not forget its primary.
    #[track_caller]
    pub fn forget_node(&self, number: usize) {
        self.nodes[number].kill();
        for node in self.running() {
            self.nodes[node].expect_ok(&["CLUSTER", "FORGET", &self.ids[number]]);
        }
    }

    fn patience(&self) -> Duration {
        AGREE_WITHIN + 5 * self.node_timeout
    }

    /// Returns the URL that names every node, with the password if there is one.
    pub fn url(&self) -> String {
        let credentials = self.nodes[0].credentials();
        url(&self.nodes, &credentials, "redis+cluster")
    }

    /// Returns all nodes.
    pub fn nodes(&self) -> &[RedisServer] {
        &self.nodes
    }

    /// Returns one node by its number.
    ///
    /// # Panics
    ///
    /// If there is no such node.
    pub fn node(&self, number: usize) -> &RedisServer {
        &self.nodes[number]
    }

    /// Returns the cluster's id of a node.
    ///
    /// # Panics
    ///
    /// If there is no such node.
    pub fn id(&self, number: usize) -> &str {
        &self.ids[number]
    }

    /// Returns the numbers of the nodes that are neither killed nor stopped.
    pub fn running(&self) -> Vec<usize> {
        let numbers = 0..self.nodes.len();
        numbers.filter(|&it| self.nodes[it].is_running()).collect()
    }

    /// Returns the slot of a key.
    ///
    /// # Panics
    ///
    /// If no node is running.
    #[track_caller]
    pub fn slot_of(&self, key: &str) -> u16 {
        let node = *self.running().first().expect("a running node");
        let slot = self.nodes[node].command(&["CLUSTER", "KEYSLOT", key]);
        slot.integer()
            .and_then(|slot| slot.try_into().ok())
            .expect("a slot")
    }

    /// Returns the running node that owns a slot by its own view; of several,
    /// the one with the greatest config epoch.
    pub fn primary_of(&self, slot: u16) -> Option<usize> {
        let owners = self.own_lines().into_iter();
        owners
            .filter(|(_, line)| line.has("master") && line.owns(slot))
            .max_by_key(|(_, line)| line.config_epoch)
            .map(|(node, _)| node)
    }

    /// Returns the running nodes that are primaries by their own view.
    pub fn primaries(&self) -> Vec<usize> {
        let lines = self.own_lines().into_iter();
        let primaries = lines.filter(|(_, line)| line.has("master"));
        primaries.map(|(node, _)| node).collect()
    }

    /// Returns the running replicas of a node, by their own view.
    pub fn replicas_of(&self, primary: usize) -> Vec<usize> {
        let lines = self.own_lines().into_iter();
        let replicas = lines.filter(|(_, line)| line.primary == self.ids[primary]);
        replicas.map(|(node, _)| node).collect()
    }

    /// Makes a replica the primary. [`Plain`](Failover::Plain) and
    /// [`Force`](Failover::Force) return before it is one.
    ///
    /// # Panics
    ///
    /// If the node does not reply or refuses.
    #[track_caller]
    pub fn failover(&self, replica: usize, how: Failover) {
        let words: &[&str] = match how {
            Failover::Plain => &["CLUSTER", "FAILOVER"],
            Failover::Force => &["CLUSTER", "FAILOVER", "FORCE"],
            Failover::Takeover => &["CLUSTER", "FAILOVER", "TAKEOVER"],
        };
        self.nodes[replica].expect_ok(words);
    }

    /// Waits until all running nodes say that the cluster works and agree on it.
    ///
    /// # Panics
    ///
    /// If they do not agree in time.
    #[track_caller]
    pub fn wait_until_agreed(&self) {
        if let Err(last) = poll_until(self.patience(), || self.agreement()) {
            panic!("the cluster does not agree: {last}");
        }
    }

    /// Returns the line of each running node about itself.
    fn own_lines(&self) -> Vec<(usize, Line)> {
        let own = |node: usize| {
            let lines = self.view(node).ok()?;
            let own = lines.into_iter().find(|line| line.has("myself"))?;
            Some((node, own))
        };
        self.running().into_iter().filter_map(own).collect()
    }

    /// Returns the cluster as a node sees it.
    fn view(&self, node: usize) -> Result<Vec<Line>, String> {
        let nodes = self.tell(node, &["NODES"])?;
        Ok(parse(nodes.text().unwrap_or_default()))
    }
}
