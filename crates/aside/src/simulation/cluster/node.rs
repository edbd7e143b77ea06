//! A node of a cluster: a server that redirects, and describes its cluster.

use std::collections::BTreeSet;
use std::sync::{Arc, OnceLock, Weak};

use aside_redis::WireReply;
use aside_redis::cluster::{
    Flags, Info, Node as Line, NodeAddress, Redirect, RedirectKind, slot_of,
};
use aside_redis::resp::Sent;
use bytes::Bytes;
use parking_lot::Mutex;

use super::Cluster;
use super::slots::Layout;
use super::view::View;
use crate::entity::key::Key;
use crate::simulation::commands::{array, error, status, string};
use crate::simulation::host::{Host, Machine, Push};
use crate::simulation::server::Server;

pub(in super::super) const PORT: u16 = 6379;

/// Returns the host name of a node.
pub(in super::super) fn name_of(node: usize) -> String {
    format!("n{node}")
}

fn id_of(node: usize) -> String {
    format!("{:040x}", node + 1)
}

/// One node.
pub(in super::super) struct Node {
    pub(super) number: usize,
    pub(super) server: Arc<Server>,
    layout: Arc<Layout>,
    pub(super) view: Mutex<View>,
    /// The connections whose next command follows an `ASK`.
    asking: Mutex<BTreeSet<u64>>,
    pub(super) cluster: OnceLock<Weak<Cluster>>,
}

impl Node {
    pub(super) fn new(server: Arc<Server>, view: View) -> Arc<Self> {
        Arc::new(Self {
            number: view.me,
            server,
            layout: Arc::clone(&view.layout),
            view: Mutex::new(view),
            asking: Mutex::default(),
            cluster: OnceLock::new(),
        })
    }

    /// Returns the error in place of a command on this key, if the node does not serve
    /// its slot.
    fn refusal(&self, key: &[u8], is_asking: bool) -> Option<WireReply> {
        let view = self.view.lock();
        if !view.is_ok {
            return Some(error("CLUSTERDOWN The cluster is down"));
        }
        let slot = slot_of(key);
        let block = self.layout.block_of(slot);
        let redirect = |kind, node| {
            WireReply::Redirect(Redirect {
                kind,
                slot,
                host: Some(name_of(node)),
                port: PORT,
            })
        };
        match view.owners[block] {
            Some(owner) if owner == self.number => {
                let target = view.migrating.get(&block);
                let key = || Key::new(std::str::from_utf8(key).expect("a key is a text"));
                let target = target.filter(|_| !self.server.has(&key()));
                target.map(|target| redirect(RedirectKind::Ask, *target))
            }
            _ if is_asking && view.importing.contains_key(&block) => None,
            Some(owner) => Some(redirect(RedirectKind::Moved, owner)),
            None => Some(error("CLUSTERDOWN Hash slot not served")),
        }
    }

    fn describe(&self, about: &str) -> WireReply {
        let view = self.view.lock();
        match about {
            "INFO" => string(
                &Info {
                    is_ok: view.is_ok,
                    current_epoch: view.current_epoch,
                }
                .to_string(),
            ),
            "NODES" => {
                let lines = (0..view.peers.len()).map(|node| line(&view, node).to_string());
                string(&(lines.collect::<Vec<_>>().join("\n") + "\n"))
            }
            _ => error("ERR unknown subcommand"),
        }
    }
}

/// Returns a node's line of `CLUSTER NODES`.
fn line(view: &View, node: usize) -> Line {
    let (peer, is_own) = (&view.peers[node], node == view.me);
    let moving = |blocks: &std::collections::BTreeMap<usize, usize>| {
        let moving = blocks.iter().filter(|_| is_own);
        let moving = moving.map(|(block, other)| (view.layout.first(*block), id_of(*other)));
        moving.collect()
    };
    Line {
        id: id_of(node),
        address: NodeAddress {
            host: Some(name_of(node)),
            port: PORT,
            hostname: None,
        },
        flags: Flags {
            myself: is_own,
            primary: peer.primary.is_none(),
            replica: peer.primary.is_some(),
            maybe_failed: peer.is_maybe_failed,
            failed: peer.failed_since.is_some(),
            ..Flags::default()
        },
        primary: peer.primary.map(id_of),
        config_epoch: peer.config_epoch,
        connected: !view.is_suspect(node),
        slots: view.layout.slots(view.blocks_of(node)),
        migrating: moving(&view.migrating),
        importing: moving(&view.importing),
    }
}

/// Returns the key of a command.
fn key_of(words: &[Bytes]) -> Option<&Bytes> {
    match &words[0][..] {
        b"GET" | b"EXISTS" | b"HGET" | b"HSETNX" => words.get(1),
        b"EVALSHA" => {
            assert_eq!(words[2], b"1"[..], "one key for each call in a cluster");
            words.get(3)
        }
        b"MGET" => panic!("several keys in one call in a cluster"),
        _ => None,
    }
}

impl Host for Node {
    fn machine(&self) -> &Machine {
        self.server.machine()
    }

    fn tells_ahead(&self) -> bool {
        self.server.tells_ahead()
    }

    fn unsubscribe(&self, connection: u64) {
        self.asking.lock().remove(&connection);
        self.server.unsubscribe(connection);
    }

    fn execute(&self, connection: u64, words: &[Bytes], push: &dyn Fn() -> Push) -> Sent {
        let is_asking = self.asking.lock().remove(&connection);
        Sent::Reply(match &words[0][..] {
            b"ASKING" => {
                self.asking.lock().insert(connection);
                status("OK")
            }
            b"HELLO" => array(["server", "redis", "mode", "cluster"].map(string)),
            b"CLUSTER" => self.describe(&String::from_utf8_lossy(&words[1])),
            b"INFO" => {
                let reply = self.server.execute(connection, words, push);
                let Sent::Reply(WireReply::Bytes(info)) = reply else {
                    return reply;
                };
                let info = String::from_utf8_lossy(&info);
                string(&format!("{info}cluster_enabled:1\r\n"))
            }
            _ => match key_of(words).and_then(|key| self.refusal(key, is_asking)) {
                Some(refusal) => {
                    self.server.note_refusal(connection, words, &refusal);
                    refusal
                }
                None => return self.server.execute(connection, words, push),
            },
        })
    }

    fn publish(&self) {
        let Some(message) = self.server.take_published() else {
            return;
        };
        self.server.push(&message);
        if let Some(cluster) = self.cluster.get().and_then(Weak::upgrade) {
            cluster.pass_on(self.number, &message);
        }
    }
}
