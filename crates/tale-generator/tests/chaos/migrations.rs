//! Slots of a cluster that move while instances read and write their keys.
//!
//! A migration is no outage: nothing that Redis acknowledged is lost. So reads
//! meanwhile have the bounds of a cluster without faults.

use std::time::Duration;

use aside_testkit::{Direction, Mode, Proxy, RedisCluster, SlotMigration};

use crate::fleet::INSTANCES;
use crate::heroes::{self, HEROES};
use crate::instance::command;
use crate::plan::Storm;

/// The number of slots that move in one fault.
const SLOTS: usize = 3;

/// How long a source waits for an acknowledgement that is lost. It executes no
/// other command meanwhile.
const LOST_AFTER: Duration = Duration::from_millis(100);

/// A slot on its way.
#[derive(Clone, Copy, Debug)]
struct Move {
    slot: u16,
    from: usize,
    to: usize,
}

impl Move {
    fn back(self) -> Self {
        Self {
            from: self.to,
            to: self.from,
            ..self
        }
    }
}

impl Storm<'_, RedisCluster> {
    /// Returns the slot of a hero and the primary that owns it.
    pub(crate) fn owned_slot(&mut self) -> (u16, usize) {
        let number = self.rng.usize(..HEROES);
        let key = format!("hero:{}", heroes::id(number));
        let slot = self.servers.slot_of(&key);
        let owner = self.servers.primary_of(slot);
        (slot, owner.expect("the nodes have agreed on its owner"))
    }

    /// Moves slots away, and after a while back.
    ///
    /// The nodes can tell each other of the first move before the second. Moves
    /// there and back within 20 ms may leave no trace in a config epoch.
    pub(crate) fn move_slots(&mut self) {
        self.note("slots moved there and back", None);
        let mut moves = Vec::new();
        for _ in 0..SLOTS {
            let moved = self.draw_move();
            self.move_slot(moved);
            moves.push(moved);
        }
        self.pause(150..900);
        // In reverse, because one slot may have moved twice.
        for moved in moves.into_iter().rev() {
            self.move_slot(moved.back());
        }
    }

    /// Moves slots to a node from which one instance hears nothing. The former
    /// owner still replies to that instance, and does not know of later writes.
    pub(crate) async fn move_slots_out_of_reach(&mut self) {
        let number = self.rng.usize(..INSTANCES);
        self.note("slots moved out of reach", Some(number));
        let first = self.draw_move();
        self.fleet.proxies[number][first.to].set(Direction::ToClient, Mode::Blackhole);
        self.move_slot(first);
        for _ in 1..SLOTS {
            let (slot, from) = self.owned_slot();
            if from != first.to {
                self.move_slot(Move {
                    slot,
                    from,
                    ..first
                });
            }
        }
        self.pause(300..1500);
        let proxy = &self.fleet.proxies[number][first.to];
        // A swallowed reply leaves its connection without one.
        proxy.sever();
        proxy.heal().await;
        self.fleet.all(command::SETTLE);
    }

    fn move_slot(&mut self, moved: Move) {
        self.begin(moved);
        self.pause(0..200);
        self.finish(moved);
    }

    /// Cancels a migration after its keys were moved. They stay at the target,
    /// where the slot's keys of a later migration meet them.
    pub(crate) fn cancel_a_migration(&mut self) {
        let moved = self.draw_move();
        self.note("migration cancelled", None);
        self.begin(moved);
        self.move_keys(moved);
        self.pause(20..400);
        self.migration(moved).cancel();
        self.pause(50..600);
        if self.rng.bool() {
            self.note("cancelled migration repeated", None);
            self.move_slot(moved);
        }
    }

    /// Loses the acknowledgement of a moved key, so it is at both nodes. Then
    /// the migration goes on, or is cancelled.
    pub(crate) async fn lose_an_acknowledgement(&mut self) {
        let moved = self.draw_move();
        self.note("a moved key's acknowledgement lost", None);
        let target = self.servers.node(moved.to).address();
        let proxy = Proxy::start(target).await.expect("a port is free");
        proxy.set(Direction::ToClient, Mode::Blackhole);
        self.begin(moved);
        for key in self.migration(moved).keys() {
            let migration = self.migration(moved);
            migration.move_key_through(proxy.address(), &key, LOST_AFTER);
        }
        self.pause(20..400);
        if self.rng.bool() {
            self.finish(moved);
        } else {
            self.migration(moved).cancel();
        }
    }

    /// Draws a slot, and a primary to which it moves.
    fn draw_move(&mut self) -> Move {
        let (slot, from) = self.owned_slot();
        let mut others = self.servers.primaries();
        others.retain(|&node| node != from);
        let to = others[self.rng.usize(..others.len())];
        Move { slot, from, to }
    }

    fn migration(&self, Move { slot, from, to }: Move) -> SlotMigration<'_> {
        self.servers.migration(slot, from, to)
    }

    fn begin(&self, moved: Move) {
        self.migration(moved).set_importing();
        self.migration(moved).set_migrating();
    }

    fn move_keys(&self, moved: Move) {
        let migration = self.migration(moved);
        for key in migration.keys() {
            migration.replace_key(&key);
        }
    }

    fn finish(&self, moved: Move) {
        self.move_keys(moved);
        self.migration(moved).finish();
    }
}
