//! The servers of a world: one, or a group under Sentinels.

mod tests;

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use fastrand::Rng;

use crate::simulation::Trace;
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
}

impl Topology {
    pub(super) fn of(scenario: Scenario, rng: &mut Rng, trace: &Trace) -> Self {
        match scenario {
            Scenario::Failovers | Scenario::OpenFaults => {
                Self::under_sentinels(scenario, rng, trace)
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
        }
    }

    fn under_sentinels(scenario: Scenario, rng: &mut Rng, trace: &Trace) -> Self {
        let (count, tells_ahead) = (rng.usize(2..4), rng.bool());
        let histories = Arc::<AtomicU64>::default();
        let server = |_| Server::new(trace.clone(), tells_ahead, Arc::clone(&histories));
        let servers: Vec<Arc<Server>> = (0..count).map(server).collect();
        let times = times(rng, scenario == Scenario::OpenFaults);
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
        let group = Group::new(servers, mesh, Arc::clone(&network), trace.clone());
        Self {
            url: sentinels::url(SENTINELS),
            server,
            sentinels: Some(Sentinels::watch(group, all, Arc::clone(&network), times)),
            network,
        }
    }
}

fn times(rng: &mut Rng, lets_return: bool) -> Times {
    let mut millis = |range| Duration::from_millis(rng.u64(range));
    Times {
        down_after: millis(100..500),
        hello: millis(50..300),
        reconfigure_after: millis(100..2500),
        failover: millis(200..500),
        lets_return,
    }
}

fn network(hosts: Vec<Named>, scenario: Scenario, rng: &mut Rng, trace: &Trace) -> Arc<Network> {
    let (pace, messages) = (scenario.pace(rng), scenario.message_pace(rng));
    Network::new(hosts, pace, messages, rng.fork(), trace.clone())
}
