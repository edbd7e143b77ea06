//! The rules of the protocol, each of which a test can take away.

use super::Left;

/// The effect of a round in which the node's own line has changed. The line has
/// its slots.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ChangedLine {
    Ignored,
    /// The reader bypasses the shard until its map is refreshed.
    ClosesShard,
    /// The local entries of the shard end. The shared tier stays in use.
    EndsEntries,
    /// Also, no new entry is kept until a round has the same line again.
    EndsEntriesAndWaits,
}

/// The answers of witnesses that trust in a primary needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Witnesses {
    None,
    /// A majority knows of no epoch beyond that of the refreshed map.
    NoNewerEpoch,
    /// A majority has not voted.
    NoVote,
}

/// The condition for a RELEASE to end its write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Settles {
    /// Any node acknowledged it.
    Acknowledged,
    /// A round sent after it has proved the node. If another node is the
    /// primary by then, the key is invalidated there.
    Confirmed,
    /// The node was trusted when it was sent. If not, the key is invalidated at
    /// the new primary.
    Trusted,
}

/// The old primary, after it has noticed the failover.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Demoted {
    /// A cluster's node redirects every command. Sentinel closes the clients'
    /// connections, and on a new one the role is queried first.
    Refuses,
    /// A primary that `REPLICAOF` demoted by hand keeps the connections, and
    /// serves reads of the data that it receives from the new one.
    ServesReads,
    /// The old primary ended before the new one began, as in a restart.
    Gone,
}

/// The rules, the faults, and the number of writes.
#[derive(Clone, Copy, Debug)]
pub(super) struct SlotMigration {
    pub(super) changed_line: ChangedLine,
    /// The line has the node's config epoch, which each takeover raises.
    pub(super) line_has_epoch: bool,
    /// Messages and steps of the reader may come between a node's answer to a
    /// round and its arrival. Otherwise a round is one step.
    pub(super) rounds_travel: bool,
    /// After an ASK, the message is also published at the node that gave it.
    pub(super) informs_asker: bool,
    /// A RELEASE does so even if it finds its record.
    pub(super) informs_after_release: bool,
    /// Reads follow an ASK, and fill at the target.
    pub(super) reads_follow: bool,
    /// The reader's load and FILL are separate steps, under a lease.
    /// Otherwise a miss is one step.
    pub(super) leases: bool,
    /// A FILL stores the tag known before the GET, and not the present one.
    pub(super) early_tags: bool,
    /// A value is valid only at the node where it was filled.
    pub(super) has_tags: bool,
    /// A lost proof or a changed map invalidates the local entries.
    pub(super) raises_generation: bool,
    pub(super) witnesses: Witnesses,
    pub(super) settles: Settles,
    /// A QUARANTINE sent to a node without trust counts as not acknowledged, so
    /// the key is journalled.
    pub(super) checks_quarantine: bool,
    /// A new primary is used only if its promotion is more than H ago.
    pub(super) pauses: bool,
    pub(super) demoted: Demoted,
    /// Node 1 replaces node 0; otherwise the slot migrates.
    pub(super) fails_over: bool,
    /// The slot may also migrate back.
    pub(super) returns: bool,
    pub(super) left: Left,
}

/// Every rule, two writes, and no move or fault.
pub(super) const RULES: SlotMigration = SlotMigration {
    changed_line: ChangedLine::EndsEntries,
    line_has_epoch: true,
    rounds_travel: false,
    informs_asker: true,
    informs_after_release: true,
    reads_follow: false,
    leases: false,
    early_tags: true,
    has_tags: true,
    raises_generation: true,
    witnesses: Witnesses::None,
    settles: Settles::Acknowledged,
    checks_quarantine: false,
    pauses: false,
    demoted: Demoted::Refuses,
    fails_over: false,
    returns: false,
    left: Left {
        writes: 2,
        migrations: 0,
        cancelled: 0,
        copied: 0,
        evictions: 0,
        lost_tails: 0,
        crashes: 0,
    },
};
