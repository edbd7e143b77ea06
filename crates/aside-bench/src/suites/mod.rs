//! One file for each suite.

pub(crate) mod l1;
pub(crate) mod miss;
pub(crate) mod replay;
