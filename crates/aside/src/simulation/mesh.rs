//! The network between hosts: replication, and what Sentinels tell each other.

use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use parking_lot::Mutex;
use tokio::time::sleep;

use super::host::Host;
use super::network::Pace;

/// The paths between hosts, which a partition cuts.
pub(super) struct Mesh {
    hosts: Vec<Arc<dyn Host>>,
    /// Hosts on the same side reach each other.
    sides: Mutex<Vec<u8>>,
    pace: Pace,
    /// How often a packet is lost, in percent.
    loses: u32,
    rng: Mutex<Rng>,
}

impl Mesh {
    pub(super) fn new(hosts: Vec<Arc<dyn Host>>, pace: Pace, loses: u32, rng: Rng) -> Arc<Self> {
        Arc::new(Self {
            sides: Mutex::new(vec![0; hosts.len()]),
            hosts,
            pace,
            loses,
            rng: Mutex::new(rng),
        })
    }

    /// Moves hosts to one side, away from all others.
    pub(super) fn isolate(&self, hosts: &[usize]) {
        let mut sides = self.sides.lock();
        for host in hosts {
            sides[*host] = 1;
        }
    }

    /// Ends every partition.
    pub(super) fn heal(&self) {
        self.sides.lock().fill(0);
    }

    /// Returns true if packets arrive.
    pub(super) fn connects(&self, from: usize, to: usize) -> bool {
        let sides = self.sides.lock();
        sides[from] == sides[to]
    }

    /// Returns true if a host would get a reply of another one.
    pub(super) fn reaches(&self, from: usize, to: usize) -> bool {
        self.connects(from, to) && self.hosts[to].machine().replies()
    }

    pub(super) fn draw<T>(&self, draw: impl FnOnce(&mut Rng) -> T) -> T {
        draw(&mut self.rng.lock())
    }

    pub(super) fn delay(&self) -> Duration {
        self.draw(|rng| self.pace.draw(rng))
    }

    /// Sends a packet: `arrive` runs at the other host, after a delay, unless
    /// the packet is lost. A suspended host receives it a while after it continues.
    pub(super) fn send(
        self: &Arc<Self>,
        (from, to): (usize, usize),
        arrive: impl FnOnce() + Send + 'static,
    ) {
        let (this, delay) = (Arc::clone(self), self.delay());
        if self.draw(|rng| rng.u32(..100)) < self.loses {
            return;
        }
        tokio::spawn(async move {
            sleep(delay).await;
            let machine = this.hosts[to].machine();
            if !machine.replies() {
                machine.running().await;
                let later = this.delay();
                sleep(later).await;
            }
            if machine.is_up() && this.connects(from, to) {
                arrive();
            }
        });
    }
}
