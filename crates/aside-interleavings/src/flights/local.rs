//! The library's own file, under the name that it has there.

#[path = "../../../aside/src/local/flight/mod.rs"]
#[allow(dead_code)]
pub(crate) mod flight;
