//! Migrations, the failover, the end of leases, and R's link to the shard.

use super::{
    Connection, Failing, Key, MESSAGE, Next, Node, OtherShard, Owner, PONG, Proof, Query, State,
};

impl OtherShard {
    pub(super) fn fault(&self, at: &State, next: &mut Next<'_>) {
        Self::migrate(at, next);
        if at.failing == Failing::Possible {
            let mut to = *at;
            match at.replica {
                None => {
                    to.replica = Some(at.key(Node::B));
                    next.to("C has all changes until now", [], to);
                }
                Some(copied) => {
                    (to.failing, to.owner) = (Failing::Promoted, Owner::OfC);
                    to.set_key(Node::C, copied);
                    to.set_key(Node::B, Key::Absent);
                    to.replica = None;
                    next.to("C is promoted, and later changes are lost", [], to);
                }
            }
        }
        for node in [Node::B, Node::C] {
            if let Key::Lease { .. } = at.key(node) {
                let mut to = *at;
                to.set_key(node, Key::Absent);
                next.to("the lease at node # expires", [node as u8], to);
            }
        }
        if let Query::Lease(_) = at.query {
            let mut to = *at;
            to.query = Query::Absent;
            next.to("the lease of the query expires", [], to);
        }
    }

    fn migrate(at: &State, next: &mut Next<'_>) {
        let mut to = *at;
        match at.owner {
            Owner::OfB if at.migrations > 0 && at.failing == Failing::Never => {
                to.owner = Owner::Moving;
                to.migrations -= 1;
                next.to("MIGRATING from B to C", [], to);
            }
            Owner::Moving => {
                if at.key(Node::B) == Key::Absent {
                    to.owner = Owner::OfC;
                    next.to("C owns the slot", [], to);
                } else {
                    to.set_key(Node::C, at.key(Node::B));
                    if at.copies {
                        let mut to = to;
                        to.copies = false;
                        next.to("MIGRATE, and a copy stays", [], to);
                    }
                    to.set_key(Node::B, Key::Absent);
                    next.to("MIGRATE", [], to);
                }
                if at.cancellations > 0 {
                    let mut to = *at;
                    to.owner = Owner::OfB;
                    to.cancellations = 0;
                    next.to("the migration is cancelled", [], to);
                }
            }
            Owner::OfB | Owner::OfC => {}
        }
    }

    /// Messages and proofs.
    pub(super) fn listen(&self, at: &State, next: &mut Next<'_>) {
        self.reconnect(at, next);
        let mut to = *at;
        to.channel = at.channel.without_first();
        match at.channel.first() {
            Some(MESSAGE) => {
                if self.rules.hears_dependency {
                    to.end_generations();
                }
                next.to("R applies a message", [], to);
            }
            Some(pong) => {
                to.of_dependency = at.of_dependency.with(pong - PONG);
                next.to("R: PONG", [], to);
            }
            None => {}
        }
        let is_primary = match at.map {
            Node::C => at.owner == Owner::OfC,
            Node::B => at.owner != Owner::OfC && at.failing != Failing::Promoted,
        };
        let has_pong = at.channel.messages().any(|message| *message != MESSAGE);
        let has_room = at.channel.messages().count() < 3;
        if is_primary && has_room && !has_pong && at.connection != Connection::Dead {
            let mut to = *at;
            to.channel.push(PONG + at.returned);
            next.to("R: PING to the dependency's shard", [], to);
        }
        if !at.of_query.is_there || at.of_query.date < at.returned {
            let mut to = *at;
            to.of_query = Proof {
                is_there: true,
                date: at.returned,
            };
            next.to("R: a round at the query's shard", [], to);
        }
    }

    fn reconnect(&self, at: &State, next: &mut Next<'_>) {
        let mut to = *at;
        match at.connection {
            Connection::MayDie => {
                to.connection = Connection::Dead;
                to.channel = Default::default();
                next.to("R's connection dies unseen", [], to);
            }
            Connection::Dead => {
                to.connection = Connection::Sound;
                if self.rules.ends_with_connection {
                    to.end_generations();
                    to.of_dependency = Proof::default();
                }
                next.to("R connects again", [], to);
            }
            Connection::Sound => {}
        }
        let mut to = *at;
        if at.map != at.node() || at.failing == Failing::Promoted && at.map == Node::B {
            to.map = at.node();
            to.channel = Default::default();
            to.of_dependency = Proof::default();
            if self.rules.ends_with_connection {
                to.end_generations();
            }
            next.to("R learns the map", [], to);
        }
        let mut to = *at;
        if at.other_map != at.node() {
            to.other_map = at.node();
            next.to("O learns the map", [], to);
        }
    }
}

impl Proof {
    fn with(self, date: u8) -> Self {
        Self {
            is_there: true,
            date: match self.is_there {
                true => self.date.max(date),
                false => date,
            },
        }
    }
}
