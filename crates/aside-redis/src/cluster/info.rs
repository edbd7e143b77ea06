//! The state of a cluster in the view of one node.

use std::fmt;

use super::nodes::Unreadable;

/// Fields of a reply to `CLUSTER INFO`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Info {
    /// True if the node serves its slots.
    pub is_ok: bool,
    /// The highest epoch that the node knows. It rises before a node votes.
    pub current_epoch: u64,
}

impl Info {
    /// Parses a reply to `CLUSTER INFO`.
    ///
    /// # Errors
    ///
    /// A field is missing, or it is no number.
    pub fn parse(text: &str) -> Result<Self, Unreadable> {
        let field = |name: &'static str| {
            let mut fields = text.lines().filter_map(|line| line.split_once(':'));
            let found = fields.find(|(known, _)| *known == name);
            let missing = Unreadable::Info { field: name };
            found.map(|(_, value)| value.trim()).ok_or(missing)
        };
        let epoch = "cluster_current_epoch";
        Ok(Self {
            is_ok: field("cluster_state")? == "ok",
            current_epoch: field(epoch)?
                .parse()
                .map_err(|_| Unreadable::Info { field: epoch })?,
        })
    }
}

impl fmt::Display for Info {
    /// Writes the fields that [`parse`](Info::parse) reads.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = if self.is_ok { "ok" } else { "fail" };
        let epoch = self.current_epoch;
        write!(
            formatter,
            "cluster_state:{state}\r\ncluster_current_epoch:{epoch}\r\n"
        )
    }
}
