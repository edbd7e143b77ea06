//! Trust: may a copy be used now?
//!
//! A local copy is valid while its generations are unchanged since it was taken
//! and its shard has recently proved that no message was missed. A value in
//! Redis is valid in the epoch of its kind, unless its key is unreleased.

pub(crate) mod breaker;
pub(crate) mod epochs;
pub(crate) mod proofs;
pub(crate) mod shard_trust;
pub(crate) mod generations;
pub(crate) mod refusal;
pub(crate) mod link;
pub(crate) mod unreleased;
