//! Claims: which node of a cluster owns which slots, by the nodes' own lines.
//!
//! A node's line about itself is right when it is sent. Its lines about others may be
//! old, so they count only for a node that has not been asked yet, or with a greater
//! config epoch than that node had when it was asked. A failed node cannot be asked: then
//! the others' lines are the newer ones, even with a lower epoch. If two nodes claim a slot, the one
//! with the greater config epoch owns it. While the other one still answers, writers
//! may use it, so the slot is closed until it agrees.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use aside_redis::cluster::{Node, SLOTS};

use crate::runtime::clock::Moment;
use crate::tiers::shard_map::NO_OWNER;

/// The id of a node.
pub(crate) type NodeId = Arc<str>;

/// How long a node is remembered that no reply names.
const FORGET_AFTER: Duration = Duration::from_secs(60);

/// The known nodes of one cluster.
#[derive(Debug, Default)]
pub(super) struct Claims(BTreeMap<NodeId, Claim>);

#[derive(Debug)]
struct Claim {
    node: Node,
    /// When the reply was requested that has this node's own line; `None` if it has
    /// only been named by others.
    own: Option<Moment>,
    /// When a reply last named it.
    named: Moment,
}

/// The owners of all slots.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ownership {
    /// The primaries that own slots, or would if they were not closed.
    pub(crate) primaries: Vec<Primary>,
    /// By slot: a position among the primaries, or [`NO_OWNER`].
    pub(crate) owners: Box<[u16]>,
    /// True if a slot is closed until an earlier owner agrees, or answers no more.
    pub(crate) is_disputed: bool,
}

/// A primary, as the others name it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Primary {
    pub(crate) id: NodeId,
    /// `None` if it is the host that was asked.
    pub(crate) host: Option<String>,
    pub(crate) hostname: Option<String>,
    pub(crate) port: u16,
}

impl Claims {
    /// Records a reply to `CLUSTER NODES` that was requested at `sent`. Returns true if
    /// the owners may have changed.
    pub(super) fn record(&mut self, nodes: Vec<Node>, sent: Moment, bound: Duration) -> bool {
        let mut changed = false;
        for node in nodes {
            let is_own = node.flags.myself;
            if node.flags.handshake || node.flags.no_address && !is_own {
                continue;
            }
            let id: NodeId = node.id.as_str().into();
            let own = is_own.then_some(sent);
            match self.0.get_mut(&id) {
                None => {
                    let named = sent;
                    self.0.insert(id, Claim { node, own, named });
                    changed = true;
                }
                Some(claim) => changed |= claim.renew(node, own, sent, bound),
            }
        }
        let before = self.0.len();
        self.0
            .retain(|_, claim| sent.since(claim.named) < FORGET_AFTER);
        changed || self.0.len() < before
    }

    /// Returns the greatest config epoch of any node.
    pub(super) fn config_epoch(&self) -> u64 {
        let epochs = self.0.values().map(|claim| claim.node.config_epoch);
        epochs.max().unwrap_or(0)
    }

    /// Returns every node that is known, replicas included.
    pub(super) fn nodes(&self) -> impl Iterator<Item = &Node> {
        self.0.values().map(|claim| &claim.node)
    }

    /// Returns true if any node takes this one for failed.
    pub(super) fn is_flagged(&self, id: &str) -> bool {
        self.0.get(id).is_some_and(Claim::is_flagged)
    }

    /// Returns the owners at `now`. A node is taken for reachable for as long as a
    /// proof lasts.
    pub(super) fn ownership(&self, now: Moment, bound: Duration) -> Ownership {
        let mut claims: Vec<_> = self
            .0
            .iter()
            .filter(|(_, claim)| claim.is_primary())
            .collect();
        claims.sort_by_key(|(id, claim)| (claim.node.config_epoch, Arc::clone(id)));
        let mut winners = vec![NO_OWNER; usize::from(SLOTS)];
        let mut closed = vec![false; winners.len()];
        for (at, (_, claim)) in claims.iter().enumerate() {
            let slots = claim.node.slots.iter().flat_map(Clone::clone);
            for slot in slots
                .map(usize::from)
                .filter(|slot| *slot < usize::from(SLOTS))
            {
                let before = claims.get(usize::from(winners[slot]));
                let is_disputed = before.is_some_and(|(_, claim)| claim.may_be_used(now, bound));
                closed[slot] |= is_disputed;
                winners[slot] = u16::try_from(at).unwrap_or(NO_OWNER);
            }
        }
        let is_disputed = closed.iter().any(|closed| *closed);
        let mut wins = vec![false; claims.len()];
        for winner in &winners {
            if let Some(wins) = wins.get_mut(usize::from(*winner)) {
                *wins = true;
            }
        }
        let mut places = vec![NO_OWNER; claims.len()];
        let mut primaries = Vec::new();
        for (at, (id, claim)) in claims.iter().enumerate() {
            if wins[at] {
                places[at] = u16::try_from(primaries.len()).unwrap_or(NO_OWNER);
                primaries.push(claim.primary(id));
            }
        }
        let owner = |(winner, closed): (u16, bool)| match closed {
            true => NO_OWNER,
            false => places.get(usize::from(winner)).copied().unwrap_or(NO_OWNER),
        };
        let owners = winners.into_iter().zip(closed).map(owner).collect();
        Ownership {
            primaries,
            owners,
            is_disputed,
        }
    }
}

impl Claim {
    /// Returns true if the owners may have changed.
    fn renew(&mut self, node: Node, own: Option<Moment>, sent: Moment, bound: Duration) -> bool {
        self.named = self.named.max(sent);
        let is_newer = match (own, self.own) {
            (Some(own), Some(before)) => before <= own,
            (Some(_), None) => true,
            // Of two nodes that name it, one may be cut off and know less. If the last
            // reply counted, a new primary could be dropped before it is asked.
            (None, None) => node.flags.failed || self.node.config_epoch <= node.config_epoch,
            (None, Some(before)) => {
                // Its epoch may never have reached the others: moving a slot raises it
                // without a vote. Its successor may then have no greater one.
                let has_failed = node.flags.failed && bound < sent.since(before);
                has_failed || self.node.config_epoch < node.config_epoch
            }
        };
        if is_newer {
            let changed = self.node.slots != node.slots
                || self.node.config_epoch != node.config_epoch
                || self.node.flags.primary != node.flags.primary
                || self.node.address != node.address;
            self.node = node;
            self.own = own;
            return changed;
        }
        // Only others know whether it has failed.
        self.node.flags.failed = node.flags.failed;
        self.node.flags.maybe_failed = node.flags.maybe_failed;
        false
    }

    fn is_primary(&self) -> bool {
        self.node.flags.primary && !self.node.slots.is_empty()
    }

    fn is_flagged(&self) -> bool {
        self.node.flags.failed || self.node.flags.maybe_failed
    }

    fn may_be_used(&self, now: Moment, bound: Duration) -> bool {
        self.own.is_some_and(|own| now.since(own) <= bound)
    }

    fn primary(&self, id: &NodeId) -> Primary {
        Primary {
            id: Arc::clone(id),
            host: self.node.address.host.clone(),
            hostname: self.node.address.hostname.clone(),
            port: self.node.address.port,
        }
    }
}

#[cfg(test)]
mod tests {
    use aside_redis::cluster::parse_nodes;

    use super::*;

    const BOUND: Duration = Duration::from_millis(500);

    fn at(millis: u64) -> Moment {
        Moment::from_millis(millis)
    }

    /// Records a reply with these lines: a node, its flags, its config epoch and slots.
    fn record(claims: &mut Claims, sent: u64, lines: &[(&str, &str, u64, &str)]) {
        let line = |(id, flags, epoch, slots): &(&str, &str, u64, &str)| {
            format!("{id} 10.0.0.1:7000@17000 {flags} - 0 0 {epoch} connected {slots}\n")
        };
        let text: String = lines.iter().map(line).collect();
        claims.record(parse_nodes(&text).unwrap(), at(sent), BOUND);
    }

    /// Returns the id of the owner of a slot; `None` if it is closed.
    fn owner(claims: &Claims, slot: usize, now: u64) -> Option<NodeId> {
        let ownership = claims.ownership(at(now), BOUND);
        let owner = usize::from(ownership.owners[slot]);
        ownership
            .primaries
            .get(owner)
            .map(|primary| Arc::clone(&primary.id))
    }

    #[test]
    fn a_slot_with_two_owners_is_closed_until_the_earlier_one_agrees() {
        let mut claims = Claims::default();
        record(
            &mut claims,
            100,
            &[
                ("a", "myself,master", 1, "0-9"),
                ("b", "master", 2, "10-19"),
            ],
        );
        assert_eq!(owner(&claims, 5, 100).as_deref(), Some("a"));
        record(&mut claims, 110, &[("b", "myself,master", 3, "5 10-19")]);
        assert_eq!(owner(&claims, 5, 110), None);
        assert_eq!(owner(&claims, 6, 110).as_deref(), Some("a"));
        record(&mut claims, 120, &[("a", "myself,master", 1, "0-4 6-9")]);
        assert_eq!(owner(&claims, 5, 120).as_deref(), Some("b"));
    }

    #[test]
    fn a_dead_owner_closes_its_slots_for_no_longer_than_it_was_trusted() {
        let mut claims = Claims::default();
        record(&mut claims, 100, &[("a", "myself,master", 1, "0-9")]);
        record(
            &mut claims,
            200,
            &[
                ("b", "myself,master", 2, "0-9"),
                ("a", "master,fail", 1, ""),
            ],
        );
        assert_eq!(owner(&claims, 5, 200), None);
        assert_eq!(owner(&claims, 5, 601).as_deref(), Some("b"));
        assert!(claims.is_flagged("a"));
    }

    #[test]
    fn what_others_say_of_a_node_counts_less_than_what_it_says() {
        let mut claims = Claims::default();
        record(&mut claims, 100, &[("a", "myself,master", 2, "0-4")]);
        record(
            &mut claims,
            200,
            &[("b", "myself,master", 1, "5-9"), ("a", "master", 2, "0-9")],
        );
        assert_eq!(owner(&claims, 7, 200).as_deref(), Some("b"));
        record(
            &mut claims,
            300,
            &[("b", "myself,master", 1, "5-9"), ("a", "master", 3, "0-9")],
        );
        assert_eq!(owner(&claims, 7, 900).as_deref(), Some("a"));
    }

    #[test]
    fn a_cut_off_node_does_not_hide_a_new_primary_that_was_not_asked_yet() {
        let mut claims = Claims::default();
        let by_others = [("a", "myself,master", 1, "0-4"), ("n", "master", 4, "5-9")];
        record(&mut claims, 100, &by_others);
        let by_one_cut_off = [("b", "myself,master", 2, "10-14"), ("n", "slave", 3, "")];
        record(&mut claims, 110, &by_one_cut_off);
        assert_eq!(owner(&claims, 5, 110).as_deref(), Some("n"));
        record(&mut claims, 120, &[("n", "myself,master", 4, "5-9")]);
        record(&mut claims, 130, &by_one_cut_off);
        assert_eq!(owner(&claims, 5, 130).as_deref(), Some("n"));
    }

    #[test]
    fn a_failed_node_that_was_never_asked_gives_way_to_its_successor() {
        let mut claims = Claims::default();
        let line = ("b", "myself,master", 2, "10-14");
        record(&mut claims, 100, &[line, ("x", "master", 9, "0-9")]);
        record(
            &mut claims,
            200,
            &[line, ("x", "master,fail", 5, ""), ("y", "master", 6, "0-9")],
        );
        assert_eq!(owner(&claims, 5, 200).as_deref(), Some("y"));
    }

    #[test]
    fn a_failed_node_with_the_greatest_epoch_gives_way_to_its_successor() {
        let mut claims = Claims::default();
        record(&mut claims, 100, &[("x", "myself,master", 9, "0-9")]);
        let successor = [
            ("b", "myself,master", 9, "0-9"),
            ("x", "master,fail", 5, ""),
        ];
        record(&mut claims, 600, &successor);
        assert_ne!(owner(&claims, 5, 600).as_deref(), Some("b"));
        record(&mut claims, 601, &successor);
        assert_eq!(owner(&claims, 5, 601).as_deref(), Some("b"));
    }

    #[test]
    fn a_demoted_node_owns_nothing() {
        let mut claims = Claims::default();
        record(&mut claims, 100, &[("a", "myself,master", 1, "0-9")]);
        record(&mut claims, 200, &[("a", "myself,slave", 2, "")]);
        assert_eq!(claims.ownership(at(200), BOUND).primaries, []);
        // It had been taken for a primary by others that know less.
        record(
            &mut claims,
            300,
            &[("b", "myself,master", 2, ""), ("a", "master", 1, "0-9")],
        );
        assert_eq!(owner(&claims, 5, 300), None);
    }

    #[test]
    fn a_node_that_no_reply_names_is_forgotten() {
        let mut claims = Claims::default();
        record(&mut claims, 100, &[("a", "myself,master", 1, "0-9")]);
        record(&mut claims, 60_100, &[("b", "myself,master", 2, "10")]);
        assert_eq!(claims.nodes().count(), 1);
    }
}
