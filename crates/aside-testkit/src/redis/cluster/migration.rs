//! Moving a slot in single steps, so that a test may stop between any two.

use std::net::SocketAddr;
use std::time::Duration;

use super::RedisCluster;
use crate::redis::resp::Reply;

/// A slot on its way from one primary to another.
///
/// The steps are those of `redis-cli --cluster reshard`, in this order:
/// [`set_importing`](Self::set_importing), [`set_migrating`](Self::set_migrating),
/// [`move_key`](Self::move_key) for each of [`keys`](Self::keys),
/// [`set_owner`](Self::set_owner) at the target, at the source and at the other
/// primaries. Each method panics if a node does not reply or refuses.
#[derive(Clone, Copy, Debug)]
pub struct SlotMigration<'a> {
    cluster: &'a RedisCluster,
    slot: u16,
    from: usize,
    to: usize,
}

/// The longest time for which a key may block the source.
const MOVES_WITHIN: Duration = Duration::from_secs(5);

/// More keys than a test puts into one slot.
const MANY: &str = "1000000";

impl RedisCluster {
    /// Returns the move of a slot, of which no step has been done.
    pub fn migration(&self, slot: u16, from: usize, to: usize) -> SlotMigration<'_> {
        SlotMigration {
            cluster: self,
            slot,
            from,
            to,
        }
    }

    /// Moves a slot with all its keys.
    ///
    /// # Panics
    ///
    /// If a node does not reply or refuses.
    #[track_caller]
    pub fn migrate_slot(&self, slot: u16, from: usize, to: usize) {
        let migration = self.migration(slot, from, to);
        migration.set_importing();
        migration.set_migrating();
        for key in migration.keys() {
            migration.move_key(&key);
        }
        migration.finish();
    }
}

#[allow(clippy::missing_panics_doc)] // stated at the type
impl SlotMigration<'_> {
    /// Marks the slot as importing, at the target: it then takes commands that
    /// follow ASKING.
    #[track_caller]
    pub fn set_importing(&self) {
        self.set_slot(self.to, "IMPORTING", Some(self.from));
    }

    /// Marks the slot as migrating, at the source: it then replies ASK for keys
    /// that it does not hold.
    #[track_caller]
    pub fn set_migrating(&self) {
        self.set_slot(self.from, "MIGRATING", Some(self.to));
    }

    /// Returns the keys of the slot that are still at the source.
    #[track_caller]
    pub fn keys(&self) -> Vec<String> {
        let source = self.cluster.node(self.from);
        let slot = self.slot.to_string();
        match source.command(&["CLUSTER", "GETKEYSINSLOT", &slot, MANY]) {
            Reply::Array(keys) => keys
                .iter()
                .map(|key| key.text().expect("a key is text").to_owned())
                .collect(),
            other => panic!("no keys of slot {slot}: {other:?}"),
        }
    }

    /// Moves one key. It may have gone in the meantime.
    #[track_caller]
    pub fn move_key(&self, key: &str) {
        let target = self.cluster.node(self.to).address();
        let reply = self.move_key_through(target, key, MOVES_WITHIN);
        assert_moved(&reply);
    }

    /// Moves one key, over a copy that an earlier move left at the target. It may
    /// have gone in the meantime.
    #[track_caller]
    pub fn replace_key(&self, key: &str) {
        let target = self.cluster.node(self.to).address();
        let reply = self.send_key(target, key, MOVES_WITHIN, &["REPLACE"]);
        assert_moved(&reply);
    }

    /// Moves one key through another address that leads to the target, such as
    /// that of a [`Proxy`](crate::Proxy), and returns the source's reply. It is an
    /// error if no acknowledgement came in time: the key may then be at both.
    #[track_caller]
    pub fn move_key_through(&self, address: SocketAddr, key: &str, within: Duration) -> Reply {
        self.send_key(address, key, within, &[])
    }

    fn send_key(
        &self,
        address: SocketAddr,
        key: &str,
        within: Duration,
        options: &[&str],
    ) -> Reply {
        let [host, port] = [address.ip().to_string(), address.port().to_string()];
        let millis = within.as_millis().to_string();
        let mut words = vec!["MIGRATE", &host, &port, key, "0", &millis];
        words.extend(options);
        if let Some(password) = self.cluster.node(self.to).password() {
            words.extend(["AUTH", password]);
        }
        self.cluster.node(self.from).command(&words)
    }

    /// Tells one node that the target owns the slot.
    #[track_caller]
    pub fn set_owner(&self, node: usize) {
        self.set_slot(node, "NODE", Some(self.to));
    }

    /// Tells the target, then the source and then the other running primaries
    /// that the target owns the slot.
    #[track_caller]
    pub fn finish(&self) {
        self.set_owner(self.to);
        self.set_owner_at_source();
        for other in self.cluster.primaries() {
            if other != self.from && other != self.to {
                self.set_owner(other);
            }
        }
    }

    /// A source that gave its last slot away may have learned of it from the
    /// target, and has become a replica of it, which takes no such command.
    #[track_caller]
    fn set_owner_at_source(&self) {
        let slot = self.slot.to_string();
        let words = [
            "CLUSTER",
            "SETSLOT",
            &slot,
            "NODE",
            self.cluster.id(self.to),
        ];
        let reply = self.cluster.node(self.from).command(&words);
        let is_replica = matches!(&reply, Reply::Error(text) if text.contains("only with masters"));
        assert!(
            is_replica || reply == Reply::Status("OK".into()),
            "{words:?} was refused: {reply:?}"
        );
    }

    /// Takes the marks back, at both nodes. Keys that were moved stay at the
    /// target.
    #[track_caller]
    pub fn cancel(&self) {
        self.set_slot(self.from, "STABLE", None);
        self.set_slot(self.to, "STABLE", None);
    }

    #[track_caller]
    fn set_slot(&self, node: usize, state: &str, other: Option<usize>) {
        let slot = self.slot.to_string();
        let mut words = vec!["CLUSTER", "SETSLOT", &slot, state];
        words.extend(other.map(|other| self.cluster.id(other)));
        self.cluster.node(node).expect_ok(&words);
    }
}

#[track_caller]
fn assert_moved(reply: &Reply) {
    let text = reply.text();
    assert!(text == Some("OK") || text == Some("NOKEY"), "{reply:?}");
}
