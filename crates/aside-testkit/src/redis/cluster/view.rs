//! The cluster as one node sees it: its reply to CLUSTER NODES.

use std::ops::RangeInclusive;

/// One line of the reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) id: String,
    pub(super) flags: Vec<String>,
    /// The id of its primary; `-` for a primary.
    pub(super) primary: String,
    pub(super) config_epoch: u64,
    pub(super) slots: Vec<RangeInclusive<u16>>,
}

impl Line {
    pub(super) fn has(&self, flag: &str) -> bool {
        self.flags.iter().any(|it| it == flag)
    }

    pub(super) fn owns(&self, slot: u16) -> bool {
        self.slots.iter().any(|range| range.contains(&slot))
    }
}

/// Reads the reply. Lines and slots in another form are left out: the test that
/// needs them fails by waiting.
pub(super) fn parse(text: &str) -> Vec<Line> {
    text.lines().filter_map(line).collect()
}

/// Reads `ID ADDRESS FLAGS PRIMARY PING PONG EPOCH LINK SLOT...`.
fn line(text: &str) -> Option<Line> {
    let fields: Vec<&str> = text.split(' ').collect();
    let [id, _, flags, primary, _, _, epoch, _, slots @ ..] = &fields[..] else {
        return None;
    };
    Some(Line {
        id: (*id).into(),
        flags: flags.split(',').map(str::to_owned).collect(),
        primary: (*primary).into(),
        config_epoch: epoch.parse().ok()?,
        slots: slots.iter().filter_map(|slots| range(slots)).collect(),
    })
}

/// Reads `7` or `0-5460`. A slot that moves, `[7->-ID]`, is none that is owned.
fn range(text: &str) -> Option<RangeInclusive<u16>> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    Some(first.parse().ok()?..=last.parse().ok()?)
}

/// Returns the owner of each range of slots and the primary of each replica, as
/// text that is the same for nodes that agree.
pub(super) fn roles(lines: &[Line]) -> Vec<String> {
    let mut roles: Vec<String> = lines
        .iter()
        .filter(|line| !line.slots.is_empty() || line.primary != "-")
        .map(|line| format!("{} {} {:?}", line.id, line.primary, line.slots))
        .collect();
    roles.sort_unstable();
    roles
}

#[cfg(test)]
mod tests {
    use super::*;

    const NODES: &str = "\
a 127.0.0.1:1@10001,host myself,master - 0 0 3 connected 0-99 200 [7->-b]
b 127.0.0.1:2@10002 master,fail? - 0 0 2 connected
c 127.0.0.1:3@10003 slave a 0 0 3 connected

";

    #[test]
    fn owners_replicas_and_moving_slots_are_told_apart() {
        let lines = parse(NODES);
        assert_eq!(lines.len(), 3);
        assert!(lines[0].has("myself") && !lines[1].has("fail"));
        assert_eq!(lines[0].config_epoch, 3);
        assert!(lines[0].owns(99) && lines[0].owns(200) && !lines[0].owns(100));
        assert_eq!(roles(&lines), ["a - [0..=99, 200..=200]", "c a []"]);
    }
}
