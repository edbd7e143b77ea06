//! A primary and its replicas.
//!
//! A replica applies each write after a delay, so a promotion loses the tail.
//! It begins a new history, as the `master_replid` of Redis does. A server that
//! was deposed while it was away goes on as a primary until it is told.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tokio::time::{sleep, sleep_until};

use super::Trace;
use super::host::Host;
use super::mesh::Mesh;
use super::network::Network;
use super::server::Server;

/// The pause of a replica that does not reach its primary.
const RECONNECT: Duration = Duration::from_millis(5);

/// Servers that hold the same data. The number of each is that of its host.
pub(super) struct Group {
    pub(super) servers: Vec<Arc<Server>>,
    pub(super) mesh: Arc<Mesh>,
    network: Arc<Network>,
    /// True if a server's connections are closed when its role changes, as Sentinels
    /// do.
    closes: bool,
    /// By server: the primary that it copies, and the task that does it.
    copying: Mutex<Vec<Option<(usize, AbortHandle)>>>,
    trace: Trace,
}

impl Group {
    /// Creates a group in which each server copies the primary in `copies`, if any.
    pub(super) fn new(
        servers: Vec<Arc<Server>>,
        copies: &[Option<usize>],
        (mesh, network): (Arc<Mesh>, Arc<Network>),
        closes: bool,
        trace: Trace,
    ) -> Arc<Self> {
        let group = Arc::new(Self {
            copying: Mutex::new(servers.iter().map(|_| None).collect()),
            servers,
            mesh,
            network,
            closes,
            trace,
        });
        for (replica, primary) in copies.iter().enumerate() {
            if let Some(primary) = primary {
                group.follow(replica, *primary);
            }
        }
        group
    }

    /// Returns the primary that a server believes to copy; `None` if it is one.
    pub(super) fn primary_of(&self, server: usize) -> Option<usize> {
        let copying = self.copying.lock();
        copying[server].as_ref().map(|(primary, _)| *primary)
    }

    /// Makes a server a primary.
    pub(super) fn promote(&self, server: usize) {
        let Some((_, task)) = self.copying.lock()[server].take() else {
            return;
        };
        task.abort();
        self.servers[server].promote();
        self.close(server);
        self.trace
            .note(|text| text.push_str(&format!("promoted: n{server}")));
    }

    fn close(&self, server: usize) {
        if self.closes {
            self.network.close_all(server);
        }
    }

    /// Makes a server the replica of another.
    pub(super) fn follow(self: &Arc<Self>, server: usize, primary: usize) {
        self.servers[server].demote();
        self.close(server);
        self.trace
            .note(|text| text.push_str(&format!("n{server} copies n{primary}")));
        let task = tokio::spawn(Arc::clone(self).copy(server, primary)).abort_handle();
        let before = self.copying.lock()[server].replace((primary, task));
        if let Some((_, task)) = before {
            task.abort();
        }
    }

    /// Ends the process of a server.
    pub(super) fn kill(&self, server: usize) {
        self.network.kill(server);
        self.servers[server].begin_history(None);
    }

    /// Starts the process of a server: empty, with the role that it had.
    pub(super) fn restart(self: &Arc<Self>, server: usize) {
        self.network.start(server);
        let primary = self.primary_of(server);
        if let Some(primary) = primary {
            self.follow(server, primary);
        }
    }

    /// Copies a primary for good.
    async fn copy(self: Arc<Self>, replica: usize, primary: usize) {
        loop {
            let is_there = self.mesh.reaches(replica, primary)
                && self.servers[replica].machine().replies()
                && self.primary_of(primary).is_none();
            if is_there {
                sleep(self.mesh.delay()).await;
                self.copy_while_connected(replica, primary).await;
            }
            sleep(RECONNECT).await;
        }
    }

    /// Copies a primary until it closes the connection.
    async fn copy_while_connected(&self, replica: usize, primary: usize) {
        let (sender, mut copies) = mpsc::unbounded_channel();
        let (snapshot, history) = self.servers[primary].attach(sender);
        let server = &self.servers[replica];
        server.copy(snapshot, history);
        while let Some(copied) = copies.recv().await {
            sleep_until(copied.written + self.mesh.delay()).await;
            while !self.mesh.connects(replica, primary) {
                sleep(RECONNECT).await;
            }
            server.machine().running().await;
            server.copy(copied.snapshot, history);
        }
    }
}
