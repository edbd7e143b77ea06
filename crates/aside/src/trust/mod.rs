//! May a copy be used now?
//!
//! A copy in process is valid while its generations are what they were when it was
//! taken, and while the link has proved recently that nothing was missed. A value in
//! Redis is valid in the epoch of its kind, unless its key is not released yet.

pub(crate) mod breaker;
pub(crate) mod epochs;
pub(crate) mod proofs;
pub(crate) mod generations;
pub(crate) mod refusal;
pub(crate) mod link;
pub(crate) mod unreleased;
