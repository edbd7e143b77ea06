//! One file for each suite.

pub(crate) mod cluster;
pub(crate) mod consistency;
pub(crate) mod fleet;
pub(crate) mod l1;
pub(crate) mod l2;
#[cfg(feature = "peers")]
pub(crate) mod l2_peers;
pub(crate) mod memory;
pub(crate) mod miss;
pub(crate) mod mixed;
pub(crate) mod replay;
pub(crate) mod kinds;
pub(crate) mod curve;
pub(crate) mod restart;
pub(crate) mod lists;
pub(crate) mod hot;
pub(crate) mod scale;
pub(crate) mod simulate;
pub(crate) mod write;
