//! The library's own files, under the names that they have there.

#[path = "../../../aside/src/trust/proofs.rs"]
#[allow(dead_code)]
pub(crate) mod proofs;

#[path = "../../../aside/src/trust/shard_trust.rs"]
#[allow(dead_code)]
pub(crate) mod shard_trust;

#[path = "../../../aside/src/trust/generations.rs"]
#[allow(dead_code)]
pub(crate) mod generations;
