//! The servers of a world: one, a group under Sentinels, or a cluster.

mod tests;
mod cluster_tests;

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use fastrand::Rng;

use crate::simulation::Trace;
use crate::simulation::cluster::{self, Cluster, Node};
use crate::simulation::group::Group;
use crate::simulation::host::Host;
use crate::simulation::mesh::Mesh;
use crate::simulation::network::{Named, Network, Pace};
use crate::simulation::plan::Scenario;
use crate::simulation::sentinels::{self, Sentinel, Sentinels, Times};
use crate::simulation::server::Server;

/// The number of Sentinels.
const SENTINELS: usize = 3;

pub(super) struct Topology {
    /// How instances find the primary.
    pub(super) url: String,
    /// The first primary.
    pub(super) server: Arc<Server>,
    pub(super) network: Arc<Network>,
    pub(super) sentinels: Option<Arc<Sentinels>>,
    pub(super) cluster: Option<Arc<Cluster>>,
}

impl Topology {
    pub(super) fn of(scenario: Scenario, rng: &mut Rng, trace: &Trace) -> Self {
        match scenario {
            Scenario::Failovers => Self::under_sentinels(scenario, rng, trace),
            Scenario::Slots => Self::cluster((3, 0), scenario, rng, trace),
            Scenario::Elections | Scenario::Upheavals => {
                Self::cluster((3, rng.usize(3..5)), scenario, rng, trace)
            }
            Scenario::Directed(direction) => {
                Self::cluster((3, direction.replicas()), scenario, rng, trace)
            }
            _ => Self::single(scenario, rng, trace),
        }
    }

    fn single(scenario: Scenario, rng: &mut Rng, trace: &Trace) -> Self {
        let server = Server::new(trace.clone(), rng.bool(), Arc::default());
        let name = "world".to_owned();
        let host: Arc<dyn Host> = Arc::clone(&server) as _;
        Self {
            url: format!("redis://{name}"),
            network: network(vec![Named { name, host }], scenario, rng, trace),
            server,
            sentinels: None,
            cluster: None,
        }
    }

    fn under_sentinels(scenario: Scenario, rng: &mut Rng, trace: &Trace) -> Self {
        let (count, tells_ahead) = (rng.usize(2..4), rng.bool());
        let histories = Arc::<AtomicU64>::default();
        let server = |_| Server::new(trace.clone(), tells_ahead, Arc::clone(&histories));
        let servers: Vec<Arc<Server>> = (0..count).map(server).collect();
        let times = times(rng);
        let all = Sentinel::all(SENTINELS, count, times);
        let names = (0..count)
            .map(sentinels::name_of)
            .chain((0..SENTINELS).map(sentinels::sentinel_name));
        let hosts = servers.iter().map(|it| Arc::clone(it) as Arc<dyn Host>);
        let hosts = hosts.chain(all.iter().map(|it| Arc::clone(it) as _));
        let hosts: Vec<Arc<dyn Host>> = hosts.collect();
        let named = names.zip(hosts.iter().cloned());
        let named = named.map(|(name, host)| Named { name, host }).collect();
        let network = network(named, scenario, rng, trace);
        let pace = Pace {
            mostly: rng.u64(0..4),
            sometimes: rng.u64(4..100),
            how_often: rng.u32(0..40),
        };
        let mesh = Mesh::new(hosts, pace, rng.u32(0..20), rng.fork());
        let server = Arc::clone(&servers[0]);
        let copies = (0..servers.len()).map(|server| (server != 0).then_some(0));
        let copies: Vec<Option<usize>> = copies.collect();
        let paths = (mesh, Arc::clone(&network));
        let group = Group::new(servers, &copies, paths, true, trace.clone());
        Self {
            url: sentinels::url(SENTINELS),
            server,
            sentinels: Some(Sentinels::watch(group, all, Arc::clone(&network), times)),
            cluster: None,
            network,
        }
    }

    fn cluster(
        (primaries, replicas): (usize, usize),
        scenario: Scenario,
        rng: &mut Rng,
        trace: &Trace,
    ) -> Self {
        let (tells_ahead, histories) = (rng.bool(), Arc::<AtomicU64>::default());
        let server = |_| Server::new(trace.clone(), tells_ahead, Arc::clone(&histories));
        let servers: Vec<Arc<Server>> = (0..primaries + replicas).map(server).collect();
        let copies = (0..primaries + replicas).map(|it| it.checked_sub(primaries));
        let copies = copies.map(|replica| replica.map(|it| it % primaries));
        let copies: Vec<Option<usize>> = copies.collect();
        let times = cluster::Times {
            // In half of the worlds, an old primary serves for long.
            node: Duration::from_millis(match scenario {
                Scenario::Directed(_) => rng.u64(3000..4000),
                Scenario::Elections | Scenario::Upheavals if !rng.bool() => rng.u64(1500..2500),
                _ => rng.u64(200..600),
            }),
            election: Duration::from_millis(rng.u64(20..200)),
        };
        let nodes = Node::all(&servers, &copies, times, rng);
        let hosts = nodes.iter().map(|it| Arc::clone(it) as Arc<dyn Host>);
        let hosts: Vec<Arc<dyn Host>> = hosts.collect();
        let named = hosts.iter().cloned().enumerate().map(|(node, host)| Named {
            name: cluster::name_of(node),
            host,
        });
        let network = network(named.collect(), scenario, rng, trace);
        let (pace, loses) = match scenario {
            Scenario::Directed(direction) => (direction.bus_pace(rng), 0),
            _ => {
                let pace = Pace {
                    mostly: rng.u64(0..4),
                    sometimes: rng.u64(4..60),
                    how_often: rng.u32(0..30),
                };
                (pace, rng.u32(0..20))
            }
        };
        let mesh = Mesh::new(hosts, pace, loses, rng.fork());
        let loses_copies = match scenario {
            Scenario::Directed(direction) => direction.loses_copies(),
            _ => rng.u32(..100),
        };
        let server = Arc::clone(&servers[0]);
        let paths = (mesh, Arc::clone(&network));
        let group = Group::new(servers, &copies, paths, false, trace.clone());
        Self {
            url: cluster::url(primaries),
            server,
            sentinels: None,
            cluster: Some(Cluster::run(group, nodes, loses_copies, trace.clone())),
            network,
        }
    }
}

fn times(rng: &mut Rng) -> Times {
    let mut millis = |range| Duration::from_millis(rng.u64(range));
    Times {
        down_after: millis(100..500),
        hello: millis(50..300),
        reconfigure_after: millis(100..2500),
        failover: millis(200..500),
    }
}

fn network(hosts: Vec<Named>, scenario: Scenario, rng: &mut Rng, trace: &Trace) -> Arc<Network> {
    let (pace, messages) = (scenario.pace(rng), scenario.message_pace(rng));
    Network::new(hosts, pace, messages, rng.fork(), trace.clone())
}
