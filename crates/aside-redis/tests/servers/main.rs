//! The promises of the crate on real servers, of each major version of this machine.

mod client;
mod cluster;
mod sentinel;
mod tls;
